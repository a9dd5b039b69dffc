"""Leaks: web images that are also clean images. The same for a workspace, for a pool of one's own, and for a build."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noisyweb.copied import Copied
from noisyweb.described import Described
from noisyweb.hamming import neighbours
from noisyweb.hamming_chunks import Hashes, Ints
from noisyweb.progress import Progress, silent
from noisyweb.proof import Match
from noisyweb.stages import Stage


@dataclass(frozen=True)
class Found:
    """What an image is a copy of: the other's id, and how."""

    image_id: str
    match: Match


Distances = npt.NDArray[np.int32]
Nearest = Callable[[Described, Described, int], tuple[Ints, Ints, Distances]]
"""As `nearest` of the hashes of two sets."""


def nearest(left: Hashes, right: Hashes, radius: int) -> tuple[Ints, Ints, Distances]:
    """The nearest right row within the radius for each left row that has any; of several as near the first.

    Args:
        left: shape (N, 4).
        right: shape (M, 4).
        radius: in bits.

    Returns:
        Rows of ``left``, ascending, rows of ``right``, and distances in bits.
    """
    best = np.full(len(left), _NONE)
    for i, j, distance in neighbours(left, right, radius):
        np.minimum.at(best, i, distance.astype(np.int64) << _SHIFT | j)
    rows = np.flatnonzero(best != _NONE)
    return rows, best[rows] & (1 << _SHIFT) - 1, (best[rows] >> _SHIFT).astype(np.int32)


_NONE, _SHIFT = 2**63 - 1, 48


def find_leaks(
    web: Described, clean: Described, radius: int, stages: Sequence[Stage], progress: Progress = silent
) -> dict[str, Found]:
    """`leaks_among` by the texts of the ids, for those who expect few."""
    copied = leaks_among(web, clean, radius, stages, progress)
    there = np.flatnonzero(copied.is_copy)
    ids, others = web.part(there).texts, clean.part(copied.others[there]).texts
    found = zip(ids, others, there.tolist(), strict=True)
    return {image_id: Found(other, copied.match(place)) for image_id, other, place in found}


def leaks_among(
    web: Described,
    clean: Described,
    radius: int,
    stages: Sequence[Stage],
    progress: Progress = silent,
    near: Nearest | None = None,
) -> Copied:
    """For each web image that is a copy of a clean one: the nearest such; of several the one with the first id.

    Hashes are compared first; images that are no copies so far then go through each stage.

    Args:
        web: images that must not be among the clean ones.
        clean: a clean train or validation set.
        radius: bits of 256.
        stages: how other copies are looked for.
        progress: told how far it is.
        near: how the nearest hashes are looked for; None: by `nearest`.

    Returns:
        By the places of both.
    """
    by_id = np.argsort(clean.rows)
    copied = Copied(len(web))
    places, columns, distances = (near or _nearest)(web, clean.part(by_id), radius)
    copied.near(places, by_id[columns], distances)
    for stage in stages:
        left = np.flatnonzero(~copied.is_copy)
        best: dict[int, tuple[tuple[float, float], int, int]] = {}
        matches = stage.pairs(web.part(left), clean, progress)
        for i, j in matches:
            one = (matches[i, j].rank, int(clean.rows[j]), j)
            best[i] = min(one, best.get(i, one))
        for i, (_, _, j) in best.items():
            copied.set(int(left[i]), j, matches[i, j])
    return copied


def _nearest(left: Described, right: Described, radius: int) -> tuple[Ints, Ints, Distances]:
    return nearest(left.hashes, right.hashes, radius)
