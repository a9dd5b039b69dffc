"""How far a crawl is, for whoever watches it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from noisyweb.progress import Progress, silent


@dataclass
class CrawlStats:
    """Counts of one run, changed as it goes on.

    Attributes:
        phase: "search", "fetch" or "done".
        num_classes, num_searched: classes in all, and those that have been searched.
        found: new candidates by provider.
        requests: API requests by provider.
        num_urls, num_done: URLs to be fetched in this run, and those that are done.
        num_ok: images among them.
        num_bytes: downloaded.
        failed: failures by reason.
        num_retried: URLs that failed for a passing reason in an earlier run.
        progress: called with classes searched and URLs done.
        fetch_started_s, fetch_ended_s: of `time.monotonic`; 0 before.
    """

    phase: str = "search"
    num_classes: int = 0
    num_searched: int = 0
    found: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    num_urls: int = 0
    num_done: int = 0
    num_ok: int = 0
    num_bytes: int = 0
    num_retried: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    fetch_started_s: float = 0.0
    fetch_ended_s: float = 0.0
    progress: Progress = silent

    def searched(self) -> None:
        """One class has been searched."""
        self.num_searched += 1
        self.progress("search", self.num_searched, self.num_classes)

    def start_fetch(self, num_urls: int, num_retried: int) -> None:
        """The second half begins."""
        self.phase, self.num_urls, self.num_retried = "fetch", num_urls, num_retried
        self.fetch_started_s = time.monotonic()

    def end_fetch(self) -> None:
        """All is done."""
        self.phase, self.fetch_ended_s = "done", time.monotonic()

    @property
    def fetch_s(self) -> float:
        """Seconds of fetching so far."""
        if not self.fetch_started_s:
            return 0.0
        return (self.fetch_ended_s or time.monotonic()) - self.fetch_started_s

    @property
    def left_s(self) -> float | None:
        """Seconds that are left at the pace so far; None if nothing can be said yet."""
        if not self.num_done or self.phase != "fetch":
            return None
        return self.fetch_s / self.num_done * (self.num_urls - self.num_done)

    def downloaded(self, num_bytes: int) -> None:
        """A body has come."""
        self.num_bytes += num_bytes

    def finished(self, reason: str | None) -> None:
        """One URL is done."""
        self.num_done += 1
        if reason is None:
            self.num_ok += 1
        else:
            self.failed[reason] += 1
        self.progress("fetch", self.num_done, self.num_urls)
