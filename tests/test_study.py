"""A study as a queue: nothing is trained twice, whatever is killed, and however many processes share it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from noisyweb.cli._main import app
from noisyweb.errors import TrainingError
from noisyweb.training.study.claims import LostClaimError, is_claimed, try_claim
from tests.conftest import PROGRAM, Program
from tests.toy_manifest import write_toy_manifest

FAST = ("--epochs", "3", "--image-size", "16", "--augmentation", "none")
PLAIN = ("--methods", "standard", "--seeds", 2)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Builds of two kinds at a level, and at level 0."""
    write_toy_manifest(tmp_path, level=0.0, kind="red")
    for kind in ("red", "blue"):
        write_toy_manifest(tmp_path, level=0.25, kind=kind, num_validation=0)
    return tmp_path / "toy"


def arguments(root: Path, out: Path, *more: object) -> list[str]:
    return ["study", "--manifest-root", str(root), "--out", str(out), *FAST, *map(str, more)]


def study(arguments: list[str]) -> str:
    """Run the command in this process, since torch takes seconds to import; what it prints."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(arguments: list[str], *words: str) -> None:
    """A user's mistake, in this process: torch takes seconds to import."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2, done.output
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0], lines[0]


def finished(out: Path) -> dict[str, int]:
    return {file.parent.name: file.stat().st_mtime_ns for file in out.glob("runs/*/summary.json")}


def results(out: Path) -> list[dict[str, object]]:
    rows = pq.read_table(out / "cells.parquet").to_pylist()
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.slow
def test_a_killed_study_goes_on_and_trains_nothing_twice(root: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([PROGRAM, *arguments(root, out, *PLAIN)], stdout=subprocess.DEVNULL)
    while len(finished(out)) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = finished(out)
    assert 2 <= len(before) < 6
    content = json.loads(study(arguments(root, out, *PLAIN, "--json")))
    after = finished(out)
    assert len(after) == 6
    assert {name: after[name] for name in before} == before
    assert content["runs"] == {"done": 6}
    assert {row["kind"] for row in content["table"]} == {"clean", "red", "blue"}

    study(arguments(root, whole, *PLAIN))
    assert results(out) == results(whole)  # to the last bit
    assert json.loads((out / "findings.json").read_text()) == json.loads((whole / "findings.json").read_text())


@pytest.mark.slow
def test_processes_share_the_cells_and_one_that_dies_is_replaced(root: Path, tmp_path: Path) -> None:
    """Printed lines and run folders agree: each cell was trained by one of the three."""
    out = tmp_path / "shared"
    command = [PROGRAM, *arguments(root, out, *PLAIN)]
    doomed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while not list(out.glob("runs/*/config.json")) and doomed.poll() is None:
        time.sleep(0.01)  # now it is in the middle of its first cell
    others = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    doomed.send_signal(signal.SIGKILL)
    printed, _ = doomed.communicate()
    assert doomed.returncode == -signal.SIGKILL
    trained: Counter[str] = Counter(re.findall(r"^(\S+)  peak", printed, re.M))
    for other in others:
        printed, _ = other.communicate(timeout=120)
        assert other.returncode == 0
        trained.update(re.findall(r"^(\S+)  peak", printed, re.M))
    assert set(trained) == set(finished(out))
    assert len(trained) == 6
    assert set(trained.values()) == {1}
    assert {row["status"] for row in pq.read_table(out / "cells.parquet").to_pylist()} == {"done"}


@pytest.mark.slow
def test_jobs_time_limit_failures_and_more_seeds(root: Path, tmp_path: Path, noisyweb: Program) -> None:
    out = tmp_path / "jobs"
    assert "0 of 6 runs done, 6 waiting" in study(arguments(root, out, "--seeds", 1, "--minutes", 0))
    assert not finished(out)

    # A run that cannot be gone on with fails, and is tried again by the next call.
    broken = out / "runs" / "red_0.25_mentormix_small_scratch_s0"
    broken.mkdir(parents=True)
    (broken / "config.json").write_text("{")
    done = noisyweb(*arguments(root, out, "--seeds", 1, "--jobs", 2))
    assert done.returncode == 0, done.stderr
    assert "5 of 6 runs done, 1 failed" in done.stdout
    assert "NOT ENOUGH RUNS" in done.stdout
    (row,) = [row for row in pq.read_table(out / "cells.parquet").to_pylist() if row["status"] == "failed"]
    assert "config.json" in row["reason"]
    before = finished(out)
    (broken / "config.json").unlink()
    more = study(arguments(root, out, "--seeds", 2, "--levels", "0.25", "--kinds", "red"))
    assert "8 of 8 runs done" in more
    assert {name: finished(out)[name] for name in before} == before
    dry = study(arguments(root, out, "--seeds", 2, "--dry-run"))
    assert Counter(line.split()[0] for line in dry.splitlines()[:-1]) == {"done": 8, "waiting": 4}

    refused(arguments(root, out, "--lr", 0.1), "begun with lr not given", "now it is 0.1")
    (root / "red_noise_nl_0.25").rename(tmp_path / "away")
    refused(arguments(root, out, "--kinds", "red", "--levels", "0.25"), "no training manifest of what is asked for")
    write_toy_manifest(tmp_path / "new", level=0.25, kind="red", seed=5)
    (tmp_path / "new" / "toy" / "red_noise_nl_0.25").rename(root / "red_noise_nl_0.25")
    refused(arguments(root, out), "begun on another red_noise_nl_0.25")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--methods", "standard,mentormx"), ("unknown method 'mentormx'", "did you mean 'mentormix'")),
        (("--methods", ""), ("--methods names nothing",)),
        (("--methods", "mixup,mixup"), ("names something twice",)),
        (("--models", "smal"), ("unknown model 'smal'", "did you mean 'small'")),
        (("--kinds", "green"), ("unknown kind among the builds 'green'", "blue, red")),
        (("--levels", "0.3"), ("no manifest of level 0.3", "0.0, 0.25")),
        (("--starts", "fine-tuned"), ("to fine-tune small", "--weights small=FILE")),
        (("--starts", "fine-tuned", "--weights", "none.pt"), ("none.pt", "cannot be read", "--weights")),
        (("--starts", "tuned"), ("unknown start 'tuned'", "fine-tuned")),
        (("--option", "mixup.alpha=1"), ("METHOD.NAME=VALUE", "standard, mentormix")),
        (("--option", "mentormix.alfa=1"), ("alfa",)),
        (("--tuned", "lr=fast"), ("'fast' is not a number",)),
        (("--tuned", "colour=1"), ("expected NAME=VALUE",)),
    ],
)
def test_mistakes(root: Path, tmp_path: Path, more: tuple[str, ...], words: tuple[str, ...]) -> None:
    out = tmp_path / "study"
    refused(arguments(root, out, *more), *words)
    assert not out.exists()


def test_other_folders_are_left_alone(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    refused(arguments(root, tmp_path / "mine"), "holds something else than a study")
    refused(arguments(tmp_path / "nowhere", tmp_path / "s"), "no training manifest")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.json").write_text("[]")
    refused(arguments(root, tmp_path / "broken"), "not a study's file")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_one_of_many_wins_a_claim_and_a_silent_one_loses_it(tmp_path: Path) -> None:
    won = []
    together = threading.Barrier(16)

    def try_it() -> None:
        together.wait()
        claim = try_claim(tmp_path, "cell")
        if claim is not None:
            won.append(claim)

    threads = [threading.Thread(target=try_it) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (first,) = won
    first.check()
    assert is_claimed(tmp_path, "cell")
    assert not is_claimed(tmp_path, "other")
    os.utime(first.path, (0, 0))  # as if it had not been touched for long
    second = try_claim(tmp_path, "cell")
    assert second is not None
    with pytest.raises(LostClaimError, match="taken this run over"):
        first.check()
    second.check()
    with second:
        assert try_claim(tmp_path, "cell") is None
    assert not is_claimed(tmp_path, "cell")  # given back at once


def test_a_claim_of_a_dead_process_is_free(tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    claim = try_claim(tmp_path, "cell")
    assert claim is not None
    owner = json.loads(claim.path.read_text())
    claim.path.write_text(json.dumps({**owner, "pid": child.pid}))
    assert try_claim(tmp_path, "cell") is not None
    claim.path.with_name("cell.3").write_text(json.dumps({"host": "another.example", "pid": child.pid}))
    assert try_claim(tmp_path, "cell") is None  # of other machines nobody knows


def test_fine_tuned_cells_join_a_study(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    few = ("--methods", "standard", "--kinds", "red", "--levels", "0.25", "--seeds", 1)
    study(arguments(root, out, *few))
    weights = out / "runs" / "red_0.25_standard_small_scratch_s0" / "model.safetensors"
    tuned = ("--starts", "fine-tuned", "--weights", weights, "--tuned", "epochs=2")
    assert "2 of 2 runs done" in study(arguments(root, out, *few, *tuned))
    first, second = pq.read_table(out / "cells.parquet").sort_by("start").to_pylist()
    assert (first["start"], first["epochs"]) == ("fine-tuned", 2)
    assert (second["start"], second["epochs"]) == ("scratch", 3)
    config = json.loads((out / first["run"] / "config.json").read_text())["train"]
    scratch = json.loads((out / second["run"] / "config.json").read_text())["train"]
    assert config["weights"] == str(weights)
    assert config["new_head"]
    assert config["lr"] == pytest.approx(scratch["lr"] / 10)
    refused(arguments(root, out, *few, *tuned[:-1], "epochs=4"), "begun with epochs 2", "now it is 4")
    other = tmp_path / "other.safetensors"
    other.write_bytes(weights.read_bytes() + b" ")
    refused(arguments(root, out, *few, "--starts", "fine-tuned", "--weights", other, *tuned[-2:]), "weights of small")


def test_cells_of_one_name_are_refused(tmp_path: Path) -> None:
    from decimal import Decimal

    from noisyweb.training.study.cells import Grid, TrainingSet, cells

    data = [TrainingSet(tmp_path, "red", Decimal("0.4"))]
    grid = Grid(methods=["standard"], models=["timm:a/b", "timm:a-b"], seeds=[0])
    with pytest.raises(TrainingError, match="same name"):
        cells(data, grid, {})
    (one,) = cells(data, Grid(methods=["standard"], models=["../x"], seeds=[0]), {})
    assert "/" not in one.key
