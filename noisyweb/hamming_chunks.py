"""Pairs of hashes that nearly agree in one of several chunks of their bits: the candidates of `noisyweb.hamming`.

Multi-index hashing (Norouzi, Punjani and Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012):
bits are split into chunks, each with a threshold, such that the thresholds plus one add up to the radius plus one. By
the pigeonhole principle a pair within the radius differs by no more than the threshold in some chunk. Which values of a
chunk (keys) occur is a bitmap; that of all keys with some bits flipped is the same bitmap with words and bits moved, so
one AND of the two finds all pairs of keys that differ in just these bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Pairs = tuple[Ints, Ints, npt.NDArray[np.int32]]

WORD_BITS = 64
MAX_WIDTH = 24
"""Widest key in bits: its tables take 5 x 2^24 bytes."""
_LOW_BITS = 6  # of a key say which bit of a bitmap's word, the others which word
_LOW_HALVES = [np.uint64(sum(1 << bit for bit in range(WORD_BITS) if not bit >> flip & 1)) for flip in range(_LOW_BITS)]
"""For each low bit of a key, the bits of a word where it is 0."""


@dataclass(frozen=True)
class Chunk:
    """Some bits of a hash.

    Attributes:
        bits: which, numbered from the lowest of the first word.
        threshold: in how many of them a pair may differ to be a candidate.
    """

    bits: tuple[int, ...]
    threshold: int

    def selector(self, num_words: int) -> Hashes:
        """The chunk's bits set, shape (W,)."""
        values = [0] * num_words
        for bit in self.bits:
            values[bit // WORD_BITS] |= 1 << bit % WORD_BITS
        return np.array(values, np.uint64)

    def keys(self, hashes: Hashes) -> npt.NDArray[np.uint64]:
        """The chunk's bits of each hash, side by side from the lowest, shape (N,)."""
        keys = np.zeros(len(hashes), np.uint64)
        for place, bit in enumerate(self.bits):
            keys |= (hashes[:, bit // WORD_BITS] >> np.uint64(bit % WORD_BITS) & np.uint64(1)) << np.uint64(place)
        return keys


def split(num_bits: int, radius: int, num_chunks: int) -> list[Chunk]:
    """Chunks for a radius.

    Chunk i of m has the bits i, i + m, i + 2m and so on: image hashes have neighbouring bits that depend on each other.

    Args:
        num_bits: of a hash.
        radius: in bits.
        num_chunks: at most radius + 1 and ``num_bits``.
    """
    each, extra = divmod(radius + 1, num_chunks)
    width = min(num_bits // num_chunks, MAX_WIDTH)
    return [
        Chunk(tuple(range(i, num_bits, num_chunks))[:width], each - 1 + (i < extra))  # wider only helps
        for i in range(num_chunks)
    ]


class Side:
    """The hashes of one side in the order of their keys in one chunk.

    Attributes:
        order: positions of the hashes in the input, shape (N,).
        head: the first words of the hashes, at most two, shape (N, 1 or 2): enough to reject nearly all candidates.
        bitmap: which keys occur, shape (2^width / 64,).
        table: for each key that occurs, where its hashes begin x 2^32 + their number, so that one look-up gives both;
            garbage for the others. Shape (2^width,).
    """

    def __init__(self, hashes: Hashes, chunk: Chunk) -> None:
        # One sort of keys with positions below them: several times as fast as a stable argsort, and in the same order.
        packed = chunk.keys(hashes) << np.uint64(32) | np.arange(len(hashes), dtype=np.uint64)
        packed.sort()
        keys = (packed >> np.uint64(32)).astype(np.int64)
        self.order: Ints = (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
        self.head = hashes[:, :2].take(self.order, axis=0)
        first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
        unique = keys.take(first)
        present = np.zeros(max(1 << len(chunk.bits), WORD_BITS), bool)
        present[unique] = True
        self.bitmap: Hashes = np.packbits(present, bitorder="little").view("<u8")
        self.table: Ints = np.empty(len(present), np.int64)
        self.table[unique] = first << 32 | np.diff(first, append=len(keys))

    def buckets(self, keys: Ints) -> tuple[Ints, Ints]:
        """Where the hashes of some keys begin, and how many there are of each."""
        found = self.table.take(keys)
        return found >> 32, found & 0xFFFFFFFF


def chunk_pairs(
    left: Hashes, right: Hashes | None, radius: int, chunks: list[Chunk], number: int, batch: int
) -> Iterator[Pairs]:
    """The pairs within the radius that one chunk finds and no earlier one does; some results are empty.

    Args:
        left: shape (N, W), not empty.
        right: shape (M, W), not empty; None for the pairs i < j of ``left`` with itself.
        radius: in bits.
        chunks: all of them.
        number: which one.
        batch: candidates compared at once.
    """
    chunk = chunks[number]
    rows = Side(left, chunk)
    columns = rows if right is None else Side(right, chunk)
    other = left if right is None else right
    selectors = [(earlier.selector(left.shape[1]), earlier.threshold) for earlier in chunks[:number]]
    for i, j in _candidates(rows, columns, chunk, batch):
        head = np.bitwise_count(rows.head.take(i, axis=0) ^ columns.head.take(j, axis=0))
        near = np.flatnonzero((head[:, 0] if head.shape[1] == 1 else head[:, 0] + head[:, 1]) <= radius)
        i, j = rows.order.take(i.take(near)), columns.order.take(j.take(near))
        different = left.take(i, axis=0) ^ other.take(j, axis=0)
        distance = np.bitwise_count(different).sum(axis=1, dtype=np.int32)
        kept = np.flatnonzero(distance <= radius)
        for selector, threshold in selectors:
            there = np.bitwise_count(different.take(kept, axis=0) & selector).sum(axis=1, dtype=np.int32)
            kept = kept[there > threshold]
        i, j = i.take(kept), j.take(kept)
        if right is None:
            i, j = np.minimum(i, j), np.maximum(i, j)
        yield i, j, distance.take(kept)


def _candidates(rows: Side, columns: Side, chunk: Chunk, batch: int) -> Iterator[tuple[Ints, Ints]]:
    """Positions of pairs whose keys differ by no more than the threshold, at most ``batch`` at once.

    However many hashes share a key: neither pairs of keys nor rows with their columns are ever there all at once.
    """
    waiting: list[tuple[Ints, Ints]] = []
    num_waiting = 0
    for keys, mask in _key_pairs(rows, columns, chunk):
        if not mask and rows is columns:
            begin, count = rows.buckets(keys)
            after = np.arange(1, len(rows.order) + 1)
            yield from _products(after - 1, after, np.repeat(begin + count, count) - after, batch)
            continue
        for low in range(0, len(keys), batch):
            part = keys[low : low + batch]
            waiting.append((part, part ^ mask))
            num_waiting += len(part)
            if num_waiting >= batch // 2:
                yield from _of_buckets(rows, columns, waiting, batch)
                waiting, num_waiting = [], 0
    if waiting:
        yield from _of_buckets(rows, columns, waiting, batch)


def _of_buckets(rows: Side, columns: Side, pairs: list[tuple[Ints, Ints]], batch: int) -> Iterator[tuple[Ints, Ints]]:
    """Each hash of one key with each of another, for pairs of keys."""
    begin, count = rows.buckets(np.concatenate([keys for keys, _ in pairs]))
    other_begin, other_count = columns.buckets(np.concatenate([keys for _, keys in pairs]))
    for which, row in _products(np.arange(len(begin)), begin, count, batch):
        yield from _products(row, other_begin.take(which), other_count.take(which), batch)


def _products(rows: Ints, begin: Ints, count: Ints, batch: int) -> Iterator[tuple[Ints, Ints]]:
    """Each row with its ``count`` columns from ``begin`` on, ``batch`` pairs at once, even within a row."""
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    for low in range(0, total, batch):
        high = min(low + batch, total)
        part = slice(int(np.searchsorted(ends, low, "right")), int(np.searchsorted(ends, high, "left")) + 1)
        first = np.maximum(low - ends[part] + count[part], 0)  # of each row's pairs
        counts = np.minimum(high - ends[part], 0) + count[part] - first
        yield np.repeat(rows[part], counts), _ramps(begin[part] + first, counts)


def _ramps(begin: Ints, count: Ints) -> Ints:
    """``begin``, ``begin`` + 1 and so on, ``count`` numbers, for each of several; none if ``count`` is 0."""
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    steps: Ints = np.arange(total) + np.repeat(begin - (ends - count), count)
    return steps


def _key_pairs(rows: Side, columns: Side, chunk: Chunk) -> Iterator[tuple[Ints, int]]:
    """Keys of ``rows`` for which ``columns`` has the key with the bits of a mask flipped, and the mask.

    Of a side with itself each pair of keys comes once, from the one whose highest flipped bit is 0.
    """
    width = len(chunk.bits)
    words = np.arange(len(rows.bitmap))
    halves = [words[words >> bit & 1 == 0] for bit in range(max(width - _LOW_BITS, 0))]
    for low in _flips(min(width, _LOW_BITS), chunk.threshold):
        moved = _flip_low(columns.bitmap, low)
        for high in _flips(max(width - _LOW_BITS, 0), chunk.threshold - low.bit_count()):
            mask = high << _LOW_BITS | low
            places = words
            if high and rows is columns:
                places = halves[high.bit_length() - 1]
            both = rows.bitmap.take(places) & moved.take(places ^ high)
            if not high and low and rows is columns:
                both &= _LOW_HALVES[low.bit_length() - 1]
            found = np.flatnonzero(both != 0)
            bits = _set_bits(both.take(found))
            yield places.take(found.take(bits >> _LOW_BITS)) << _LOW_BITS | bits & WORD_BITS - 1, mask


def _flips(width: int, threshold: int) -> list[int]:
    """All numbers of ``width`` bits of which no more than ``threshold`` are set."""
    return [sum(1 << bit for bit in bits) for size in range(threshold + 1) for bits in combinations(range(width), size)]


def _flip_low(bitmap: Hashes, low: int) -> Hashes:
    """The bitmap of all keys with some of their low bits flipped."""
    for flip, half in enumerate(_LOW_HALVES):
        if low >> flip & 1:
            step = np.uint64(1 << flip)
            bitmap = (bitmap & half) << step | bitmap >> step & half
    return bitmap


def _set_bits(words: Hashes) -> Ints:
    """Which bits are set, numbered from the lowest of the first word."""
    parts = words.view(np.uint8)
    found = np.flatnonzero(parts != 0)
    bits = np.flatnonzero(np.unpackbits(parts.take(found), bitorder="little").view(bool))
    return found.take(bits >> 3) << 3 | bits & 7
