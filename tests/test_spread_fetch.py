"""A crawl whose hosts are dealt out to the workers of an engine ends with the tables of one in one process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from noisyweb.crawl import crawl
from noisyweb.crawl_plan import CrawlPlan, Provider
from noisyweb.crawl_report import CrawlReport
from noisyweb.crawl_stats import CrawlStats
from noisyweb.errors import CrawlError
from noisyweb.fetch import Limits
from noisyweb.hosts import Pace
from noisyweb.scale.engine import Engine, Event
from noisyweb.scale.fetch_shard import bucket_of
from noisyweb.scale.local import LocalEngine
from noisyweb.workspace import CRAWL_TABLES, Workspace
from tests.test_crawl import MISBEHAVIOURS
from tests.web import HostileWeb, dead_port

CALM = Limits(pace=Pace(concurrency=16, rate=0, failures=1000), max_bytes=1_000_000, tries=2, backoff_s=0.01)
QUICK = replace(CALM, read_s=1.5, total_s=3)
NAMES = ["ant", "bee"]


@pytest.fixture
def webs() -> Iterator[list[HostileWeb]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(HostileWeb()) for _ in range(5)]


def go(place: Workspace, urls: Path, engine: Engine | None, limits: Limits = CALM, **options: Any) -> CrawlReport:
    plan = CrawlPlan(NAMES, [Provider("url-list", {"path": str(urls)})], None, **options)
    run = crawl(place, plan, allow_loopback=True, limits=limits, processes=1, engine=engine, stats=CrawlStats())
    return asyncio.run(run)


def listed(folder: Path, urls: list[str]) -> Path:
    path = folder / "urls.csv"
    path.write_text("".join(["url,class\n", *(f'"{url}",{NAMES[n % 2]}\n' for n, url in enumerate(urls))]))
    return path


def tables(place: Workspace) -> dict[str, list[dict[str, Any]]]:
    return {name: place.read(name).to_pylist() for name in CRAWL_TABLES}


def stored(place: Workspace) -> set[str]:
    return {path.name for path in (place.folder / "store").glob("*/*")}


def test_tables_and_reports_equal_those_of_one_process(webs: list[HostileWeb], tmp_path: Path) -> None:
    """Hosts that misbehave in every way, redirects from each host to each other, a dead host, a local file."""
    urls = [f"http://127.0.0.1:{dead_port()}/x", "ftp://127.0.0.1/x"]
    for n, web in enumerate(webs):
        urls += [web.url(path) for path in MISBEHAVIOURS if not path.startswith(("hang", "trickle", "slow"))][n::5]
        urls += [web.url(f"to/x?url={other.url(f'ok/{10 * n + m}')}") for m, other in enumerate(webs)]
        urls += [web.url(f"ok/{100 + 50 * n + m}") for m in range(30)]
    path = listed(tmp_path, urls)
    alone, spread = (Workspace(tmp_path / name, create=True) for name in ("alone", "spread"))
    expected = go(alone, path, None, QUICK)
    asked = [dict(web.requests) for web in webs]
    for web in webs:
        web.requests.clear()
        web.failing_until = 0
    with LocalEngine(2) as engine:
        report = go(spread, path, engine, QUICK)
        again = go(spread, path, engine, QUICK)
    assert tables(spread) == tables(alone)
    assert stored(spread) == stored(alone)
    assert (report.found, report.fetched, report.failed) == (expected.found, expected.fetched, expected.failed)
    assert report.num_done == expected.num_done == len(urls)
    assert again.num_done == expected.num_passing
    images = [{path for path in requests if path.startswith("/ok/")} for requests in asked]
    assert all(web.requests[path] == 1 for web, paths in zip(webs, images, strict=True) for path in paths)


def test_one_host_is_asked_by_one_worker_at_its_pace(webs: list[HostileWeb], tmp_path: Path) -> None:
    urls = [webs[0].url(f"ok/{n}") for n in range(60)]
    urls += [
        web.url(f"to/{n}?url={webs[0].url(f'ok/{100 * m + n}')}") for m, web in enumerate(webs[1:], 1) for n in range(9)
    ]
    with LocalEngine(3) as engine:
        limits = replace(CALM, pace=replace(CALM.pace, concurrency=1))
        report = go(Workspace(tmp_path / "w", create=True), listed(tmp_path, urls), engine, limits)
    assert sum(report.fetched) == len(urls)
    assert webs[0].most_at_once == 1
    assert webs[0].count("robots.txt") <= 1 + len(webs)


class Killing(LocalEngine):
    """Kills the process of a running function after every so many events."""

    def __init__(self, workers: int, every: int, most: int = 12) -> None:
        super().__init__(workers)
        self.every, self.most, self.heard, self.killed = every, most, 0, 0

    def wait(self, timeout_s: float | None = None) -> Event | None:
        event = super().wait(timeout_s)
        self.heard += 1
        if self.heard % self.every == 0 and self._busy and self.killed < self.most:
            worker = list(self._busy.values())[self.killed % len(self._busy)]
            for process in (*psutil.Process(worker.process.pid).children(recursive=True), worker.process):
                os.kill(process.pid or 0, signal.SIGKILL)
            self.killed += 1
        return event


def test_killed_workers_lose_only_what_was_in_flight(webs: list[HostileWeb], tmp_path: Path) -> None:
    urls = [web.url(f"ok/{1000 * n + m}") for n, web in enumerate(webs) for m in range(120)]
    urls += [web.url(f"to/x?url={webs[0].url(f'ok/{9000 + n}')}") for n, web in enumerate(webs)]
    path = listed(tmp_path, urls)
    alone, spread = (Workspace(tmp_path / name, create=True) for name in ("alone", "spread"))
    go(alone, path, None)
    for web in webs:
        web.requests.clear()
    with Killing(2, every=9) as engine:
        go(spread, path, engine, replace(CALM, connections=4))
    assert engine.killed >= 4
    assert 4 <= engine.tally.num_retried <= engine.killed
    assert tables(spread) == tables(alone)
    twice = sum(count - 1 for web in webs for path, count in web.requests.items() if path.startswith("/ok/"))
    assert twice <= engine.killed * 4 * 3, (
        "no more than was in flight: downloads, bodies at the decoder, rows on the way"
    )


def test_the_pace_outlives_the_worker_that_keeps_it(webs: list[HostileWeb], tmp_path: Path) -> None:
    rate, burst = 4.0, 8
    path = listed(tmp_path, [webs[0].url(f"ok/{n}") for n in range(24)])
    with Killing(1, every=2, most=1) as engine:
        limits = replace(CALM, pace=replace(CALM.pace, rate=rate, burst=burst))
        report = go(Workspace(tmp_path / "w", create=True), path, engine, limits)
    assert (engine.killed, sum(report.fetched)) == (1, 24)
    starts = [at_s for at_s, asked in webs[0].times if asked.startswith("/ok/")]
    for n, first in enumerate(starts):
        for m, last in enumerate(starts[n:], start=1):
            assert m <= burst + rate * (last - first) + 1, "one more than its pace allows: a request may be late"


def test_a_url_that_kills_every_worker_is_set_aside(webs: list[HostileWeb], tmp_path: Path) -> None:
    class Poisoned(LocalEngine):
        """Kills whoever has the poisonous URL, at once."""

        def submit(self, key: str, function: Any, argument: Any) -> None:
            poisonous = any(job.url.endswith("/ok/13") for job in argument.jobs)
            super().submit(key, _die if poisonous else function, argument)

    urls = [webs[0].url(f"ok/{n}") for n in range(40)]
    place = Workspace(tmp_path / "w", create=True)
    with Poisoned(2) as engine:
        report = go(place, listed(tmp_path, urls), engine)
    assert sum(report.fetched) == 39
    (failed,) = [row for row in place.read("images").to_pylist() if row["reason"] is not None]
    assert failed["url"] == webs[0].url("ok/13")
    assert (failed["reason"], failed["retry"]) == ("set-aside", True)
    assert "SIGKILL" in failed["detail"]
    assert engine.tally.num_aside == 1


def _die(argument: object) -> Iterator[None]:
    os.kill(os.getpid(), signal.SIGKILL)
    yield None


def test_what_holds_for_all_workers_ends_the_crawl(tmp_path: Path) -> None:
    place = Workspace(tmp_path / "w", create=True)
    with LocalEngine(1) as engine, pytest.raises(CrawlError, match="contact"):
        go(place, listed(tmp_path, ["http://93.184.215.14/a.jpg"]), engine)
    assert place.read("images").num_rows == 0
    assert bucket_of("example.org", 16) == bucket_of("example.org", 16) < 16
