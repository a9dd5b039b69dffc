"""Arrays cut into blocks, as files that any worker reads, and pairs of blocks as shards."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from noisyweb.errors import NoisywebError
from noisyweb.places import names_in, read_bytes, write_file
from noisyweb.progress import Progress
from noisyweb.remote_path import Place, open_parquet
from noisyweb.scale.engine import Engine
from noisyweb.scale.parts import ASIDE, Shard, Work, run_shards

Arrays = Mapping[str, npt.NDArray[Any]]
"""What one block holds, by name."""


@dataclass(frozen=True)
class Blocks:
    """N rows in blocks.

    Attributes:
        folder: where the files are.
        size: rows of a block; the last may have fewer.
        num_rows: N.
        digests: of each block; its file is ``<digest>.npz``, so that what is there already is known by its name.
    """

    folder: Place
    size: int
    num_rows: int
    digests: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.digests)

    def start(self, number: int) -> int:
        """The first row of a block; N for the one after the last."""
        return min(number * self.size, self.num_rows)

    def read(self, number: int) -> Arrays:
        """One block."""
        name = f"{self.digests[number]}.npz"
        with np.load(io.BytesIO(read_bytes(self.folder / name)), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}


@dataclass(frozen=True)
class Sides:
    """What is compared: all rows of one side with all of another, or the pairs i < j of one.

    Attributes:
        right: None: the pairs of ``left``.
        radius: in bits.
        most: pairs that a worker holds.
    """

    left: Blocks
    right: Blocks | None
    radius: int
    most: int = 4_000_000

    def mark(self) -> str:
        """A digest of what is compared."""
        return digest(self.left.digests, self.right and self.right.digests, self.radius, self.left.size)

    def shards(self) -> list[Shard]:
        """A shard for each pair of blocks; their keys are in the order of right blocks, then of left ones."""
        columns = range(len(self.left if self.right is None else self.right))
        return [
            Shard(f"{j:06d}-{i:06d}", [(i, j)])
            for j in columns
            for i in (range(j + 1) if self.right is None else range(len(self.left)))
        ]

    def read(self, i: int, j: int) -> tuple[Arrays, Arrays | None]:
        """Two blocks; None for the second if it is the first."""
        if self.right is not None:
            return self.left.read(i), self.right.read(j)
        return self.left.read(i), None if i == j else self.left.read(j)

    def starts(self, i: int, j: int) -> tuple[int, int]:
        """The first rows of two blocks."""
        return self.left.start(i), (self.right or self.left).start(j)


def write_blocks(folder: Place, arrays: Iterable[Arrays], size: int) -> Blocks:
    """Write blocks that are not there yet.

    Args:
        folder: of the files.
        arrays: a block each, of ``size`` rows but for the last; consumed one at a time. The first array of a block has
            a row for each of its rows.
        size: see `Blocks`.
    """
    there = set(names_in(folder))
    digests, num_rows = [], 0
    for block in arrays:
        num_rows += len(next(iter(block.values())))
        digests.append(digest(*(part for item in block.items() for part in item)))
        if (name := f"{digests[-1]}.npz") not in there:
            with write_file(folder / name) as temporary, temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **block)
            there.add(name)
    return Blocks(folder, size, num_rows, tuple(digests))


def digest(*parts: object) -> str:
    """24 hexadecimal digits that stand for some arrays, texts and numbers, in their order."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            one = hashlib.sha256(repr((part.dtype.str, part.shape)).encode())
            one.update(np.ascontiguousarray(part).data)
        elif isinstance(part, list):
            one = hashlib.sha256()
            for value in part:
                one.update(f"{value}\n".encode())
        else:
            one = hashlib.sha256(repr(part).encode())
        total.update(one.digest())
    return total.hexdigest()[:24]


class PairParts:
    """The parts of a work whose shards are pairs of blocks: all of them must be there.

    Raises:
        NoisywebError: a pair of blocks was given up; without it nobody can say which images are copies.
    """

    def __init__(self, engine: Engine, work: Work, folder: Place, progress: Progress, what: str) -> None:
        sides: Sides = work.common
        shards = sides.shards()
        done = run_shards(engine, work, shards, folder, progress, what)
        if done.aside:
            home = folder / work.name
            for name in names_in(home):
                if name.endswith(ASIDE):
                    (home / name).unlink()  # so that the next run tries again
            raise NoisywebError(
                f"{what}: blocks {done.aside[0][0]} could not be compared ({done.aside[0][1]}); nothing was written; "
                "give the workers more memory, or run it again with smaller blocks"
            )
        self._files = dict(zip((shard.items[0] for shard in shards), done.parts, strict=True))

    def batches(self, i: int, j: int) -> Iterator[pa.RecordBatch]:
        """The rows of one pair of blocks."""
        yield from open_parquet(self._files[i, j]).iter_batches(batch_size=1 << 18)

    def all(self) -> Iterator[pa.RecordBatch]:
        """All rows, in the order of the shards."""
        for i, j in self._files:
            yield from self.batches(i, j)


def gathered(
    rows: Iterable[Sequence[npt.NDArray[Any]]], schema: pa.Schema, least: int = 1 << 19
) -> Iterator[pa.RecordBatch]:
    """Columns that come in small pieces, as batches of ``least`` rows or a little more."""
    held: list[Sequence[npt.NDArray[Any]]] = []
    size = 0

    def batch() -> pa.RecordBatch:
        columns = [np.concatenate(pieces) for pieces in zip(*held, strict=True)]
        return pa.record_batch(
            [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
        )

    for piece in rows:
        held.append(piece)
        size += len(piece[0])
        if size >= least:
            yield batch()
            held, size = [], 0
    if size:
        yield batch()
