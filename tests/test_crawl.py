from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noisyweb.crawl import crawl, provider_choices
from noisyweb.crawl_classes import read_class_names
from noisyweb.crawl_report import CrawlReport
from noisyweb.crawl_search import Provider
from noisyweb.errors import CrawlError, SourceError, UnknownNameError
from noisyweb.fetch import Limits
from noisyweb.workspace import Workspace
from tests.web import HostileWeb, photo

QUICK = Limits(interval_s=0, read_s=0.4, total_s=0.8, max_bytes=1_000_000, tries=2, backoff_s=0.01, per_host=16)
NAMES = ["ant", "bee"]


@pytest.fixture
def web() -> Iterator[HostileWeb]:
    with HostileWeb() as server:
        yield server


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w", create=True)


def go(place: Workspace, *providers: Provider, per_class: int = 100, **options: Any) -> CrawlReport:
    settings = {"allow_loopback": True, "limits": QUICK, **options}
    return asyncio.run(crawl(place, settings.pop("names", NAMES), providers, per_class, **settings))


def openverse(web: HostileWeb) -> Provider:
    return Provider("openverse", {"base_url": web.base})


def rows(place: Workspace, table: str) -> list[dict[str, Any]]:
    return place.read(table).to_pylist()


def test_every_candidate_ends_as_an_image_or_a_reason(web: HostileWeb, place: Workspace) -> None:
    expected = {
        "ok/1": None,
        "gif/1": None,
        "busy/1": None,
        "gzipped/5": None,
        "status/404": "http-404",
        "status/500": "http-500",
        "html/1": "not-an-image",
        "empty/1": "not-an-image",
        "truncated/1": "truncated",
        "pixel/1": "too-small",
        "bomb/1": "pixel-bomb",
        "svg/1": "svg",
        "bmp/1": "other-format",
        "huge/1": "too-large",
        "gzip-bomb/1": "too-large",
        "loop/0": "redirect-loop",
        "to/x?url=http://10.0.0.1/": "private-address",
        "stall/1": "timeout",
        "reset/1": "connection",
        "header/X-Robots-Tag=noai": "opt-out",
        "ftp://127.0.0.1/a.jpg": "bad-url",
        "http://": "bad-url",
    }
    web.hits = lambda query: list(expected) if query == "ant" else []
    report = go(place, openverse(web))
    found = {row["url"].removeprefix(web.base + "/"): row for row in rows(place, "images")}
    assert {path: row["reason"] for path, row in found.items()} == expected
    for row in found.values():
        assert (row["status"] == "ok") is (row["reason"] is None) is (row["image_id"] is not None)
    assert {path for path, row in found.items() if row["retry"]} == {"status/500", "stall/1", "reset/1"}
    assert (report.found, report.fetched, report.num_passing) == ([22, 0], [4, 0], 3)
    assert place.get(found["ok/1"]["image_id"]) == photo(1)
    assert found["busy/1"]["attempts"] == 2
    assert "found 22, fetched 4, failed 18" in report.lines()


def test_candidates_carry_what_the_provider_said(web: HostileWeb, place: Workspace) -> None:
    web.hits = lambda query: ["ok/1", "ok/2"]
    go(place, openverse(web), names=["ant"], templates=["{name} insect"])
    [first, second] = rows(place, "candidates")
    assert (first["rank"], second["rank"], first["query"], first["provider"]) == (0, 1, "ant insect", "openverse")
    assert (first["license"], first["creator"], first["landing_url"]) == ("by", "Someone", web.url("page/ok/1"))


def test_the_same_command_again_asks_for_nothing(web: HostileWeb, place: Workspace) -> None:
    web.hits = lambda query: [f"ok/{n}" for n in range(30)]
    go(place, openverse(web))
    before, tables = web.requests.copy(), [rows(place, name) for name in ("candidates", "images")]
    go(place, openverse(web))
    assert web.requests == before
    assert [rows(place, name) for name in ("candidates", "images")] == tables


def test_only_passing_failures_are_retried(web: HostileWeb, place: Workspace) -> None:
    web.hits = lambda query: ["busy/3", "status/404", "ok/1"] if query == "ant" else []
    first = go(place, openverse(web))
    assert (first.fetched, first.failed[0]) == ([1, 0], {"http-429": 1, "http-404": 1})
    second = go(place, openverse(web))
    assert (second.fetched, second.num_retried) == ([2, 0], 1)
    assert (web.count("busy/3"), web.count("status/404"), web.count("ok/1")) == (4, 1, 1)


def test_more_per_class_adds_to_what_is_there(web: HostileWeb, place: Workspace) -> None:
    web.hits = lambda query: [f"ok/{n}" for n in range(60)]
    assert go(place, openverse(web), per_class=10).found == [10, 10]
    assert go(place, openverse(web), per_class=25).found == [25, 25]
    assert all(web.count(f"ok/{n}") == 1 for n in range(25))


def test_a_url_of_two_classes_is_two_questions_and_one_request(web: HostileWeb, place: Workspace) -> None:
    web.hits = lambda query: ["ok/1"]
    go(place, openverse(web))
    assert [row["label"] for row in rows(place, "images")] == [0, 1]
    assert web.count("ok/1") == 1


def test_an_image_found_later_for_another_class_is_not_fetched_again(web: HostileWeb, place: Workspace) -> None:
    web.hits = lambda query: {"ant": ["ok/1", "html/1"], "bee nest": ["ok/1", "html/1"]}.get(query, [])
    go(place, openverse(web))
    assert go(place, openverse(web), templates=["{name} nest"]).fetched == [1, 1]
    assert [(row["label"], row["reason"]) for row in rows(place, "images")] == [
        (0, "not-an-image"),
        (0, None),
        (1, "not-an-image"),
        (1, None),
    ]
    assert (web.count("ok/1"), web.count("html/1")) == (1, 1)


def test_a_url_is_kept_once_a_class_and_queries_take_turns(web: HostileWeb, place: Workspace) -> None:
    pages = {"ant": ["ok/1", "ok/2", "ok/3"], "ant nest": ["ok/2", "ok/8", "ok/9"]}
    web.hits = lambda query: pages[query]
    go(place, openverse(web), names=["ant"], templates=["{name}", "{name} nest"], per_class=4)
    assert {row["url"].rpartition("/")[2]: row["query"] for row in rows(place, "candidates")} == {
        "1": "ant",
        "2": "ant nest",
        "8": "ant nest",
        "3": "ant",
    }


def test_a_refusing_provider_does_not_stop_the_others(web: HostileWeb, place: Workspace, tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text(f"{web.url('ok/1')}\tant\n")
    refusing = Provider("openverse", {"base_url": web.url("none")})
    report = go(place, refusing, Provider("url-list", {"path": str(tmp_path / "urls.txt")}))
    assert report.fetched == [1, 0]
    [problem] = report.problems
    assert "404" in problem
    assert [(row["status"], row["provider"]) for row in rows(place, "searches")] == [("failed", "openverse")]


def test_a_local_folder_needs_no_web(place: Workspace, tmp_path: Path) -> None:
    for path, data in {"ant/1.jpg": photo(1), "ant/2.jpg": b"no image", "bee/3.png": photo(3, kind="PNG")}.items():
        (tmp_path / "mine" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / path).write_bytes(data)
    report = go(place, Provider("folder", {"path": str(tmp_path / "mine")}), allow_loopback=False)
    assert (report.fetched, report.failed[0]) == ([1, 1], {"not-an-image": 1})
    assert {row["image_id"] for row in rows(place, "images")} == {
        None,
        *(hashlib.sha256(data).hexdigest() for data in (photo(1), photo(3, kind="PNG"))),
    }


def test_public_hosts_need_a_contact_and_nothing_is_lost(place: Workspace, tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text("http://93.184.215.14/a.jpg\tant\n")
    with pytest.raises(CrawlError, match="--contact"):
        go(place, Provider("url-list", {"path": str(tmp_path / "urls.txt")}))
    assert [len(rows(place, name)) for name in ("candidates", "images")] == [1, 0]


def test_two_crawls_of_one_workspace_at_once_are_refused(web: HostileWeb, place: Workspace) -> None:
    with place.locked(), pytest.raises(SourceError, match="another noisyweb process"):
        go(place, openverse(web))


def test_another_vocabulary_is_refused(web: HostileWeb, place: Workspace) -> None:
    go(place, openverse(web))
    with pytest.raises(SourceError, match="use another workspace"):
        go(place, openverse(web), names=["cat"])


def test_a_template_needs_the_name(web: HostileWeb, place: Workspace) -> None:
    with pytest.raises(CrawlError, match=r"it has no \{name\}"):
        go(place, openverse(web), templates=["car"])


def test_licences_are_asked_for(web: HostileWeb, place: Workspace) -> None:
    go(place, openverse(web), licenses=["by", "cc0"])
    assert {query["license"] for query in web.queries} == {"by,cc0"}
    go(place, openverse(web))
    assert "license" not in web.queries[-1]  # another filter is another search


def test_provider_choices() -> None:
    assert provider_choices(["openverse,url-list=a.csv", "folder=b"]) == [
        Provider("openverse", {}),
        Provider("url-list", {"path": "a.csv"}),
        Provider("folder", {"path": "b"}),
    ]
    assert provider_choices(["openverse"], "http://h") == [Provider("openverse", {"base_url": "http://h"})]
    with pytest.raises(UnknownNameError, match="unknown provider 'bing'"):
        provider_choices(["bing"])


def test_class_names_from_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("ant\n\n bee \n", encoding="utf-8")
    assert read_class_names(str(path)) == ["ant", "bee"]
    path.write_text("ant\nbee\nant\n", encoding="utf-8")
    with pytest.raises(CrawlError, match="'ant' is listed 2 times"):
        read_class_names(str(path))
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(CrawlError, match="it is empty"):
        read_class_names(str(path))
    with pytest.raises(CrawlError, match="no such file"):
        read_class_names(str(tmp_path / "none.txt"))
    with pytest.raises(UnknownNameError):
        read_class_names("no-such-data-set")


def test_the_report_names_the_poorest_of_many_classes(web: HostileWeb, place: Workspace) -> None:
    web.hits = lambda query: [] if query == "class 17" else ["ok/1"]
    report = go(place, openverse(web), names=[f"class {n}" for n in range(25)])
    lines = report.lines()
    start = next(n for n, line in enumerate(lines) if "fewest images" in line)
    assert lines[start + 1].split() == ["class", "17", "found", "0", "fetched", "0"]
    assert len(lines) == start + 11
    assert "licences: by 24" in lines
