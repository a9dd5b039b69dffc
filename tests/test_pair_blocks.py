"""All pairs in blocks: exactly those of one go, and the same images kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from noisyweb.copies import Candidates, Guess, Index, candidates
from noisyweb.dedup_groups import nearest_kept
from noisyweb.described import Described, Looks
from noisyweb.faces import faces
from noisyweb.hamming_chunks import Hashes, Pairs
from noisyweb.image_ids import Ints
from noisyweb.leaks import nearest
from noisyweb.packed_views import HeldViews, PackedViews
from noisyweb.scale.blocks import Sides, write_blocks
from noisyweb.scale.kept_pairs import collapsed, given_of, kept_of
from noisyweb.scale.pair_blocks import NearPairs, nearest_in_blocks, nearest_kept_in_blocks
from noisyweb.scale.view_blocks import guesses_of, view_candidates, view_pairs
from noisyweb.views import Views, views
from tests.inline_engine import InProcess
from tests.test_dedup import jpeg, large, listed, part
from tests.test_hamming import clustered
from tests.test_hamming import listed as listed_pairs
from tests.test_hamming import plain as plain_pairs


@st.composite
def problems(draw: st.DrawFn) -> tuple[Hashes, int, int]:
    """Hashes about a few centres, many of them equal; a radius; rows of a block."""
    seed, count = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 80))
    radius = draw(st.sampled_from([0, 3, 16, 32, 80, 256]))
    size = draw(st.integers(1 + count // 6, 60))
    return clustered(seed, count, 4, min(radius + 3, 256), 0.3), radius, size


@settings(deadline=None, max_examples=40)
@given(problems(), st.integers(0, 60))
def test_blocks_give_the_pairs_of_all_rows(
    tmp_path_factory: pytest.TempPathFactory, problem: tuple[Hashes, int, int], cut: int
) -> None:
    hashes, radius, size = problem
    folder = tmp_path_factory.mktemp("p")
    of_itself = NearPairs(InProcess(), folder, hashes, None, radius, size)
    assert listed_pairs(_typed(of_itself.all())) == plain_pairs(hashes, None, radius)
    left, right = hashes[:cut], hashes[cut:]
    both = NearPairs(InProcess(), folder, left, right, radius, size)
    assert listed_pairs(_typed(both.all())) == plain_pairs(left, right, radius)
    found = nearest_in_blocks(InProcess(), folder, left, right, radius, size)
    assert [column.tolist() for column in found] == [column.tolist() for column in nearest(left, right, radius)]


def _typed(pairs: Iterator[Pairs]) -> Iterator[Pairs]:
    return (pair for pair in pairs if len(pair[0]))


@settings(deadline=None, max_examples=60)
@given(problems())
def test_what_is_kept_is_the_same(tmp_path_factory: pytest.TempPathFactory, problem: tuple[Hashes, int, int]) -> None:
    hashes, radius, size = problem
    found = nearest_kept_in_blocks(InProcess(), tmp_path_factory.mktemp("p"), hashes, radius, size)
    assert listed(found) == listed(nearest_kept(hashes, radius))
    assert found[0].tolist() == sorted(found[0].tolist())


@settings(deadline=None, max_examples=40)
@given(problems(), st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_rows_of_hashes_are_as_good_as_hashes(
    tmp_path_factory: pytest.TempPathFactory, problem: tuple[Hashes, int, int], seed: int, cut: int
) -> None:
    hashes, radius, size = problem
    rows = np.random.default_rng(seed).permutation(len(hashes))[: len(hashes) * 3 // 4 + 1]
    folder = tmp_path_factory.mktemp("p")
    found = nearest_kept_in_blocks(InProcess(), folder, hashes, radius, size, rows=rows)
    assert listed(found) == listed(nearest_kept(hashes[rows], radius))
    left, right = rows[cut:], hashes[rows[:cut]]
    near = nearest_in_blocks(InProcess(), folder, hashes, right, radius, size, left_rows=left)
    assert [column.tolist() for column in near] == [c.tolist() for c in nearest(hashes[left], right, radius)]


@settings(deadline=None, max_examples=60)
@given(problems(), st.integers(0, 40))
def test_more_pairs_than_are_held_are_read_again(problem: tuple[Hashes, int, int], most: int) -> None:
    hashes, radius, size = problem
    firsts, owners = collapsed(hashes)
    pairs = np.array(plain_pairs(hashes[firsts], None, radius), np.int64).reshape(-1, 3)
    block = pairs[:, :2] // size
    starts = [min(start, len(firsts)) for start in range(0, len(firsts) + size, size)]

    def read(i: int, j: int) -> Iterator[Pairs]:
        for row in pairs[(block == (i, j)).all(axis=1)][::-1]:  # in another order, one at a time
            yield row[:1], row[1:2], row[2:].astype(np.int32)

    is_kept = kept_of(starts, read, most)
    everything: Pairs = (pairs[:, 0], pairs[:, 1], pairs[:, 2].astype(np.int32))
    assert listed(given_of(firsts, owners, is_kept, lambda: iter([everything]))) == listed(nearest_kept(hashes, radius))


def test_an_image_that_is_there_often_gives_no_pairs(tmp_path: Path) -> None:
    hashes = np.repeat(np.random.default_rng(0).integers(0, 2**63, (3, 4), dtype=np.uint64), 40_000, axis=0)
    found = listed(nearest_kept_in_blocks(InProcess(), tmp_path, hashes, 32, 1000))
    assert len(found) == 3 * 39_999
    assert set(found.values()) == {(0, 0), (0, 40_000), (0, 80_000)}


SCENES = [large(n) for n in range(3)]
CHANGES: list[Callable[[Image.Image], Image.Image]] = [
    lambda image: image,
    part,
    ImageOps.mirror,
    lambda image: part(part(image)),
    lambda image: ImageOps.expand(part(image), 15, "black"),
    lambda image: image.rotate(2, Image.Resampling.BICUBIC),
]
COPIES = [jpeg(change(image)) for image in SCENES for change in CHANGES]
ALL_VIEWS: list[Views | None] = [None, *(views(faces(data) or []) for data in COPIES), None]


def of_parts(
    batches: Iterator[pa.RecordBatch], left: Sequence[int] = range(99), right: Sequence[int] = range(99)
) -> Candidates:
    """Candidates of some batches, by the places of the rows; of one set the lower first."""
    found: Candidates = {}
    for row in (row for batch in batches for row in batch.to_pylist()):
        i, j, guesses = left[row["i"]], right[row["j"]], guesses_of(row["guesses"])
        if left is right and i > j:
            i, j = j, i
            guesses = sorted((replace(one, is_forward=not one.is_forward) for one in guesses), key=_nearest_first)
        assert (i, j) not in found
        found[i, j] = guesses
    return found


def _nearest_first(guess: Guess) -> tuple[int, bool]:
    return guess.distance, not guess.is_forward


def in_blocks(folder: Path, left: Described, right: Described | None, size: int) -> Candidates:
    found = view_candidates(InProcess(), folder, left, right, size)
    places = found.left.tolist()
    return of_parts(found.parts.all(), places, places if right is None else found.right.tolist())


class Backwards(HeldViews):
    """Gives views in an order of its own, as a table may."""

    def blocks(self, rows: Ints, size: int) -> Iterator[tuple[Ints, PackedViews]]:
        for places, packed in super().blocks(rows[::-1], size):
            yield len(rows) - 1 - places, packed


def images_of(all_views: Sequence[Views | None], source: type[HeldViews] = Backwards) -> Described:
    """Images of which only the views matter."""
    count = len(all_views)
    packed = source(PackedViews.of(all_views))
    ids = np.zeros((count, 32), np.uint8)
    ids[:, -1] = np.arange(count)
    looks = Looks(
        ids.view("S32").reshape(-1), np.zeros((count, 4), np.uint64), np.ones(count, bool), packed, lambda ids: iter(())
    )
    return looks.all()


@settings(deadline=None, max_examples=12)
@given(st.lists(st.sampled_from(range(len(ALL_VIEWS))), max_size=14), st.integers(1, 8), st.integers(0, 8))
def test_blocks_give_the_same_candidates(
    tmp_path_factory: pytest.TempPathFactory, chosen: Sequence[int], size: int, cut: int
) -> None:
    these = [ALL_VIEWS[n] for n in chosen]
    folder = tmp_path_factory.mktemp("v")
    assert in_blocks(folder, images_of(these), None, size) == candidates(Index.of(these), None)
    left, right = these[:cut], these[cut:]
    assert in_blocks(folder, images_of(left), images_of(right), size) == candidates(Index.of(left), Index.of(right))


def test_more_candidates_than_a_worker_holds_are_looked_for_in_halves(tmp_path: Path) -> None:
    there = [one for one in ALL_VIEWS if one is not None]
    arrays = {
        "faces": np.array([len(one.probes) // 8 for one in there], np.int16),
        "probes": np.concatenate([one.probes for one in there]),
        "targets": np.concatenate([one.targets for one in there]),
    }
    blocks = write_blocks(tmp_path, [arrays], len(there))
    expected = candidates(Index.of(there), None, 12)
    assert len(expected) > 20
    assert of_parts(view_pairs([(0, 0)], Sides(blocks, None, 12, most=3))) == expected
    both = of_parts(view_pairs([(0, 0)], Sides(blocks, blocks, 12, most=3)))
    assert both == candidates(Index.of(there), Index.of(there), 12)
