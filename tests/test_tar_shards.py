"""WebDataset shards written by several workers are those of one process, byte for byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisyweb.errors import OutputError, SourceError
from noisyweb.export import Options, export_builds, open_builds
from noisyweb.exporters.webdataset import is_full
from noisyweb.scale.engine import DONE, Event
from noisyweb.scale.local import LocalEngine
from noisyweb.scale.tar_shards import cuts, export_webdataset
from tests.conftest import Program, assert_refused
from tests.export_builds import clean_row, write_build, write_builds

OPTIONS = Options(shard_bytes=12_000)


def content(place: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """Builds, and what one process makes of them."""
    root = tmp_path_factory.mktemp("builds")
    write_builds(root / "pets")
    alone = root / "alone"
    alone.mkdir()
    export_builds(open_builds(root / "pets"), "webdataset", alone, OPTIONS)
    return root / "pets", content(alone)


def test_the_same_bytes(expected: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    builds, files = expected
    told: list[tuple[str, int, int]] = []
    with LocalEngine(2) as engine:
        options = replace(OPTIONS, progress=lambda *one: told.append(one))
        export_webdataset(engine, open_builds(builds), tmp_path / "out", options)
        with pytest.raises(OutputError, match="there already"):
            export_webdataset(engine, open_builds(builds), tmp_path / "out", OPTIONS)
    assert sum(name.endswith(".tar") for name in files) > 6, "several shards a build"
    assert content(tmp_path / "out") == files
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert all(done <= total for _, done, total in told)


def test_one_build_and_its_validation_set_share_a_folder(
    expected: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    builds = open_builds(expected[0] / "red_noise_nl_0.4")
    (tmp_path / "alone").mkdir()
    export_builds(builds, "webdataset", tmp_path / "alone", OPTIONS)
    with LocalEngine(2) as engine:
        export_webdataset(engine, builds, tmp_path / "out", OPTIONS)
    assert content(tmp_path / "out") == content(tmp_path / "alone")


class _StopError(Exception):
    """Ends an export."""


class Ending(LocalEngine):
    """Raises after so many shards, as if the driver had died."""

    left = 5

    def wait(self, timeout_s: float | None = None) -> Event | None:
        event = super().wait(timeout_s)
        self.left -= event is not None and event.kind == DONE
        if self.left == 0:
            raise _StopError
        return event


def test_an_export_that_was_cut_off_goes_on(expected: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    builds, files = expected
    target = tmp_path / "out"
    with pytest.raises(_StopError), Ending(2) as engine:
        export_webdataset(engine, open_builds(builds), target, OPTIONS)
    assert not target.exists()
    (tmp_path / ".out.parts" / "clean_validation").mkdir(exist_ok=True)
    (tmp_path / ".out.parts" / "clean_validation" / ".validation-000000.tar.x1.tmp").write_bytes(b"a killed worker's")
    parts = sorted(path for path in tmp_path.rglob("*.parquet"))
    before = {path: path.stat().st_mtime_ns for path in parts}
    assert len(before) >= 4
    seen: dict[Path, int] = {}

    class Looking(LocalEngine):
        def submit(self, key: str, function: Any, argument: Any) -> None:
            seen.update({path: path.stat().st_mtime_ns for path in before if path.exists()})
            super().submit(key, function, argument)

    with Looking(2) as engine:
        export_webdataset(engine, open_builds(builds), target, OPTIONS)
    assert seen == before, "what was done is not done again"
    assert content(target) == files


def test_a_row_without_an_image_is_one_clear_line(tmp_path: Path, noisyweb: Program) -> None:
    row = clean_row(3)
    rows = [clean_row(1), {**row, "image": {"bytes": None, "path": "a.jpg"}}]
    write_build(tmp_path / "b", rows, "red")
    with LocalEngine(1) as engine, pytest.raises(SourceError, match=r"row 1 carries only the path 'a.jpg'"):
        export_webdataset(engine, open_builds(tmp_path / "b"), tmp_path / "out", OPTIONS)
    done = noisyweb("export", str(tmp_path / "b"), "--to", "csv", "--out", str(tmp_path / "o"), "--engine", "local")
    assert_refused(done, "only webdataset")
    assert not (tmp_path / "out").exists()


def test_killed_workers_change_nothing(expected: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    builds, files = expected

    class Killing(LocalEngine):
        killed = 0

        def submit(self, key: str, function: Any, argument: Any) -> None:
            super().submit(key, function, argument)
            if self._busy and self.killed < 4:
                self.killed += 1
                next(iter(self._busy.values())).process.kill()

    with Killing(2) as engine:
        export_webdataset(engine, open_builds(builds), tmp_path / "out", OPTIONS)
    assert engine.killed == 4
    assert content(tmp_path / "out") == files


@given(sizes=st.lists(st.integers(512, 40_000), max_size=60), shard_bytes=st.integers(1, 100_000))
def test_cuts_hold_every_row_once_and_as_many_as_fit(sizes: list[int], shard_bytes: int) -> None:
    found = list(cuts(np.array(sizes, np.int64), shard_bytes))
    assert [row for start, stop in found for row in range(start, stop)] == list(range(len(sizes)))
    for start, stop in found:
        held = sum(sizes[start:stop])
        assert stop - start == 1 or not is_full(held, 0, shard_bytes)
        assert stop == len(sizes) or is_full(held, sizes[stop], shard_bytes)
