"""Grouping near copies without chaining."""

from __future__ import annotations

from collections import defaultdict

from noisyweb.hashes import Hashes, neighbours
from noisyweb.progress import Progress, silent


def nearest_kept(
    hashes: Hashes, radius: int, *, block_size: int = 1024, progress: Progress = silent
) -> dict[int, tuple[int, int]]:
    """Take images best first; keep one that no kept image is near, else give it the nearest kept one.

    Comparing with the kept images only bounds the memory however often one image is there: kept images lie
    further apart than the radius, so that few of them can be near any one hash.

    Args:
        hashes: shape (N, 4), best first.
        radius: in bits.
        block_size: rows looked at together.
        progress: told how many are done.

    Returns:
        For each row that is not kept: its distance in bits to the nearest kept row before it, and that row
        (the best one where several are as near).
    """
    kept: list[int] = []
    given: dict[int, tuple[int, int]] = {}
    for start in range(0, len(hashes), block_size):
        block = hashes[start : start + block_size]
        near: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for rows, columns, distances in neighbours(block, hashes[kept], radius, block=block_size):
            for row, column, distance in zip(rows.tolist(), columns.tolist(), distances.tolist(), strict=True):
                near[row].append((distance, kept[column]))
        for rows, columns, distances in neighbours(block, None, radius, block=block_size):
            for row, column, distance in zip(rows.tolist(), columns.tolist(), distances.tolist(), strict=True):
                near[column].append((distance, start + row))
        for row in range(len(block)):
            found = [(distance, other) for distance, other in near[row] if other not in given]
            if found:
                given[start + row] = min(found)
            else:
                kept.append(start + row)
        progress("group", start + len(block), len(hashes))
    return given
