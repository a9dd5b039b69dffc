"""A whole dedup over an engine: the same tables as without, whoever is killed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from noisyweb.dedup import dedup
from noisyweb.errors import NoisywebError, SourceError
from noisyweb.scale.engine import FAILED, Event, Function
from noisyweb.scale.local import LocalEngine
from noisyweb.scale.spread_dedup import Sizes
from noisyweb.workspace import Workspace
from tests.inline_engine import InProcess
from tests.s3_server import serving
from tests.test_dedup import clean, jpeg, large, part, plain, smaller, workspace
from tests.test_pair_blocks import COPIES, SCENES
from tests.web import photo

SIZES = Sizes(images=12, hashes=9, views=8, proofs=4)
TABLES = ("hashes", "dhashes", "views", "embeddings", "duplicates", "clean_duplicates")
PLAIN = [photo(11, 200), smaller(photo(11, 200))]


def images() -> list[tuple[str, int, bytes]]:
    """Copies of all kinds, and what is odd."""
    near = [jpeg(Image.open(io.BytesIO(data)).resize((160, 120))) for data in COPIES[::2]]
    odd = [plain(10), plain(200), b"no image", COPIES[1], COPIES[0][:-3000]]
    return [(f"u{n:02}", n % 2, data) for n, data in enumerate([*COPIES, *near, *odd, photo(5), photo(6), *PLAIN])]


def filled(folder: Path | str) -> Workspace:
    there = images()
    readable = [row for row in there if row[2] not in (b"no image", COPIES[0][:-3000])]
    place = workspace(folder, readable)
    with place.journal("images") as journal:
        for url, label, data in there:
            if (url, label, data) not in readable:
                row = {"url": url, "label": label, "status": "ok", "retry": False, "attempts": 1, "num_bytes": 1}
                journal.add({**row, "image_id": place.put(data), "width": 1, "height": 1, "format": "jpeg"})
    return place


def run(place: Workspace, **options: Any) -> Any:
    train = clean(jpeg(part(large(7))), jpeg(SCENES[2]), photo(6), jpeg(large(8)))
    return dedup(place, train, clean(jpeg(large(7), 95), jpeg(part(large(8))), photo(9)), **options)


def assert_same(one: Workspace, two: Workspace) -> None:
    for name in TABLES:
        assert one.read(name).equals(two.read(name)), name
    assert (one.folder / "dedup.json").read_bytes() == (two.folder / "dedup.json").read_bytes()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    place = filled(tmp_path_factory.mktemp("expected"))
    report = run(place, processes=1)
    assert report.num_clean_leaks == 2
    assert min(report.num_train, *(report.count("web", kind) for kind in ("mirror", "rotate", "near"))) > 0
    assert report.count("web", "unreadable") == 2
    return place


def test_a_dedup_over_an_engine_gives_the_same_tables(tmp_path: Path, expected: Workspace) -> None:
    place = filled(tmp_path)
    told: dict[str, tuple[int, int]] = {}

    def note(what: str, done: int, total: int) -> None:
        told[what] = max(told.get(what, (0, 0)), (done, total))

    with LocalEngine(2) as engine:
        report = run(place, engine=engine, sizes=SIZES, progress=note)
        assert_same(place, expected)
        assert report.aside == []
        assert told["hash"][0] == told["hash"][1]
        assert told["lay over each other"][0] == told["lay over each other"][1] > 3
        assert not (place.folder / "parts" / "dedup").exists()
        told.clear()
        run(place, engine=engine, sizes=SIZES, progress=note)
    assert_same(place, expected)
    assert "hash" not in told


class Killing(LocalEngine):
    """Kills the process of the first shard of each kind of work, as soon as it has it."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.killed: list[str] = []

    def submit(self, key: str, function: Function, argument: Any) -> None:
        super().submit(key, function, argument)
        work = argument[0].name.partition("-")[0]
        for worker in self._busy.values():
            if worker.key == key and work not in self.killed and worker.process.pid:
                os.kill(worker.process.pid, signal.SIGKILL)
                self.killed.append(work)


def test_workers_that_are_killed_change_nothing(tmp_path: Path, expected: Workspace) -> None:
    place = filled(tmp_path)
    with Killing(2) as engine:
        report = run(place, engine=engine, sizes=SIZES)
    assert set(engine.killed) == {"describe", "pairs", "candidates", "proofs"}
    assert_same(place, expected)
    assert report.aside == []


class Stopping(InProcess):
    """Ends the run, as a kill of the driver would, after a number of shards; counts those it ran."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.num_left, self.num_run = after, 0

    def submit(self, key: str, function: Function, argument: Any) -> None:
        if not self.num_left:
            raise KeyboardInterrupt
        self.num_left -= 1
        self.num_run += 1
        super().submit(key, function, argument)


def test_a_driver_that_is_stopped_goes_on_where_it_was(tmp_path: Path, expected: Workspace) -> None:
    whole = Stopping(-1)
    run(filled(tmp_path / "whole"), engine=whole, sizes=SIZES)
    place, num_run = filled(tmp_path / "w"), 0
    for after in (2, 6, 12, -1):
        engine = Stopping(after)
        with contextlib.suppress(KeyboardInterrupt):
            run(place, engine=engine, sizes=SIZES)
        num_run += engine.num_run
    assert_same(place, expected)
    assert num_run == whole.num_run  # nothing was done twice
    assert not (place.folder / "parts" / "dedup").exists()


class Refusing(InProcess):
    """An engine on which shards of one kind fail that have a certain item."""

    def __init__(self, work: str, is_bad: Callable[[Any], bool]) -> None:
        super().__init__()
        self._work, self._is_bad = work, is_bad

    def submit(self, key: str, function: Function, argument: Any) -> None:
        work, items = argument[0], argument[1]
        if work.name.startswith(self._work) and any(self._is_bad(item) for item in items):
            self._events.append(Event(key, FAILED, reason="its process died (SIGSEGV)"))
        else:
            super().submit(key, function, argument)


def test_an_image_that_cannot_be_described_anywhere_is_unreadable_and_told(tmp_path: Path) -> None:
    place = filled(tmp_path)
    bad = hashlib.sha256(COPIES[3]).hexdigest()
    report = run(place, engine=Refusing("describe", lambda item: item == bad), sizes=SIZES)
    assert {row["image_id"]: row["kind"] for row in place.read("duplicates").to_pylist()}[bad] == "unreadable"
    ids = place.read("hashes")["image_id"].to_pylist()
    assert sorted(ids) == sorted(set(ids))
    assert "set aside, unreadable: 1" in report.lines()
    assert f"  {bad}: its process died (SIGSEGV)" in report.lines()


def test_pairs_that_cannot_be_proven_anywhere_count_as_no_copies_and_are_told(tmp_path: Path) -> None:
    place = workspace(tmp_path, [("a", 0, COPIES[0]), ("b", 0, COPIES[2])])
    report = dedup(place, engine=Refusing("proofs", lambda item: item == 0), sizes=SIZES)
    assert report.num_kept == 2
    assert report.lines()[-2] == "set aside, not compared: 1"
    assert all(hashlib.sha256(data).hexdigest() in report.lines()[-1] for data in (COPIES[0], COPIES[2]))


@pytest.mark.parametrize("work", ["pairs", "candidates"])
def test_blocks_that_cannot_be_compared_end_the_run(tmp_path: Path, work: str, expected: Workspace) -> None:
    place = filled(tmp_path)
    with pytest.raises(
        NoisywebError, match=r"blocks \(0, 0\) could not be compared .*run it again with smaller blocks"
    ):
        run(place, engine=Refusing(work, lambda item: item == (0, 0)), sizes=SIZES)
    assert place.read("duplicates").num_rows == 0
    run(place, engine=InProcess(), sizes=SIZES)  # and are tried again by the next one
    assert_same(place, expected)


def test_a_workspace_at_a_url(tmp_path: Path) -> None:
    there = [(f"u{n}", 0, data) for n, data in enumerate([*COPIES[:4], photo(6), photo(5)])]
    here = workspace(tmp_path, there)
    run(here, processes=1)
    assert len(here.read("duplicates")) > 3
    with serving("spread") as s3:
        place = workspace("s3://spread/w", there)
        with pytest.raises(SourceError, match="dedup at a URL needs an engine"):
            run(place)
        with LocalEngine(2) as engine:
            run(place, engine=engine, sizes=Sizes(images=3, hashes=3, views=4, proofs=2))
        for name in TABLES:
            assert here.read(name).equals(place.read(name)), name
        assert not [key for key in s3.keys("spread") if key.startswith("w/parts/dedup/")]
