"""Whole crawls over search APIs of several shapes at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from noisyweb.crawl import crawl
from noisyweb.crawl_plan import CrawlPlan, Provider
from noisyweb.crawl_queries import Wording
from noisyweb.crawl_report import CrawlReport
from noisyweb.errors import CrawlError
from noisyweb.fetch import Limits
from noisyweb.hosts import Pace
from noisyweb.workspace import Workspace
from tests.conftest import PROGRAM
from tests.search_apis import KEY, Answer, ArchiveApi, FlickrApi, GoogleApi, Images, OpenverseApi, WikimediaApi
from tests.web import HostileWeb, photo

LIMITS = Limits(pace=Pace(concurrency=16, rate=0), tries=1)
NAMES = ["ant", "bee"]


def go(place: Workspace, *providers: Provider, per_class: int = 30, **options: Any) -> CrawlReport:
    names = options.pop("names", NAMES)
    plan = CrawlPlan(names, providers, per_class, **options)
    return asyncio.run(crawl(place, plan, allow_loopback=True, limits=LIMITS, processes=1))


def at(name: str, api: Any, **options: str) -> Provider:
    return Provider(name, {"base_url": api.base, **options})


def numbered(web: HostileWeb, first: int, count: int) -> Images:
    """The same images for every query, one place on for each letter of it."""
    return lambda query: [web.url(f"ok/{first + n + 1000 * len(query)}") for n in range(count)]


def candidates(place: Workspace) -> list[dict[str, Any]]:
    return place.read("candidates").to_pylist()


def test_providers_are_merged_fairly_and_those_that_dry_up_are_made_good(web: HostileWeb, place: Workspace) -> None:
    with (
        OpenverseApi(numbered(web, 0, 200)) as openverse,
        WikimediaApi(numbered(web, 300, 4)) as wikimedia,
        GoogleApi(numbered(web, 0, 3)) as google,  # the first three that openverse has as well
    ):
        keys = {"api_key": KEY, "cx": "engine:1"}
        providers = [at("openverse", openverse), at("wikimedia", wikimedia), at("google", google, **keys)]
        report = go(place, *providers, names=["ant"])
    found = Counter(row["provider"] for row in candidates(place))
    assert (report.found, report.fetched) == ([30], [30])
    assert found == {"openverse": 26, "wikimedia": 4}
    assert len({row["url"] for row in candidates(place)}) == 30
    assert {row["license"] for row in candidates(place) if row["provider"] == "wikimedia"} == {"by-sa"}


def test_equal_shares_as_long_as_all_have_more(web: HostileWeb, place: Workspace) -> None:
    with OpenverseApi(numbered(web, 0, 200)) as openverse, WikimediaApi(numbered(web, 300, 200)) as wikimedia:
        go(place, at("openverse", openverse), at("wikimedia", wikimedia))
    assert Counter((row["provider"], row["label"]) for row in candidates(place)) == {
        (name, label): 15 for name in ("openverse", "wikimedia") for label in (0, 1)
    }


def test_no_page_is_asked_for_twice_but_the_one_a_search_stood_in(web: HostileWeb, place: Workspace) -> None:
    with OpenverseApi(numbered(web, 0, 200)) as api:
        go(place, at("openverse", api), names=["ant"], per_class=30)
        assert api.asked("page") == ["1", "2"]
        go(place, at("openverse", api), names=["ant"], per_class=30)
        assert api.asked("page") == ["1", "2"]
        report = go(place, at("openverse", api), names=["ant"], per_class=50)
        assert api.asked("page") == ["1", "2", "2", "3"]
    assert report.fetched == [50]
    assert [row["rank"] for row in candidates(place)] == list(range(50))


def test_a_search_that_met_its_limit_goes_on_in_the_next_run(web: HostileWeb, place: Workspace) -> None:
    with OpenverseApi(numbered(web, 0, 100)) as api:
        limited = Answer({"detail": "Request was throttled."}, 429, {"Retry-After": "3600"})
        go(place, at("openverse", api), names=["ant"], per_class=20)
        api.instead.append(limited)
        report = go(place, at("openverse", api), names=["ant"], per_class=60)
        assert report.fetched == [20]
        assert "asks to wait 3600 s" in report.problems[0]
        report = go(place, at("openverse", api), names=["ant"], per_class=60)
        assert (report.fetched, report.problems) == ([60], [])
        assert api.asked("page") == ["1", "2", "2", "3"]


def test_hits_of_other_licences_are_dropped_whatever_the_provider_was_asked(web: HostileWeb, place: Workspace) -> None:
    def licence(url: str) -> str:
        return "by" if int(url.rpartition("/")[2]) % 2 else "by-nc"

    with OpenverseApi(numbered(web, 0, 40), licence) as api:
        api.instead.append(api.answer(_first_request(web)))  # as if it had not filtered
        report = go(place, at("openverse", api), names=["ant"], licenses=("by", "cc0"))
    assert set(report.licenses) == {"by"}
    [search] = place.read("searches").to_pylist()
    assert search["num_unlicensed"] == 10


def _first_request(web: HostileWeb) -> Any:
    from tests.search_apis import Request

    return Request("GET", "/v1/images/", {"q": "ant", "page": "1", "page_size": "20"}, {}, {})


def test_a_share_of_images_is_found_from_other_images(web: HostileWeb, place: Workspace) -> None:
    with OpenverseApi(numbered(web, 0, 200)) as api:
        api.related = lambda url: [web.url(f"ok/{int(url.rpartition('/')[2]) * 7 + 90_000 + n}") for n in range(4)]
        report = go(place, at("openverse", api), per_class=50, related=0.18)
    assert report.fetched == [50, 50]
    found = Counter((row["label"], row["query"].startswith("like ")) for row in candidates(place))
    assert found == {(0, False): 41, (0, True): 9, (1, False): 41, (1, True): 9}


def test_related_images_that_run_out_are_made_good_by_the_text(web: HostileWeb, place: Workspace) -> None:
    with OpenverseApi(numbered(web, 0, 200)) as api:
        report = go(place, at("openverse", api), names=["ant"], per_class=50, related=0.18)
    assert report.fetched == [50]


def test_queries_in_other_words_and_languages(web: HostileWeb, place: Workspace) -> None:
    wording = Wording(["{name} insect", "de:{name} Tier"], {"ant": {"synonyms": ["emmet"], "de": ["Ameise"]}})
    with OpenverseApi(numbered(web, 0, 5)) as api:
        go(place, at("openverse", api), wording=wording)
        assert Counter(api.asked("q")) == {"ant insect": 1, "emmet insect": 1, "Ameise Tier": 1, "bee insect": 1}


def test_keys_stay_out_of_all_that_is_written_and_said(web: HostileWeb, tmp_path: Path) -> None:
    classes = tmp_path / "classes.txt"
    classes.write_text("ant\n")
    with FlickrApi(numbered(web, 0, 5)) as api, GoogleApi(numbered(web, 10, 5)) as google:
        api.instead.append(Answer({"stat": "fail", "code": 100, "message": f"Invalid API Key {KEY}"}))
        command = [str(PROGRAM), "crawl", "--classes", str(classes), "--workspace", str(tmp_path / "w")]
        command += [
            "--source",
            "flickr,google",
            "--api-url",
            f"flickr={api.base}",
            "--api-url",
            f"google={google.base}",
        ]
        command += ["--allow-loopback", "--rate", "0"]
        keys = {f"NOISYWEB_{name}": KEY for name in ("FLICKR_API_KEY", "GOOGLE_API_KEY")}
        environment = {**os.environ, **keys, "NOISYWEB_GOOGLE_CX": "engine:1"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        assert done.returncode == 2, done.stderr
        assert "flickr" in done.stderr
        assert "fetched 5" in done.stdout
        assert google.requests[0].query["key"] == KEY
    written = b"".join(path.read_bytes() for path in (tmp_path / "w").rglob("*") if path.is_file())
    for said in (done.stdout.encode(), done.stderr.encode(), written):
        assert KEY.encode() not in said
        assert b"not%2Ba" not in said


def test_a_missing_key_is_named_before_anything_is_asked(web: HostileWeb, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("ant\n")
    command = [str(PROGRAM), "crawl", "--classes", "classes.txt", "--source", "flickr"]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment)
    assert done.returncode == 2
    assert "NOISYWEB_FLICKR_API_KEY" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "workspace").exists()


def test_dead_images_come_from_the_archive_where_that_is_wanted(
    web: HostileWeb, place: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "urls.csv"
    gone = ["status/404", "status/410", "status/403", "header/X-Robots-Tag=noai"]
    path.write_text("url,class\n" + "".join(f"{web.url(name)},ant\n" for name in gone))
    provider = Provider("url-list", {"path": str(path)})

    def copies(url: str) -> list[str]:
        return [f"{web.base}/web/20130919044612/{url}"] if url.endswith("404") else []

    web.archive["/web/20130919044612id_/" + web.url("status/404")] = photo(77)
    with ArchiveApi(copies) as archive:
        go(place, provider, names=["ant"], archive=archive.base)
        assert set(archive.asked("url")) == {web.url("status/404"), web.url("status/410")}
    found = {row["url"]: row for row in place.read("images").to_pylist()}
    saved = found[web.url("status/404")]
    assert (saved["status"], saved["detail"]) == ("ok", "archive 20130919044612")
    assert "/web/20130919044612id_/" in saved["final_url"]
    assert place.get(saved["image_id"]) == photo(77)
    assert {found[web.url(name)]["reason"] for name in gone[1:]} == {"http-410", "http-403", "opt-out"}


def test_the_archive_is_not_asked_without_a_word(web: HostileWeb, place: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "urls.csv"
    path.write_text(f"url,class\n{web.url('status/404')},ant\n")
    go(place, Provider("url-list", {"path": str(path)}), names=["ant"])
    assert [row["reason"] for row in place.read("images").to_pylist()] == ["http-404"]


# -- what it will cost -------------------------------------------------------------------------------------


def test_a_dry_run_asks_nobody_and_says_what_it_would_cost(web: HostileWeb, tmp_path: Path) -> None:
    with OpenverseApi(numbered(web, 0, 5)) as api:
        command = [str(PROGRAM), "crawl", "--classes", "cars", "--source", "openverse,wikimedia", "--per-class", "100"]
        command += ["--template", "{name}", "--template", "{name} car", "--api-url", f"openverse={api.base}"]
        done = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, timeout=60, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert not api.requests
    # 25 hits from each of four searches: two pages of 20 at Openverse, one of 50 at Wikimedia.
    assert "openverse: 392 queries, about 784 requests" in done.stdout
    assert "5 an hour, 100 a day" in done.stdout
    assert "wikimedia: 392 queries, about 392 requests" in done.stdout
    assert "AM General Hummer SUV 2000 car" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_filtered_is_said_beforehand() -> None:
    with pytest.raises(CrawlError, match="brave: it knows no licences"):
        CrawlPlan(NAMES, [Provider("brave", {"api_key": "x"})], licenses=("by",)).check()
    with pytest.raises(CrawlError, match="openverse: it knows no licence 'us-gov'"):
        CrawlPlan(NAMES, [Provider("openverse")], licenses=("us-gov",)).check()
    with pytest.raises(CrawlError, match="none of these sources has image-to-image search"):
        CrawlPlan(NAMES, [Provider("wikimedia")], related=0.2).check()
