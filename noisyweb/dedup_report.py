"""What a dedup found, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from noisyweb.schemas import DUPLICATE_KINDS

_WORDS = {
    "exact": "exact copies in other classes",
    "near": "near copies",
    "crop": "cropped",
    "pad": "padded",
    "mirror": "mirrored",
    "rotate": "rotated",
    "embedding": "alike by embedding",
}


NUM_TOLD = 5
"""Things set aside that a report names; the others are counted."""


@dataclass(frozen=True)
class SetAside:
    """An item that failed wherever it was tried; see `noisyweb.scale.parts`.

    Attributes:
        taken_as: unreadable, without a vector, or not compared (two images, taken as no copies).
        item: the image's id, or both.
        reason: of the last failure.
    """

    taken_as: str
    item: str
    reason: str


@dataclass(frozen=True)
class DedupReport:
    """What a run found.

    Attributes:
        num_fetched: candidates with an image; those with the same bytes and class are one question.
        num_questions: pairs of image and class looked at.
        num_dropped: how many were dropped, by (against, kind): web, train or validation, and one of
            `noisyweb.schemas.DUPLICATE_KINDS`.
        num_flat: images with too little structure to be matched by more than their bytes.
        num_kept: what is left.
        num_clean_leaks: clean train images that are also validation images; None: not looked at.
        radius: bits of 256.
        aside: what an engine's workers gave up.
    """

    num_fetched: int
    num_questions: int
    num_flat: int
    num_kept: int
    radius: int
    num_dropped: Mapping[tuple[str, str], int] = field(default_factory=Counter)
    num_clean_leaks: int | None = None
    aside: Sequence[SetAside] = ()

    def count(self, against: str, *kinds: str) -> int:
        """Dropped against web, train or validation, of some kinds, or of all."""
        return sum(self.num_dropped.get((against, kind), 0) for kind in kinds or DUPLICATE_KINDS)

    @property
    def num_train(self) -> int:
        """Dropped as clean train images."""
        return self.count("train")

    @property
    def num_validation(self) -> int:
        """Dropped as clean validation images."""
        return self.count("validation")

    def lines(self) -> list[str]:
        """The report as text."""
        copies = [f"{words} {self.count('web', kind):,}" for kind, words in _WORDS.items() if self._is_told(kind)]
        told = [
            f"fetched {self.num_fetched:,}, different bytes {self.num_questions:,}, kept {self.num_kept:,} "
            f"(radius {self.radius} of 256 bits)",
            f"dropped: {', '.join(copies)}, clean train images {self.num_train:,}, "
            f"clean validation images {self.num_validation:,}, unreadable {self.count('web', 'unreadable'):,}",
            f"flat (matched by their bytes only): {self.num_flat:,}",
        ]
        if self.num_clean_leaks:
            told.append(
                f"{self.num_clean_leaks:,} clean train images are also validation images (clean_duplicates.parquet): "
                "the clean set's own leaks, nothing was dropped for them"
            )
        for taken_as, number in sorted(Counter(one.taken_as for one in self.aside).items()):
            told.append(f"set aside, {taken_as}: {number:,}")
            those = [one for one in self.aside if one.taken_as == taken_as]
            told += [f"  {one.item}: {one.reason}" for one in those[:NUM_TOLD]]
        return told

    def _is_told(self, kind: str) -> bool:
        return kind in ("exact", "near") or self.count("web", kind) > 0
