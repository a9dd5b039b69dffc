"""Worker processes for decoding, resizing and hashing, so that a crawl uses all cores and survives a decoder's crash.

Processes and not threads: a decoder that crashes or never ends on a hostile file takes its own process along, which
is replaced, and the file is the one that is lost.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from types import TracebackType

from noisyweb.errors import CrawlError
from noisyweb.image_work import MAX_WAITING, ImageWork, Outcome
from noisyweb.patience import patience_s
from noisyweb.plain_url import is_url
from noisyweb.worker_link import Task, WorkerLink

MAX_QUEUED = 8
"""Bodies that one worker is given ahead, the one in work included."""
MAX_STARTS = 3
"""Workers that may die one after the other without having got anywhere."""


class ImagePool:
    """A pool of `noisyweb.image_work` processes.

    Args:
        work: what they do.
        processes: how many; None: one a core.
        limit_s: seconds that one body may take.

    Raises:
        CrawlError: on entering: they cannot be started.
    """

    def __init__(self, work: ImageWork, processes: int | None = None, *, limit_s: float = 60.0) -> None:
        self._work, self._limit_s = work, limit_s
        self._num = processes or os.cpu_count() or 1
        self._workers: list[WorkerLink] = []
        self._queue: deque[Task] = deque()
        self._ahead = MAX_QUEUED
        if is_url(work.store):
            self._ahead += MAX_WAITING
            self._limit_s += patience_s()  # the store may be away that long
        self._replacing: set[asyncio.Task[None]] = set()
        self._error: Exception | None = None
        self._is_open = False

    async def __aenter__(self) -> ImagePool:
        self._is_open = True
        try:
            for _ in range(self._num):
                self._workers.append(self._started())
                await self._workers[-1].connect()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        self._is_open = False
        await asyncio.gather(*self._replacing)
        for worker in self._workers:
            worker.close()
        await asyncio.gather(*(worker.ended() for worker in self._workers))

    async def process(self, body: bytes) -> Outcome:
        """Check, store and hash one body; waits while all workers have enough to do.

        Raises:
            CrawlError: the store cannot be written, or the workers cannot run at all.
        """
        if self._error is not None:
            raise self._error
        task = Task(body, asyncio.get_running_loop().create_future())
        self._queue.append(task)
        self._deal()
        outcome = await task.future
        if "error" in outcome:
            raise CrawlError(outcome["error"])
        return outcome

    def _deal(self) -> None:
        """Give bodies to workers that have too little to do."""
        while self._queue:
            able = [worker for worker in self._workers if worker.has_room(self._ahead)]
            if not able:
                return
            task = self._queue.popleft()
            if not task.future.done():  # else its caller was cancelled
                min(able, key=lambda worker: len(worker.waiting)).send(task)

    def _started(self, failed: int = 0) -> WorkerLink:
        try:
            return WorkerLink(self._work, self._limit_s, self._deal, self._replace, failed)
        except OSError as error:
            raise CrawlError(
                f"a process that decodes images cannot be started ({error.strerror or error}); end other programs, or "
                "crawl with fewer --processes"
            ) from error

    def _replace(self, dead: WorkerLink) -> None:
        """The body that killed a worker is given up; those behind it are dealt out anew, and another worker starts."""
        if not self._is_open:
            return
        failed = dead.give_up()
        self._queue.extendleft(reversed(dead.waiting))
        self._deal()
        task = asyncio.get_running_loop().create_task(self._replace_now(dead, failed))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _replace_now(self, dead: WorkerLink, failed: int) -> None:
        dead.process.kill()  # it may have closed its socket only
        await asyncio.to_thread(dead.process.wait)
        try:
            if failed > MAX_STARTS:
                raise CrawlError("the processes that decode images die at once; is this installation complete?")
            fresh = self._started(failed)
            self._workers[self._workers.index(dead)] = fresh
            await fresh.connect()
        except Exception as error:  # noqa: BLE001  whoever waits gets it, and whoever comes
            self._error = error
            while self._queue:
                self._queue.popleft().fail(error)
