"""All pairs of hashes within a Hamming radius, exactly: by chunks of their bits, or each with each if that is faster.

The chunks are multi-index hashing's (Norouzi, Punjani and Fleet, CVPR 2012; see `noisyweb.hamming_chunks`): a pair
within 32 of 256 bits differs by no more than 2 of 23 bits in one of 11 chunks. Of random pairs one in 2,750 does, of
image hashes one in 1,500, and only these are compared. It is numpy alone, in a few threads; memory depends on the
number of hashes, never on that of pairs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import comb, exp, isqrt
from queue import Full, Queue
from threading import Event

import numpy as np

from noisyweb.hamming_chunks import WORD_BITS, Chunk, Hashes, Pairs, chunk_pairs, split

MAX_THRESHOLD = 4
MAX_THREADS = 4
"""Each has a chunk's tables of its own: about 0.1 GB, and as much again for a million hashes."""

# Seconds that parts take, measured on an AMD EPYC; for the choice of a method only their proportions matter.
_COMPARED_S = 4e-9  # a pair of the blocks that compare each with each
_CANDIDATE_S = 10e-9
_SURVIVOR_S = 60e-9  # a candidate that its first two words do not rule out
_KEY_PAIR_S = 80e-9
_MASK_S, _MASK_WORD_S = 60e-6, 4e-9
_CHUNK_S, _CHUNK_ROW_S, _CHUNK_KEY_S = 500e-6, 200e-9, 2e-9

_FEW_PAIRS = 1 << 20
_SAMPLE = 1 << 14
_WAITING = 8  # batches of pairs that a thread may be ahead


def neighbours(
    left: Hashes, right: Hashes | None, radius: int, *, batch: int = 1 << 16, threads: int | None = None
) -> Iterator[Pairs]:
    """All pairs within a Hamming radius, each once, in an order that depends on the arguments alone.

    Args:
        left: shape (N, W), W words of 64 bits.
        right: shape (M, W); None for the pairs i < j of ``left`` with itself.
        radius: in bits, inclusive.
        batch: pairs compared at once by each thread, and the most in one result.
        threads: None for one a processor, four at most. The result does not depend on it.

    Yields:
        Indices into ``left``, indices into ``right``, and distances in bits, each of shape (P,).
    """
    if radius < 0 or not len(left) or (right is not None and not len(right)):
        return
    chunks = choose(left, right, radius)
    if not chunks:
        yield from by_blocks(left, right, radius, batch)
    else:
        yield from by_chunks(left, right, radius, chunks, batch, threads or min(os.cpu_count() or 1, MAX_THREADS))


def choose(left: Hashes, right: Hashes | None, radius: int) -> list[Chunk]:
    """The chunks that promise the least time; none if comparing each with each does.

    How many candidates chunks have is taken from a sample of pairs: the bits of real hashes are neither even nor
    independent.
    """
    num_bits = left.shape[1] * WORD_BITS
    pairs = len(left) * (len(left) - 1) / 2 if right is None else float(len(left) * len(right))
    if pairs < _FEW_PAIRS:
        return []
    different = _sample(left, right)
    surviving_s = float(np.mean(different[:, : 2 * WORD_BITS].sum(axis=1) <= radius)) * _SURVIVOR_S
    best, best_s = list[Chunk](), pairs * (_COMPARED_S + min(surviving_s, _COMPARED_S))
    for threshold in range(MAX_THRESHOLD + 1):
        num_chunks = -(-(radius + 1) // (threshold + 1))
        if num_bits // num_chunks <= threshold:
            continue
        seconds = 0.0
        chunks = split(num_bits, radius, num_chunks)
        for chunk in chunks:
            width = len(chunk.bits)
            masks = sum(comb(width, size) for size in range(chunk.threshold + 1))
            near = different[:, list(chunk.bits)].sum(axis=1) <= chunk.threshold
            candidates = pairs * max(float(np.mean(near)), masks / 2**width)
            used = [1 - exp(-len(side) / 2**width) for side in (left, left if right is None else right)]
            halved = 0.5 if right is None else 1.0
            seconds += (
                _CHUNK_S
                + (len(left) + (0 if right is None else len(right))) * _CHUNK_ROW_S
                + 2**width * _CHUNK_KEY_S
                + masks * (_MASK_S + halved * 2**width / WORD_BITS * _MASK_WORD_S)
                + halved * masks * 2**width * used[0] * used[1] * _KEY_PAIR_S
                + candidates * (_CANDIDATE_S + surviving_s)
            )
            if seconds >= best_s:
                break
        else:
            best, best_s = chunks, seconds
    return best


def _sample(left: Hashes, right: Hashes | None) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """The bits in which some random pairs differ, shape (P, 64 W)."""
    draws = np.random.default_rng(0)
    rows = draws.integers(0, len(left), _SAMPLE)
    if right is None:
        columns = (rows + draws.integers(1, max(len(left), 2), _SAMPLE)) % len(left)  # never a row with itself
        other = left.take(columns, axis=0)
    else:
        other = right.take(draws.integers(0, len(right), _SAMPLE), axis=0)
    return np.unpackbits((left.take(rows, axis=0) ^ other).astype("<u8").view(np.uint8), axis=1, bitorder="little")


def by_blocks(left: Hashes, right: Hashes | None, radius: int, batch: int) -> Iterator[Pairs]:
    """As `neighbours`, by comparing each with each, some ``batch`` pairs at once."""
    other = left if right is None else right
    block = isqrt(batch)
    head = min(left.shape[1], 2)
    for begin in range(0, len(left), block):
        for other_begin in range(begin if right is None else 0, len(other), block):
            rows, columns = left[begin : begin + block], other[other_begin : other_begin + block]
            distance = _distances(rows[:, :head], columns[:, :head])
            near = np.flatnonzero(distance <= radius)
            is_few = len(near) < distance.size // 8  # mostly two words rule all out, or nearly all
            if not is_few:
                distance += _distances(rows[:, head:], columns[:, head:])
                near = np.flatnonzero(distance <= radius)
            i, j = np.divmod(near, len(columns))
            exact = distance.ravel().take(near).astype(np.int32)
            if is_few:
                rest = rows[:, head:].take(i, axis=0) ^ columns[:, head:].take(j, axis=0)
                exact += np.bitwise_count(rest).sum(axis=1, dtype=np.int32)
            kept = exact <= radius
            if right is None:
                kept &= i + begin < j + other_begin
            if kept.any():
                yield i[kept] + begin, j[kept] + other_begin, exact[kept]


def _distances(left: Hashes, right: Hashes) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    """Hamming distances of each with each, shape (N, M)."""
    total = np.zeros((len(left), len(right)), np.uint16)
    for word in range(left.shape[1]):
        total += np.bitwise_count(left[:, word, None] ^ right[None, :, word])
    return total


def by_chunks(
    left: Hashes, right: Hashes | None, radius: int, chunks: list[Chunk], batch: int, threads: int
) -> Iterator[Pairs]:
    """As `neighbours`, by the given chunks."""

    def source(number: int) -> Callable[[], Iterator[Pairs]]:
        return lambda: chunk_pairs(left, right, radius, chunks, number, batch)

    sources = [source(number) for number in range(len(chunks))]
    for i, j, distance in _in_order(sources, threads):
        if len(i):
            yield i, j, distance


def _in_order(sources: Sequence[Callable[[], Iterator[Pairs]]], threads: int) -> Iterator[Pairs]:
    """What all sources yield, one after the other, while the next ones already run in threads."""
    if threads == 1:
        for source in sources:
            yield from source()
        return
    stop = Event()
    queues: list[Queue[Pairs | None]] = [Queue(_WAITING) for _ in sources]

    def run(number: int) -> None:
        try:
            for item in sources[number]():
                if stop.is_set():
                    return
                if len(item[0]):
                    _put(queues[number], item, stop)
        finally:
            _put(queues[number], None, stop)

    with ThreadPoolExecutor(threads, "hamming") as pool:
        try:
            running = [pool.submit(run, number) for number in range(len(sources))]
            for queue, future in zip(queues, running, strict=True):
                while (item := queue.get()) is not None:
                    yield item
                future.result()  # raises what the thread raised
        finally:
            stop.set()
            for future in running:
                future.cancel()


def _put(queue: Queue[Pairs | None], item: Pairs | None, stop: Event) -> None:
    """Wait for a place in the queue, unless nobody takes anything out of it any more."""
    while not stop.is_set():
        try:
            return queue.put(item, timeout=0.1)
        except Full:
            continue
