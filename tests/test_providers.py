from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noisyweb import plugins
from noisyweb.errors import CrawlError, UnknownNameError
from noisyweb.fetch import Fetcher, Limits
from noisyweb.providers import folder
from noisyweb.providers._protocol import Hit, Query
from tests.web import HostileWeb, photo

NAMES = ("ant", "bee/wasp")


@pytest.fixture
def web() -> Iterator[HostileWeb]:
    with HostileWeb() as server:
        yield server


def hits(name: str, label: int = 0, licenses: tuple[str, ...] = (), text: str = "", **options: str) -> list[Hit]:
    async def run() -> list[Hit]:
        async with Fetcher(contact=None, allow_loopback=True, limits=Limits(interval_s=0)) as fetcher:
            query = Query(text or NAMES[label], label, NAMES, 100, licenses)
            search = plugins.load("noisyweb.providers", "provider", name).search
            return [hit async for hit in search(query, fetcher.client, options)]

    return asyncio.run(run())


def test_the_providers_are_the_files() -> None:
    assert {"folder", "openverse", "url-list"} <= set(plugins.names("noisyweb.providers"))
    for name in plugins.names("noisyweb.providers"):
        module = plugins.load("noisyweb.providers", "provider", name)
        assert module.SUMMARY
        assert module.search
    with pytest.raises(UnknownNameError, match="did you mean 'openverse'"):
        plugins.load("noisyweb.providers", "provider", "openvers")


# -- openverse ---------------------------------------------------------------------------------------------


def test_openverse_pages_until_the_last(web: HostileWeb) -> None:
    web.hits = lambda query: [f"ok/{n}" for n in range(45)]
    found = hits("openverse", base_url=web.base, licenses=("by", "cc0"))
    assert [hit.url for hit in found] == [web.url(f"ok/{n}") for n in range(45)]
    assert [query["page"] for query in web.queries] == ["1", "2", "3"]
    assert {(q["page_size"], q["mature"], q["license"], q["q"]) for q in web.queries} == {
        ("20", "false", "by,cc0", "ant")
    }
    assert found[0] == Hit(
        url=web.url("ok/0"),
        title="Picture ok/0",
        landing_url=web.url("page/ok/0"),
        creator="Someone",
        license="by",
        license_url="https://creativecommons.org/licenses/by/4.0/",
        attribution='"Picture ok/0" by Someone is licensed under CC BY 4.0.',
        width=64,
        height=64,
    )


def test_openverse_never_asks_beyond_page_20(web: HostileWeb) -> None:
    web.hits = lambda query: [f"ok/{n}" for n in range(1000)]
    assert len(hits("openverse", base_url=web.base)) == 400
    assert max(int(query["page"]) for query in web.queries) == 20


def test_openverse_cuts_long_queries(web: HostileWeb) -> None:
    hits("openverse", base_url=web.base, text="x" * 300)
    assert web.queries[0]["q"] == "x" * 200


def test_openverse_refuses_unknown_licences_without_asking(web: HostileWeb) -> None:
    with pytest.raises(CrawlError, match="no licence 'gpl'; known: by, "):
        hits("openverse", base_url=web.base, licenses=("gpl",))
    assert not web.requests


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("status/400", "does not understand the query"),
        ("status/401", "other credentials"),
        ("status/403", "blocked us"),
        ("html/1", "not JSON"),
        ("busy-long/1", "asks to wait 86400 s"),
        ("brotli/1", "no answer|not JSON"),
    ],
)
def test_refusals_in_plain_words(web: HostileWeb, path: str, message: str) -> None:
    from noisyweb.providers._http import get_json

    async def run() -> object:
        async with Fetcher(contact=None, allow_loopback=True) as fetcher:
            return await get_json(fetcher.client, "openverse", web.url(path), {})

    with pytest.raises(CrawlError, match=f"openverse: .*({message})"):
        asyncio.run(run())
    assert web.count(path) == 1


def test_odd_results_are_left_out(web: HostileWeb) -> None:
    mature, odd_width = {"url": "http://a/m.jpg", "mature": True}, {"url": "http://a/b.jpg", "width": "9"}
    web.answer = json.dumps({"results": [1, {}, {"url": 3}, mature, odd_width], "page_count": 1}).encode()
    assert hits("openverse", base_url=web.base) == [Hit(url="http://a/b.jpg")]


# -- url-list ----------------------------------------------------------------------------------------------


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_url_list_as_csv(tmp_path: Path) -> None:
    path = write(
        tmp_path / "urls.csv",
        "url,class,license,creator,width\nhttp://a/1,ant,by,Anna,640\nhttp://a/2,bee/wasp,cc0,,\nhttp://a/3,1,,,x\n",
    )
    assert hits("url-list", 0, path=path) == [Hit(url="http://a/1", license="by", creator="Anna", width=640)]
    assert [hit.url for hit in hits("url-list", 1, path=path)] == ["http://a/2", "http://a/3"]
    assert [hit.url for hit in hits("url-list", 1, ("cc0",), path=path)] == ["http://a/2"]


def test_url_list_as_text_and_parquet(tmp_path: Path) -> None:
    text = write(tmp_path / "urls.txt", "http://a/1\tant\n\nhttp://a/2\tbee/wasp\n")
    assert [hit.url for hit in hits("url-list", 1, path=text)] == ["http://a/2"]
    pq.write_table(pa.table({"url": ["http://a/1", "http://a/2"], "label": [1, 0]}), tmp_path / "urls.parquet")
    assert [hit.url for hit in hits("url-list", 1, path=str(tmp_path / "urls.parquet"))] == ["http://a/1"]


def test_url_list_is_read_anew_when_it_changes(tmp_path: Path) -> None:
    path = write(tmp_path / "urls.txt", "http://a/1\tant\n")
    assert len(hits("url-list", path=path)) == 1
    write(tmp_path / "urls.txt", "http://a/1\tant\nhttp://a/2\tant\n")
    assert len(hits("url-list", path=path)) == 2


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "url,class\nhttp://a/1,ant\nhttp://a/2,cat\nhttp://a/3,dog\n", "row 2 has class 'cat', .* 2 rows"),
        ("a.csv", "address,class\nhttp://a/1,ant\n", "row 1 has no url or no class"),
        ("a.txt", "http://a/1\n", "row 1 has no url or no class"),
        ("a.parquet", "not parquet", "cannot be read as a list of URLs"),
    ],
)
def test_url_lists_that_cannot_be_used(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(CrawlError, match=message):
        hits("url-list", path=write(tmp_path / name, text))


def test_a_missing_url_list() -> None:
    with pytest.raises(CrawlError, match="--source url-list=PATH"):
        hits("url-list")


# -- folder ------------------------------------------------------------------------------------------------


def test_folder_gives_the_files_of_the_class(tmp_path: Path) -> None:
    for name in ("ant/b.jpg", "ant/deep/a.jpg", "ant/.hidden", "bee-wasp/ü #1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(photo(1))
    found = hits("folder", 0, path=str(tmp_path))
    assert [hit.url for hit in found] == [(tmp_path / name).as_uri() for name in ("ant/b.jpg", "ant/deep/a.jpg")]
    [bee] = hits("folder", 1, path=str(tmp_path))
    assert folder.read(bee.url, {"path": str(tmp_path)}) == photo(1)


def test_folder_reads_nothing_outside_itself(tmp_path: Path) -> None:
    (tmp_path / "images/ant").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "images/ant/link.jpg").symlink_to(tmp_path / "secret")
    options = {"path": str(tmp_path / "images")}
    for url in ((tmp_path / "secret").as_uri(), (tmp_path / "images/ant/link.jpg").as_uri(), "file:///etc/passwd"):
        with pytest.raises(PermissionError):
            folder.read(url, options)


def test_folder_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(CrawlError, match="no such folder"):
        hits("folder", path=str(tmp_path / "none"))
    (tmp_path / "cat").mkdir()
    with pytest.raises(CrawlError, match=r"sub-folder 'cat' is none of the 2 classes \(1 are not\)"):
        hits("folder", path=str(tmp_path))
    with pytest.raises(CrawlError, match="leave out --license"):
        hits("folder", licenses=("by",), path=str(tmp_path))
