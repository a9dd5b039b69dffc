"""Leaks: web images that are also clean images. The same for a workspace, for a pool of one's own, and for a build."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noisyweb.hamming import neighbours
from noisyweb.hamming_chunks import Hashes, Ints
from noisyweb.hashes import Described
from noisyweb.progress import Progress, silent
from noisyweb.proof import Match
from noisyweb.stages import Stage


@dataclass(frozen=True)
class Found:
    """What an image is a copy of: the other's id, and how."""

    image_id: str
    match: Match

    @property
    def rank(self) -> tuple[float, float, str]:
        """Of several the one with the lowest is the nearest."""
        return (*self.match.rank, self.image_id)


Distances = npt.NDArray[np.int32]
Nearest = Callable[[Hashes, Hashes, int], tuple[Ints, Ints, Distances]]
"""As `nearest`."""


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
    web: Described,
    clean: Described,
    radius: int,
    stages: Sequence[Stage],
    progress: Progress = silent,
    near: Nearest = nearest,
) -> dict[str, Found]:
    """For each web image that is a copy of a clean one: the nearest such.

    Hashes are compared first; images that are no copies so far then go through each stage.

    Args:
        web: images that must not be among the clean ones.
        clean: a clean train or validation set.
        radius: bits of 256.
        stages: how other copies are looked for.
        progress: told how far it is.
        near: how the nearest hashes are looked for.
    """
    by_id = np.array(sorted(range(len(clean.ids)), key=clean.ids.__getitem__), np.int64)  # of several the first id
    rows, columns, distances = near(web.hashes, clean.hashes[by_id], radius)
    found = {
        web.ids[i]: Found(clean.ids[j], Match("near", distance))
        for i, j, distance in zip(rows.tolist(), by_id[columns].tolist(), distances.tolist(), strict=True)
    }

    def note(web_id: str, one: Found) -> None:
        known = found.get(web_id)
        if known is None or one.rank < known.rank:
            found[web_id] = one

    for stage in stages:
        left = web.part([image_id for image_id in web.ids if image_id not in found])
        for (i, j), match in stage.pairs(left, clean, progress).items():
            note(left.ids[i], Found(clean.ids[j], match))
    return found
