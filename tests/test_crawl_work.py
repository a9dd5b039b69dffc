"""What a crawl has to fetch, and its rows: none is lost where they cannot be written."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from noisyweb.crawl_search import add_candidate
from noisyweb.crawl_stats import CrawlStats
from noisyweb.crawl_work import FLUSH_S, CrawlWork
from noisyweb.hosts import Job
from noisyweb.providers._protocol import Hit
from noisyweb.tabledb import Database
from noisyweb.workspace import CRAWL_TABLES, TABLES


def test_rows_that_cannot_be_written_end_the_crawl_and_are_not_lost(tmp_path: Path) -> None:
    database = Database(tmp_path / "crawl.sqlite", {name: TABLES[name] for name in CRAWL_TABLES})
    urls = [f"http://h/{number}" for number in range(50)]
    for rank, url in enumerate(urls):
        add_candidate(database, CrawlStats(), 0, "url-list", "ant", rank, Hit(url))
    work = CrawlWork(database, local=[], not_read=[])
    (pages,) = database.sql.execute("PRAGMA page_count").fetchone()
    database.sql.execute(f"PRAGMA max_page_count = {pages}")

    async def go() -> None:
        for url in urls[:-1]:
            work.finish(Job(url, url), {"reason": "http-404", "detail": "x" * 1_000})
        with pytest.raises(sqlite3.OperationalError, match="full"):
            for _ in range(100):  # seldom more than two: the timer's own
                await asyncio.sleep(FLUSH_S)
                work.finish(Job(urls[-1], urls[-1]), {"reason": "http-404"})

    asyncio.run(go())
    database.sql.execute("PRAGMA max_page_count = 100000")
    work.flush()
    assert {url for (url,) in database.sql.execute("SELECT url FROM images")} >= set(urls[:-1])
    database.close()


def test_half_a_character_in_an_address_does_not_end_a_search(tmp_path: Path) -> None:
    database = Database(tmp_path / "crawl.sqlite", {name: TABLES[name] for name in CRAWL_TABLES})
    assert add_candidate(database, CrawlStats(), 0, "openverse", "ant", 0, Hit(" h/\ud800.jpg")) == 1
    ((url,),) = database.sql.execute("SELECT url FROM candidates").fetchall()
    assert url == "h/?.jpg"
    database.close()
