"""In which order the rows of a stream are read, so that each process reads row groups of its own.

Row groups are laid end to end, in an order that is random and always the same, and cut into shards of as many rows each
(within one); a row group at a cut belongs to two. So a shard holds something of everything, and it is the same in every
epoch: what its process has read once may stay in a cache beside it. Row i of an order is a row of shard ``i % shards``:
of every batch, whatever its size, process r of as many processes as shards takes rows r, r + shards, ..., which are all
of shard r. Shapes: N rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import gcd

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Group = tuple[range, int]
"""Rows of a row group, or of a part of it, and the bytes that are held while they are read."""

_CUT_SEED = 0


def shuffled(groups: Sequence[Group], shards: int, window_bytes: int, seed: int) -> Rows:
    """All rows once, [N]: the shards take turns; in each, row groups in random order and random rows of a window.

    Args:
        groups: of the manifest.
        shards: how many, 1 or more.
        window_bytes: of the row groups that rows are drawn from at a time, in each shard; one group at least.
        seed: of all draws.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    parts = []
    for shard in cut(groups, shards):
        mixed = [shard[number] for number in rng.permutation(len(shard)).tolist()]
        windows = [rng.permutation(_rows(window)) for window in _windows(mixed, window_bytes)]
        parts.append(np.concatenate([np.empty(0, np.int64), *windows]))
    return _interleaved(parts)


def read_through(groups: Sequence[Group], shards: int) -> Rows:
    """All rows once, [N], each shard in the manifest's order; with one shard: 0, 1, 2, ..."""
    return _interleaved([_rows(shard) for shard in cut(groups, shards)])


def cut(groups: Sequence[Group], shards: int) -> list[list[Group]]:
    """The groups of each shard in the manifest's order; their rows differ by one at most, larger shards come first."""
    least, more = divmod(sum(len(rows) for rows, _ in groups), shards)
    found: list[list[Group]] = [[]]
    left = least + (more > 0)  # rows that the last shard begun still takes
    rng = np.random.Generator(np.random.PCG64(_CUT_SEED))
    for number in rng.permutation(len(groups)).tolist():
        rows, num_bytes = groups[number]
        while rows:
            if left == 0:
                left = least + (len(found) < more)
                found.append([])
            found[-1].append((rows[:left], num_bytes))
            left, rows = left - len(rows[:left]), rows[left:]
    in_order = [sorted(shard, key=lambda group: group[0].start) for shard in found]
    return in_order + [[] for _ in range(shards - len(found))]


def shards_of_one(shards: int, processes: int) -> int:
    """How many shards a process reads at a time, if a run is carried on by another number of processes."""
    return shards // gcd(shards, processes)


def _windows(shard: Iterable[Group], most: int) -> list[list[Group]]:
    windows: list[list[Group]] = []
    held = 0
    for group in shard:
        if not windows or held + group[1] > most:
            windows.append([])
            held = 0
        windows[-1].append(group)
        held += group[1]
    return windows


def _rows(groups: Iterable[Group]) -> Rows:
    return np.concatenate([np.empty(0, np.int64), *(np.arange(rows.start, rows.stop) for rows, _ in groups)])


def _interleaved(parts: Sequence[Rows]) -> Rows:
    """The first row of each part, the second of each, and so on; longer parts come first."""
    found = np.empty(sum(map(len, parts)), np.int64)
    for number, part in enumerate(parts):
        found[number :: len(parts)] = part
    return found
