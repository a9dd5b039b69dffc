"""The stages on a real Ray cluster of two nodes: tables of a local run, whoever is killed meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from noisyweb.errors import SourceError
from noisyweb.scale.ray import RayEngine
from noisyweb.workspace import CRAWL_TABLES, Workspace
from tests.web import HostileWeb

pytest.importorskip("ray", reason="pip install 'noisyweb[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

from tests.ray_cluster import RayCluster  # noqa: E402  needs Ray's program

CRAWL = """
import asyncio, sys
from noisyweb.crawl import crawl
from noisyweb.crawl_plan import CrawlPlan, Provider
from noisyweb.fetch import Limits
from noisyweb.hosts import Pace
from noisyweb.scale.engine import open_engine
from noisyweb.workspace import Workspace
folder, urls, address = sys.argv[1:]
limits = Limits(pace=Pace(concurrency=4, rate=0, failures=1000), connections=4, tries=2, backoff_s=0.01)
plan = CrawlPlan(["ant", "bee"], [Provider("url-list", {"path": urls})], None)
async def go(engine):
    await crawl(Workspace(folder, create=True), plan, allow_loopback=True, limits=limits, engine=engine, processes=1)
if address:
    with open_engine("ray", address) as engine:
        asyncio.run(go(engine))
else:
    asyncio.run(go(None))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        with RayCluster(2) as started:
            yield started


def start(code: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stderr=subprocess.DEVNULL)


def ends_well(process: subprocess.Popen[bytes]) -> bool:
    return process.wait(200) == 0


def tables(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {name: Workspace(folder).read(name).to_pylist() for name in CRAWL_TABLES}


def url_list(folder: Path, webs: list[HostileWeb], number: int) -> Path:
    urls = [web.url(f"ok/{1000 * n + m}") for n, web in enumerate(webs) for m in range(number)]
    urls += [web.url(f"to/x?url={webs[0].url(f'ok/{9000 + n}')}") for n, web in enumerate(webs)]
    urls += [webs[1].url("status/404"), webs[2].url("html/1")]
    path = folder / "urls.csv"
    path.write_text("".join(["url,class\n", *(f'"{url}",{"ant" if n % 2 else "bee"}\n' for n, url in enumerate(urls))]))
    return path


def fetched(webs: list[HostileWeb]) -> Counter[str]:
    return sum((Counter({p: c for p, c in web.requests.items() if p.startswith("/ok/")}) for web in webs), Counter())


def test_a_crawl_loses_nothing_to_kills(cluster: RayCluster, tmp_path: Path) -> None:
    """A worker, a whole node and the driver are killed in its midst."""
    with HostileWeb() as a, HostileWeb() as b, HostileWeb() as c, HostileWeb() as d:
        webs = [a, b, c, d]
        urls = url_list(tmp_path, webs, 150)
        assert ends_well(start(CRAWL, tmp_path / "alone", urls, ""))
        for web in webs:
            web.requests.clear()
        kills: list[Callable[[subprocess.Popen[bytes]], object]] = [
            lambda driver: cluster.kill_worker("fetch"),
            lambda driver: cluster.kill_node("fetch") and cluster.add_node(),
            lambda driver: driver.kill(),
        ]
        driver = start(CRAWL, tmp_path / "spread", urls, cluster.address)
        for number, kill in enumerate(kills, 1):
            wanted = 150 * number
            assert any_reaches(webs, wanted), f"no {wanted} images were asked for"
            end_s = time.monotonic() + 30
            while kill(driver) is False:  # between two shares
                assert time.monotonic() < end_s, "nobody fetches"
        assert driver.wait() == -signal.SIGKILL
        assert ends_well(start(CRAWL, tmp_path / "spread", urls, cluster.address))
        assert tables(tmp_path / "spread") == tables(tmp_path / "alone")
        twice = sum(fetched(webs).values()) - len(fetched(webs))
        assert twice <= 4 * 12, "each of 4 workers had no more than that in flight"
        again = fetched(webs)
        assert ends_well(start(CRAWL, tmp_path / "spread", urls, cluster.address))
        assert fetched(webs) == again


def any_reaches(webs: list[HostileWeb], number: int) -> bool:
    """Wait until so many images have been asked for, of all webs together."""
    reached = threading.Event()

    def look(web: HostileWeb) -> None:
        web.wait_for(lambda: reached.is_set() or sum(fetched(webs).values()) >= number, 120)
        if sum(fetched(webs).values()) >= number:
            reached.set()

    watchers = [threading.Thread(target=look, args=(web,), daemon=True) for web in webs]
    for watcher in watchers:
        watcher.start()
    return reached.wait(120)


def test_a_folder_that_a_node_does_not_see_is_refused(cluster: RayCluster, tmp_path: Path) -> None:
    from noisyweb.scale.shared import check_shared

    with RayEngine(cluster.address) as engine:
        check_shared(engine, tmp_path)
        assert not list(tmp_path.iterdir())


def test_no_cluster_is_one_clear_line() -> None:
    for address, said in [("127.0.0.1:1", "nothing answers"), ("ray://x:1", "HOST:PORT"), ("here", "HOST:PORT")]:
        with pytest.raises(SourceError, match=said), RayEngine(address):
            pass
