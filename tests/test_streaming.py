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
from noisyweb.training.images import Resident, in_order
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


@given(
    sizes=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 3 * streaming.WINDOW_BYTES // 2)), min_size=1),
    seed=st.integers(0, 2**63 - 1),
)
def test_order_has_each_row_once_and_windows_that_fit(sizes: list[tuple[int, int]], seed: int) -> None:
    groups: Any = Groups(sizes)
    streamed = Streamed(groups, 8, CPU, workers=1)
    order = streamed.order(seed)
    assert sorted(order.tolist()) == list(range(len(groups.labels)))
    assert torch.equal(order, streamed.order(seed))
    group_of = np.repeat(np.arange(len(sizes)), [rows for rows, _ in sizes])[order.numpy()]
    first = {group: place for place, group in reversed(list(enumerate(group_of.tolist())))}
    last = {group: place for place, group in enumerate(group_of.tolist())}
    for place in range(len(order)):  # groups that must be held when this row is read
        held = [group for group in first if first[group] <= place <= last[group]]
        assert sum(sizes[group][1] for group in held) <= streaming.WINDOW_BYTES or len(held) == 1


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
