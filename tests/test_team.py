"""Two processes train as one does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from noisyweb.errors import TrainingError
from noisyweb.training.distributed import Team
from tests.toy_manifest import write_toy_manifest

SCRIPT = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from noisyweb.training.config import Wishes
from noisyweb.training.distributed import join, leave
from noisyweb.training.run import make_plan, run
team, device = join("cpu")
manifest, out, *methods = sys.argv[1:]
try:
    for method in methods:
        method, _, data = method.partition(":")
        wishes = Wishes(method=method, epochs=3, batch_size=16, image_size=32, precision="fp32", device=device,
                        optimizer="sgd", lr=0.003, data=data or "resident", average_decay=0.9,
                        shards=2 if data else None)
        summary = run(make_plan(manifest, wishes, out=Path(out) / method, team=team))
        if not team.leads:
            print(json.dumps(summary))
finally:
    leave(team)
"""
METHODS = ("standard", "mentormix:stream", "dividemix")


def start(
    manifest: Path, out: Path, *methods: str, rank: int = 0, size: int = 1, port: int = 0
) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if size > 1:
        environment |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(manifest), str(out), *methods]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same trainings by one process and by two."""
    folder = tmp_path_factory.mktemp("team")
    manifest = write_toy_manifest(folder, num_images=70, num_validation=37)  # not a multiple of two: an odd last batch
    port = free_port()
    started = [start(manifest, folder / "alone", *METHODS)]
    started += [start(manifest, folder / "both", *METHODS, rank=rank, size=2, port=port) for rank in range(2)]
    for process in started:
        output, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
        if process is started[2]:
            (folder / "second.jsonl").write_text(output)
    return folder


@pytest.mark.parametrize("method", [name.partition(":")[0] for name in METHODS])
def test_two_processes_train_as_one(runs: Path, method: str) -> None:
    curves = [pq.read_table(runs / who / method / "loss_curve.parquet")["loss"].to_numpy() for who in ("alone", "both")]
    assert len(curves[0]) == 12
    np.testing.assert_allclose(curves[0], curves[1], rtol=5e-3)
    alone, both = (json.loads((runs / who / method / "summary.json").read_text()) for who in ("alone", "both"))
    assert both["final_val_accuracy"] == pytest.approx(alone["final_val_accuracy"], abs=1.5 / 37)
    assert both["config_digest"] == alone["config_digest"]


def test_only_the_first_process_writes(runs: Path) -> None:
    seconds = [json.loads(line) for line in (runs / "second.jsonl").read_text().splitlines()]
    assert len(seconds) == len(METHODS)
    for said, method in zip(seconds, METHODS, strict=True):
        method = method.partition(":")[0]
        wrote = json.loads((runs / "both" / method / "summary.json").read_text())
        assert said["final_val_accuracy"] == wrote["final_val_accuracy"]
        assert {path.name for path in (runs / "both" / method).iterdir()} == {
            path.name for path in (runs / "alone" / method).iterdir()
        }


def test_a_batch_that_cannot_be_shared_out_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"batch size 16 cannot be shared out to 3 processes; .* a multiple of 3"):
        Team(0, 3).check_batch(16)
    Team(0, 3).check_batch(18)


def test_what_the_first_process_refuses_all_refuse_in_its_words(tmp_path: Path) -> None:
    manifest = write_toy_manifest(tmp_path, num_images=33, num_validation=0)
    (tmp_path / "out" / "standard").mkdir(parents=True)
    (tmp_path / "out" / "standard" / "diary.txt").write_text("dear diary")  # only the first process looks there
    port = free_port()
    started = [start(manifest, tmp_path / "out", "standard", rank=rank, size=2, port=port) for rank in range(2)]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 1
        assert "holds something else (diary.txt); name another folder with --out" in errors
