"""What a crawl has found, fetched and failed to fetch: counts over its database."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noisyweb.attribution import attribution_text
from noisyweb.crawl_stats import CrawlStats
from noisyweb.places import write_file, write_whole
from noisyweb.remote_path import Place
from noisyweb.tabledb import Database

MAX_CLASS_LINES = 20
MAX_HOSTS = 10


@dataclass(frozen=True)
class CrawlReport:
    """Counts of a workspace after a crawl.

    Attributes:
        class_names: the K classes.
        found: candidates per class, K of them.
        fetched: images per class.
        failed: failures per class by reason.
        providers: candidates by provider.
        licenses: images by licence; "unknown" where nobody said.
        num_images: images with different bytes.
        num_passing: failures that the next crawl tries again.
        num_retried: failures of earlier runs that this one tried again.
        slowest: the hosts that took longest a URL in this run: host, urls, failed, bytes, busy_s, closed.
        seconds, num_bytes: of fetching in this run.
        problems: one line for each provider that could not go on.
    """

    class_names: Sequence[str]
    found: Sequence[int]
    fetched: Sequence[int]
    failed: Sequence[Counter[str]]
    providers: Counter[str]
    licenses: Counter[str]
    num_images: int
    num_passing: int
    num_retried: int
    slowest: Sequence[Mapping[str, Any]]
    seconds: float
    num_done: int
    num_bytes: int
    problems: Sequence[str]

    def lines(self) -> list[str]:
        """The report as text: totals, and each class or, where they are many, those with the fewest images."""
        reasons = sum(self.failed, Counter[str]())
        lines = [f"found {sum(self.found):,}, fetched {sum(self.fetched):,}, failed {reasons.total():,}"]
        if len(self.providers) > 1:
            lines.append("found by provider: " + _counts(self.providers))
        if reasons:
            lines.append("failed by reason: " + _counts(reasons))
        if self.num_retried:
            lines.append(f"tried again after an earlier failure: {self.num_retried:,}")
        if self.num_passing:
            lines.append(f"may pass: {self.num_passing:,}; run the same command again to retry them")
        if self.num_images < sum(self.fetched):
            lines.append(f"different images: {self.num_images:,}; the same bytes are kept once")
        if self.licenses:
            lines.append("licences: " + _counts(self.licenses))
        lines += self._class_lines()
        slow = [host for host in self.slowest if host["busy_s"] / host["urls"] >= 1.0]
        if slow:
            lines.append("slowest hosts:")
        for host in slow:
            line = f"  {host['host']}  {host['busy_s'] / host['urls']:.1f} s a URL, {host['urls']:,} URLs"
            line += f", {host['failed']:,} failed" if host["failed"] else ""
            lines.append(line + (f", given up: {host['closed']}" if host["closed"] else ""))
        if self.num_done and self.seconds >= 1:
            speed = f"{self.num_done / self.seconds:,.0f} URLs/s, {self.num_bytes / 1e6 / self.seconds:,.1f} MB/s"
            lines.append(f"this run: {self.num_done:,} URLs in {self.seconds:.0f} s: {speed}")
        return lines

    def _class_lines(self) -> list[str]:
        order = sorted(range(len(self.class_names)), key=lambda k: (self.fetched[k], self.class_names[k]))
        lines = []
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

    def write(self, path: Place) -> None:
        """Write all of it as JSON."""
        content = {
            "classes": [
                {"class": name, "found": found, "fetched": fetched, "failed": dict(sorted(failed.items()))}
                for name, found, fetched, failed in zip(
                    self.class_names, self.found, self.fetched, self.failed, strict=True
                )
            ],
            "found_by_provider": dict(sorted(self.providers.items())),
            "licenses": dict(sorted(self.licenses.items())),
            "different_images": self.num_images,
            "may_pass": self.num_passing,
            "tried_again": self.num_retried,
            "slowest_hosts": list(self.slowest),
            "this_run": {"urls": self.num_done, "bytes": self.num_bytes, "seconds": round(self.seconds, 1)},
            "problems": list(self.problems),
        }
        write_whole(path, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())


def crawl_report(
    database: Database,
    class_names: Sequence[str],
    stats: CrawlStats,
    slowest: Sequence[Mapping[str, Any]] = (),
    problems: Sequence[str] = (),
) -> CrawlReport:
    """Count a crawl's candidates and images."""
    sql = database.sql
    found, fetched = [0] * len(class_names), [0] * len(class_names)
    failed: list[Counter[str]] = [Counter() for _ in class_names]
    providers: Counter[str] = Counter()
    for label, provider, count in sql.execute("SELECT label, provider, count(*) FROM candidates GROUP BY 1, 2"):
        found[label] += count
        providers[provider] += count
    num_passing = 0
    for label, reason, passing, count in sql.execute(
        "SELECT label, reason, sum(retry), count(*) FROM images GROUP BY 1, 2"
    ):
        if reason is None:
            fetched[label] += count
        else:
            failed[label][reason] += count
            num_passing += passing
    licenses = sql.execute(
        "SELECT ifnull(c.license, 'unknown'), count(*) FROM images i JOIN candidates c "
        "ON c.url = i.url AND c.label = i.label WHERE i.reason IS NULL GROUP BY 1"
    )
    (num_images,) = sql.execute("SELECT count(DISTINCT image_id) FROM images").fetchone()
    return CrawlReport(
        class_names=class_names,
        found=found,
        fetched=fetched,
        failed=failed,
        providers=providers,
        licenses=Counter(dict(licenses.fetchall())),
        num_images=num_images,
        num_passing=num_passing,
        num_retried=stats.num_retried,
        slowest=slowest,
        seconds=stats.fetch_s,
        num_done=stats.num_done,
        num_bytes=stats.num_bytes,
        problems=problems,
    )


def write_attribution(database: Database, path: Place) -> None:
    """Credits of all images, each once, in bounded memory; ``path`` is replaced whole."""
    columns = ("image_id", "url", "landing_url", "creator", "license", "attribution")
    cursor = database.sql.execute(
        "SELECT i.image_id, min(c.url), c.landing_url, c.creator, c.license, c.attribution FROM images i "
        "JOIN candidates c ON c.url = i.url AND c.label = i.label WHERE i.image_id IS NOT NULL "
        "GROUP BY i.image_id ORDER BY i.image_id"
    )
    with write_file(path) as temporary, temporary.open("w", encoding="utf-8") as handle:
        handle.writelines(attribution_text(dict(zip(columns, row, strict=True)) for row in cursor))


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counter.items(), key=lambda c: (-c[1], c[0])))
