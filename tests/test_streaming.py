"""Images that are read as they are needed: the same pixels, each row once, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from noisyweb.data import NoisyImages
from noisyweb.errors import CorruptFileError
from noisyweb.training import streaming
from noisyweb.training.data import decode_all
from noisyweb.training.distributed import Team
from noisyweb.training.images import Resident, in_order
from noisyweb.training.shards import shards_of_one
from noisyweb.training.streaming import Streamed
from tests.toy_manifest import write_toy_manifest

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 images in row groups of 8."""
    folder = write_toy_manifest(tmp_path_factory.mktemp("toys"), num_images=90, num_validation=0)
    regroup(folder, 8)
    return folder


def regroup(folder: Path, rows: int) -> None:
    for file in folder.glob("*.parquet"):
        table = pq.read_table(file)
        pq.write_table(table, file, row_group_size=rows)


def test_streamed_pixels_are_those_in_memory(manifest: Path) -> None:
    images = NoisyImages(manifest)
    resident = Resident(decode_all(images, 24, "toys"))
    streamed = Streamed(images, 24, CPU, workers=3)
    assert torch.equal(resident.labels, streamed.labels)
    order = streamed.order(7)
    pairs = list(zip(resident.batches(order, 32), streamed.batches(order, 32), strict=True))
    assert [len(rows) for (rows, _), _ in pairs] == [32, 32, 26]
    for (rows, pixels), (again, read) in pairs:
        assert torch.equal(rows, again)
        assert torch.equal(pixels, read)
    assert torch.equal(torch.cat([rows for rows, _ in streamed.batches(in_order(streamed), 40)]), torch.arange(90))


class Groups:
    """Stands for a manifest of which only labels and row groups are asked for."""

    def __init__(self, sizes: list[tuple[int, int]]) -> None:
        starts = np.cumsum([0, *[rows for rows, _ in sizes]]).tolist()
        self.row_groups = [(range(a, b), s) for a, b, (_, s) in zip(starts[:-1], starts[1:], sizes, strict=True)]
        self.labels = np.zeros(starts[-1], np.int32)


GROUPS = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 3 * streaming.WINDOW_BYTES // 2)), min_size=1)
"""Rows and bytes of row groups."""


def group_of(sizes: list[tuple[int, int]], rows: torch.Tensor) -> list[int]:
    found: list[int] = np.repeat(np.arange(len(sizes)), [rows for rows, _ in sizes])[rows.numpy()].tolist()
    return found


@given(GROUPS, st.integers(1, 9), st.integers(0, 2**63 - 1))
def test_order_has_each_row_once_whatever_the_shards(sizes: list[tuple[int, int]], shards: int, seed: int) -> None:
    groups: Any = Groups(sizes)
    streamed = Streamed(groups, 8, CPU, 1, shards=shards)
    order, read = streamed.order(seed), streamed.read_through()
    assert sorted(order.tolist()) == list(range(len(groups.labels))) == sorted(read.tolist())
    assert torch.equal(order, streamed.order(seed))
    for shard in range(shards):
        assert read[shard::shards].tolist() == sorted(read[shard::shards].tolist())
    numbers = [set(group_of(sizes, rows[shard::shards])) for rows in (order, read) for shard in range(shards)]
    for found in (numbers[:shards], numbers[shards:]):  # a cut adds a reader to one group
        assert sum(map(len, found)) <= len(sizes) + shards - 1


@given(GROUPS, st.integers(1, 6), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**63 - 1))
def test_a_process_holds_no_more_than_its_windows(
    sizes: list[tuple[int, int]], shards: int, processes: int, each: int, seed: int
) -> None:
    groups: Any = Groups(sizes)
    order = Streamed(groups, 8, CPU, 1, shards=shards).order(seed)
    batches = torch.split(order, each * processes)
    batches = batches[: len(order) // (each * processes)]  # the tail waits for another epoch
    whole = len(batches) * each * processes
    place_of = {row: place for place, row in enumerate(order.tolist())}
    taken = []
    for rank in range(processes):
        team = Team(rank, processes)
        mine = [row for batch in batches for row in batch[team.share(len(batch))].tolist()]
        taken += mine
        assert len({place_of[row] % shards for row in mine}) <= shards_of_one(shards, processes)
        held = Streamed(groups, 8, CPU, 1, team, shards).images.cache_bytes
        assert held == 2 * streaming.WINDOW_BYTES * shards_of_one(shards, processes)
    assert sorted(taken) == sorted(order[:whole].tolist())
    window = max(streaming.WINDOW_BYTES, *(size for _, size in sizes))  # one group at least
    for shard in range(shards):
        seen = group_of(sizes, order[shard::shards])
        last = {group: place for place, group in enumerate(seen)}
        first = {group: place for place, group in reversed(list(enumerate(seen)))}
        for place in range(len(seen)):  # groups that must be held when this row is read
            assert sum(sizes[group][1] for group in first if first[group] <= place <= last[group]) <= window


def test_one_shard_is_the_order_of_runs_begun_before_there_were_shards() -> None:
    window = streaming.WINDOW_BYTES
    groups: Any = Groups([(2, window // 2), (3, window // 2), (2, window), (4, window // 3), (1, 5)])
    assert Streamed(groups, 8, CPU, workers=1).order(7).tolist() == [6, 5, 0, 1, 11, 10, 4, 2, 7, 8, 3, 9]


def test_shards_take_turns() -> None:
    groups: Any = Groups([(3, 1), (2, 1), (4, 1)])
    streamed = Streamed(groups, 8, CPU, 1, shards=2)
    read = streamed.read_through()
    assert [len(read[shard::2]) for shard in range(2)] == [5, 4]
    for seed in range(5):  # whatever the epoch, a shard keeps its rows
        for shard in range(2):
            assert sorted(streamed.order(seed)[shard::2].tolist()) == read[shard::2].tolist()
    assert sorted(Streamed(groups, 8, CPU, 1, shards=11).read_through().tolist()) == list(range(9))
    assert Streamed(groups, 8, CPU, 1).read_through().tolist() == list(range(9))


def test_orders_differ_and_mix_row_groups(manifest: Path) -> None:
    streamed = Streamed(NoisyImages(manifest), 8, CPU, workers=1)
    assert not torch.equal(streamed.order(1), streamed.order(2))
    assert len(set((streamed.order(1)[:8] // 8).tolist())) > 1


def test_a_bad_image_is_named_from_the_stream(manifest: Path, tmp_path: Path) -> None:
    folder = write_toy_manifest(tmp_path, num_images=20, num_validation=0)
    (file,) = folder.glob("*.parquet")
    table = pq.read_table(file)
    rows = table.column("image").to_pylist()
    rows[11]["bytes"] = b"no image"
    place, field = table.schema.get_field_index("image"), table.schema.field("image")
    pq.write_table(table.set_column(place, field, pa.array(rows, field.type)), file)
    streamed = Streamed(NoisyImages(folder), 8, CPU, workers=2)
    with pytest.raises(CorruptFileError, match="row 11"):
        list(streamed.batches(in_order(streamed), 4))


def test_a_stream_that_is_left_early_leaves_no_threads(manifest: Path) -> None:
    import threading

    streamed = Streamed(NoisyImages(manifest), 8, CPU, workers=2)
    batches = streamed.batches(in_order(streamed), 4)
    next(batches)
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


TRAINED = """
import json, resource, sys
from pathlib import Path
from noisyweb.training import streaming
streaming.WINDOW_BYTES, megabytes = 2_000_000, 1_000_000
from noisyweb.training.config import Wishes
from noisyweb.training.run import make_plan, run
import torch
torch.set_num_threads(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
wishes = Wishes(epochs=1, batch_size=32, image_size=32, model="small", device="cpu", precision="fp32", data=sys.argv[3])
summary = run(make_plan(sys.argv[1], wishes, out=Path(sys.argv[2])))
print(json.dumps([before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, summary["final_val_accuracy"]]))
"""


def test_a_training_by_streaming_learns(tmp_path: Path) -> None:
    folder = write_toy_manifest(tmp_path, num_images=480)
    regroup(folder, 48)
    command = [sys.executable, "-c", TRAINED, str(folder), str(tmp_path / "run"), "stream"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    _, _, accuracy = json.loads(done.stdout)
    assert accuracy > 0.9
