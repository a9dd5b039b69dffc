"""Grouping copies without chaining: every dropped image is itself a copy of the one that stays in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from noisyweb.hamming import neighbours
from noisyweb.hamming_chunks import Hashes
from noisyweb.hashes import Described
from noisyweb.leaks import Found
from noisyweb.progress import Progress, silent
from noisyweb.proof import Match
from noisyweb.stages import Stage

FIRST_BLOCK = 1024
MAX_PAIRS = 20_000_000
"""Pairs within a block beyond which it is halved: 300 MB."""

Rows = npt.NDArray[np.int64]


class NearestKept(Protocol):
    """As `nearest_kept`."""

    def __call__(self, hashes: Hashes, radius: int, *, progress: Progress) -> dict[int, tuple[int, int]]: ...


def group(
    images: Described,
    radius: int,
    stages: Sequence[Stage],
    progress: Progress = silent,
    near: NearestKept | None = None,
) -> dict[str, Found]:
    """Give each copy the image that stays in its place; all others stay.

    Near copies are grouped first, by the hash. Then those that stay go through each stage. Where one of them goes, the
    copies it stood for are compared with the image that takes its place; any that is no copy of that one comes back,
    and all is done again until nothing goes and nothing comes back.

    Args:
        images: best first.
        radius: bits of 256.
        stages: how other copies are looked for.
        progress: told how far it is.
        near: how near copies are grouped; None: by `nearest_kept`.
    """
    given: dict[str, Found] = {}
    near = near or nearest_kept

    def left() -> Described:
        return images.part([image_id for image_id in images.ids if image_id not in given])

    is_done = False
    while not is_done:
        is_done = True
        pool = left()
        for row, (distance, kept) in near(pool.hashes, radius, progress=progress).items():
            given[pool.ids[row]] = Found(pool.ids[kept], Match("near", distance))
        for stage in stages:
            gone = _copies(left(), stage, progress)
            given.update(gone)
            orphans = [image_id for image_id in images.ids if image_id in given and given[image_id].image_id in gone]
            for image_id in orphans:
                one = _adopted(gone[given[image_id].image_id].image_id, image_id, images, radius, stages)
                if one is not None:
                    given[image_id] = one
                else:
                    del given[image_id]
                    is_done = False  # it may be a copy of others that stay
    return given


def _copies(images: Described, stage: Stage, progress: Progress) -> dict[str, Found]:
    """Copies by one stage; each goes for the nearest kept one."""
    pairs = stage.pairs(images, None, progress)
    others: dict[int, dict[int, Match]] = {}
    for (i, j), match in pairs.items():
        others.setdefault(i, {})[j] = others.setdefault(j, {})[i] = match
    gone: dict[int, tuple[int, Match]] = {}
    for j in sorted(others):  # best first
        there = [(match.rank, i) for i, match in others[j].items() if i < j and i not in gone]
        if there:
            _, i = min(there)
            gone[j] = (i, others[j][i])
    # Two that stay may both be copies of one that goes: a crop and a rotated copy of one picture, say.
    linked = set()
    for j, (kept, _) in gone.items():
        staying = sorted({kept} | {i for i in others[j] if i not in gone})
        linked |= {(b, a) for n, b in enumerate(staying) for a in staying[:n]}
    for b, a in sorted(linked):
        if a not in gone and b not in gone:
            found = stage.closely(images.part([images.ids[a]]), images.part([images.ids[b]]))
            if found:
                gone[b] = (a, found[0, 0])
    return {images.ids[j]: Found(images.ids[i], match) for j, (i, match) in gone.items()}


def _adopted(kept_id: str, image_id: str, images: Described, radius: int, stages: Sequence[Stage]) -> Found | None:
    """How an image whose representative has gone is a copy of the one that took its place; None: it is not."""
    kept, orphan = images.part([kept_id]), images.part([image_id])
    distance = int(np.bitwise_count(kept.hashes ^ orphan.hashes).sum())
    if distance <= radius:
        return Found(kept_id, Match("near", distance))
    for stage in stages:
        for match in stage.closely(kept, orphan).values():
            return Found(kept_id, match)
    return None


def nearest_kept(
    hashes: Hashes,
    radius: int,
    *,
    first_block: int = FIRST_BLOCK,
    max_pairs: int = MAX_PAIRS,
    progress: Progress = silent,
) -> dict[int, tuple[int, int]]:
    """Take images best first; keep one that no kept image is near, else give it the nearest kept one.

    Blocks double: of each, what no kept image is near is compared with itself. Kept images lie further apart than the
    radius, so few are near any one hash, and memory is bounded however often one image is there.

    Args:
        hashes: shape (N, 4), best first.
        radius: in bits.
        first_block: rows looked at together at first.
        max_pairs: within one block; a block with more is halved.
        progress: told how many are done.

    Returns:
        For each row that is not kept: its distance in bits to the nearest kept row before it, and that row
        (the best one where several are as near).
    """
    is_kept = np.zeros(len(hashes), bool)
    start, size = 0, first_block
    while start < len(hashes):
        stop = min(start + size, len(hashes))
        rows = np.arange(start, stop)
        is_near = np.zeros(len(rows), bool)
        for near, _, _ in neighbours(hashes[rows], hashes[is_kept], radius):
            is_near[near] = True
        rows = rows[~is_near]
        pairs = _pairs(hashes[rows], radius, max_pairs)
        if pairs is None:
            size = max(1, (stop - start) // 2)
            continue
        is_kept[rows[keep_first(len(rows), pairs)]] = True
        progress("group", stop, len(hashes))
        start, size = stop, max(first_block, stop)
    return _nearest(hashes, is_kept, radius)


def _pairs(hashes: Hashes, radius: int, most: int) -> Rows | None:
    """All pairs i < j, shape (P, 2), sorted by j; None if there are more than ``most``."""
    found = [np.empty((0, 2), np.int64)]
    size = 0
    for i, j, _ in neighbours(hashes, None, radius):
        size += len(i)
        if size > most:
            return None
        found.append(np.stack([i, j], axis=1))
    pairs = np.concatenate(found)
    return np.asarray(pairs[np.argsort(pairs[:, 1], kind="stable")])


def keep_first(size: int, pairs: Rows) -> npt.NDArray[np.bool_]:
    """Which of ``size`` rows are kept, in their order: those that no kept row before is near."""
    is_kept = np.ones(size, bool)
    rows, starts = np.unique(pairs[:, 1], return_index=True)
    for row, before in zip(rows.tolist(), np.split(pairs[:, 0], starts[1:]), strict=False):  # no pairs: one empty part
        is_kept[row] = not is_kept[before].any()
    return is_kept


def _nearest(hashes: Hashes, is_kept: npt.NDArray[np.bool_], radius: int) -> dict[int, tuple[int, int]]:
    """For each row that is not kept, the nearest kept row before it."""
    kept, others = np.flatnonzero(is_kept), np.flatnonzero(~is_kept)
    given: dict[int, tuple[int, int]] = {}
    for i, j, distance in neighbours(hashes[others], hashes[kept], radius):
        for row, other, far in _rows(others[i], kept[j], distance):
            if other < row:
                given[row] = min((far, other), given.get(row, (far, other)))
    return given


def _rows(*columns: npt.NDArray[np.integer]) -> Sequence[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in columns), strict=True))
