"""How copies that the hash does not show are looked for: by views, and by an embedding if the user gives one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from noisyweb.copies import Candidates, Index, candidates
from noisyweb.embedding import Vectors, pairs_above
from noisyweb.hashes import Described
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
        found = candidates(Index.of(left.views), None if right is None else Index.of(right.views))
        return self._proven(found, left, right or left, self._prover, progress)

    def closely(self, left: Described, right: Described) -> Pairs:
        """See `Stage`: views may be further apart, and more than one guess is tried."""
        found = candidates(Index.of(left.views), Index.of(right.views), CLOSE_RADIUS, CLOSE_GUESSES)
        return self._proven(found, left, right, self._close_prover, silent)

    def _proven(
        self, found: Candidates, left: Described, right: Described, prover: Prover, progress: Progress
    ) -> Pairs:
        questions = [(left.ids[i], right.ids[j], guesses) for (i, j), guesses in found.items()]
        proofs = prover.prove_all(questions, _either(left, right), progress)
        return {pair: match for pair, match in zip(found, proofs, strict=True) if match is not None}


Alike = Callable[[Vectors, Vectors | None, float], Iterable[tuple[int, int, float]]]
"""Pairs of vectors of two sets, or i < j of one, whose cosine is high enough: i, j, cosine."""


def _alike(left: Vectors, right: Vectors | None, min_cosine: float) -> Iterator[tuple[int, int, float]]:
    for i, j, cosine in pairs_above(left, left if right is None else right, min_cosine):
        if right is not None or i < j:
            yield i, j, cosine


class ByEmbedding:
    """Images alike by a model's vectors.

    Args:
        vectors: of length 1, by image id; images without take part in nothing.
        min_cosine: from which on two images are the same.
        alike: how pairs of vectors are looked for; None: in this process.
    """

    def __init__(self, vectors: Mapping[str, Vectors], min_cosine: float, alike: Alike | None = None) -> None:
        self._vectors, self._min_cosine, self._alike = vectors, min_cosine, alike or _alike

    def pairs(self, left: Described, right: Described | None, progress: Progress = silent) -> Pairs:
        """See `Stage`."""
        return self._pairs(left, right, self._alike)

    def closely(self, left: Described, right: Described) -> Pairs:
        """See `Stage`."""
        return self._pairs(left, right, _alike)

    def _pairs(self, left: Described, right: Described | None, alike: Alike) -> Pairs:
        ours = self._of(left.ids)
        theirs = ours if right is None else self._of(right.ids)
        found: Pairs = {}
        if ours[0] and theirs[0]:
            for a, b, cosine in alike(ours[1], None if right is None else theirs[1], self._min_cosine):
                found[ours[0][a], theirs[0][b]] = Match("embedding", None, round(min(cosine, 1.0), 4))
        return found

    def _of(self, ids: Sequence[str]) -> tuple[list[int], Vectors]:
        rows = [row for row, image_id in enumerate(ids) if image_id in self._vectors]
        return rows, np.stack([self._vectors[ids[row]] for row in rows]) if rows else np.empty((0, 1), np.float32)


def _either(first: Described, second: Described) -> Load:
    """Loads the images of both; those of one set together."""
    ours = set(first.ids)

    def load(ids: Sequence[str]) -> Iterator[bytes | None]:
        parts = ([i for i in ids if i in ours], [i for i in ids if i not in ours])
        loaded = [iter(one.load(part)) for one, part in zip((first, second), parts, strict=True)]
        for image_id in ids:
            yield next(loaded[0 if image_id in ours else 1])

    return load
