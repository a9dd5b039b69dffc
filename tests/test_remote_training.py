"""Two machines train from a bucket: torchrun on each, a cache of its own on each, one of them killed in an epoch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from noisyweb.data import NoisyImages
from noisyweb.training import checkpoint, streaming
from noisyweb.training.facts import _sample
from noisyweb.training.shards import cut
from tests.conftest import Program, assert_refused
from tests.test_streaming import regroup
from tests.test_team import free_port
from tests.toy_manifest import write_toy_manifest

if TYPE_CHECKING:
    from tests.s3_server import S3Server

NUM_ROWS, ROWS = 252, 8
URL = "s3://training/toy/blue_noise_nl_0.25"

SCRIPT = """
import json, os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from noisyweb.training import streaming
streaming.WINDOW_BYTES, streaming.CACHE_BYTES = 100_000, 200_000
from noisyweb.training.config import Wishes
from noisyweb.training.distributed import join, leave
from noisyweb.training.run import make_plan, run

out, cache, resume, kill_at = sys.argv[1:]
out = Path(out)
team, device = join("cpu")
if not team.leads:
    (out.parent / "victim").write_text(f"{os.getppid()} {os.getpid()}")
team.wait()

def progress(what, done, total):
    if what == "training" and done == int(kill_at):  # a whole machine: torchrun and its process
        for process in (out.parent / "victim").read_text().split():
            os.kill(int(process), signal.SIGKILL)

wishes = Wishes(epochs=2, batch_size=16, image_size=32, precision="fp32", device=device, data="stream", workers=2,
                model="small", checkpoint_every=3)
try:
    plan = make_plan("s3://training/toy/blue_noise_nl_0.25", wishes, out=out if team.leads else Path("/nowhere"),
                     resume=resume == "resume", team=team, cache_dir=cache)
    run(plan, progress=progress)
finally:
    leave(team)
"""


pytestmark = pytest.mark.slow

BUCKET = "training"


@pytest.fixture(scope="module")
def manifest(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 row groups, also in the bucket, with a validation set beside them."""
    folder = write_toy_manifest(tmp_path_factory.mktemp("toys"), num_images=NUM_ROWS, num_validation=36)
    for build in folder.parent.iterdir():
        regroup(build, ROWS)
        for file in build.iterdir():
            s3.client().upload_file(str(file), "training", f"toy/{build.name}/{file.name}")
    return folder


def machine(rank: int, port: int, folder: Path, *arguments: str, agent: bool) -> subprocess.Popen[str]:
    """Start a machine: with torchrun, or only the process that it would start."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore"]
    if agent:
        command += ["-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={rank}", "--nproc-per-node=1"]
        command += ["--master-addr=127.0.0.1", f"--master-port={port}"]
    else:
        environment |= {"RANK": str(rank), "LOCAL_RANK": "0", "WORLD_SIZE": "2"}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command += [str(folder / "train.py"), str(folder / "run"), str(folder / f"cache-{rank}"), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def together(folder: Path, resume: str, kill_at: int, agent: bool) -> list[tuple[int, str]]:
    """Exit codes and errors of both machines."""
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(SCRIPT)
    port = free_port()
    started = [machine(rank, port, folder, resume, str(kill_at), agent=agent) for rank in range(2)]
    told = [process.communicate(timeout=120)[1] for process in started]
    return [(process.returncode, errors) for process, errors in zip(started, told, strict=True)]


def groups_in(cache: Path, manifest: Path) -> set[int]:
    """Row groups of which the images are in a machine's cache."""
    (file,) = manifest.glob("*.parquet")
    metadata, found = pq.read_metadata(file), set()
    entries = {tuple(entry.name.split("-")[1:]) for entry in cache.iterdir()}
    for number in range(metadata.num_row_groups):
        columns = [metadata.row_group(number).column(at) for at in range(metadata.row_group(number).num_columns)]
        (chunk,) = [column for column in columns if column.path_in_schema == "image.bytes"]
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        if (str(start), str(start + chunk.total_compressed_size)) in entries:
            found.add(number)
    return found


def reads(s3: S3Server) -> int:
    return sum(method == "GET" and path.endswith(".parquet") for method, path in s3.requests)


@pytest.fixture(scope="module")
def undisturbed(s3: S3Server, manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    for code, errors in together(folder, "begin", 0, agent=False):
        assert code == 0, errors
    return folder


def test_machines_read_shards_of_their_own(undisturbed: Path, manifest: Path) -> None:
    """Two epochs and two evaluations; the machine that leads has looked at some images before."""
    images = NoisyImages(manifest)
    shards = [{rows.start // ROWS for rows, _ in shard} for shard in cut(images.row_groups, 2)]
    assert len(shards[0] & shards[1]) <= 1
    assert shards[0] | shards[1] == set(range(32))
    found = [groups_in(undisturbed / f"cache-{rank}", manifest) for rank in range(2)]
    assert found[1] == shards[1]
    assert found[0] == shards[0] | {row // ROWS for row in _sample(images)}
    saved = pq.read_table(undisturbed / "run" / "metrics.parquet")
    assert saved["val_accuracy"][1].as_py() > 0.5


def test_a_machine_is_killed_and_both_go_on(undisturbed: Path, manifest: Path, s3: S3Server, tmp_path: Path) -> None:
    first = together(tmp_path / "killed", "begin", 8, agent=True)
    assert first[1][0] < 0  # by the signal
    assert first[0][0] != 0  # and the other could not go on alone
    assert not (tmp_path / "killed/run/summary.json").exists()
    _, info = checkpoint.load(tmp_path / "killed/run/checkpoint.safetensors")
    assert info["step"] == 6  # of fifteen in the first epoch
    held = [groups_in(tmp_path / f"killed/cache-{rank}", manifest) for rank in range(2)]
    s3.forget()
    for code, errors in together(tmp_path / "killed", "resume", 0, agent=False):
        assert code == 0, errors
    now = [groups_in(tmp_path / f"killed/cache-{rank}", manifest) for rank in range(2)]
    new = sum(len(after - before) for before, after in zip(held, now, strict=True))
    assert all(before < after for before, after in zip(held, now, strict=True))
    assert now[1] == groups_in(undisturbed / "cache-1", manifest)
    again = reads(s3)
    for name in ("model.safetensors", "checkpoint.safetensors"):
        whole, resumed = (checkpoint.load(place / "run" / name)[0] for place in (undisturbed, tmp_path / "killed"))
        assert whole.keys() == resumed.keys()
        assert all(torch.allclose(whole[key], resumed[key], 0, 0, equal_nan=True) for key in whole), name
    s3.forget()
    for rank in range(2):
        for build in (URL, f"{URL.rpartition('/')[0]}/clean_validation"):
            NoisyImages(build, cache_dir=tmp_path / f"killed/cache-{rank}")
    validation = NoisyImages(manifest.parent / "clean_validation")
    evaluating = sum(map(len, cut(validation.row_groups, 2)))
    assert again == reads(s3) + new + evaluating  # opening, what was not there yet, and nothing else


def test_a_later_epoch_fetches_nothing(manifest: Path, s3: S3Server, tmp_path: Path) -> None:
    images, local = NoisyImages(URL, cache_dir=tmp_path), NoisyImages(manifest)
    streamed = streaming.Streamed(images, 32, torch.device("cpu"), 2)
    images.cache_bytes = 1  # nothing stays in memory
    s3.forget()
    for epoch in range(3):
        seen = [rows for rows, _ in streamed.batches(streamed.read_through(), 16)]
        assert torch.cat(seen).tolist() == list(range(NUM_ROWS))
        assert reads(s3) == 32, epoch
    rows = np.random.default_rng(0).permutation(NUM_ROWS).tolist()
    assert [images.encoded(row) for row in rows] == [local.encoded(row) for row in rows]
    assert reads(s3) == 32


def test_a_run_folder_needs_a_disk(noisyweb: Program, manifest: Path) -> None:
    done = noisyweb("train", "--manifest", manifest, "--out", "s3://training/run")
    assert_refused(done, "s3://training/run: a run folder needs a disk; name a local or shared folder with --out")
