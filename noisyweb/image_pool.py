"""Worker processes for decoding, resizing and hashing, so that a crawl uses all cores and survives a decoder's crash.

Processes and not threads: a decoder that crashes or never ends on a hostile file takes its own process along, which
is replaced, and the file is the one that is lost.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import cast

from noisyweb.body_ring import BodyRing
from noisyweb.errors import CrawlError
from noisyweb.image_work import HEAD, IN_LINE, MAX_WAITING, ImageWork, Outcome, arguments
from noisyweb.patience import patience_s
from noisyweb.plain_url import is_url

MAX_QUEUED = 8
"""Bodies that one worker is given ahead, the one in work included."""
MAX_STARTS = 3
"""Workers that may die one after the other without having started."""
START_S, STOP_S = 60.0, 5.0
"""Seconds that a worker may take to start, and to end."""


class ImagePool:
    """A pool of `noisyweb.image_work` processes.

    Args:
        work: what they do.
        processes: how many; None: one a core.
        limit_s: seconds that one body may take.
    """

    def __init__(self, work: ImageWork, processes: int | None = None, *, limit_s: float = 60.0) -> None:
        self._work, self._limit_s = work, limit_s
        self._num = processes or os.cpu_count() or 1
        self._workers: list[_Worker] = []
        self._queue: deque[tuple[bytes, asyncio.Future[Outcome]]] = deque()
        self._ahead = MAX_QUEUED
        if is_url(work.store):
            self._ahead += MAX_WAITING
            self._limit_s += patience_s()  # the store may be away that long
        self._replacing: set[asyncio.Task[None]] = set()
        self._error: Exception | None = None
        self._is_open = False

    async def __aenter__(self) -> ImagePool:
        self._is_open = True
        self._workers = [await self._start() for _ in range(self._num)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        await asyncio.gather(*self._replacing)
        for worker in self._workers:
            await worker.stop()

    async def process(self, body: bytes) -> Outcome:
        """Check, store and hash one body; waits while all workers have enough to do.

        Raises:
            CrawlError: the store cannot be written, or the workers cannot run at all.
        """
        if self._error is not None:
            raise self._error
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.append((body, future))
        self._deal()
        outcome = await future
        if "error" in outcome:
            raise CrawlError(outcome["error"])
        return outcome

    def _deal(self) -> None:
        """Give bodies to workers that have too little to do."""
        while self._queue:
            worker = min(self._workers, key=lambda one: len(one.waiting))
            if len(worker.waiting) >= self._ahead:
                return
            body, future = self._queue.popleft()
            if not future.done():  # else its caller was cancelled
                worker.send(body, future)

    async def _start(self, failed: int = 0) -> _Worker:
        ours, theirs = socket.socketpair()
        ring = BodyRing()
        process = subprocess.Popen(
            arguments(self._work, theirs.fileno(), ring.descriptor),
            pass_fds=[number for number in (theirs.fileno(), ring.descriptor) if number >= 0],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        theirs.close()
        loop = asyncio.get_running_loop()
        _, worker = await loop.create_unix_connection(
            lambda: _Worker(process, ring, self._limit_s, self._deal, self._replace, failed), sock=ours
        )
        return worker

    def _replace(self, dead: _Worker) -> None:
        """Start another worker; the body that killed the dead one is given up, the ones behind it are not."""
        if not self._is_open:
            return
        if dead.is_ready and dead.waiting:
            body, future, _ = dead.waiting.popleft()
            if not future.done():
                future.set_result({"reason": "decoder-crash", "num_bytes": len(body)})
        task = asyncio.get_running_loop().create_task(self._replace_now(dead))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _replace_now(self, dead: _Worker) -> None:
        await asyncio.to_thread(dead.process.wait)
        failed = 0 if dead.is_ready else dead.failed + 1
        try:
            if failed > MAX_STARTS:
                raise CrawlError("the processes that decode images die at once; is this installation complete?")
            fresh = await self._start(failed)
        except Exception as error:  # noqa: BLE001  whoever waits gets it, and whoever comes
            self._error = error
            for future in [*(entry[1] for entry in dead.waiting), *(entry[1] for entry in self._queue)]:
                if not future.done():
                    future.set_exception(error)
            return
        self._workers[self._workers.index(dead)] = fresh
        for body, future, _ in dead.waiting:  # some may have come meanwhile
            fresh.send(body, future)
        self._deal()


class _Worker(asyncio.Protocol):
    """One worker process.

    Attributes:
        is_ready: it has started.
        failed: workers that died in its place before, one after the other, without having started.
        waiting: bodies that it has not answered, the one in work first, and whether each is in the ring.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        ring: BodyRing,
        limit_s: float,
        on_answers: Callable[[], None],
        on_death: Callable[[_Worker], None],
        failed: int,
    ) -> None:
        self.process, self._ring, self._limit_s = process, ring, limit_s
        self._on_answers, self._on_death = on_answers, on_death
        self.is_ready, self.failed = False, failed
        self.waiting: deque[tuple[bytes, asyncio.Future[Outcome], bool]] = deque()
        self._outgoing: list[bytes] = []
        self._buffer = b""
        self._loop = asyncio.get_running_loop()
        self._begun_s = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._watch()

    def send(self, body: bytes, future: asyncio.Future[Outcome]) -> None:
        """Queue a body."""
        if self._transport.is_closing():  # it goes to the one that takes this one's place
            self.waiting.append((body, future, False))
            return
        start = self._ring.put(body)
        self.waiting.append((body, future, start is not None))
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        if start is None:
            self._outgoing += HEAD.pack(len(body), IN_LINE), body
        else:
            self._outgoing.append(HEAD.pack(len(body), start))
        if len(self.waiting) == 1 and self.is_ready:
            self._begun_s = self._loop.time()

    def _flush(self) -> None:
        """Tell of all bodies that came in one turn of the loop at once: to wake a process is dear."""
        outgoing, self._outgoing = self._outgoing, []
        if not self._transport.is_closing():
            self._transport.writelines(outgoing)

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            if self.is_ready:
                _, future, is_in_ring = self.waiting.popleft()
                if is_in_ring:
                    self._ring.free()
                if not future.done():
                    future.set_result(json.loads(line))
            self.is_ready = True
            self._begun_s = self._loop.time()
        self._on_answers()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._ring.close()
        self._on_death(self)

    def _watch(self) -> None:
        """Look now and then whether the start, or the body that is in work, takes too long: cheaper than timers."""
        limit_s = self._limit_s if self.is_ready else START_S
        if (self.waiting or not self.is_ready) and self._loop.time() - self._begun_s > limit_s:
            self.process.kill()
        else:
            self._timer = self._loop.call_later(min(self._limit_s / 10, 1.0), self._watch)

    async def stop(self) -> None:
        """Let it end; it has nothing left to do. No thread waits for it: at the end of the process there are none."""
        self._transport.close()
        end_s = self._loop.time() + STOP_S
        while self.process.poll() is None and self._loop.time() < end_s:
            await asyncio.sleep(0.005)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
