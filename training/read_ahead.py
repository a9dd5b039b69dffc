"""Row groups read before their rows are asked for, so that decoding does not wait for a disk or a store."""

from __future__ import annotations

import threading
from types import TracebackType

import numpy as np
import numpy.typing as npt

from noisyweb.data import NoisyImages
from noisyweb.errors import NoisywebError


class ReadAhead:
    """``with ReadAhead(images, rows, most_bytes) as ahead:`` and ``ahead.reached(place)`` as rows are done.

    Args:
        images: whose memory takes ``most_bytes``.
        rows: in the order in which they will be asked for.
        most_bytes: of the row groups that are held and still needed.
    """

    def __init__(self, images: NoisyImages, rows: npt.NDArray[np.int64], most_bytes: int) -> None:
        self._images, self._most = images, most_bytes
        groups = images.row_groups
        group_of = np.searchsorted([found.start for found, _ in groups], rows, side="right") - 1
        numbers, first = np.unique(group_of, return_index=True)
        last = len(rows) - 1 - np.unique(group_of[::-1], return_index=True)[1]
        turns = np.argsort(first).tolist()
        self._queue = [(int(numbers[at]), int(first[at]), int(last[at]), groups[numbers[at]][1]) for at in turns]
        self._held: list[tuple[int, int]] = []  # place of the last row, bytes
        self._place, self._stopped, self._moved = 0, False, threading.Condition()
        self._thread = threading.Thread(target=self._read, name="decode-ahead", daemon=True)

    def __enter__(self) -> ReadAhead:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._moved:
            self._stopped = True
            self._moved.notify()
        self._thread.join()

    def reached(self, place: int) -> None:
        """The rows before ``place`` are done."""
        with self._moved:
            self._place = place
            self._moved.notify()

    def _read(self) -> None:
        for number, first, last, size in self._queue:
            with self._moved:
                while not (self._stopped or self._fits(first, size)):
                    self._moved.wait()
                if self._stopped:
                    return
                if last < self._place:
                    continue
                self._held.append((last, size))
            try:
                self._images.hold(number)
            except NoisywebError:
                return  # whoever asks for its rows will meet the same error, and tell

    def _fits(self, first: int, size: int) -> bool:
        self._held = [(last, held) for last, held in self._held if last >= self._place]
        return first < self._place or sum(held for _, held in self._held) + size <= self._most
