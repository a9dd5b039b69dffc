"""Candidates for cropped, padded, mirrored and rotated copies: pairs of images with views alike.

`noisyweb.proof` decides on them from the pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noisyweb.hamming import neighbours
from noisyweb.packed_views import PackedViews
from noisyweb.views import MIDDLE, NUM_TARGETS, PROBES, STRIPPED, WHOLE, Views, targets

VIEW_RADIUS = 8
"""Bits of 64 within which a probe and a target make a candidate."""
Rows = npt.NDArray[np.int64]
Places = npt.NDArray[np.signedinteger]
"""Rows or view numbers, small ones where there are many."""


@dataclass(frozen=True)
class Guess:
    """How two images may be copies: a probe of one was like a target view of the other.

    Attributes:
        is_forward: the probe is the first image's.
        probe_view, target_view: which; see `noisyweb.views`.
        distance: bits of 64 between them.
    """

    is_forward: bool
    probe_view: int
    target_view: int
    distance: int


Candidates = dict[tuple[int, int], list[Guess]]
"""Pairs of images with what speaks for them: the best guess either way."""


@dataclass(frozen=True)
class Index:
    """The views of N images, one after the other: which image each view belongs to, and which it is of it."""

    probes: npt.NDArray[np.uint64]
    probe_rows: Places
    probe_views: Places
    targets: npt.NDArray[np.uint64]
    target_rows: Places
    target_views: Places

    @classmethod
    def of(cls, all_views: Sequence[Views | None]) -> Index:
        """Of the views of N images; those without take part in nothing."""
        return cls.of_packed(PackedViews.of(all_views))

    @classmethod
    def of_packed(cls, views: PackedViews, rows: Places | None = None) -> Index:
        """Of the views of N images side by side, which are images ``rows``; None: 0 to N - 1."""
        sides = []
        rows = np.arange(len(views.faces)) if rows is None else rows
        for each in (len(PROBES), NUM_TARGETS):
            counts = views.faces.astype(np.int64) * each
            starts = np.repeat(np.cumsum(counts) - counts, counts)
            numbers = (np.arange(len(starts)) - starts).astype(np.int16)
            sides.append((np.repeat(rows.astype(np.int32), counts), numbers))
        return cls(views.probes, *sides[0], views.targets, *sides[1])

    def part(self, start: int, stop: int) -> Index:
        """That of the images from row ``start`` to before ``stop``, which keep their rows; they must ascend."""
        ours = slice(*np.searchsorted(self.probe_rows, (start, stop)).tolist())
        theirs = slice(*np.searchsorted(self.target_rows, (start, stop)).tolist())
        return Index(
            self.probes[ours],
            self.probe_rows[ours],
            self.probe_views[ours],
            self.targets[theirs],
            self.target_rows[theirs],
            self.target_views[theirs],
        )


def candidates(left: Index, right: Index | None, radius: int = VIEW_RADIUS, most: int = 1) -> Candidates:
    """Pairs of images that may be copies: a probe of one within the radius of a target of the other, either way.

    Args:
        left: N images.
        right: M images; None for the pairs i < j of ``left``.
        radius: in bits of 64.
        most: guesses for each pair and direction, the nearest first.
    """
    found = candidate_rows(left, right, radius, most)
    assert found is not None
    pairs: Candidates = {}
    for i, j, distance, is_back, probe_view, target_view in found.tolist():
        pairs.setdefault((i, j), []).append(Guess(not is_back, probe_view, target_view, distance))
    return pairs


def candidate_rows(
    left: Index,
    right: Index | None,
    radius: int = VIEW_RADIUS,
    most: int = 1,
    *,
    limit: int | None = None,
    threads: int | None = None,
) -> Rows | None:
    """`candidates` as rows of i, j, distance, whether the probe is the second image's, probe view, target view.

    They are sorted by i, then j, then distance.

    Args:
        left, right, radius, most: see `candidates`.
        limit: rows beyond which it gives up, and None is returned.
        threads: see `noisyweb.hamming.neighbours`.
    """
    found = _best(_alike(left, right or left, radius, threads, is_self=right is None), most, limit)
    if right is not None and found is not None:
        back = _best(_alike(right, left, radius, threads, is_self=False), most, limit)
        if back is None:
            return None
        found = np.concatenate([found, back[:, [1, 0, 2, 3, 4, 5]] ^ np.array([0, 0, 0, 1, 0, 0])])
    return None if found is None else found[np.lexsort(found.T[[2, 1, 0]])]


_PROBE_FAMILIES = np.array([probe.family for probe in PROBES])
_TARGET_FAMILIES = np.array([target.family for target in targets(1.0)])
_MANY = 1 << 20


def _alike(left: Index, right: Index, radius: int, threads: int | None, *, is_self: bool) -> Iterator[Rows]:
    """Views within the radius: rows of i, j, distance, is_back, probe view, target view; of itself with i < j."""
    for family in (WHOLE, MIDDLE, STRIPPED):
        ours = np.flatnonzero(_PROBE_FAMILIES[left.probe_views % len(PROBES)] == family)
        theirs = np.flatnonzero(_TARGET_FAMILIES[right.target_views % NUM_TARGETS] == family)
        for i, j, distance in neighbours(left.probes[ours, None], right.targets[theirs, None], radius, threads=threads):
            a, b = ours[i], theirs[j]
            first, second = left.probe_rows[a], right.target_rows[b]
            back = first > second if is_self else np.zeros(len(a), bool)
            columns = [
                np.where(back, second, first),
                np.where(back, first, second),
                distance,
                back,
                left.probe_views[a],
                right.target_views[b],
            ]
            rows = np.stack([column.astype(np.int64) for column in columns], axis=1)
            yield rows[first != second] if is_self else rows


def _best(batches: Iterable[Rows], most: int, limit: int | None) -> Rows | None:
    """The nearest views of each pair and direction; None if they are more than the limit."""
    held: list[Rows] = [np.empty((0, 6), np.int64)]
    size = 0
    for batch in batches:
        held.append(batch)
        size += len(batch)
        if size > _MANY:  # most are further views of the same pairs
            held = [_first(np.concatenate(held), most)]
            size = 0
            if limit is not None and len(held[0]) > limit:
                return None
    found = _first(np.concatenate(held), most)
    return None if limit is not None and len(found) > limit else found


def _first(rows: Rows, most: int) -> Rows:
    rows = rows[np.lexsort(rows.T[[5, 4, 2, 3, 1, 0]])]
    is_new = np.ones(len(rows), bool)
    is_new[1:] = (rows[1:, [0, 1, 3]] != rows[:-1, [0, 1, 3]]).any(axis=1)
    places = np.arange(len(rows))
    return rows[places - np.maximum.accumulate(np.where(is_new, places, 0)) < most]
