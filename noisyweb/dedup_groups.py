"""Grouping copies without chaining: every dropped image is itself a copy of the one that stays in its place.

Images are known by their places in the order in which they are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from noisyweb.copied import Copied
from noisyweb.described import Described
from noisyweb.hamming import neighbours
from noisyweb.hamming_chunks import Hashes, Ints
from noisyweb.progress import Progress, silent
from noisyweb.proof import Match
from noisyweb.stages import Stage

FIRST_BLOCK = 1024
MAX_PAIRS = 20_000_000
"""Pairs within a block beyond which it is halved: 300 MB."""

Rows = npt.NDArray[np.int64]


Given = tuple[Ints, Ints, npt.NDArray[np.int32]]
"""Rows that are not kept, ascending; for each the nearest kept row before it, and how far it is in bits."""


NearestKept = Callable[[Described, int, Progress], Given]
"""As `nearest_kept` of the hashes of some images."""


def group(
    images: Described,
    radius: int,
    stages: Sequence[Stage],
    progress: Progress = silent,
    near: NearestKept | None = None,
) -> Copied:
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
    given = Copied(len(images))
    is_done = False
    while not is_done:
        is_done = True
        pool = np.flatnonzero(~given.is_copy)
        rows, kept, distances = (near or _near)(images.part(pool), radius, progress)
        given.near(pool[rows], pool[kept], distances)
        for stage in stages:
            left = np.flatnonzero(~given.is_copy)
            gone = {
                int(left[j]): (int(left[i]), match)
                for j, (i, match) in _copies(images.part(left), stage, progress).items()
            }
            for place, (other, match) in gone.items():
                given.set(place, other, match)
            orphans = np.flatnonzero(np.isin(given.others, np.fromiter(gone, np.int64, len(gone))))
            heirs = [gone[place][0] for place in given.others[orphans].tolist()]
            adopted = _adopted(orphans, np.array(heirs, np.int64), images, radius, stages)
            for orphan, heir, how in zip(orphans.tolist(), heirs, adopted, strict=True):
                if how is not None:
                    given.set(orphan, heir, how)
                else:
                    given.clear(orphan)
                    is_done = False  # it may be a copy of others that stay
    return given


def _near(images: Described, radius: int, progress: Progress) -> Given:
    return nearest_kept(images.hashes, radius, progress=progress)


def _copies(images: Described, stage: Stage, progress: Progress) -> dict[int, tuple[int, Match]]:
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
    closely = _Closely(images, [place for pair in linked for place in pair])
    for b, a in sorted(linked):
        if a not in gone and b not in gone and (found := closely.match(stage, a, b)) is not None:
            gone[b] = (a, found)
    return gone


def _adopted(
    orphans: Ints, heirs: Ints, images: Described, radius: int, stages: Sequence[Stage]
) -> Iterator[Match | None]:
    """How images whose representatives have gone are copies of those that took their places; None: not at all."""
    hashes = images.looks.hashes
    far = np.bitwise_count(hashes[images.rows[orphans]] ^ hashes[images.rows[heirs]]).sum(axis=1, dtype=np.int64)
    is_far = far > radius
    closely = _Closely(images, [*orphans[is_far].tolist(), *heirs[is_far].tolist()])
    for orphan, heir, distance in zip(orphans.tolist(), heirs.tolist(), far.tolist(), strict=True):
        if distance <= radius:
            yield Match("near", distance)
        else:
            found = (closely.match(stage, heir, orphan) for stage in stages)
            yield next((match for match in found if match is not None), None)


class _Closely:
    """A few images that are looked at with more care, a pair at a time; their views are fetched once, if at all."""

    def __init__(self, images: Described, places: Iterable[int]) -> None:
        wanted = sorted(set(places))
        self._row = {place: row for row, place in enumerate(wanted)}
        self._images = images.part(wanted).held() if wanted else images

    def match(self, stage: Stage, kept: int, other: int) -> Match | None:
        found = stage.closely(*(self._images.part([self._row[place]]) for place in (kept, other)))
        return next(iter(found.values()), None)


def nearest_kept(
    hashes: Hashes,
    radius: int,
    *,
    first_block: int = FIRST_BLOCK,
    max_pairs: int = MAX_PAIRS,
    progress: Progress = silent,
) -> Given:
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
        For each row that is not kept the nearest kept row before it (the best one where several are as near), and the
        distance.
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


def _nearest(hashes: Hashes, is_kept: npt.NDArray[np.bool_], radius: int) -> Given:
    """For each row that is not kept, the nearest kept row before it."""
    kept, others = np.flatnonzero(is_kept), np.flatnonzero(~is_kept)
    best = np.full(len(others), np.iinfo(np.int64).max)
    for i, j, distance in neighbours(hashes[others], hashes[kept], radius):
        is_before = kept[j] < others[i]
        codes = distance[is_before].astype(np.int64) << _SHIFT | kept[j[is_before]]
        np.minimum.at(best, i[is_before], codes)
    return others, best & (1 << _SHIFT) - 1, (best >> _SHIFT).astype(np.int32)


_SHIFT = 48
