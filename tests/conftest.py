"""What several tests need: small real image sets, the program as users run it, the real data if it is there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageDraw

from noisyweb.workspace import Workspace
from tests.web import HostileWeb

if TYPE_CHECKING:
    from tests.s3_server import S3Server

os.environ.setdefault("OMP_NUM_THREADS", "1")  # several workers share the cores; networks in tests are tiny
_CACHE = tempfile.TemporaryDirectory(prefix="noisyweb-tests-")
os.environ["NOISYWEB_CACHE"] = _CACHE.name  # of what is read from URLs: never the user's

REPO = Path(__file__).parents[1]
SHARED = REPO.parent / "shared" / "data"
PROGRAM = Path(sys.executable).parent / "noisyweb"

CLASSES = ("ant", "bee", "cat's eye")


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data, or a skip."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the real data in {SHARED.name}/ beside the repository's folder")
    return SHARED


@pytest.fixture
def web() -> Iterator[HostileWeb]:
    """A loopback web that misbehaves, one per test."""
    with HostileWeb() as server:
        yield server


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path / "w", create=True)


@pytest.fixture(scope="module")
def s3(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    """An S3 server with the bucket that the module names as BUCKET, known to this process and to those it starts."""
    for name in ("s3fs", "moto", "flask", "flask_cors"):
        pytest.importorskip(name, reason=f"needs {name} for an S3 server on loopback; pip install 'noisyweb[dev]'")
    from tests.s3_server import serving

    with serving(request.module.BUCKET) as server:
        yield server


def paint(path: Path, number: int, hue: int) -> None:
    """One small JPEG, unlike every other (hue, number)."""
    image = Image.new("HSV", (40, 30), (hue % 256, 150 + number % 100, 200)).convert("RGB")
    pen = ImageDraw.Draw(image)
    pen.rectangle((number % 37, number % 23, number % 37 + 9, number % 23 + 7), fill=(number % 256, hue % 256, 7))
    pen.line((0, number % 30, 39, (number * 7) % 30), fill="black")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "JPEG", quality=90)


@dataclass(frozen=True)
class TinySet:
    """A data set of one's own, on disk."""

    toml: Path
    sizes: tuple[int, ...]

    @property
    def num_rows(self) -> int:
        return sum(self.sizes)


def make_tiny_set(folder: Path, sizes: tuple[int, ...] = (11, 7, 20), pool: int = 16) -> TinySet:
    """Three classes of unequal size, a validation set and a pool, as image folders with a definition."""
    for k, (name, size) in enumerate(zip(CLASSES, sizes, strict=True)):
        for n in range(size):
            paint(folder / "train" / name / f"{n:03d}.jpg", n, 10 + 80 * k)
        for n in range(4):
            paint(folder / "val" / name / f"{n:03d}.jpg", 100 + n, 30 + 80 * k)
        for n in range(min(pool, size)):
            paint(folder / "pool" / name / f"{n:03d}.jpg", 200 + n, 50 + 80 * k)
    toml = folder / "tiny.toml"
    toml.write_text(
        """name = "tiny"
title = "Tiny test set"
classes = ["ant", "bee", "cat's eye"]
[train]
format = "imagefolder"
path = "train"
[validation]
format = "imagefolder"
path = "val"
[pool]
format = "imagefolder"
path = "pool"
""",
        encoding="utf-8",
    )
    return TinySet(toml, sizes)


@pytest.fixture
def tiny(tmp_path: Path) -> TinySet:
    """A fresh tiny data set."""
    return make_tiny_set(tmp_path / "tiny set")


Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def noisyweb(tmp_path: Path) -> Program:
    """Run the installed program in an empty folder, as a user does."""
    folder = tmp_path / "cwd"
    folder.mkdir()

    def run(*args: object, cwd: Path = folder, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(PROGRAM), *map(str, args)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=240,
            **options,  # type: ignore[call-overload]
        )

    return run


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """A user's mistake: exit code 2 and one line that has all the words."""
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0], lines[0]
