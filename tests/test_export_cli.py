"""``noisyweb export`` as a user runs it: what it prints and refuses, what it leaves behind, folders by URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Program, assert_refused
from tests.export_builds import clean_row, rows_of, write_build, write_builds
from tests.test_cli import left_behind
from tests.test_export import FORMATS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_builds(tmp_path / "cwd/builds/pets")


def test_a_folder_of_builds(noisyweb: Program, root: Path, tmp_path: Path) -> None:
    done = noisyweb("export", "builds/pets", "--to", "hf", "--out", "out/hf")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "out/hf: 3 training sets, 42 rows and 5 of the validation set as hf",
        "  configurations: blue_40, red_2_5, red_40",
    ]
    assert rows_of(tmp_path / "cwd/out/hf/red_40") == rows_of(root / "red_noise_nl_0.4")


def test_by_url(noisyweb: Program, root: Path, tmp_path: Path) -> None:
    target = tmp_path / "cwd/shards"
    source, out = f"file://{root}/red_noise_nl_0.4", f"file://{target}"
    done = noisyweb("export", source, "--to", "webdataset", "--out", out, "--shard-bytes", "20480")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}: 14 rows and 5 of the validation set as webdataset\n"
    shards = sorted(path.name for path in target.glob("*.tar"))
    assert "validation-000000.tar" in shards
    assert "train-000001.tar" in shards


def test_a_validation_set_need_not_be_there(noisyweb: Program, tmp_path: Path) -> None:
    place = write_build(tmp_path / "b", [clean_row(0), clean_row(1)], "red")
    done = noisyweb("export", f"file://{place}", "--to", "csv", "--out", "x")
    assert done.stdout == "x: 2 rows as csv\n", done.stderr


def test_refusals_leave_nothing_behind(noisyweb: Program, root: Path, tmp_path: Path) -> None:
    write_build(tmp_path / "b", [{**clean_row(0), "image": {"bytes": None, "path": "x.jpg"}}], "red")
    (tmp_path / "cwd/there").mkdir()
    (tmp_path / "cwd/there/mine").touch()
    before = left_behind(tmp_path)
    source = "builds/pets/red_noise_nl_0.4"
    for arguments, words in (
        ([source, "--to", "csv", "--out", "there"], ["there", "is there already"]),
        ([source, "--to", "csv", "--out", "x", "--shard-bytes", "9"], ["--shard-bytes", "webdataset"]),
        ([tmp_path / "b", "--to", "pls", "--out", "x"], ["row 0 carries only the path 'x.jpg', and pls needs"]),
    ):
        assert_refused(noisyweb("export", *arguments), *words)
    assert left_behind(tmp_path) == before


def test_help_names_the_formats(noisyweb: Program) -> None:
    told = " ".join(noisyweb("export", "--help").stdout.split())
    assert ", ".join(FORMATS) in told
