"""Leaks: web images that are also clean images. The same for a workspace, for a pool of one's own, and for a build."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from noisyweb.copies import Index, candidates
from noisyweb.hamming import neighbours
from noisyweb.hashes import Described
from noisyweb.progress import Progress, silent
from noisyweb.proof import Load, Match, Prover


@dataclass(frozen=True)
class Found:
    """What an image is a copy of: the other's id, and how."""

    image_id: str
    match: Match


def find_leaks(web: Described, clean: Described, radius: int, progress: Progress = silent) -> dict[str, Found]:
    """For each web image that is a copy of a clean one: the nearest such.

    Hashes are compared first; images that are none so far are then compared by their views, if they have any, either
    way: a web image may be part of a clean one, or a clean one part of it.

    Args:
        web: images that must not be among the clean ones.
        clean: a clean train or validation set.
        radius: bits of 256.
        progress: told how many candidates are decided.
    """
    found: dict[str, Found] = {}
    for rows, columns, distances in neighbours(web.hashes, clean.hashes, radius):
        for i, j, distance in zip(rows.tolist(), columns.tolist(), distances.tolist(), strict=True):
            here = Found(clean.ids[j], Match("near", distance))
            known = found.get(web.ids[i])
            if known is None or (distance, clean.ids[j]) < (known.match.distance or 0, known.image_id):
                found[web.ids[i]] = here
    left = web.part([image_id for image_id in web.ids if image_id not in found])
    pairs = candidates(Index.of(left.views), Index.of(clean.views))
    prover = Prover(_either(left, clean), radius)
    questions = [(left.ids[i], clean.ids[j], guesses) for (i, j), guesses in pairs.items()]
    for (web_id, clean_id, _), match in zip(questions, prover.prove_all(questions, progress), strict=True):
        known = found.get(web_id)
        if match and (known is None or (match.distance, clean_id) < (known.match.distance, known.image_id)):
            found[web_id] = Found(clean_id, match)
    return found


def _either(first: Described, second: Described) -> Load:
    """Loads the images of both; those of one set together, in its own order."""
    ours = set(first.ids)

    def load(ids: Sequence[str]) -> Iterator[bytes | None]:
        parts = ([i for i in ids if i in ours], [i for i in ids if i not in ours])
        loaded = [iter(one.load(part)) for one, part in zip((first, second), parts, strict=True)]
        for image_id in ids:
            yield next(loaded[0 if image_id in ours else 1])

    return load
