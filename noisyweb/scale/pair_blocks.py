"""All pairs of hashes within a radius, a pair of blocks at a time: exact, in bounded memory wherever it runs.

Two rows stand in one pair of blocks and no other, so that the pairs of all of them are those of
`noisyweb.hamming.neighbours`, each once. A worker holds two blocks and a few hundred thousand pairs; the others are in
its part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from noisyweb.dedup_groups import Given
from noisyweb.hamming import neighbours
from noisyweb.hamming_chunks import Hashes, Ints, Pairs
from noisyweb.progress import Progress, silent
from noisyweb.remote_path import Place
from noisyweb.scale.blocks import Blocks, PairParts, Sides, gathered, write_blocks
from noisyweb.scale.engine import Engine
from noisyweb.scale.kept_pairs import collapsed, given_of, kept_of, nearest_of
from noisyweb.scale.parts import Work

PAIRS = pa.schema(
    [
        pa.field("i", pa.int64(), nullable=False),  # row of the left side
        pa.field("j", pa.int64(), nullable=False),  # row of the right side, or of the left one, and then above i
        pa.field("distance", pa.int16(), nullable=False),  # bits
    ]
)


def near_pairs(items: Sequence[tuple[int, int]], sides: Sides) -> Iterator[pa.RecordBatch]:
    """The pairs of some pairs of blocks; a shard's function."""

    def found(i: int, j: int) -> Iterator[Pairs]:
        left, right = sides.read(i, j)
        first, second = sides.starts(i, j)
        for rows, columns, distances in neighbours(
            left["hashes"], None if right is None else right["hashes"], sides.radius, threads=1
        ):
            yield rows + first, columns + second, distances

    for i, j in items:
        yield from gathered(found(i, j), PAIRS)


class NearPairs:
    """All near pairs, found once and read as often as one likes.

    Args:
        engine: where they are looked for.
        folder: for blocks and parts.
        left, right: as in `noisyweb.hamming.neighbours`.
        left_rows, right_rows: which of them are meant, in which order; None: all. Pairs are places in these.
        radius: in bits.
        size: rows of a block.
        progress: told of ``what``, the pairs of blocks done, and all of them.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Place,
        left: Hashes,
        right: Hashes | None,
        radius: int,
        size: int,
        progress: Progress = silent,
        what: str = "compare",
        *,
        left_rows: Ints | None = None,
        right_rows: Ints | None = None,
    ) -> None:
        ours = _written(folder, left, left_rows, size)
        self.sides = Sides(ours, None if right is None else _written(folder, right, right_rows, size), radius)
        work = Work(f"pairs-{self.sides.mark()}", near_pairs, PAIRS, self.sides)
        self._parts = PairParts(engine, work, folder, progress, what)

    def read(self, i: int, j: int) -> Iterator[Pairs]:
        """The pairs of block i of the left side with block j of the other."""
        return map(_pairs, self._parts.batches(i, j))

    def all(self) -> Iterator[Pairs]:
        """All pairs."""
        return map(_pairs, self._parts.all())


def _written(folder: Place, hashes: Hashes, rows: Ints | None, size: int) -> Blocks:
    cuts = [slice(start, start + size) for start in range(0, len(hashes if rows is None else rows), size)]
    blocks = ({"hashes": hashes[cut] if rows is None else hashes[rows[cut]]} for cut in cuts)
    return write_blocks(folder / "hashes", blocks, size)


def _pairs(batch: pa.RecordBatch) -> Pairs:
    i, j, distance = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
    return i, j, distance.astype(np.int32)


def nearest_kept_in_blocks(
    engine: Engine,
    folder: Place,
    hashes: Hashes,
    radius: int,
    size: int,
    progress: Progress = silent,
    rows: Ints | None = None,
) -> Given:
    """The same as `noisyweb.dedup_groups.nearest_kept` of some rows of the hashes; None: of all.

    The driver holds some 50 bytes of each row besides its hash; of each pair nothing for longer than a batch, but for
    the undecided ones of a block, 20 million at the most.
    """
    firsts, owners = collapsed(hashes, rows)
    different = firsts if rows is None else rows[firsts]
    pairs = NearPairs(engine, folder, hashes, None, radius, size, progress, "group", left_rows=different)
    del different
    starts = [pairs.sides.left.start(number) for number in range(len(pairs.sides.left) + 1)]
    is_kept = kept_of(starts, pairs.read)
    return given_of(firsts, owners, is_kept, pairs.all)


def nearest_in_blocks(
    engine: Engine,
    folder: Place,
    left: Hashes,
    right: Hashes,
    radius: int,
    size: int,
    progress: Progress = silent,
    *,
    left_rows: Ints | None = None,
) -> tuple[Ints, Ints, npt.NDArray[np.int32]]:
    """The same as `noisyweb.leaks.nearest`, of some left rows or of all: equal hashes are compared once."""
    firsts, owners = collapsed(left, left_rows)
    others, _ = collapsed(right)  # of equal ones the first is the nearest
    ours = firsts if left_rows is None else left_rows[firsts]
    pairs = NearPairs(engine, folder, left, right, radius, size, progress, left_rows=ours, right_rows=others)
    rows, columns, distances = nearest_of(len(firsts), pairs.all())
    place = np.full(len(firsts), -1, np.int64)
    place[rows] = np.arange(len(rows))
    found = np.flatnonzero(place[owners] >= 0)
    at = place[owners[found]]
    return found, others[columns[at]], distances[at]
