"""In which order the rows of each class turn wrong: sorted by class and random priority, in 12 bytes a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from noisyweb.draws import Keys, bits
from noisyweb.plan import Column, chunks, class_sizes
from noisyweb.quota import Counts

Flags = npt.NDArray[np.bool_]
Priority = Callable[[slice], npt.NDArray[Any]]


@dataclass(frozen=True)
class Turns:
    """Rows in the order in which they turn wrong, class after class.

    Attributes:
        order: row numbers, shape (N,).
        start: where each class begins in ``order``, and its end; shape (K + 1,).
    """

    order: npt.NDArray[np.integer[Any]]
    start: Counts

    def rank(self) -> npt.NDArray[np.integer[Any]]:
        """Each row's place in its class, shape (N,)."""
        rank = np.empty_like(self.order)
        for first, end in zip(self.start[:-1].tolist(), self.start[1:].tolist(), strict=True):
            rank[self.order[first:end]] = np.arange(end - first, dtype=rank.dtype)
        return rank


def drawn(keys: Column, seed: int, *purpose: str) -> Priority:
    """A random priority: 64 bits of each row's key, the seed and what it is for."""

    def priority(part: slice) -> Keys:
        return bits(keys[part], seed, *purpose)

    return priority


def turns(labels: Column, num_classes: int, priority: Priority, last: Flags | None = None) -> Turns:
    """Sort the rows of each class.

    Rows are first put beside those of their class, a chunk at a time, and then sorted class by class, so that no more
    than a row's number and priority is held. Equal priorities stay in row order.

    Args:
        labels: N values in [0, K).
        num_classes: K.
        priority: of the rows of a slice; the least comes first.
        last: rows that come after all others of their class, shape (N,).
    """
    sizes = class_sizes(labels, num_classes)
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    order: npt.NDArray[np.integer[Any]] = np.empty(len(labels), np.uint32 if len(labels) < 2**32 else np.int64)
    kept = np.empty(len(labels), priority(slice(0, 0)).dtype)
    cursor = start[:-1].copy()
    small = np.uint16 if num_classes <= 2**16 else np.int32  # 16 bits are sorted by radix
    for part in chunks(len(labels)):
        own = labels[part]
        by_class = np.argsort(own.astype(small), kind="stable")
        counts = np.bincount(own, minlength=num_classes)
        place = np.repeat(cursor - (np.cumsum(counts) - counts), counts) + np.arange(len(own))
        order[place] = by_class + part.start
        kept[place] = priority(part)[by_class]
        cursor += counts
    for first, end in zip(start[:-1].tolist(), start[1:].tolist(), strict=True):
        rows = order[first:end]
        if last is None:
            sorted_ = np.argsort(kept[first:end], kind="stable")
        else:
            sorted_ = np.lexsort((kept[first:end], last[rows]))
        order[first:end] = rows[sorted_]
    return Turns(order, start)
