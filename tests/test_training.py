"""Whole training runs: they learn, they repeat, they go on exactly after a SIGKILL, and they never mix."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from noisyweb import plugins
from noisyweb.errors import CorruptFileError, OutputError, SourceError, TrainingError
from noisyweb.training import checkpoint
from noisyweb.training.config import Wishes
from noisyweb.training.method import PACKAGE
from noisyweb.training.metrics import METRICS
from noisyweb.training.run import make_plan, run
from tests.toy_manifest import write_toy_manifest

QUICK: dict[str, Any] = {"epochs": 4, "batch_size": 16, "image_size": 32, "precision": "fp32", "device": "cpu"}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_manifest(tmp_path_factory.mktemp("toys"))


def train(manifest: Path, out: Path, *, resume: bool = False, overwrite: bool = False, **wishes: Any) -> dict[str, Any]:
    plan = make_plan(manifest, Wishes(**{**QUICK, **wishes}), out=out, resume=resume)
    return run(plan, overwrite=overwrite)


def curve(out: Path) -> list[float]:
    return pq.read_table(out / "loss_curve.parquet").column("loss").to_pylist()


@pytest.mark.parametrize("method", plugins.names(PACKAGE))
def test_training_learns_three_colours(tmp_path: Path, method: str) -> None:
    folder = write_toy_manifest(tmp_path, num_images=96)
    rows: list[dict[str, Any]] = []
    plan = make_plan(folder, Wishes(method=method, **{**QUICK, "epochs": 8}), out=tmp_path / "run")
    summary = run(plan, epoch_done=rows.append)
    assert summary["final_val_accuracy"] > 0.9
    assert summary["final_val_balanced_accuracy"] == pytest.approx(summary["final_val_accuracy"])  # classes of a size
    assert summary["peak_val_accuracy"] == max(row["val_accuracy"] for row in rows)
    assert summary["chance"] == pytest.approx(1 / 3)
    if method == "mentormix":
        assert summary["detector_auroc"] > 0.8
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    table = pq.read_table(tmp_path / "run" / "metrics.parquet")
    assert table.schema.equals(METRICS)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines == table.to_pylist()
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == summary
    weights, about = checkpoint.load(tmp_path / "run" / "model.safetensors")
    assert about == {
        "model": "small",
        "num_networks": 2 if method in ("co-teaching", "dividemix") else 1,
        "class_names": ["red", "green", "blue"],
        "image_size": 32,
        "normalisation": "unit",
    }
    classes = pq.read_table(tmp_path / "run" / "classes.parquet").to_pydict()
    assert classes["class_name"] == ["red", "green", "blue"]
    assert classes["num_images"] == [8, 8, 8]
    assert sum(classes["accuracy"]) / 3 == pytest.approx(summary["final_val_accuracy"])
    assert all(torch.isfinite(weight).all() for weight in weights.values())


def test_same_seed_same_curve(manifest: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(manifest, tmp_path / name, method="mentormix", seed=seed)
    assert curve(tmp_path / "a") == curve(tmp_path / "b")
    assert curve(tmp_path / "a") != curve(tmp_path / "c")
    assert len(curve(tmp_path / "a")) == 12


KILLED = """
import os, signal, sys
from pathlib import Path
from noisyweb.training.config import Wishes
from noisyweb.training.run import make_plan, run

def progress(what, done, total):
    if what == "training" and done == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

wishes = Wishes(method=sys.argv[3], epochs=4, batch_size=16, image_size=32, precision="fp32", device="cpu",
                checkpoint_every=2, optimizer=sys.argv[5], data=sys.argv[6], row_history=True)
run(make_plan(Path(sys.argv[1]), wishes, out=Path(sys.argv[2])), progress=progress)
"""


@pytest.mark.parametrize(
    ("method", "step", "optimizer", "data"),
    [
        ("mentormix", 7, "adamw", "resident"),
        ("mentormix", 3, "sgd", "stream"),
        ("mentormix", 1, "adamw", "resident"),
        ("standard", 10, "adamw", "stream"),
        ("dividemix", 8, "sgd", "resident"),
        ("elr", 5, "adamw", "resident"),
    ],
)
def test_killed_and_resumed_is_bit_identical(
    manifest: Path, tmp_path: Path, method: str, step: int, optimizer: str, data: str
) -> None:
    """Three steps an epoch, a checkpoint every second: killed inside an epoch, at its end, and before any."""
    wishes = {"method": method, "checkpoint_every": 2, "optimizer": optimizer, "data": data, "row_history": True}
    whole = train(manifest, tmp_path / "whole", **wishes)
    arguments = [sys.executable, "-c", KILLED, manifest, tmp_path / "killed", method, step, optimizer, data]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    died = subprocess.run([str(a) for a in arguments], env=environment, capture_output=True, timeout=120)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert not (tmp_path / "killed" / "summary.json").exists()
    resumed = train(manifest, tmp_path / "killed", resume=True, method=method)

    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    timings = {"seconds", "images_per_s"}
    assert {k: v for k, v in resumed.items() if k not in timings} == {
        k: v for k, v in whole.items() if k not in timings
    }
    first, _ = checkpoint.load(tmp_path / "whole" / "model.safetensors")
    second, _ = checkpoint.load(tmp_path / "killed" / "model.safetensors")
    assert all(torch.equal(first[name], second[name]) for name in first)
    rows = [
        pq.read_table(tmp_path / name / "metrics.parquet").drop_columns(list(timings)) for name in ("whole", "killed")
    ]
    assert rows[0].equals(rows[1])
    seen = [pq.read_table(tmp_path / name / "rows") for name in ("whole", "killed")]
    assert seen[0].equals(seen[1])
    assert seen[0].num_rows == 4 * 48


def test_a_finished_run_is_left_alone(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    summary = train(manifest, out)
    with pytest.raises(TrainingError, match=r"this run is finished; --overwrite to train again"):
        train(manifest, out)
    assert train(manifest, out, resume=True) == summary
    again = train(manifest, out, overwrite=True, seed=1)
    assert again["seed"] == 1


def test_an_unfinished_run_is_left_alone(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(manifest, out)
    (out / "summary.json").unlink()
    with pytest.raises(TrainingError, match=r"not finished; --resume to go on, --overwrite to begin again"):
        train(manifest, out)


def test_other_folders_are_left_alone(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"holds something else \(cat.jpg\)"):
            train(manifest, tmp_path / "photos", overwrite=overwrite)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


def test_runs_are_never_mixed(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(manifest, out, method="standard")
    (out / "summary.json").unlink()
    with pytest.raises(
        TrainingError, match="begun with method 'standard', not 'mentormix'; resume it with --method standard"
    ):
        train(manifest, out, resume=True, method="mentormix")
    with pytest.raises(TrainingError, match="begun with epochs 4, not 9"):
        train(manifest, out, resume=True, epochs=9)
    other = write_toy_manifest(tmp_path / "other", seed=5)
    with pytest.raises(TrainingError, match="begun on another training set"):
        train(other, out, resume=True)
    with pytest.raises(TrainingError, match="no run to resume"):
        train(manifest, tmp_path / "nowhere", resume=True)
    mixed = tmp_path / "mixed"
    train(manifest, mixed, method="mentormix")
    (mixed / "summary.json").unlink()
    (mixed / "checkpoint.safetensors").write_bytes((out / "checkpoint.safetensors").read_bytes())
    with pytest.raises(TrainingError, match="a checkpoint of method 'standard', not 'mentormix'"):
        train(manifest, mixed, resume=True, method="mentormix")


def test_a_damaged_checkpoint_is_named(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(manifest, out)
    (out / "summary.json").unlink()
    path = out / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptFileError, match=r"checkpoint.safetensors: not a readable checkpoint"):
        train(manifest, out, resume=True)


def test_nan_stops_and_keeps_the_last_good_checkpoint(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step \d+ of 12; the last good checkpoint"):
        train(manifest, out, optimizer="sgd", lr=1e30, checkpoint_every=1)
    tensors, info = checkpoint.load(out / "checkpoint.safetensors")
    assert info["step"] >= 1
    assert bool(torch.isfinite(tensors["losses"][: info["step"]]).all())
    assert not (out / "summary.json").exists()


def test_no_validation_set_no_validation_accuracy(tmp_path: Path) -> None:
    folder = write_toy_manifest(tmp_path, num_validation=0)
    summary = train(folder, tmp_path / "run", epochs=1)
    assert summary["final_val_accuracy"] is None
    assert summary["peak_epoch"] is None
    assert summary["train_accuracy_clean"] is not None


def test_evaluation_is_spaced_and_ends_the_run(manifest: Path, tmp_path: Path) -> None:
    train(manifest, tmp_path / "run", eval_every=3)
    rows = pq.read_table(tmp_path / "run" / "metrics.parquet").to_pylist()
    assert [row["val_accuracy"] is not None for row in rows] == [False, False, True, True]


def test_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        train(tmp_path / "nothing", tmp_path / "run")
    assert not (tmp_path / "run").exists()
