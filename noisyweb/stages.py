"""How copies that the hash does not show are looked for: by views, and by an embedding if the user gives one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from noisyweb.copies import Candidates, Index, candidates
from noisyweb.described import Described
from noisyweb.embedding import Vectors, pairs_above
from noisyweb.hashes import KnownVectors
from noisyweb.image_ids import Ints, Texts, find, ids_of
from noisyweb.progress import Progress, silent
from noisyweb.proof import Load, Match, Prover

CLOSE_RADIUS, CLOSE_GUESSES = 18, 6
"""Bits of 64 between views, and guesses tried either way, where two images are known to have a copy in common."""

Pairs = dict[tuple[int, int], Match]
"""Rows of two images each, and how one is a copy of the other."""


class Stage(Protocol):
    """One way to find copies."""

    def pairs(self, left: Described, right: Described | None, progress: Progress = silent) -> Pairs:
        """The copies between two sets, or the pairs i < j of ``left`` where ``right`` is None."""

    def closely(self, left: Described, right: Described) -> Pairs:
        """The same for a few images that are known to have a copy in common, looked at with more care."""


class ByViews:
    """Cropped, padded, mirrored and rotated copies: candidates by their views, proven from the pixels.

    Args:
        radius: bits of 256 within which two pictures laid over each other must be.
    """

    def __init__(self, radius: int) -> None:
        self._prover, self._close_prover = Prover(radius), Prover(radius, max_faces=256)

    def pairs(self, left: Described, right: Described | None, progress: Progress = silent) -> Pairs:
        """See `Stage`; either image may be part of the other."""
        found = candidates(_index(left), None if right is None else _index(right))
        return self._proven(found, left, right or left, self._prover, progress)

    def closely(self, left: Described, right: Described) -> Pairs:
        """See `Stage`: views may be further apart, and more than one guess is tried."""
        found = candidates(_index(left), _index(right), CLOSE_RADIUS, CLOSE_GUESSES)
        return self._proven(found, left, right, self._close_prover, silent)

    def _proven(
        self, found: Candidates, left: Described, right: Described, prover: Prover, progress: Progress
    ) -> Pairs:
        ours = Texts(left.ids)
        theirs = ours if right is left else Texts(right.ids)
        questions = [(ours[i], theirs[j], guesses) for (i, j), guesses in found.items()]
        proofs = prover.prove_all(questions, _either(left, right), progress)
        return {pair: match for pair, match in zip(found, proofs, strict=True) if match is not None}


def _index(images: Described) -> Index:
    places, views = images.packed_views()
    return Index.of_packed(views, places)


Alike = Callable[[Vectors, Vectors | None, float], Iterable[tuple[int, int, float]]]
"""Pairs of vectors of two sets, or i < j of one, whose cosine is high enough: i, j, cosine."""


def _alike(left: Vectors, right: Vectors | None, min_cosine: float) -> Iterator[tuple[int, int, float]]:
    for i, j, cosine in pairs_above(left, left if right is None else right, min_cosine):
        if right is not None or i < j:
            yield i, j, cosine


class ByEmbedding:
    """Images alike by a model's vectors.

    Args:
        vectors: images without take part in nothing.
        min_cosine: from which on two images are the same.
        alike: how pairs of vectors are looked for; None: in this process.
    """

    def __init__(self, vectors: KnownVectors, min_cosine: float, alike: Alike | None = None) -> None:
        self._vectors, self._min_cosine, self._alike = vectors, min_cosine, alike or _alike

    def pairs(self, left: Described, right: Described | None, progress: Progress = silent) -> Pairs:
        """See `Stage`."""
        return self._pairs(left, right, self._alike)

    def closely(self, left: Described, right: Described) -> Pairs:
        """See `Stage`."""
        return self._pairs(left, right, _alike)

    def _pairs(self, left: Described, right: Described | None, alike: Alike) -> Pairs:
        ours = self._of(left)
        theirs = ours if right is None else self._of(right)
        found: Pairs = {}
        if len(ours[0]) and len(theirs[0]):
            for a, b, cosine in alike(ours[1], None if right is None else theirs[1], self._min_cosine):
                found[int(ours[0][a]), int(theirs[0][b])] = Match("embedding", None, round(min(cosine, 1.0), 4))
        return found

    def _of(self, images: Described) -> tuple[Ints, Vectors]:
        rows = find(self._vectors.ids, images.ids)
        return np.flatnonzero(rows >= 0), self._vectors.vectors[rows[rows >= 0]]


def _either(first: Described, second: Described) -> Load:
    """Loads the images of both; those of one set together."""
    if first.looks is second.looks or first.looks.load is second.looks.load:
        return first.looks.load

    def load(texts: Sequence[str]) -> Iterator[bytes | None]:
        is_ours = (find(first.looks.ids, ids_of(texts)) >= 0).tolist()
        loaded = [
            iter(one.looks.load([text for text, ours in zip(texts, is_ours, strict=True) if ours is is_first]))
            for one, is_first in ((first, True), (second, False))
        ]
        for ours in is_ours:
            yield next(loaded[0 if ours else 1])

    return load
