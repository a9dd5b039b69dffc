"""What a profile says: a few numbers, each with its interval, what blue noise would give, and a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TITLES: Mapping[str, str] = {
    "likeness": "looks like its label",
    "nearer": "nearer than other classes",
    "names": "named like its label",
    "votes": "votes hang on the image",
    "pictures": "errors hang on the image",
    "vocabulary": "outside the vocabulary",
}
"""The measures by name, in the order in which they are told."""

DIFFERENCES: Mapping[str, str] = {
    "likeness": "consistency",
    "nearer": "consistency",
    "names": "consistency",
    "votes": "instance dependence",
    "pictures": "instance dependence",
    "vocabulary": "open vocabulary",
}
"""Which of the paper's three differences each measure is about."""


@dataclass(frozen=True)
class Measure:
    """One number, or why there is none.

    Attributes:
        name: one of `TITLES`.
        value: None where it cannot be measured.
        low, high: the 95 % interval of ``value``; with no ``value`` but bounds, between which it must lie.
        reference: what blue noise of the same level gives; None where there is no telling.
        reference_low, reference_high: between which 95 % of such blue noise lies.
        sentence: what it means.
        missing: why there is no ``value``; None where there is one.
        details: what it was worked out from: counts and parts.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    reference: float | None
    sentence: str
    missing: str | None = None
    reference_low: float | None = None
    reference_high: float | None = None
    details: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """A few words for a table."""
        return TITLES[self.name]

    @property
    def is_unlike_blue(self) -> bool:
        """Whether its interval and the range of blue noise do not overlap."""
        if self.value is None or self.low is None or self.high is None:
            return False
        if self.reference_low is None or self.reference_high is None:
            return False
        return self.low > self.reference_high or self.high < self.reference_low

    def record(self) -> dict[str, Any]:
        """Everything, for JSON; numbers to 6 digits."""

        def told(value: float | str | None) -> float | str | None:
            return round(value, 6) if isinstance(value, float) else value

        return {
            "name": self.name,
            "difference": DIFFERENCES[self.name],
            **{key: told(getattr(self, key)) for key in ("value", "low", "high")},
            **{key: told(getattr(self, key)) for key in ("reference", "reference_low", "reference_high")},
            "unlike_blue": self.is_unlike_blue,
            "sentence": self.sentence,
            "missing": self.missing,
            "details": {key: told(value) for key, value in self.details.items()},
        }


def unknown(name: str, why: str, **details: float | str) -> Measure:
    """A measure that cannot be taken.

    Args:
        name: one of `TITLES`.
        why: the reason, a phrase without a full stop.
        details: what is known all the same.
    """
    return Measure(name, None, None, None, None, f"Cannot be measured: {why}.", why, details=details)


@dataclass(frozen=True)
class Profile:
    """The measures of one manifest.

    Attributes:
        folder: the manifest's, as it was named.
        title: of its data set.
        edition, kind, level: what it says of itself; kind and level are "" for a validation set.
        num_rows, num_wrong: counted in all its rows that have a verdict.
        num_unknown: rows without a verdict, left out.
        measures: in the order of `TITLES`.
        notes: what a reader should know: what was sampled or left out.
    """

    folder: str
    title: str
    edition: str
    kind: str
    level: str
    num_rows: int
    num_wrong: int
    num_unknown: int
    measures: tuple[Measure, ...]
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Measure:
        """A measure by its name."""
        return next(measure for measure in self.measures if measure.name == name)

    def record(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "folder": self.folder,
            "title": self.title,
            "edition": self.edition,
            "kind": self.kind,
            "level": self.level,
            "rows": self.num_rows,
            "wrong": self.num_wrong,
            "unknown": self.num_unknown,
            "measures": [measure.record() for measure in self.measures],
            "notes": list(self.notes),
        }
