"""Memory that a crawl shares with a worker process: a body is copied into it once, instead of through a socket.

A socket costs a body three copies, and the kernel memory for one (docs/benchmarks.md). The worker's side is
`shared_bodies`; where a body is, it is told by message.
"""

from __future__ import annotations

import mmap
import os
from collections import deque

RING_BYTES = 2 << 20
"""Small enough to stay in a processor's cache."""


class BodyRing:
    """Bodies that are with one worker, each in one piece, given back in the order in which they were put.

    Attributes:
        descriptor: of the shared memory, to be inherited by the worker; -1 where a system has no such memory or a
            sandbox forbids it: then nothing fits.
    """

    def __init__(self, size: int = RING_BYTES) -> None:
        self._places: deque[tuple[int, int]] = deque()
        self.descriptor, self._size = -1, 0
        try:
            self.descriptor = os.memfd_create("noisyweb-bodies")
            os.ftruncate(self.descriptor, size)
            self._memory = mmap.mmap(self.descriptor, size)
            self._size = size
        except (AttributeError, OSError):  # Linux alone has it
            self.inherited()

    def inherited(self) -> None:
        """The worker has the descriptor, or nobody will: this side needs it no more."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def put(self, body: bytes) -> int | None:
        """Copy a body in; return where it begins, or None if there is no room for it."""
        size = len(body)
        start = self._room(size)
        if start is None:
            return None
        self._memory[start : start + size] = body
        self._places.append((start, start + size))
        return start

    def _room(self, size: int) -> int | None:
        if not self._places:
            return 0 if 0 < size <= self._size else None
        oldest, end = self._places[0][0], self._places[-1][1]
        if end > oldest:
            if 0 < size <= self._size - end:
                return end
            end = 0  # behind it is too little: go on at the beginning
        return end if 0 < size <= oldest - end else None

    def free(self) -> None:
        """The oldest body is done with."""
        self._places.popleft()

    def close(self) -> None:
        """Give the memory back, and all places in it; a worker that has it still keeps it."""
        self.inherited()
        if self._size:
            self._memory.close()
            self._size = 0
        self._places.clear()


def shared_bodies(descriptor: int) -> memoryview:
    """The worker's view of a `BodyRing`; empty if there is none."""
    if descriptor < 0:
        return memoryview(b"")
    return memoryview(mmap.mmap(descriptor, 0, prot=mmap.PROT_READ))
