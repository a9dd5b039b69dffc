"""What is audited: rows of ids and labels, and what is known of the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from noisyweb.progress import Progress

Labels = npt.NDArray[np.int64]
Truth = npt.NDArray[np.int8]
UNKNOWN = -1

Severity = Literal["fault", "warning", "note"]
_SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        check: a short name of what was looked at.
        severity: a fault makes a set unsound; a warning is to be known; a note explains.
        where: the set that it is about.
        message: what was found, what was expected, what to do.
        count: how many rows, classes or levels.
        examples: some of them.
    """

    check: str
    severity: Severity
    where: str
    message: str
    count: int = 0
    examples: tuple[str, ...] = ()

    def record(self) -> Mapping[str, Any]:
        """For JSON."""
        return {**vars(self), "examples": list(self.examples)}


def some(values: Sequence[object]) -> tuple[str, ...]:
    """The first few, as text."""
    return tuple(str(value)[:80] for value in values[:_SHOWN])


@dataclass(frozen=True)
class AuditSet:
    """One training or validation set of N rows.

    Attributes:
        name: of the set.
        ids: N names of images; the same image has the same.
        given: the labels that a trainer sees, as they are in the files, shape (N,).
        true: the right classes, -1 where nobody knows, shape (N,).
        wrong: 1 where the label is wrong, 0 where it is right, -1 where nobody knows, shape (N,).
        kind, asked: the kind of noise and the level that it was made for; None if not told.
        unresolved: ids that lead nowhere.
        claims: further findings of the reader, such as verdicts against the evidence.
    """

    name: str
    ids: Sequence[str]
    given: Labels
    true: Labels
    wrong: Truth
    kind: str | None = None
    asked: Decimal | None = None
    unresolved: Sequence[str] = ()
    claims: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.given)

    @property
    def num_wrong(self) -> int:
        """Rows known to be wrong."""
        return int(np.count_nonzero(self.wrong == 1))

    @property
    def num_unknown(self) -> int:
        """Rows of which nobody knows."""
        return int(np.count_nonzero(self.wrong == UNKNOWN))

    @property
    def realised(self) -> float:
        """Share of wrong rows among those of which somebody knows."""
        known = len(self) - self.num_unknown
        return self.num_wrong / known if known else float("nan")

    def own_class(self) -> Labels:
        """The class that each row counts for: its true one, or the one it stands under."""
        return np.where(self.true >= 0, self.true, self.given)

    def by_class(self, num_classes: int) -> tuple[Labels, Labels]:
        """Rows of which somebody knows and wrong rows of each class, shape (K,) each."""
        own = self.own_class()
        fits = (own >= 0) & (own < num_classes)
        known = np.bincount(own[fits & (self.wrong != UNKNOWN)], minlength=num_classes)
        wrong = np.bincount(own[fits & (self.wrong == 1)], minlength=num_classes)
        return known.astype(np.int64), wrong.astype(np.int64)


@dataclass(frozen=True)
class AuditInput:
    """Everything that is audited together.

    Attributes:
        title: what it is, for people.
        class_names: the K classes.
        sets: training sets.
        validation: the clean validation set; None: there is none.
        findings: of the reader, about all of it.
        ids_are_global: whether an id means the same image in train and validation.
        leaks: looks at pixels, for copies and for images that cannot be read; None: there are none, or nobody asked.
    """

    title: str
    class_names: Sequence[str]
    sets: Sequence[AuditSet]
    validation: AuditSet | None = None
    findings: tuple[Finding, ...] = ()
    ids_are_global: bool = True
    leaks: Callable[[Progress], list[Finding]] | None = None


def wrong_by_labels(given: Labels, true: Labels) -> Truth:
    """1 where labels differ, 0 where they are equal, -1 where the true one is not known."""
    return np.where(true < 0, UNKNOWN, given != true).astype(np.int8)
