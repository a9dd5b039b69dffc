"""The options of commands whose work can be spread, as users give them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import Program, assert_refused
from tests.test_dedup import workspace
from tests.web import photo


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--engine", "local", "--sizes", "rows=4"), "--sizes rows=4: expected NAME=NUMBER, NAME being one of images"),
        (("--engine", "local", "--sizes", "images=4,proofs=0"), "--sizes proofs=0: expected NAME=NUMBER"),
        (("--engine", "local", "--sizes", "images"), "--sizes images: expected NAME=NUMBER"),
        (("--sizes", "images=4"), "only an engine's work is cut; add --engine"),
        (("--workers", "2"), "only an engine has it"),
    ],
)
def test_what_cannot_be_is_refused(given: tuple[str, ...], said: str, tmp_path: Path, noisyweb: Program) -> None:
    place = workspace(tmp_path / "w", [("a", 0, photo(1))])
    assert_refused(noisyweb("dedup", "--workspace", place.folder, *given), said)


def test_what_an_engine_did_is_said_at_the_end(tmp_path: Path, noisyweb: Program) -> None:
    place = workspace(tmp_path / "w", [(f"u{n}", 0, photo(n)) for n in range(6)])
    options = ("--engine", "local", "--workers", "1", "--sizes", "images=2,hashes=3")
    done = noisyweb("dedup", "--workspace", place.folder, *options)
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"engine local: (\d+) shards done, retried 0, set aside 0\n", done.stderr)
    assert found is not None, done.stderr
    assert int(found[1]) >= 3 + 3, "three of images, three pairs of two blocks, and those of views"
