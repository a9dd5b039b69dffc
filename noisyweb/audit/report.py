"""An audit, said: lines for a terminal, and a record for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from noisyweb.audit.checks import all_findings
from noisyweb.audit.rows import AuditInput, AuditSet, Finding
from noisyweb.levels import level_text
from noisyweb.progress import Progress, silent

_CONFUSIONS = 3


@dataclass(frozen=True)
class AuditReport:
    """What was audited, and what was found.

    Attributes:
        audited: the input.
        findings: faults first.
    """

    audited: AuditInput
    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, audited: AuditInput, progress: Progress = silent) -> AuditReport:
        """Look at everything; ``progress`` is told how far it is with pixels."""
        return cls(audited, tuple(all_findings(audited, progress)))

    @property
    def faults(self) -> list[Finding]:
        """What makes it unsound."""
        return [finding for finding in self.findings if finding.severity == "fault"]

    def lines(self) -> list[str]:
        """A table of the sets, and the findings."""
        names, sets = self.audited.class_names, self.audited.sets
        width = max([len(one.name) for one in sets] + [8])
        lines = [f"{self.audited.title}: {len(names)} classes, {len(sets)} training sets"]
        if sets:
            lines.append(f"{'set':<{width}}  {'rows':>9}  {'asked':>8}  {'realised':>9}  {'wrong':>9}  by class")
        for one in sets:
            asked = level_text(one.asked) if one.asked is not None else ""
            low, middle, high = class_levels(one, len(names))
            lines.append(
                f"{one.name:<{width}}  {len(one):>9,}  {asked:>8}  {one.realised:>9.2%}  {one.num_wrong:>9,}  "
                f"{low:.1%} to {high:.1%}, median {middle:.1%}"
                + (f"; of {one.num_unknown:,} nobody knows" if one.num_unknown else "")
            )
        if self.audited.validation is not None:
            lines.append(f"{self.audited.validation.name:<{width}}  {len(self.audited.validation):>9,}")
        for finding in self.findings:
            examples = f" ({', '.join(finding.examples)})" if finding.examples else ""
            lines.append(f"{finding.severity}: {finding.where}: {finding.message}{examples}")
        if not self.findings:
            lines.append("sound: nothing was found")
        return lines

    def record(self) -> Mapping[str, Any]:
        """All of it, for JSON."""
        names = self.audited.class_names
        return {
            "title": self.audited.title,
            "classes": len(names),
            "sound": not self.faults,
            "sets": [_record(one, names) for one in self.audited.sets],
            "findings": [finding.record() for finding in self.findings],
        }


def class_levels(one: AuditSet, num_classes: int) -> tuple[float, float, float]:
    """The lowest, the median and the highest share of wrong rows of a class; NaN where nobody knows of any."""
    known, wrong = one.by_class(num_classes)
    shares = wrong[known > 0] / known[known > 0]
    return (float(shares.min()), float(np.median(shares)), float(shares.max())) if len(shares) else (np.nan,) * 3


def _record(one: AuditSet, class_names: Sequence[str]) -> Mapping[str, Any]:
    known, wrong = one.by_class(len(class_names))
    return {
        "name": one.name,
        "rows": len(one),
        "kind": one.kind,
        "asked": float(one.asked) if one.asked is not None else None,
        "realised": one.realised if len(one) > one.num_unknown else None,
        "wrong": one.num_wrong,
        "unknown": one.num_unknown,
        "unresolved": len(one.unresolved),
        "classes": [
            {"name": name, "known": int(known[label]), "wrong": int(wrong[label])}
            for label, name in enumerate(class_names)
        ],
        "confusions": _confusions(one, class_names),
    }


def _confusions(one: AuditSet, class_names: Sequence[str]) -> list[Mapping[str, Any]]:
    """The most frequent pairs of true class and given label."""
    num_classes = len(class_names)
    rows = (one.true >= 0) & (one.wrong == 1) & (one.given >= 0) & (one.given < num_classes) & (one.true < num_classes)
    pairs, counts = np.unique(np.stack([one.true[rows], one.given[rows]]), axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_CONFUSIONS]
    return [
        {"true": class_names[pairs[0, place]], "given": class_names[pairs[1, place]], "rows": int(counts[place])}
        for place in order.tolist()
    ]
