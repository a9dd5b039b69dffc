"""All pairs within a Hamming radius against comparing each with each, by every method."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.hamming import by_blocks, by_chunks, choose, neighbours
from noisyweb.hamming_chunks import WORD_BITS, Chunk, Hashes, Pairs, split

SMALL_BATCH = 301  # so that buckets, rows and blocks are cut in the middle


def plain(left: Hashes, right: Hashes | None, radius: int) -> list[tuple[int, int, int]]:
    """The same in the plainest way, sorted."""
    other = left if right is None else right
    distance = np.bitwise_count(left[:, None] ^ other[None]).sum(axis=2, dtype=int)
    near = distance <= radius
    if right is None:
        near = np.triu(near, 1)
    return [(int(i), int(j), int(distance[i, j])) for i, j in zip(*np.nonzero(near), strict=True)]


def listed(found: Iterable[Pairs]) -> list[tuple[int, int, int]]:
    """All pairs, sorted: one that comes twice is there twice."""
    pairs: list[tuple[int, int, int]] = []
    for rows, columns, distances in found:
        assert [str(values.dtype) for values in (rows, columns, distances)] == ["int64", "int64", "int32"]
        assert len(rows) == len(columns) == len(distances) > 0
        pairs += zip(rows.tolist(), columns.tolist(), distances.tolist(), strict=True)
    return sorted(pairs)


def random_hashes(draws: np.random.Generator, count: int, num_words: int) -> Hashes:
    return draws.integers(0, 1 << 64, (count, num_words), dtype=np.uint64)


def flipped(draws: np.random.Generator, hashes: Hashes, most: int) -> Hashes:
    """Each hash with 0 to ``most`` bits flipped."""
    num_bits = hashes.shape[1] * WORD_BITS
    bits = np.zeros((len(hashes), num_bits), np.uint8)
    for row in bits:
        row[draws.choice(num_bits, draws.integers(0, most + 1), replace=False)] = 1
    return hashes ^ as_words(bits)


def as_words(bits: npt.NDArray[np.uint8]) -> Hashes:
    words: Hashes = np.packbits(bits, axis=1, bitorder="little").view("<u8")
    return words


def clustered(seed: int, count: int, num_words: int, most: int, constant: float) -> Hashes:
    """Hashes about a few centres, with duplicates, a share of the bits the same in all of them."""
    draws = np.random.default_rng(seed)
    centres = random_hashes(draws, max(count // 8, 1), num_words)
    fixed = as_words((draws.random((1, num_words * WORD_BITS)) < constant).astype(np.uint8))
    hashes = flipped(draws, centres[draws.integers(0, len(centres), count)] & ~fixed, most)
    hashes[draws.integers(0, count, count // 5)] = hashes[draws.integers(0, count, count // 5)]
    return hashes


@st.composite
def problems(draw: st.DrawFn) -> tuple[Hashes, Hashes | None, int]:
    """Two sides, or one, and a radius; distances lie about the radius."""
    num_words = draw(st.sampled_from([1, 2, 4]))
    radius = draw(st.integers(0, num_words * WORD_BITS))
    most = min(radius + 3, num_words * WORD_BITS)
    seed, constant = draw(st.integers(0, 2**32 - 1)), draw(st.sampled_from([0.0, 0.3, 0.95]))
    rows, columns = draw(st.integers(1, 60)), draw(st.integers(0, 60))
    both = clustered(seed, rows + columns, num_words, most, constant)
    return (both[:rows], both[rows:], radius) if columns else (both, None, radius)


@given(problems(), st.data())
@settings(max_examples=60, deadline=None)
def test_every_method_finds_what_comparing_each_with_each_does(
    problem: tuple[Hashes, Hashes | None, int], data: st.DataObject
) -> None:
    left, right, radius = problem
    expected = plain(left, right, radius)
    assert listed(neighbours(left, right, radius)) == expected
    assert listed(by_blocks(left, right, radius, SMALL_BATCH)) == expected
    num_bits = left.shape[1] * WORD_BITS
    num_chunks = data.draw(st.integers(-(-(radius + 1) // 3), min(radius + 1, num_bits)), label="chunks")
    chunks = narrowed(split(num_bits, radius, num_chunks), 7)
    assert listed(by_chunks(left, right, radius, chunks, SMALL_BATCH, 1)) == expected


def narrowed(chunks: list[Chunk], width: int) -> list[Chunk]:
    """Chunks of fewer bits: as right, and with fewer masks and smaller tables, which take time."""
    return [Chunk(chunk.bits[:width], chunk.threshold) for chunk in chunks]


@pytest.mark.parametrize("threshold", [0, 1, 2, 3])
@pytest.mark.parametrize(("num_words", "radius"), [(1, 0), (1, 7), (2, 13), (4, 32), (4, 31)])
@pytest.mark.parametrize("is_self", [True, False])
def test_every_threshold(num_words: int, radius: int, threshold: int, is_self: bool) -> None:
    num_chunks = -(-(radius + 1) // (threshold + 1))
    chunks = split(num_words * WORD_BITS, radius, num_chunks)
    if threshold > 1:
        chunks = narrowed(chunks, 14)
    both = clustered(radius, 400, num_words, radius + 2, 0.5)
    left, right = (both, None) if is_self else (both[:150], both[150:])
    assert listed(by_chunks(left, right, radius, chunks, 1 << 12, 2)) == plain(left, right, radius)


def test_chunks_keep_the_pigeonhole_promise() -> None:
    for num_bits in (64, 128, 256):
        for radius in range(num_bits):
            for num_chunks in {1, 2, -(-(radius + 1) // 3), radius + 1}:
                if num_chunks > radius + 1:
                    continue
                chunks = split(num_bits, radius, num_chunks)
                assert sum(chunk.threshold + 1 for chunk in chunks) == radius + 1
                bits = [bit for chunk in chunks for bit in chunk.bits]
                assert len(set(bits)) == len(bits)
                assert set(bits) <= set(range(num_bits))


def test_far_ends_of_the_radius() -> None:
    hashes = clustered(1, 50, 4, 20, 0.0)
    equal = plain(hashes, None, 0)
    assert equal
    assert listed(neighbours(hashes, None, 0)) == equal
    assert len(listed(neighbours(hashes, None, 256))) == 50 * 49 // 2
    assert len(listed(neighbours(hashes, hashes[:7], 1000))) == 50 * 7
    assert not listed(neighbours(hashes, None, -1))


@pytest.mark.parametrize("num_words", [1, 2, 4])
def test_empty(num_words: int) -> None:
    none = np.zeros((0, num_words), np.uint64)
    some = random_hashes(np.random.default_rng(0), 3, num_words)
    for left, right in ((none, None), (none, some), (some, none), (none, none), (some[:1], None)):
        assert not listed(neighbours(left, right, 8))


@pytest.mark.parametrize("num_chunks", [11, 17])
def test_many_random_hashes_with_planted_neighbours(num_chunks: int) -> None:
    draws = np.random.default_rng(3)
    hashes = random_hashes(draws, 40_000, 4)
    hashes[39_000:] = flipped(draws, hashes[:1_000], 32)
    distance = np.bitwise_count(hashes[:1_000] ^ hashes[39_000:]).sum(axis=1, dtype=int)
    chunks = split(256, 32, num_chunks)
    found = listed(by_chunks(hashes, None, 32, chunks, 1 << 16, 2))
    assert found == [(i, 39_000 + i, int(distance[i])) for i in range(1_000)]  # chance gives none: 12 sigma away
    two_sided = listed(by_chunks(hashes[39_000:], hashes[:39_000], 32, chunks, 1 << 16, 2))
    assert two_sided == [(i, i, int(distance[i])) for i in range(1_000)]


def test_large_inputs_are_compared_by_chunks() -> None:
    hashes = random_hashes(np.random.default_rng(0), 400_000, 4)
    assert choose(hashes[:60_000], None, 32) == split(256, 32, 17)
    assert choose(hashes, None, 32) == split(256, 32, 11)  # fewer candidates for more masks
    assert not listed(neighbours(hashes[:60_000], None, 32))


def test_small_inputs_and_wide_radii_are_compared_each_with_each() -> None:
    hashes = random_hashes(np.random.default_rng(0), 20_000, 4)
    assert not choose(hashes[:500], None, 32)
    assert not choose(hashes, None, 120)
    hashes[:, :] = hashes[0]
    assert not choose(hashes, None, 32)  # chunks would find every pair many times over


def test_memory_of_one_bucket_does_not_depend_on_its_candidates() -> None:
    """20,000 hashes of one key have 2 x 10^8 pairs, 3 GB if their numbers were held at once."""
    chunks = narrowed(split(256, 32, 11), 16)[:1]
    hashes = random_hashes(np.random.default_rng(0), 20_000, 4) & ~chunks[0].selector(4)
    hashes[-1] = hashes[0]
    tracemalloc.start()
    try:
        found = listed(by_chunks(hashes, None, 32, chunks, 1 << 16, 1))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [(0, 19_999, 0)]
    assert peak < 20e6


def test_memory_of_few_large_buckets_does_not_depend_on_their_candidates() -> None:
    """64 keys of 160 hashes each, each key with 41 others: 215,000 rows, if these were there at once."""
    chunks = [Chunk(tuple(range(6)), 3)]
    hashes = random_hashes(np.random.default_rng(0), 10_240, 2)
    hashes[:, 0] &= ~np.uint64(63)
    hashes[:, 0] |= np.repeat(np.arange(64, dtype=np.uint64), 160)
    tracemalloc.start()
    try:
        assert not listed(by_chunks(hashes, None, 3, chunks, 1 << 12, 1))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.5e6


def test_pairs_of_one_bucket_come_in_batches() -> None:
    hashes = np.full((3_000, 4), 7, np.uint64)
    pairs = 0
    for rows, columns, distances in by_chunks(hashes, None, 2, narrowed(split(256, 2, 3), 16), 1 << 14, 1):
        assert len(rows) <= 1 << 14
        assert not distances.any()
        assert (rows < columns).all()
        pairs += len(rows)
    assert pairs == 3_000 * 2_999 // 2


def test_a_bucket_of_another_key_is_cut_too() -> None:
    """Rows of one key against columns of another, more of these than a batch holds."""
    left, right = np.zeros((3, 1), np.uint64), np.full((1_000, 1), 1 << 5, np.uint64)
    chunks = split(64, 3, 4)
    results = list(by_chunks(left, right, 3, chunks, 300, 1))
    assert max(len(rows) for rows, _, _ in results) == 300
    assert listed(results) == [(i, j, 1) for i in range(3) for j in range(1_000)]


def test_the_order_depends_on_neither_threads_nor_the_run() -> None:
    hashes = clustered(5, 3_000, 4, 20, 0.2)
    chunks = split(256, 32, 17)
    runs = [list(by_chunks(hashes, None, 32, chunks, 1 << 10, threads)) for threads in (1, 2, 2, 4)]
    assert len(runs[0]) > 20
    for run in runs[1:]:
        assert len(run) == len(runs[0])
        for result, first in zip(run, runs[0], strict=True):
            for values, expected in zip(result, first, strict=True):
                np.testing.assert_array_equal(values, expected)


def test_threads_end_with_the_iterator() -> None:
    hashes = np.zeros((5_000, 4), np.uint64)
    found = by_chunks(hashes, None, 32, split(256, 32, 17), 1 << 10, 2)
    next(found)
    assert any(thread.name.startswith("hamming") for thread in threading.enumerate())
    del found
    gc.collect()
    assert not any(thread.name.startswith("hamming") for thread in threading.enumerate())
