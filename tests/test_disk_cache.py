"""What is read from URLs is kept on disk: bounded, shared by processes, never torn, never stale."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisyweb.data import NoisyImages
from noisyweb.disk_cache import DISK_BYTES, CachedFile, DiskCache, cache_folder
from noisyweb.errors import OutputError, SourceError
from noisyweb.remote_path import RemotePath
from tests.export_builds import clean_row, write_build

FILE = "0123456789abcdef" * 2
WORDS = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=60)


def content(number: int, size: int = 200) -> bytes:
    return bytes([number % 251]) * (size + number)


def held(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


@given(WORDS, st.integers(0, 6_000))
def test_what_is_kept_is_right_and_bounded(steps: list[tuple[bool, int]], most: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = DiskCache(folder, most)
        known = set()
        for puts, number in steps:
            data, span = content(number), (number, number + len(content(number)))
            if puts:
                cache.put(FILE, *span, data)
                known.add(number)
            found = cache.get(FILE, *span)
            assert found is None or (found == data and number in known)
            assert held(Path(folder)) <= most
            assert found is not None or not puts or most < 8 * len(data)


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 20_000)
    for number in range(10):
        cache.put(FILE, number, number + 1_500, bytes(1_500))
        os.utime(tmp_path / f"{FILE}-{number}-{number + 1_500}", (number, number))
    cache.get(FILE, 0, 1_500)
    cache.put(FILE, 90, 1_590, bytes(1_500))
    cache.put(FILE, 91, 1_591, bytes(1_500))
    kept = {int(file.name.split("-")[1]) for file in tmp_path.iterdir()}
    assert {0, 9, 90, 91} <= kept
    assert 1 not in kept


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_bytes(bytes(9_000))
    cache = DiskCache(tmp_path, 4_000)
    for number in range(20):
        cache.put(FILE, number, number + 400, bytes(400))
    assert (tmp_path / "thesis.tex").read_bytes() == bytes(9_000)
    assert held(tmp_path) <= 13_000


@pytest.mark.parametrize("damage", ["cut", "flip", "longer", "empty"])
def test_a_damaged_entry_is_none(tmp_path: Path, damage: str) -> None:
    cache, data = DiskCache(tmp_path), os.urandom(5_000)
    cache.put(FILE, 0, 5_000, data)
    (entry,) = tmp_path.iterdir()
    raw = bytearray(entry.read_bytes())
    raw[2_000] ^= damage == "flip"
    entry.write_bytes({"cut": raw[:-1], "flip": raw, "longer": raw + b"x", "empty": b""}[damage])
    assert cache.get(FILE, 0, 5_000) is None
    assert not entry.exists()
    cache.put(FILE, 0, 5_000, data)
    assert cache.get(FILE, 0, 5_000) == data


BUSY = """
import random, sys
from noisyweb.disk_cache import DiskCache
cache, rng = DiskCache(sys.argv[1], 400_000), random.Random(sys.argv[2])
print("ready", flush=True)
hits = 0
for step in range(int(sys.argv[3])):
    number = rng.randrange(60)
    data = bytes([number]) * 10_000
    found = cache.get("f" * 32, number, number + 10_000)
    if found is None:
        cache.put("f" * 32, number, number + 10_000, data)
    elif found != data:
        sys.exit(f"torn: {number}")
    else:
        hits += 1
print(hits)
"""


def busy(folder: Path, seed: int, steps: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUSY, str(folder), str(seed), str(steps)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_share_it_and_one_is_killed(tmp_path: Path) -> None:
    """60 entries of which not all fit: each makes room while the others read and write."""
    started = [busy(tmp_path, seed, 3_000) for seed in range(2)]
    victim = busy(tmp_path, 2, 10**9)
    assert victim.stdout is not None
    assert victim.stdout.readline() == "ready\n"
    for process in started:
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert int(output.split()[1]) > 300
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert held(tmp_path) <= 400_000
    again = busy(tmp_path, 3, 200)
    output, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors


LIMITED = """
import resource, sys
from noisyweb.disk_cache import DiskCache
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))
cache = DiskCache(sys.argv[1])
for size in (9_000, 2_000):
    cache.put("f" * 32, 0, size, bytes(size))
    print(cache.get("f" * 32, 0, size) == bytes(size))
"""


def test_a_disk_that_is_full_costs_nothing_but_speed(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "True"], done.stderr
    assert len(list(tmp_path.iterdir())) == 1


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder({"NOISYWEB_CACHE": "/x/y", "XDG_CACHE_HOME": "/z"}) == Path("/x/y")
    assert cache_folder({"XDG_CACHE_HOME": "/z"}) == Path("/z/noisyweb/ranges")
    assert cache_folder({}) == Path.home() / ".cache/noisyweb/ranges"
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"file: cannot be written"):
        DiskCache(tmp_path / "file")
    assert DiskCache(tmp_path / "new", 0).get(FILE, 0, 1) is None
    assert not (tmp_path / "new").exists()
    monkeypatch.setenv("NOISYWEB_CACHE", str(tmp_path / "file"))
    assert DiskCache().most_bytes == 0  # nobody asked for it: go on without
    monkeypatch.setenv("NOISYWEB_CACHE", str(tmp_path / "new"))
    cache = DiskCache(most_bytes=10**18)
    cache.put(FILE, 0, 3, b"abc")
    assert cache.get(FILE, 0, 3) == b"abc"
    assert DISK_BYTES < 10**18
    assert cache._make_room(0) <= shutil.disk_usage(tmp_path).free


# Manifests


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A manifest of 40 rows in row groups of four, and its folder's name."""
    place = f"memory://cached/{tmp_path.name}"
    put(tmp_path / "first", place, range(40))
    yield place
    fsspec.filesystem("memory").rm(place, recursive=True)


def put(folder: Path, url: str, numbers: range) -> None:
    build = write_build(folder, [clean_row(number) for number in numbers], "red", "0", shard_bytes=10**9)
    fsspec.filesystem("memory").put(f"{build}/", url, recursive=True)


def encoded(images: NoisyImages) -> list[bytes]:
    return [bytes(images.encoded(row) or b"") for row in range(len(images))]


def test_a_manifest_gives_the_same_from_the_cache(url: str, tmp_path: Path) -> None:
    expected = [clean_row(number)["image"]["bytes"] for number in range(40)]
    assert encoded(NoisyImages(url, cache_dir=tmp_path / "cache")) == expected
    entries = sorted((tmp_path / "cache").iterdir())
    assert len(entries) >= 11  # ten row groups, the footer
    for entry in entries:  # each damaged in its own way
        entry.write_bytes(entry.read_bytes()[: -1 - len(entry.name) % 7])
    assert encoded(NoisyImages(url, cache_dir=tmp_path / "cache")) == expected
    assert [entry.stat().st_size for entry in sorted((tmp_path / "cache").iterdir())] == [
        entry.stat().st_size for entry in entries
    ]
    NoisyImages(tmp_path / "first/red_noise_nl_0", cache_dir=tmp_path / "none")[0]
    assert not (tmp_path / "none").exists()


def test_a_manifest_that_was_replaced_gives_nothing_old(url: str, tmp_path: Path) -> None:
    encoded(NoisyImages(url, cache_dir=tmp_path / "cache"))
    put(tmp_path / "second", url, range(100, 140))
    expected = [clean_row(number)["image"]["bytes"] for number in range(100, 140)]
    assert encoded(NoisyImages(url, cache_dir=tmp_path / "cache")) == expected


def test_what_cannot_be_read_is_not_kept(url: str, tmp_path: Path) -> None:
    (name,) = fsspec.filesystem("memory").glob(f"{url}/*.parquet")
    with fsspec.filesystem("memory").open(name, "rb") as file:
        raw = bytearray(file.read())
    group = pq.read_metadata(io.BytesIO(raw)).row_group(3)
    columns = [group.column(number) for number in range(group.num_columns)]
    (chunk,) = [column for column in columns if column.path_in_schema == "image.bytes"]
    raw[chunk.data_page_offset + chunk.total_compressed_size - 5] ^= 255
    fsspec.filesystem("memory").pipe(name, bytes(raw))
    images = NoisyImages(url, cache_dir=tmp_path / "cache")
    before = len(list((tmp_path / "cache").iterdir()))
    failed = 0
    for row in range(0, 40, 4):
        try:
            images.encoded(row)
        except SourceError:
            failed += 1
    assert failed == 1
    assert len(list((tmp_path / "cache").iterdir())) == before + 9


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"memory://cached/none: there is nothing"):
        CachedFile(RemotePath("memory://cached/none"), DiskCache(tmp_path))
