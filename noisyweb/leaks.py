"""Leaks: web images that are also clean images. The same for a workspace, for a pool of one's own, and for a build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from noisyweb.hamming import neighbours
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


def find_leaks(
    web: Described, clean: Described, radius: int, stages: Sequence[Stage], progress: Progress = silent
) -> dict[str, Found]:
    """For each web image that is a copy of a clean one: the nearest such.

    Hashes are compared first; images that are no copies so far then go through each stage.

    Args:
        web: images that must not be among the clean ones.
        clean: a clean train or validation set.
        radius: bits of 256.
        stages: how other copies are looked for.
        progress: told how far it is.
    """
    found: dict[str, Found] = {}

    def note(web_id: str, one: Found) -> None:
        known = found.get(web_id)
        if known is None or one.rank < known.rank:
            found[web_id] = one

    for rows, columns, distances in neighbours(web.hashes, clean.hashes, radius):
        for i, j, distance in zip(rows.tolist(), columns.tolist(), distances.tolist(), strict=True):
            note(web.ids[i], Found(clean.ids[j], Match("near", distance)))
    for stage in stages:
        left = web.part([image_id for image_id in web.ids if image_id not in found])
        for (i, j), match in stage.pairs(left, clean, progress).items():
            note(left.ids[i], Found(clean.ids[j], match))
    return found
