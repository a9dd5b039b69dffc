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

from noisyweb.hamming import neighbours
from noisyweb.hamming_chunks import Hashes, Pairs
from noisyweb.progress import Progress, silent
from noisyweb.remote_path import Place
from noisyweb.scale.blocks import Blocks, PairParts, Sides, digest, gathered, write_blocks
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
    ) -> None:
        mark = digest(left, right, radius, size)
        sides = [
            None if side is None else _written(folder / f"hashes-{mark}-{name}", side, size)
            for name, side in (("left", left), ("right", right))
        ]
        assert sides[0] is not None
        self.sides = Sides(sides[0], sides[1], radius)
        work = Work(f"pairs-{mark}", near_pairs, PAIRS, self.sides)
        self._parts = PairParts(engine, work, folder, progress, what)

    def read(self, i: int, j: int) -> Iterator[Pairs]:
        """The pairs of block i of the left side with block j of the other."""
        return map(_pairs, self._parts.batches(i, j))

    def all(self) -> Iterator[Pairs]:
        """All pairs."""
        return map(_pairs, self._parts.all())


def _written(folder: Place, hashes: Hashes, size: int) -> Blocks:
    blocks = ({"hashes": hashes[start : start + size]} for start in range(0, len(hashes), size))
    return write_blocks(folder, blocks, size, len(hashes))


def _pairs(batch: pa.RecordBatch) -> Pairs:
    i, j, distance = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
    return i, j, distance.astype(np.int32)


def nearest_kept_in_blocks(
    engine: Engine, folder: Place, hashes: Hashes, radius: int, size: int, progress: Progress = silent
) -> dict[int, tuple[int, int]]:
    """The same as `noisyweb.dedup_groups.nearest_kept`.

    The driver holds of each row its hash (twice while equal ones are looked for), and some 40 bytes besides; of each
    pair nothing for longer than a batch, but for the undecided ones of a block, 20 million at the most.
    """
    firsts, owners = collapsed(hashes)
    unique = hashes[firsts]
    pairs = NearPairs(engine, folder, unique, None, radius, size, progress, "group")
    starts = [pairs.sides.left.start(number) for number in range(len(pairs.sides.left) + 1)]
    is_kept = kept_of(starts, pairs.read)
    return given_of(firsts, owners, is_kept, pairs.all)


def nearest_in_blocks(
    engine: Engine, folder: Place, left: Hashes, right: Hashes, radius: int, size: int, progress: Progress = silent
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The same as `noisyweb.leaks.nearest`: equal hashes are compared once."""
    firsts, owners = collapsed(left)
    others, _ = collapsed(right)  # of equal ones the first is the nearest
    pairs = NearPairs(engine, folder, left[firsts], right[others], radius, size, progress, "compare")
    rows, columns, distances = nearest_of(len(firsts), pairs.all())
    place = np.full(len(firsts), -1, np.int64)
    place[rows] = np.arange(len(rows))
    found = np.flatnonzero(place[owners] >= 0)
    at = place[owners[found]]
    return found, others[columns[at]], distances[at]
