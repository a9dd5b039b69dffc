"""What a crawl shows while it goes on: on a terminal a few live lines, elsewhere a line every half minute."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from noisyweb.crawl_stats import CrawlStats

if TYPE_CHECKING:
    from rich.table import Table

LINE_EVERY_S = 30.0
MAX_REASONS = 8


@contextlib.contextmanager
def watching(stats: CrawlStats) -> Iterator[None]:
    """Show a crawl's counts for the length of a block, on standard error."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.live import Live

        console = Console(file=sys.stderr)
        with Live(get_renderable=lambda: picture(stats), console=console, refresh_per_second=4):
            yield
        return
    last_s = time.monotonic()

    def say(what: str, done: int, total: int) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= LINE_EVERY_S:
            last_s = time.monotonic()
            typer.echo(line(stats), err=True)

    stats.progress = say
    yield


def picture(stats: CrawlStats) -> Table:
    """The live lines."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=6)
    grid.add_column(width=24)
    grid.add_column(overflow="fold")

    def row(name: str, done: int, total: int, said: str) -> None:
        bar = ProgressBar(total=max(total, 1), completed=done, width=24)
        grid.add_row(name, bar, Text(f"{done:,}/{total:,}  {said}"))

    row("search", stats.num_searched, stats.num_classes, _found(stats))
    if stats.phase != "search":
        row("fetch", stats.num_done, stats.num_urls, _speed(stats))
    if stats.failed:
        grid.add_row("failed", "", Text(_counts(stats.failed), style="dim"))
    return grid


def line(stats: CrawlStats) -> str:
    """All of it on one line, for logs."""
    parts = [f"search {stats.num_searched:,}/{stats.num_classes:,} classes, {_found(stats)}"]
    if stats.phase != "search":
        parts = [f"fetch {stats.num_done:,}/{stats.num_urls:,}, {_speed(stats)}"]
    if stats.failed:
        parts.append(f"failed: {_counts(stats.failed)}")
    return "; ".join(parts)


def _found(stats: CrawlStats) -> str:
    said = []
    for name in sorted({*stats.found, *stats.requests}):
        requests = f" ({stats.requests[name]:,} requests)" if stats.requests[name] else ""
        said.append(f"{name} {stats.found[name]:,}{requests}")
    return ", ".join(said)


def _speed(stats: CrawlStats) -> str:
    seconds = stats.fetch_s or 1e-9
    said = f"{stats.num_ok / seconds:,.0f} images/s  {stats.num_bytes / 1e6 / seconds:,.1f} MB/s"
    left_s = stats.left_s
    if left_s is not None:
        minutes, rest = divmod(round(left_s), 60)
        hours, minutes = divmod(minutes, 60)
        said += f"  {hours}:{minutes:02}:{rest:02} left" if hours else f"  {minutes}:{rest:02} left"
    return said


def _counts(counter: Counter[str]) -> str:
    shown = [f"{name} {count:,}" for name, count in counter.most_common(MAX_REASONS)]
    return ", ".join([*shown, "..."] if len(counter) > MAX_REASONS else shown)
