"""A crawl that is killed again and again ends with the tables of one that was left alone."""

from __future__ import annotations

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
from noisyweb.crawl_search import Provider
from noisyweb.fetch import Limits
from noisyweb.workspace import Workspace
folder, base, names = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
limits = Limits(interval_s=0, per_host=8, connections=8, tries=1)
place = Workspace(folder, create=True)
asyncio.run(crawl(place, names, [Provider("openverse", {"base_url": base})], 150, allow_loopback=True, limits=limits))
"""
NAMES = ["ant", "bee", "cat"]


def start(folder: Path, web: HostileWeb) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CRAWL, str(folder), web.base, ",".join(NAMES)])


def images_of(query: str) -> list[str]:
    first = NAMES.index(query) * 1000
    odd = {7: "status/404", 8: "html/1", 9: "truncated/1"}
    return [odd.get(n % 10, f"ok/{first + n}") if n < 100 else f"ok/{n}" for n in range(150)]


def finished(folder: Path) -> set[str]:
    """URLs that have a final row."""
    rows = Workspace(folder).read("images").to_pylist() if folder.exists() else []
    return {row["url"] for row in rows if not row["retry"]}


def wait_until(web: HostileWeb, requests: int) -> bool:
    return web.wait_for(lambda: web.requests.total() >= requests, 60)


def asked_again(web: HostileWeb, urls: set[str], before: Counter[str]) -> list[str]:
    """Those of some URLs that were asked for since a count was taken."""
    return [url for url in urls if web.requests[url.removeprefix(web.base)] > before[url.removeprefix(web.base)]]


@pytest.mark.slow
def test_killed_crawls_lose_only_what_was_in_flight(tmp_path: Path) -> None:
    with HostileWeb() as web:
        web.hits = images_of
        assert start(tmp_path / "calm", web).wait(120) == 0
        folder = tmp_path / "killed"
        web.requests.clear()
        for kill in range(10):
            # Some kills come during the search, most between downloads.
            after = 2 if kill < 2 else 30
            done, before = finished(folder), web.requests.copy()
            process = start(folder, web)
            reached = wait_until(web, before.total() + after)
            process.kill()
            process.wait(60)
            assert reached
            assert not asked_again(web, done, before)
            assert done <= finished(folder)
        done, before = finished(folder), web.requests.copy()
        assert 0 < len(done) < 300
        assert start(folder, web).wait(120) == 0
        assert not asked_again(web, done, before)
        calm, killed = Workspace(tmp_path / "calm"), Workspace(folder)
        for table in ("candidates", "images"):
            assert killed.read(table).equals(calm.read(table)), table
        stored = [{p.name for p in (place.folder / "store").rglob("*") if p.is_file()} for place in (calm, killed)]
        assert stored[0] <= stored[1]
        assert not [path for path in killed.folder.iterdir() if path.suffix == ".journal"]
