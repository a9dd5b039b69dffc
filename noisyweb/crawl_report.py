"""What a crawl has found, fetched and failed to fetch: counts over the workspace's tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from noisyweb.workspace import Workspace

MAX_CLASS_LINES = 20


@dataclass(frozen=True)
class CrawlReport:
    """Counts of a workspace after a crawl.

    Attributes:
        class_names: the K classes.
        found: candidates per class, K of them.
        fetched: images per class.
        failed: failures per class by reason.
        licenses: images by licence; "unknown" where nobody said.
        num_passing: failures that the next crawl tries again.
        num_retried: failures of earlier runs that this one tried again.
        problems: one line for each provider that could not go on.
    """

    class_names: Sequence[str]
    found: Sequence[int]
    fetched: Sequence[int]
    failed: Sequence[Counter[str]]
    licenses: Counter[str]
    num_passing: int
    num_retried: int
    problems: Sequence[str]

    def lines(self) -> list[str]:
        """The report as text: totals, and each class or, where they are many, those with the fewest images."""
        reasons = sum(self.failed, Counter[str]())
        lines = [f"found {sum(self.found):,}, fetched {sum(self.fetched):,}, failed {reasons.total():,}"]
        if reasons:
            lines.append("failed by reason: " + _counts(reasons))
        if self.num_retried:
            lines.append(f"tried again after an earlier failure: {self.num_retried:,}")
        if self.num_passing:
            lines.append(f"may pass: {self.num_passing:,}; run the same command again to retry them")
        if self.licenses:
            lines.append("licences: " + _counts(self.licenses))
        order = sorted(range(len(self.class_names)), key=lambda k: (self.fetched[k], self.class_names[k]))
        if len(order) > MAX_CLASS_LINES:
            lines.append(f"the {MAX_CLASS_LINES // 2} classes with the fewest images of {len(order)}:")
            order = order[: MAX_CLASS_LINES // 2]
        else:
            order = list(range(len(order)))
        width = max((len(self.class_names[k]) for k in order), default=0)
        for k in order:
            line = f"  {self.class_names[k]:<{width}}  found {self.found[k]:>5,}  fetched {self.fetched[k]:>5,}"
            lines.append(line + (f"  {_counts(self.failed[k])}" if self.failed[k] else ""))
        return lines


def crawl_report(workspace: Workspace, problems: Sequence[str] = (), num_retried: int = 0) -> CrawlReport:
    """Count a workspace's candidates and images."""
    names = workspace.class_names()
    found, fetched = [0] * len(names), [0] * len(names)
    failed: list[Counter[str]] = [Counter() for _ in names]
    licenses: dict[tuple[str, int], str] = {}
    for row in workspace.read("candidates").select(["url", "label", "license"]).to_pylist():
        found[row["label"]] += 1
        licenses[row["url"], row["label"]] = row["license"] or "unknown"
    mix: Counter[str] = Counter()
    num_passing = 0
    for row in workspace.read("images").select(["url", "label", "reason", "retry"]).to_pylist():
        if row["reason"] is None:
            fetched[row["label"]] += 1
            mix[licenses.get((row["url"], row["label"]), "unknown")] += 1
        else:
            failed[row["label"]][row["reason"]] += 1
            num_passing += row["retry"]
    return CrawlReport(names, found, fetched, failed, mix, num_passing, num_retried, problems)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counter.items(), key=lambda c: (-c[1], c[0])))
