from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from noisyweb.attribution import attribution_text
from noisyweb.crawl import crawl
from noisyweb.crawl_classes import read_class_names
from noisyweb.crawl_plan import CrawlPlan, Provider, provider_choices
from noisyweb.crawl_queries import Wording
from noisyweb.crawl_report import CrawlReport
from noisyweb.errors import CrawlError, SourceError, UnknownNameError
from noisyweb.fetch import Limits
from noisyweb.hosts import Pace
from noisyweb.phash import phash
from noisyweb.urls import canonical_url
from noisyweb.workspace import Workspace
from tests.web import HostileWeb, dead_port, photo

PACE = Pace(concurrency=16, rate=0, failures=1000)
CALM = Limits(pace=PACE, max_bytes=1_000_000, tries=2, backoff_s=0.01)
QUICK = replace(CALM, read_s=1.5, total_s=3)  # for hosts that never answer
NAMES = ["ant", "bee"]


RUN_OPTIONS = ("allow_loopback", "limits", "contact", "processes", "stats", "allowed", "resolve")


def go(place: Workspace, *providers: Provider, per_class: int | None = 100, **options: Any) -> CrawlReport:
    """Crawl with a plan's options and a run's, whichever they are."""
    run = {"allow_loopback": True, "limits": CALM, "processes": 1}
    run |= {name: options.pop(name) for name in RUN_OPTIONS if name in options}
    if "templates" in options:
        options["wording"] = Wording(options.pop("templates"))
    plan = CrawlPlan(options.pop("names", NAMES), providers, per_class, **options)
    return asyncio.run(crawl(place, plan, **run))


def openverse(web: HostileWeb) -> Provider:
    return Provider("openverse", {"base_url": web.base})


def url_list(folder: Path, *urls: str) -> Provider:
    path = folder / "urls.csv"
    path.write_text("".join(["url,class\n", *(f'"{url}",ant\n' for url in urls)]), encoding="utf-8")
    return Provider("url-list", {"path": str(path)})


def rows(place: Workspace, table: str) -> list[dict[str, Any]]:
    return place.read(table).to_pylist()


MISBEHAVIOURS = {
    "ok/1": None,
    "png/2": None,
    "webp/3": None,
    "gif/1": None,  # an animation: its first frame
    "tail/4": None,  # a script behind the image
    "busy/1": None,  # 429 and Retry-After: 0
    "busy-date/1": None,  # 429 and Retry-After: a date
    "gzipped/5": None,
    "here/6": None,  # a relative redirect
    "to/x?url=/ok/7": None,
    "header/X-Robots-Tag=otherbot: noai": None,
    "header/X-Robots-Tag=unavailable_after: Wed, 25 Jun 2031 15:00:00 PST": None,
    "header/Set-Cookie=a=b": None,
    "odd/ETag": None,  # bytes that are no text
    "odd/Last-Modified": None,
    "odd/Content-Encoding": "encoding",
    "odd/X-Robots-Tag": "opt-out",
    "unasked/1": "http-304",
    "short/9": "connection",  # Content-Length is too large
    "bad-length/1": "connection",
    "status/404": "http-404",
    "status/403": "http-403",
    "status/410": "http-410",
    "status/500": "http-500",
    "status/503": "http-503",
    "partial/1": "http-206",
    "busy/9": "http-429",
    "html/1": "not-an-image",
    "empty/1": "not-an-image",
    "truncated/1": "truncated",
    "half-png/1": "truncated",
    "bad-crc/1": "truncated",
    "half-gzip/1": "truncated",
    "not-gzip/1": "truncated",
    "pixel/1": "too-small",
    "bomb/1": "pixel-bomb",
    "svg/1": "svg",
    "bmp/1": "other-format",
    "avif/1": "other-format",
    "huge/1": "too-large",
    "gzip-bomb/1": "too-large",
    "brotli/1": "encoding",
    "loop/0": "redirect-loop",
    "to/x?url=http://10.0.0.1/": "private-address",
    "to/x?url=http://169.254.169.254/latest/meta-data": "private-address",
    "to/x?url=https://[::ffff:10.0.0.1]/": "private-address",
    "to/x?url=file:///etc/passwd": "bad-url",
    "stall/1": "timeout",
    "silent/1": "timeout",
    "trickle/1": "timeout",
    "slow-header/1": "timeout",
    "reset/1": "connection",
    "nonsense/1": "connection",
    "long-header/1": "connection",
    "bad-chunks/1": "connection",
    "header/X-Robots-Tag=noai": "opt-out",
    "header/X-Robots-Tag=noisyweb: noimageai": "opt-out",
    "header/Content-Usage=train-ai=n": "opt-out",
    "header/TDM-Reservation=1": "opt-out",
}


def test_every_candidate_ends_as_an_image_or_a_reason(web: HostileWeb, place: Workspace, tmp_path: Path) -> None:
    forbidding, failing = HostileWeb((200, "User-agent: *\nDisallow: /")), HostileWeb((503, ""))
    with forbidding, failing, dead_port() as port:
        expected = {web.url(path): reason for path, reason in MISBEHAVIOURS.items()}
        expected |= {
            forbidding.url("ok/1"): "robots",
            web.url(f"to/x?url={forbidding.url('ok/2')}"): "robots",
            failing.url("ok/1"): "robots-unreachable",
            f"http://127.0.0.1:{port}/a.jpg": "robots-unreachable",
            "http://no-such-host.invalid/a.jpg": "dns",
            "ftp://127.0.0.1/a.jpg": "bad-url",
            "http://": "bad-url",
            "http://192.168.0.1/a.jpg": "private-address",
        }
        start_s = time.monotonic()
        report = go(place, url_list(tmp_path, *expected), per_class=None, contact="me@example.org", limits=QUICK)
        assert time.monotonic() - start_s < 60
        assert not forbidding.count("ok/1") + forbidding.count("ok/2") + failing.count("ok/1")
    expected = {canonical_url(url): reason for url, reason in expected.items()}
    found = {row["url"]: row for row in rows(place, "images")}
    wrong = {url: (row["reason"], expected.get(url)) for url, row in found.items() if row["reason"] != expected[url]}
    assert not wrong
    assert len(found) == len(expected) >= 60
    for row in found.values():
        assert (row["status"] == "ok") is (row["reason"] is None) is (row["image_id"] is not None)
        assert (
            row["reason"] not in ("opt-out", "robots", "robots-unreachable", "timeout", "connection") or row["detail"]
        )
    passing = {row["reason"] for row in found.values() if row["retry"]}
    expected_passing = {"http-500", "http-503", "http-429", "timeout", "connection", "dns", "robots-unreachable"}
    assert passing == expected_passing
    num_ok = sum(reason is None for reason in expected.values())
    assert (report.found, report.fetched) == ([len(expected), 0], [num_ok, 0])
    assert place.get(found[web.url("ok/1")]["image_id"]) == photo(1)
    assert found[web.url("busy/1")]["attempts"] == 2
    assert found[web.url("here/6")]["final_url"] == web.url("ok/6")
    assert found[web.url("gif/1")]["changes"].startswith("first-frame")
    assert found[web.url("ok/1")]["changes"] is None
    hashes = {row["image_id"]: row["phash"] for row in rows(place, "hashes")}
    assert hashes == {i: phash(place.get(i))[0] for row in found.values() if (i := row["image_id"])}  # type: ignore[index]


def test_a_name_that_turns_private_is_not_followed(web: HostileWeb, place: Workspace, tmp_path: Path) -> None:
    """The name is public (here: allowed) for robots.txt and private for the image."""
    answers = iter([["127.0.0.1"], *[["127.0.0.53"]] * 20])

    async def resolve(host: str, port: int) -> list[str]:
        return next(answers)

    port = web.base.rpartition(":")[2]
    provider = url_list(tmp_path, f"http://rebind.example:{port}/ok/1")
    allowed = [ipaddress.ip_network("127.0.0.1/32")]
    limits = Limits(pace=PACE, tries=1, names_s=0)
    go(place, provider, allowed=allowed, resolve=resolve, allow_loopback=False, limits=limits)
    assert [row["reason"] for row in rows(place, "images")] == ["private-address"]
    assert not web.count("ok/1")


def test_a_host_that_only_fails_is_left_alone(place: Workspace, tmp_path: Path) -> None:
    limits = Limits(pace=Pace(concurrency=2, rate=0, failures=3, rest_s=0.2), read_s=0.5, tries=2, backoff_s=0.01)
    with HostileWeb() as bad, HostileWeb() as good:
        urls = [bad.url(f"silent/{n}") for n in range(60)] + [good.url(f"ok/{n}") for n in range(60)]
        report = go(place, url_list(tmp_path, *urls), limits=limits, per_class=None)
        assert report.fetched == [60, 0]
        assert report.failed[0]["host-down"] >= 50
        assert bad.requests.total() < 12
    assert {row["retry"] for row in rows(place, "images") if row["reason"] == "host-down"} == {True}
    [host] = [host for host in report.slowest if host["closed"]]
    assert (host["host"], host["closed"], host["failed"]) == (bad.base.removeprefix("http://"), "host-down", 60)


@pytest.mark.parametrize(
    ("failing", "first", "failed"), [(2, 10, {}), (4, 0, {"host-down": 9, "http-503": 1})], ids=["in-time", "too-late"]
)
def test_a_host_that_recovers_is_asked_again(
    place: Workspace, tmp_path: Path, failing: int, first: int, failed: dict[str, int]
) -> None:
    """Two failures open the breaker; if the third request, its probe, fails as well, the rest is for the next run."""
    limits = Limits(pace=Pace(concurrency=1, rate=0, failures=2, rest_s=0.1), tries=4, backoff_s=0.01)
    with HostileWeb() as web:
        web.failing_until = failing  # 503 for so many first requests for images
        urls = url_list(tmp_path, *[web.url(f"weak/{n}") for n in range(10)])
        report = go(place, urls, limits=limits)
        assert (report.fetched, report.failed[0]) == ([first, 0], failed)
        assert go(place, urls, limits=limits).fetched[0] == 10


def test_a_host_that_asks_for_a_long_wait_is_left_alone(web: HostileWeb, place: Workspace, tmp_path: Path) -> None:
    urls = [web.url("busy-long/1"), *(web.url(f"ok/{n}") for n in range(40))]
    limits = Limits(pace=Pace(concurrency=1, rate=0), tries=3)
    report = go(place, url_list(tmp_path, *urls), limits=limits)
    assert (report.fetched, report.failed[0]) == ([0, 0], {"http-429": 41})
    assert (web.count("busy-long/1"), web.count("ok/1")) == (1, 0)
    assert "asks to wait 86400 s" in rows(place, "images")[0]["detail"]


def test_no_more_than_the_limit_at_once_from_one_host(web: HostileWeb, place: Workspace, tmp_path: Path) -> None:
    urls = [web.url(f"together/{n}") for n in range(39)]
    report = go(place, url_list(tmp_path, *urls), limits=Limits(connections=40, pace=Pace(concurrency=3, rate=0)))
    assert report.fetched == [39, 0]
    assert web.most_at_once == 3


def test_a_host_is_asked_no_faster_than_its_rate(web: HostileWeb, place: Workspace, tmp_path: Path) -> None:
    urls = [web.url(f"ok/{n}") for n in range(16)]
    start_s = time.monotonic()
    go(place, url_list(tmp_path, *urls), limits=Limits(pace=Pace(concurrency=8, rate=20, burst=4)))
    assert time.monotonic() - start_s >= (16 - 4) / 20


def test_a_slow_host_keeps_nobody_waiting(place: Workspace, tmp_path: Path) -> None:
    with HostileWeb() as slow, HostileWeb() as quick:
        urls = [slow.url(f"ok/{n}") for n in range(500)] + [quick.url(f"ok/{n}") for n in range(50)]
        limits = Limits(connections=8, pace=Pace(concurrency=4, rate=100, burst=1))

        async def run() -> None:
            plan = CrawlPlan(NAMES, [url_list(tmp_path, *urls)])
            job = asyncio.create_task(crawl(place, plan, allow_loopback=True, limits=limits, processes=1))
            await asyncio.to_thread(quick.wait_for, lambda: quick.requests.total() == 51)
            assert slow.requests.total() < 300
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)

        asyncio.run(run())


def test_a_sub_host_limit_of_a_provider_counts() -> None:
    from noisyweb.providers import wikimedia

    assert wikimedia.HOSTS["upload.wikimedia.org"].concurrency == 2


def test_images_are_made_smaller_where_that_is_asked(web: HostileWeb, place: Workspace, tmp_path: Path) -> None:
    urls = [web.url(f"{path}/1") for path in ("ok", "png", "webp")]
    go(place, url_list(tmp_path, *urls), image_size=40)
    for row in rows(place, "images"):
        assert (row["width"], row["height"], row["changes"]) == (40, 40, "resized")
        assert row["image_id"] != row["fetched_id"]
        with Image.open(place.path(row["image_id"])) as image:
            assert image.size == (40, 40)


def test_bytes_may_be_stored_unseen(web: HostileWeb, place: Workspace, tmp_path: Path) -> None:
    go(place, url_list(tmp_path, web.url("ok/1"), web.url("html/1")), decode=False)
    assert [row["status"] for row in rows(place, "images")] == ["ok", "ok"]
    assert not rows(place, "hashes")


def test_the_same_bytes_are_kept_once(web: HostileWeb, place: Workspace, tmp_path: Path) -> None:
    urls = [web.url(f"ok/1?copy={n}") for n in range(5)]
    report = go(place, url_list(tmp_path, *urls, urls[0].upper().replace("OK", "ok").replace("COPY", "copy")))
    assert (report.found, report.fetched, report.num_images) == ([5, 0], [5, 0], 1)
    assert len([path for path in (place.folder / "store").rglob("*") if path.is_file()]) == 1
    assert "different images: 1; the same bytes are kept once" in report.lines()


def test_asking_again_changes_only_what_has_changed(web: HostileWeb, place: Workspace, tmp_path: Path) -> None:
    provider = url_list(tmp_path, *(web.url(f"{name}/3") for name in ("etag", "changing", "vanishing", "ok")))
    go(place, provider)
    before = {row["url"]: row for row in rows(place, "images")}
    go(place, provider)
    assert web.count("etag/3") == 1
    go(place, provider, refresh=True)
    after = {row["url"]: row for row in rows(place, "images")}
    assert web.headers["/etag/3"]["if-none-match"] == '"3"'
    assert after[web.url("etag/3")] == before[web.url("etag/3")]
    assert place.get(after[web.url("changing/3")]["image_id"]) == photo(2)
    gone = after[web.url("vanishing/3")]
    assert (gone["status"], gone["image_id"]) == ("ok", before[web.url("vanishing/3")]["image_id"])
    assert (gone["detail"], gone["http_status"]) == ("asked again: http-404", 404)


def test_images_that_are_gone_from_the_store_are_fetched_whole_again(
    web: HostileWeb, place: Workspace, tmp_path: Path
) -> None:
    provider = url_list(tmp_path, *(web.url(f"etag/{number}") for number in range(1, 5)))
    go(place, provider)
    ids = {row["url"]: row["image_id"] for row in rows(place, "images")}
    paths = [place.store.path(ids[web.url(f"etag/{number}")]) for number in range(1, 4)]
    assert isinstance(paths[0], Path)
    paths[0].unlink()  # type: ignore[union-attr]
    paths[1].write_bytes(b"")
    paths[2].write_bytes(photo(3)[:-1])  # cut off: nobody has looked, and the host says that it is as it was
    with pytest.raises(SourceError, match=r"is not in the store; crawl with --refresh, or restore store/"):
        place.get(paths[0].name)
    go(place, provider, refresh=True)
    assert [path.read_bytes() == photo(number) for number, path in enumerate(paths, 1)] == [True, True, False]
    assert place.put(photo(3)) == paths[2].name
    assert paths[2].read_bytes() == photo(3)


def test_a_local_file_that_was_mended_is_read_again_by_refresh(place: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "mine" / "ant" / "1.jpg"
    file.parent.mkdir(parents=True)
    file.write_bytes(photo(1)[:-400])
    provider = Provider("folder", {"path": str(tmp_path / "mine")})
    assert go(place, provider).failed[0] == {"truncated": 1}
    file.write_bytes(photo(1))
    assert go(place, provider).failed[0] == {"truncated": 1}
    assert go(place, provider, refresh=True).fetched == [1, 0]


def test_a_file_name_that_is_no_text_is_read(place: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "ant"
    folder.mkdir(parents=True)
    try:
        (folder / os.fsdecode(b"\xff\xfe.jpg")).write_bytes(photo(1))
    except OSError:
        pytest.skip("this file system has no such names")
    assert go(place, Provider("folder", {"path": str(folder.parent)})).fetched == [1, 0]


def test_a_refused_list_leaves_the_workspace_as_it_was(place: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "urls.csv"
    path.write_text("url,class\nhttp://127.0.0.1/a.jpg,cat\n")
    provider = Provider("url-list", {"path": str(path)})
    with pytest.raises(CrawlError, match="row 1 has class 'cat'"):
        go(place, provider)
    assert not list(place.folder.iterdir())  # type: ignore[attr-defined]


def test_names_and_passwords_of_urls_are_not_told(web: HostileWeb, place: Workspace, tmp_path: Path) -> None:
    go(place, url_list(tmp_path, web.url("ok/1").replace("http://", "http://me:secret@")))
    assert [(row["url"], row["status"]) for row in rows(place, "images")] == [(web.url("ok/1"), "ok")]
    for file in place.folder.rglob("*"):  # type: ignore[attr-defined]
        assert not file.is_file() or b"secret" not in file.read_bytes()


def test_what_killed_crawls_left_beside_the_tables_is_cleared_away(
    web: HostileWeb, place: Workspace, tmp_path: Path
) -> None:
    for name in (".images.parquet.abc.tmp", ".ATTRIBUTION.md.x1.tmp", ".votes.parquet.def.tmp"):
        (place.folder / name).write_bytes(b"half")  # type: ignore[operator]
    go(place, url_list(tmp_path, web.url("ok/1")))
    left = [path.name for path in place.folder.iterdir() if path.suffix == ".tmp"]  # type: ignore[attr-defined]
    assert left == [".votes.parquet.def.tmp"], "somebody else may be writing that"


def test_hostile_credits_make_neither_links_nor_pictures(place: Workspace, tmp_path: Path) -> None:
    text = "".join(
        attribution_text(
            [
                {"image_id": "a" * 64, "creator": "![x](http://spy.example/) \\[y](javascript:z)", "license": "by",
                 "attribution": None, "landing_url": "javascript:alert(1)", "url": "http://a.example/"},
            ]
        )
    )  # fmt: skip
    assert r"!\[x\](http://spy.example/) \\\[y\](javascript:z)" in text


def test_a_dry_run_reads_lists(tmp_path: Path) -> None:
    urls = [f"http://{host}.example/{number}.jpg" for host in "ab" for number in range(3)]
    plan = CrawlPlan(NAMES, [url_list(tmp_path, *urls)])
    assert plan.lines()[1].endswith("urls.csv, 6 images on 2 hosts, no requests to an API")
    with pytest.raises(CrawlError, match="no such file"):
        CrawlPlan(NAMES, [Provider("url-list", {"path": str(tmp_path / "none.csv")})]).lines()


@pytest.mark.parametrize("options", [{"image_size": 64}, {"min_side": 64}])
def test_images_that_are_stored_unseen_have_no_size(options: dict[str, int]) -> None:
    with pytest.raises(CrawlError, match="--no-decode: images are stored unseen"):
        CrawlPlan(NAMES, [Provider("openverse")], decode=False, **options).check()  # type: ignore[arg-type]


def test_credits_and_the_report_lie_beside_the_tables(web: HostileWeb, place: Workspace) -> None:
    web.hits = lambda query: ["ok/1", "ok/2"] if query == "ant" else ["ok/2", "html/1"]
    go(place, openverse(web))
    credits = (place.folder / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert credits.count("is licensed under CC BY 4.0") == 2
    import json

    report = json.loads((place.folder / "crawl-report.json").read_text(encoding="utf-8"))
    assert report["classes"][1] == {"class": "bee", "found": 2, "fetched": 1, "failed": {"not-an-image": 1}}
    assert report["licenses"] == {"by": 3}


def test_two_runs_write_the_same_bytes(web: HostileWeb, tmp_path: Path) -> None:
    web.hits = lambda query: [f"ok/{n}" for n in range(30)] + ["html/1", "gif/2"]
    tables = []
    for name in ("a", "b"):
        place = Workspace(tmp_path / name, create=True)
        go(place, openverse(web), processes=2)
        tables.append(
            [(place.folder / f"{table}.parquet").read_bytes() for table in ("candidates", "images", "hashes")]
        )
    assert tables[0] == tables[1]
    assert pq.read_table(tmp_path / "a" / "images.parquet").num_rows == 64


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
    assert {(row["status"], row["provider"]) for row in rows(place, "searches")} == {("failed", "openverse")}


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
    with pytest.raises(CrawlError, match="--contact"):
        go(place, url_list(tmp_path, "http://93.184.215.14/a.jpg"))
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
    assert provider_choices(["openverse"], base_urls={"openverse": "http://h"}) == [
        Provider("openverse", {"base_url": "http://h"})
    ]
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
