"""Candidates for cropped, mirrored and rotated copies, a pair of blocks at a time; see `noisyweb.copies`.

What speaks for a pair of images stands in the one pair of blocks that they are in, so that the best guesses of a pair
of blocks are the best of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from noisyweb.copies import VIEW_RADIUS, Guess, Index, Rows, candidate_rows
from noisyweb.described import Described
from noisyweb.image_ids import Ints
from noisyweb.packed_views import PackedViews
from noisyweb.progress import Progress, silent
from noisyweb.remote_path import Place
from noisyweb.scale.blocks import Arrays, Blocks, PairParts, Sides, write_blocks
from noisyweb.scale.engine import Engine
from noisyweb.scale.parts import Work

CANDIDATES = pa.schema(
    [
        pa.field("i", pa.int64(), nullable=False),  # row of the left side
        pa.field("j", pa.int64(), nullable=False),  # row of the right side, or of the left one, and then above i
        pa.field("guesses", pa.list_(pa.int32()), nullable=False),  # four numbers each, the nearest first
    ]
)


def view_pairs(items: Sequence[tuple[int, int]], sides: Sides) -> Iterator[pa.RecordBatch]:
    """The candidates of some pairs of blocks; a shard's function."""
    for i, j in items:
        left, right = sides.read(i, j)
        first, second = sides.starts(i, j)
        for rows in _rows(
            _index(left), None if right is None else _index(right), sides, is_by_right=sides.right is not None
        ):
            yield _batch(rows, first, second)


def _rows(left: Index, right: Index | None, sides: Sides, *, is_by_right: bool) -> Iterator[Rows]:
    """`candidate_rows`, of halves where there are too many to be held."""
    ends = [_ends(one) for one in (left, right or left)]
    halves = [(low + high) // 2 for low, high in ends]
    can_be_cut = any(high - low > 1 for low, high in ends)
    found = candidate_rows(left, right, sides.radius, limit=sides.most if can_be_cut else None, threads=1)
    if found is not None:
        if is_by_right:  # a clean image's pairs side by side
            found = found[np.lexsort(found.T[[2, 0, 1]])]
        yield found
    elif right is None:
        parts = [left.part(ends[0][0], halves[0]), left.part(halves[0], ends[0][1])]
        for one, two in ((parts[0], None), (parts[0], parts[1]), (parts[1], None)):
            yield from _rows(one, two, sides, is_by_right=is_by_right)
    else:
        for upper in (right.part(ends[1][0], halves[1]), right.part(halves[1], ends[1][1])):
            for lower in (left.part(ends[0][0], halves[0]), left.part(halves[0], ends[0][1])):
                yield from _rows(lower, upper, sides, is_by_right=is_by_right)


def _ends(index: Index) -> tuple[int, int]:
    """The first row that has views, and the one after the last."""
    return (int(index.probe_rows[0]), int(index.probe_rows[-1]) + 1) if len(index.probe_rows) else (0, 0)


def _batch(rows: Rows, first: int, second: int) -> pa.RecordBatch:
    is_new = np.ones(len(rows), bool)
    is_new[1:] = (rows[1:, :2] != rows[:-1, :2]).any(axis=1)
    starts = np.flatnonzero(is_new)
    guesses = np.stack([rows[:, 3] == 0, rows[:, 4], rows[:, 5], rows[:, 2]], axis=1).astype(np.int32)
    lists = pa.ListArray.from_arrays(
        pa.array(np.append(starts, len(rows)) * 4, pa.int32()), pa.array(guesses.ravel(), pa.int32())
    )
    return pa.record_batch(
        [pa.array(rows[starts, 0] + first), pa.array(rows[starts, 1] + second), lists], schema=CANDIDATES
    )


def guesses_of(numbers: Sequence[int]) -> list[Guess]:
    """What speaks for a pair, from a row of `CANDIDATES`."""
    return [
        Guess(bool(forward), probe, target, distance)
        for forward, probe, target, distance in zip(*(numbers[place::4] for place in range(4)), strict=True)
    ]


@dataclass(frozen=True, eq=False)
class ViewCandidates:
    """Candidates, by rows of their blocks.

    Attributes:
        parts: with rows of `CANDIDATES`.
        left, right: the place of each row among the images of its side, shape (M,); of one side twice the same.
        mark: a digest of all that the candidates depend on.
    """

    parts: PairParts
    left: Ints
    right: Ints
    mark: str


def view_candidates(
    engine: Engine,
    folder: Place,
    left: Described,
    right: Described | None,
    size: int,
    radius: int = VIEW_RADIUS,
    progress: Progress = silent,
) -> ViewCandidates:
    """The candidates of `noisyweb.copies.candidates`.

    The blocks stand in whatever order the views come in, so that they are written from a stream. Candidates between two
    sets come by their right rows, those of one by their left ones (unless a worker had to halve its blocks), so that
    pairs that share an image are near each other.
    """
    sides = [_written(folder, images, size) for images in (left, right) if images is not None]
    setting = Sides(sides[0][0], None if right is None else sides[1][0], radius)
    work = Work(f"candidates-{setting.mark()}", view_pairs, CANDIDATES, setting)
    parts = PairParts(engine, work, folder, progress, "compare views")
    return ViewCandidates(parts, sides[0][1], sides[-1][1], setting.mark())


def _written(folder: Place, images: Described, size: int) -> tuple[Blocks, Ints]:
    """Blocks of views, and the place of each row among the images."""
    places = [np.empty(0, np.int64)]

    def blocks() -> Iterator[Arrays]:
        assert images.looks.views is not None
        for there, views in images.looks.views.blocks(images.rows, size):
            places.append(there)
            yield {"faces": views.faces, "probes": views.probes, "targets": views.targets}

    written = write_blocks(folder / "views", blocks(), size)
    return written, np.concatenate(places)


def _index(block: Arrays) -> Index:
    return Index.of_packed(PackedViews(block["faces"], block["probes"], block["targets"]))
