"""How far annotators agree beyond chance: Krippendorff's alpha of the yes and no votes, overall and per class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noisyweb.consensus.tally import Tally

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Alpha:
    """Krippendorff's alpha of some questions.

    Attributes:
        value: 1 for full agreement, 0 for what chance gives, down to -1; None where it is not defined: no question
            has two votes, or all such votes are the same.
        num_questions: those with two or more votes; the others take no part.
    """

    value: float | None
    num_questions: int


@dataclass(frozen=True)
class Agreement:
    """Alpha over all questions, and over those of each class that has votes."""

    overall: Alpha
    by_class: dict[int, Alpha]

    def lowest(self, count: int) -> list[tuple[int, Alpha]]:
        """The classes, by label, on which annotators agree least: the first of them, lowest alpha first."""
        known = [(label, alpha) for label, alpha in self.by_class.items() if alpha.value is not None]
        return sorted(known, key=lambda item: (item[1].value, item[0]))[:count]


def alpha(value_counts: Counts) -> Alpha:
    """Krippendorff's alpha for nominal values: 1 - observed / expected disagreement.

    K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C; the package krippendorff works it
    out.

    Args:
        value_counts: how many annotators gave each of V >= 2 values to each of N units; shape (N, V).
    """
    pairable = value_counts[value_counts.sum(axis=1) >= 2]
    if np.count_nonzero(pairable.sum(axis=0)) < 2:
        return Alpha(None, len(pairable))
    import krippendorff

    return Alpha(float(krippendorff.alpha(value_counts=pairable, level_of_measurement="nominal")), len(pairable))


def agreement(tally: Tally) -> Agreement:
    """Alpha of the votes that count; "unsure" is a missing value, not a third one."""
    counts = np.stack([tally.yes, tally.no], axis=1)
    labels, starts = np.unique(tally.index.labels, return_index=True)  # questions are sorted by label
    parts = np.split(counts, starts[1:]) if len(labels) else []
    return Agreement(alpha(counts), {int(label): alpha(part) for label, part in zip(labels, parts, strict=True)})
