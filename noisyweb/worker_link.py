"""A worker process as a crawl sees it: bodies go there, answers come back, and its death tells what it died of."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from noisyweb.body_ring import BodyRing
from noisyweb.image_work import DECODED, HEAD, IN_LINE, ImageWork, Outcome, arguments

COPIED_BYTES = 4 << 20
"""Of bodies that do not fit into the ring: no further body once so many wait, since they are copied on their way."""
START_S, STOP_S = 60.0, 5.0
"""Seconds that a worker may take to start, and to end."""


MOST_DEATHS = 2
"""Workers that may die of a body: the first may have been killed by somebody else (the system, short of memory)."""


@dataclass(slots=True)
class Task:
    """A body, and whoever waits for what comes of it.

    Attributes:
        is_in_ring: the worker has it in shared memory, not in the socket.
        num_deaths: workers that were at it when they died.
    """

    body: bytes
    future: asyncio.Future[Outcome]
    is_in_ring: bool = False
    num_deaths: int = 0

    def answer(self, outcome: Outcome) -> None:
        """Tell whoever waits, if somebody does still."""
        if not self.future.done():
            self.future.set_result(outcome)

    def fail(self, error: Exception) -> None:
        """Raise an error where somebody waits."""
        if not self.future.done():
            self.future.set_exception(error)


class WorkerLink(asyncio.Protocol):
    """One `noisyweb.image_work` process; it starts with this object, and `connect` makes it heard.

    Args:
        work: what it does.
        limit_s: seconds that one body may take.
        on_answers: called when it has answered, or has started.
        on_death: called when it is gone.
        failed: workers that died in its place before, one after the other, without having got anywhere.

    Attributes:
        waiting: what it has not answered, the first come first.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        work: ImageWork,
        limit_s: float,
        on_answers: Callable[[], None],
        on_death: Callable[[WorkerLink], None],
        failed: int = 0,
    ) -> None:
        self._limit_s, self._on_answers, self._on_death, self._failed = limit_s, on_answers, on_death, failed
        self.waiting: deque[Task] = deque()
        self._num_told = self._num_decoded = 0  # of those that wait
        self._num_copied = 0  # bytes
        self._is_ready = self._has_answered = self._was_late = False
        self._outgoing: list[bytes] = []
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._begun_s = self._looked_s = self._loop.time()
        self._ring = BodyRing()
        with contextlib.ExitStack() as undo:
            undo.callback(self._ring.close)
            self._socket, theirs = socket.socketpair()
            undo.callback(self._socket.close)
            with theirs:
                self.process = subprocess.Popen(
                    arguments(work, theirs.fileno(), self._ring.descriptor),
                    pass_fds=[number for number in (theirs.fileno(), self._ring.descriptor) if number >= 0],
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                )
            self._ring.inherited()
            undo.pop_all()

    async def connect(self) -> None:
        """Listen to it."""
        await self._loop.create_unix_connection(lambda: self, sock=self._socket)

    def has_room(self, most: int) -> bool:
        """Whether it may be given a body: alive, with fewer than ``most`` of them, and with few bytes in the socket."""
        is_alive = self._is_ready and self._transport is not None and not self._transport.is_closing()
        return is_alive and len(self.waiting) < most and self._num_copied < COPIED_BYTES

    def send(self, task: Task) -> None:
        """Give it a body; only while it `has_room`."""
        start = self._ring.put(task.body)
        task.is_in_ring = start is not None
        self.waiting.append(task)
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        if start is None:
            self._num_copied += len(task.body)
            self._outgoing += HEAD.pack(len(task.body), IN_LINE), task.body
        else:
            self._outgoing.append(HEAD.pack(len(task.body), start))
        if len(self.waiting) == 1:
            self._begun_s = self._loop.time()

    def _flush(self) -> None:
        """Tell of all bodies that came in one turn of the loop at once: to wake a process is dear."""
        outgoing, self._outgoing = self._outgoing, []
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(b"".join(outgoing))
            if not self._transport.is_closing():  # that it is gone shows in writing
                self._num_told = len(self.waiting)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            if line == DECODED:
                self._num_decoded += 1
            elif self._is_ready:
                self._answered(json.loads(line))
            self._is_ready = True
            self._begun_s = self._loop.time()
        self._on_answers()

    def _answered(self, outcome: Outcome) -> None:
        task = self.waiting.popleft()
        self._has_answered = True
        self._num_told -= 1
        self._num_decoded = max(0, self._num_decoded - 1)
        if task.is_in_ring:
            self._ring.free()
        else:
            self._num_copied -= len(task.body)
        task.answer(outcome)

    def connection_lost(self, exc: Exception | None) -> None:
        with contextlib.suppress(OSError):  # what it said before it died, if a failed write was noticed first
            while data := self._socket.recv(1 << 16):
                self.data_received(data)
        self._free()
        self._on_death(self)

    def _free(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._ring.close()

    def give_up(self) -> int:
        """Give up the body that it died of: did not get done with in time, or was the second to die at.

        Returns:
            How many workers have died in its place, one after the other, without having got anywhere.
        """
        if self._is_ready and self._num_decoded < self._num_told:
            task = self.waiting[self._num_decoded]
            task.num_deaths += 1
            if self._was_late or task.num_deaths == MOST_DEATHS:
                del self.waiting[self._num_decoded]
                task.answer({"reason": "decoder-crash", "num_bytes": len(task.body)})
            return 0
        is_idle = self._is_ready and not self.waiting
        return 0 if is_idle or self._has_answered else self._failed + 1

    def _watch(self) -> None:
        """Look now and then whether the start, or the body that is in work, takes too long: cheaper than timers."""
        now_s, every_s = self._loop.time(), min(self._limit_s / 10, 1.0)
        if now_s - self._looked_s > every_s + 1.0:  # this process was stopped for a while, and perhaps the worker, too
            self._begun_s = now_s
        self._looked_s = now_s
        limit_s = self._limit_s if self._is_ready else START_S
        if (self.waiting or not self._is_ready) and now_s - self._begun_s > limit_s:
            self._was_late = True
            self.process.kill()
        else:
            self._timer = self._loop.call_later(every_s, self._watch)

    def close(self) -> None:
        """Let it end once it has done what it has been given; `ended` waits for that."""
        if self._transport is None:  # `connect` failed
            self._socket.close()
        else:
            self._transport.close()

    async def ended(self) -> None:
        """Wait for its end, or end it. No thread waits for it: at the end of the process there are none."""
        end_s = self._loop.time() + STOP_S
        while self.process.poll() is None and self._loop.time() < end_s:
            await asyncio.sleep(0.005)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._transport is not None:
            self._transport.abort()
        self._free()
