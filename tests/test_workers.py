"""Describing images in processes: in order, and whatever one image does to its process, the rest goes on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from noisyweb.describe import describe
from noisyweb.phash import phash
from noisyweb.workers import Job, Picture, describe_all
from tests.web import photo

JOB = Job("phash", False)


def kept(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / f"{abs(hash(data))}.jpg"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("processes", [0, 1, 3])
def test_results_come_in_order_from_bytes_and_from_files(tmp_path: Path, processes: int) -> None:
    images = [photo(n, 40 + n) for n in range(30)]
    pictures: list[Picture] = [kept(tmp_path, data) if n % 2 else data for n, data in enumerate(images)]
    pictures[7:7] = [None, b"nonsense", tmp_path / "missing.jpg"]
    found = list(describe_all(pictures, JOB, processes=processes))
    assert [one.is_readable for one in found[7:10]] == [False] * 3
    assert [one.hash for one in found[:7] + found[10:]] == [phash(data)[0] for data in images]  # type: ignore[index]


def test_what_is_asked_is_what_comes() -> None:
    data = photo(1)
    for job in (Job("phash", True), Job("dhash", False), Job(None, True)):
        [found] = describe_all([data], job, processes=1)
        mine = describe(data, job.method, job.with_views)
        assert (found.hash, found.is_flat, found.is_readable) == (mine.hash, mine.is_flat, mine.is_readable)
        assert (found.views is None) is (mine.views is None) is (not job.with_views)
        if found.views is not None and mine.views is not None:
            assert found.views.probes.tolist() == mine.views.probes.tolist()
            assert found.views.targets.tolist() == mine.views.targets.tolist()


def test_an_image_that_holds_up_its_process_is_given_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.jpg")  # opening it waits for a writer that never comes
    pictures: list[Picture] = [photo(1), tmp_path / "endless.jpg", photo(2), photo(3)]
    found = list(describe_all(pictures, JOB, processes=1, limit_s=2.0))
    assert [one.is_readable for one in found] == [True, False, True, True]


def test_an_image_that_crashes_its_process_is_given_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "crash.jpg")

    def kill_who_opens_it() -> None:
        handle = os.open(tmp_path / "crash.jpg", os.O_WRONLY)  # returns when the worker has opened the other end
        for worker in workers():
            worker.send_signal(signal.SIGKILL)
        os.close(handle)

    thread = threading.Thread(target=kill_who_opens_it)
    thread.start()
    found = list(describe_all([photo(1), tmp_path / "crash.jpg", photo(2)], JOB, processes=1, limit_s=120))
    thread.join()
    assert [one.is_readable for one in found] == [True, False, True]


def workers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "noisyweb.describe" in child.cmdline()]


def test_only_a_few_are_read_ahead() -> None:
    read = 0

    def pictures() -> Iterator[Picture]:
        nonlocal read
        for n in range(500):
            read += 1
            yield photo(n % 5)

    found = describe_all(pictures(), JOB, processes=2)
    next(found)
    assert read <= 40
    found.close()  # type: ignore[attr-defined]
    assert not workers()
