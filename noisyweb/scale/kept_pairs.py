"""Which images stay, from the list of all near pairs, read in a stream and a few times over.

`noisyweb.dedup_groups.nearest_kept` says what is asked: images are taken best first, one that no kept image is near is
kept, any other is given the nearest kept one before it. Whether a row is kept depends on rows before it only, so blocks
of rows are settled one after the other: what is near a kept row of an earlier block goes at once; within a block, a row
all of whose earlier neighbours are gone is kept, and again, until none is open.

Rows with equal hashes are one here, the first: it is kept if and only if any of them is, since what is near one is near
all. But a later one may be nearer to a row that was kept in between, which `given_of` looks after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from noisyweb.dedup_groups import MAX_PAIRS, Given, keep_first
from noisyweb.hamming_chunks import Hashes, Ints, Pairs

Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint64]

_SHIFT = np.uint64(48)
_NONE = np.uint64(2**64 - 1)
_MANY = 1 << 20


def collapsed(hashes: Hashes, rows: Ints | None = None) -> tuple[Ints, Ints]:
    """The first row of each different hash, ascending, and for every row which of these has its hash.

    Args:
        hashes: shape (M, 4).
        rows: which of them are meant, in which order; what is returned are places in it. None: all, as they are.
    """
    num_rows = len(hashes if rows is None else rows)
    if not num_rows:
        return np.empty(0, np.int64), np.empty(0, np.int64)

    def word(number: int) -> Codes:
        return hashes[:, number] if rows is None else hashes[rows, number]

    order = np.lexsort([word(number) for number in range(hashes.shape[1])])  # stable: of equal ones the first row leads
    is_new = np.zeros(num_rows, bool)
    is_new[0] = True
    for number in range(hashes.shape[1]):  # a word at a time: all in order would be a second copy
        ordered = word(number)[order]
        is_new[1:] |= ordered[1:] != ordered[:-1]
        del ordered
    firsts = order[is_new]
    is_first = np.zeros(num_rows, bool)
    is_first[firsts] = True
    ranks = np.cumsum(is_first) - 1
    lengths = np.diff(np.flatnonzero(is_new), append=num_rows)
    owners = np.empty(num_rows, np.int64)
    owners[order] = np.repeat(ranks[firsts], lengths)
    return np.flatnonzero(is_first), owners


def kept_of(starts: Sequence[int], read: Callable[[int, int], Iterable[Pairs]], most: int = MAX_PAIRS) -> Bools:
    """Which rows are kept, shape (N,).

    Args:
        starts: the first row of each block, and N.
        read: the pairs of rows i < j of two blocks, in any order.
        most: pairs held at once.
    """
    is_kept = np.ones(starts[-1] if starts else 0, bool)
    for block, (start, stop) in enumerate(pairwise(starts)):
        for earlier in range(block):
            for i, j, _ in read(earlier, block):
                is_kept[j[is_kept[i]]] = False
        is_kept[start:stop] = _settled(is_kept[start:stop], start, partial(read, block, block), most)
    return is_kept


def _settled(is_open: Bools, start: int, read: Callable[[], Iterable[Pairs]], most: int) -> Bools:
    """Which rows of a block are kept, of those that no row before the block rules out."""
    is_open, is_kept = is_open.copy(), np.zeros(len(is_open), bool)
    while is_open.any():
        is_blocked = np.zeros(len(is_open), bool)
        held: list[Ints] = [np.empty((0, 2), np.int64)]
        size = 0
        for first, second, _ in read():
            i, j = first - start, second - start
            is_open[j[is_kept[i]]] = False
            waits = is_open[i] & is_open[j]
            i, j = i[waits], j[waits]
            is_blocked[j] = True
            size += len(i)
            if size <= most:
                held.append(np.stack([i, j], axis=1))
        if size <= most:
            pairs = np.concatenate(held)
            pairs = pairs[is_open[pairs].all(axis=1)]
            pairs = pairs[np.argsort(pairs[:, 1], kind="stable")]
            return is_kept | (is_open & keep_first(len(is_open), pairs))
        is_kept |= is_open & ~is_blocked
        is_open &= is_blocked
    return is_kept


def nearest_of(num_rows: int, pairs: Iterable[Pairs]) -> tuple[Ints, Ints, npt.NDArray[np.int32]]:
    """For each left row that has any: itself, the nearest right row (of several the first), and the distance."""
    best = np.full(num_rows, _NONE)
    for i, j, distance in pairs:
        np.minimum.at(best, i, _codes(distance, j))
    rows = np.flatnonzero(best != _NONE)
    distances, columns = _decoded(best[rows])
    return rows, columns, distances.astype(np.int32)


def given_of(firsts: Ints, owners: Ints, is_kept: Bools, pairs: Callable[[], Iterator[Pairs]]) -> Given:
    """For each row that is not kept the nearest kept row before it.

    Args:
        firsts, owners: see `collapsed`.
        is_kept: of ``firsts``.
        pairs: of ``firsts``, all of them.
    """
    best = np.full(len(firsts), _NONE)
    copies = _Copies(firsts, owners)
    late: list[tuple[Ints, Ints, npt.NDArray[np.int32]]] = []
    for i, j, distance in pairs():
        is_before = is_kept[i]
        np.minimum.at(best, j[is_before], _codes(distance[is_before], i[is_before]))
        is_after = is_kept[j] & (copies.last[i] > firsts[j])
        late.append((i[is_after], j[is_after], distance[is_after]))
    np.copyto(best, np.arange(len(best), dtype=np.uint64), where=is_kept)  # nought from themselves
    of_copies = best[owners[copies.rows]]
    for i, j, distance in late:
        for place, which in copies.after(i, firsts[j]):
            np.minimum.at(of_copies, place, _codes(distance[which], j[which]))
    gone = np.flatnonzero(~is_kept)
    rows = np.concatenate([firsts[gone], copies.rows])
    order = np.argsort(rows)
    distances, kept = _decoded(np.concatenate([best[gone], of_copies])[order])
    return rows[order], firsts[kept], distances.astype(np.int32)


class _Copies:
    """Rows whose hash an earlier row has.

    Attributes:
        rows: all of them, by their hash's first row, then ascending.
        last: for each different hash its last row.
    """

    def __init__(self, firsts: Ints, owners: Ints) -> None:
        is_copy = np.ones(len(owners), bool)
        is_copy[firsts] = False
        rows = np.flatnonzero(is_copy)
        self.rows: Ints = rows[np.argsort(owners[rows], kind="stable")]
        self._owners = owners[self.rows]
        self.last = firsts.copy()
        np.maximum.at(self.last, self._owners, self.rows)

    def after(self, hashes: Ints, rows: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Places of copies of each hash after a row, and which of the questions it was, some at a time."""
        if not len(hashes):
            return
        ends = np.searchsorted(self._owners, hashes, "right")
        keys = self._owners << 32 | self.rows
        begins = np.searchsorted(keys, hashes << 32 | rows, "right")
        for which, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
            for low in range(begin, end, _MANY):
                places = np.arange(low, min(low + _MANY, end))
                yield places, np.full(len(places), which)


def _codes(distance: npt.NDArray[np.integer], row: Ints) -> Codes:
    """Distance and row in one number that sorts like the two."""
    return np.asarray(distance.astype(np.uint64) << _SHIFT | row.astype(np.uint64))


def _decoded(codes: Codes) -> tuple[Ints, Ints]:
    return (codes >> _SHIFT).astype(np.int64), (codes & np.uint64((1 << 48) - 1)).astype(np.int64)
