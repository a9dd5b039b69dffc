"""A crawl that is killed again and again ends with the tables of one that was left alone."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from noisyweb.workspace import Workspace
from tests.web import HostileWeb

CRAWL = """
import asyncio, sys
from noisyweb.crawl import crawl
from noisyweb.crawl_plan import CrawlPlan, Provider
from noisyweb.fetch import Limits
from noisyweb.hosts import Pace
from noisyweb.workspace import Workspace
folder, base, names = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
limits = Limits(pace=Pace(concurrency=8, rate=0), connections=8, tries=1)
plan = CrawlPlan(names, [Provider("openverse", {"base_url": base})], per_class=400, related=0.1)
asyncio.run(crawl(Workspace(folder, create=True), plan, allow_loopback=True, limits=limits))
"""
NAMES = ["ant", "bee", "cat", "dog", "eel", "fox"]
KILLS = 12


def start(folder: Path, web: HostileWeb) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CRAWL, str(folder), web.base, ",".join(NAMES)])


def images_of(query: str) -> list[str]:
    """400 images a class: some do not work, some belong to several classes."""
    first = NAMES.index(query) * 1000 + 1000
    odd = {7: "status/404", 8: "html/1", 9: "truncated/1"}
    return [odd.get(n % 10, f"ok/{first + n}") if n < 350 else f"ok/{n}" for n in range(400)]


def related_to(number: str) -> list[str]:
    return [f"ok/{20_000 + 10 * int(number) + n}" for n in range(5)] if number.isdigit() else []


def finished(folder: Path) -> set[str]:
    """URLs that have a final row."""
    rows = Workspace(folder).read("images").to_pylist() if folder.exists() else []
    return {row["url"] for row in rows if not row["retry"]}


def asked_again(web: HostileWeb, urls: set[str], before: Counter[str]) -> list[str]:
    """Those of some URLs that were asked for since a count was taken."""
    return [url for url in urls if web.requests[url.removeprefix(web.base)] > before[url.removeprefix(web.base)]]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_crawls_lose_only_what_was_in_flight(tmp_path: Path) -> None:
    draw = random.Random(0)
    with HostileWeb() as web:
        web.hits = images_of
        web.related = related_to
        assert start(tmp_path / "calm", web).wait(240) == 0
        calm = Workspace(tmp_path / "calm")
        assert calm.read("images").num_rows >= 2_000
        num_requests = web.requests.total()
        folder = tmp_path / "killed"
        web.requests.clear()
        for kill in range(KILLS):
            # The first kills come during the search, most between downloads, each at its own moment.
            after = 1 + kill * 3 if kill < 4 else draw.randint(20, num_requests // KILLS)
            done, before = finished(folder), web.requests.copy()
            process = start(folder, web)
            reached = web.wait_for(lambda: web.requests.total() >= before.total() + after, 60)  # noqa: B023
            process.kill()
            process.wait(60)
            assert reached
            assert not asked_again(web, done, before)
            assert done <= finished(folder)
        done, before = finished(folder), web.requests.copy()
        assert 0 < len(done) < len(finished(tmp_path / "calm"))
        assert start(folder, web).wait(240) == 0
        assert not asked_again(web, done, before)
        killed = Workspace(folder)
        for table in ("candidates", "searches", "images", "hashes"):
            assert killed.read(table).equals(calm.read(table)), table
            assert (folder / f"{table}.parquet").read_bytes() == (calm.folder / f"{table}.parquet").read_bytes()
        stored = [
            {p.name for p in (place.folder / "store").rglob("*") if p.is_file() and p.suffix != ".tmp"}
            for place in (calm, killed)
        ]
        assert stored[0] == stored[1]
        assert not [path for path in killed.folder.iterdir() if path.name.startswith("crawl.sqlite")]
