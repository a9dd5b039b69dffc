"""Describing many images in worker processes (`noisyweb.describe`), in order, a few ahead of whoever asks."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from noisyweb.describe import Description, describe, from_json
from noisyweb.errors import NoisywebError

MAX_AHEAD = 8
"""Images that each worker may be ahead: what is held in memory."""
LIMIT_S = 60.0
"""Seconds that one image may take."""

Picture = bytes | Path | None
"""Encoded bytes, a file that holds them, or None where there are none."""


@dataclass(frozen=True)
class Job:
    """What is asked of each image; see `noisyweb.describe.describe`."""

    method: str | None
    with_views: bool


def describe_all(
    pictures: Iterable[Picture], job: Job, *, processes: int | None = None, limit_s: float = LIMIT_S
) -> Iterator[Description]:
    """Describe images, in their order; one that crashes or holds up the decoder is not readable, the rest goes on.

    Args:
        pictures: consumed a few at a time.
        job: what is asked.
        processes: how many; None: one a core; 0: none, in this process, where a crash is a crash.
        limit_s: seconds that one image may take.

    Raises:
        NoisywebError: the processes do not run at all.
    """
    if processes == 0:
        for picture in pictures:
            yield describe(_read(picture), job.method, job.with_views)
        return
    number = processes or os.cpu_count() or 1
    every = [_Worker(limit_s) for _ in range(number)]
    workers = deque(every)
    waiting: deque[Future[Description]] = deque()

    def work(picture: Picture) -> Description:
        worker = workers.pop()  # there is one for each thread
        try:
            return worker.describe(picture, job)
        finally:
            workers.append(worker)

    is_done = threading.Event()

    def watch() -> None:
        while not is_done.wait(min(1.0, limit_s)):
            for worker in every:
                worker.kill_if_late()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    with ThreadPoolExecutor(number) as threads:
        try:
            for picture in pictures:
                waiting.append(threads.submit(work, picture))
                if len(waiting) >= number * MAX_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            threads.shutdown()
            is_done.set()
            watcher.join()
            for worker in every:
                worker.close()


def _read(picture: Picture) -> bytes:
    try:
        return picture.read_bytes() if isinstance(picture, Path) else picture or b""
    except OSError:
        return b""


class _Worker:
    """One process, started when it is first needed and again after it has died."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: float | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._has_answered = False

    def describe(self, picture: Picture, job: Job) -> Description:
        """Have one image described."""
        if picture is None:
            return Description()
        path = str(picture.absolute()) if isinstance(picture, Path) else None
        data = b"" if isinstance(picture, Path) else picture
        head = {"path": path, "length": len(data), "method": job.method, "views": job.with_views}
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        self._since = time.monotonic()
        try:
            process.stdin.write(json.dumps(head).encode() + b"\n" + data)
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        finally:
            self._since = None
        if line.endswith(b"\n"):
            self._has_answered = True
            return from_json(json.loads(line))
        self.close()
        if not self._has_answered:
            self._check()
        return Description()

    def kill_if_late(self) -> None:
        """End the process if it has worked on one image for too long."""
        since, process = self._since, self._process
        if since is not None and process is not None and time.monotonic() - since > self._limit_s:
            process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "noisyweb.describe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        return self._process

    def _check(self) -> None:
        """Whether it was the image or the installation."""
        found = subprocess.run([sys.executable, "-m", "noisyweb.describe"], stdin=subprocess.DEVNULL, check=False)
        if found.returncode:
            raise NoisywebError("the processes that decode images die at once; is this installation complete?")

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                with contextlib.suppress(BrokenPipeError):  # it had died with something unsent
                    pipe.close()
            self._process.kill()
            self._process.wait()
            self._process = None
