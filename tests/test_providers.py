from __future__ import annotations

import asyncio
import itertools
import json
import tracemalloc
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisyweb import plugins
from noisyweb.errors import CrawlError, UnknownNameError
from noisyweb.licenses import SLUGS
from noisyweb.providers import brave, flickr, folder, google, openverse, wikimedia
from noisyweb.providers._api import Api, RefusedError
from noisyweb.providers._protocol import ApiLimits, Hit, Page, Query
from tests.search_apis import (
    DOWN,
    KEY,
    SLOW_DOWN,
    Answer,
    ArchiveApi,
    BraveApi,
    FlickrApi,
    GoogleApi,
    OpenverseApi,
    SearchApi,
    WikimediaApi,
)
from tests.web import photo

NAMES = ("ant", "bee/wasp")
WITH_KEY = {"client_id": "client", "client_secret": KEY}
GOOGLE_KEYS = {"api_key": KEY, "cx": "engine:1"}
ONE_KEY = {"api_key": KEY}
SEARCHED: list[tuple[ModuleType, type[SearchApi], dict[str, str]]] = [
    (openverse, OpenverseApi, {}),
    (openverse, OpenverseApi, WITH_KEY),
    (wikimedia, WikimediaApi, {}),
    (flickr, FlickrApi, ONE_KEY),
    (google, GoogleApi, GOOGLE_KEYS),
    (brave, BraveApi, ONE_KEY),
]


def module(name: str) -> ModuleType:
    return plugins.load("noisyweb.providers", "provider", name)


def numbered(count: int, end: str = "jpg") -> list[str]:
    return [f"http://images.example/{n}.{end}" for n in range(count)]


class Search:
    """One provider asked as the crawler does, page by page, each page as if in a run of its own."""

    def __init__(self, provider: ModuleType, server: SearchApi, keys: dict[str, str] | None = None) -> None:
        self.provider, self.options = provider, {"base_url": server.base, **(keys or {})}

    def pages(
        self, query: Query, cursor: str | None = None, most: int = 1000, *, anew: bool = True
    ) -> tuple[list[Page], Api]:
        async def run() -> tuple[list[Page], Api]:
            pages: list[Page] = []
            place = cursor
            async with httpx.AsyncClient(trust_env=False) as client:
                api = self._api(client)
                while len(pages) < most:
                    if anew:
                        api = self._api(client)
                    page = await self.provider.search(query, api, place)
                    pages.append(page)
                    if (place := page.next) is None:
                        break
                return pages, api

        return asyncio.run(run())

    def urls(self, text: str = "ant", cursor: str | None = None, **fields: Any) -> list[str]:
        return [hit.url for page in self.pages(Query(text, 100, **fields), cursor)[0] for hit in page.hits]

    def one(self, text: str = "ant", cursor: str | None = None, **fields: Any) -> Page:
        return self.pages(Query(text, 100, **fields), cursor, 1)[0][0]

    def _api(self, client: httpx.AsyncClient) -> Api:
        # The provider's own pace is for true servers.
        name = self.provider.__name__.rpartition(".")[2]
        return Api(name, client, self.options, getattr(self.provider, "KEYS", {}), ApiLimits(1))


# -- all of them -------------------------------------------------------------------------------------------


def test_the_providers_are_the_files() -> None:
    names = plugins.names("noisyweb.providers")
    assert names == ["brave", "flickr", "folder", "google", "openverse", "url-list", "wikimedia"]
    for name in names:
        provider = module(name)
        assert provider.SUMMARY
        assert hasattr(provider, "listing") != hasattr(provider, "search")
        assert set(getattr(provider, "LICENSES", None) or ()) <= set(SLUGS)
    with pytest.raises(UnknownNameError, match="did you mean 'openverse'"):
        module("openvers")


def test_limits_are_those_of_the_documentation() -> None:
    assert openverse.limits({}).quota == ((5, "hour"), (100, "day"))
    assert openverse.limits(WITH_KEY).quota == ((100, "minute"), (10_000, "day"))
    assert [openverse.limits(keys).page_size for keys in ({}, WITH_KEY)] == [20, 500]
    assert wikimedia.limits({}).concurrency == 3
    assert wikimedia.HOSTS["upload.wikimedia.org"].concurrency == 2
    assert flickr.limits({}).quota == ((3600, "hour"),)
    assert google.limits({}).max_hits == 99
    assert "2027-01-01" in google.limits({}).note
    assert brave.limits({}).max_hits == 200


@pytest.mark.parametrize(("provider", "server", "keys"), SEARCHED)
def test_every_search_ends_and_goes_on_from_any_cursor(
    provider: ModuleType, server: type[SearchApi], keys: dict[str, str]
) -> None:
    with server(lambda query: numbered(85) if query == "ant" else []) as api:
        search = Search(provider, api, keys)
        pages, _ = search.pages(Query("ant", 100))
        found = [[hit.url.partition("?")[0] for hit in page.hits] for page in pages]
        assert list(itertools.chain(*found)) == numbered(85)
        for number, page in enumerate(pages[:-1], start=1):
            again = [url.partition("?")[0] for url in search.urls(cursor=page.next)]
            assert again == list(itertools.chain(*found[number:]))
        assert search.urls("nothing") == []


@pytest.mark.parametrize(
    "cursor", ["", "x", "0", "-1", "1.5", "²", "9" * 5000, "[" * 5000, "null", "[1]", '{"a": [1]}', "{"]
)
@pytest.mark.parametrize(("provider", "server", "keys"), SEARCHED)
def test_odd_cursors_are_refused_without_asking(
    provider: ModuleType, server: type[SearchApi], keys: dict[str, str], cursor: str
) -> None:
    with server(lambda query: numbered(5)) as api:
        with pytest.raises(CrawlError, match="is no place to go on from"):
            Search(provider, api, keys).one(cursor=cursor)
        assert not api.requests


@pytest.mark.parametrize(("provider", "server", "keys"), SEARCHED)
def test_troubles_that_pass(provider: ModuleType, server: type[SearchApi], keys: dict[str, str]) -> None:
    with server(lambda query: numbered(5)) as api:
        api.instead.extend([SLOW_DOWN, DOWN])
        assert len(Search(provider, api, keys).urls()) == 5
        api.instead.extend([SLOW_DOWN] * 4)
        with pytest.raises(CrawlError, match=r"its limit is reached, 4 tries \(HTTP 429 Request was throttled\.\)"):
            Search(provider, api, keys).one()
        api.instead.extend([DOWN] * 4)
        with pytest.raises(CrawlError, match=r"gave no answer, 4 tries \(HTTP 502\)"):
            Search(provider, api, keys).one()


@pytest.mark.parametrize(("provider", "server", "keys"), SEARCHED)
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(b"no", 400), "HTTP 400|does not know this key"),
        (Answer(b"no", 403), "HTTP 403"),
        (Answer(b"no", 404), "no such API"),
        (Answer(b"<html>", 200), "not JSON"),
        (Answer(b"[" * 100_000, 200), "not JSON"),
        (Answer([], 200), "is that the right address"),
        (Answer({}, 200), "is that the right address"),
        (Answer("x", 429, {"Retry-After": "86400"}), "asks to wait 86400 s"),
    ],
)
def test_refusals_in_plain_words(
    provider: ModuleType, server: type[SearchApi], keys: dict[str, str], answer: Answer, message: str
) -> None:
    with server(lambda query: numbered(5)) as api:
        api.instead.append(answer)
        with pytest.raises(CrawlError, match=message) as caught:
            Search(provider, api, keys).one()
        assert len(api.requests) == 1
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("provider", "server", "keys"), SEARCHED)
def test_keys_are_told_to_nobody(provider: ModuleType, server: type[SearchApi], keys: dict[str, str]) -> None:
    """Whatever a server says about a key, in whatever status, no message has it."""
    said = f"You, {KEY} alias {quote(KEY, safe='')}, are wrong"
    error = {"code": 17, "info": said, "message": said, "detail": said}
    for status in (200, 400, 401, 403, 422, 429, 500):
        with server(lambda query: []) as api:
            answer = Answer(
                {"error": error, "detail": said, "stat": "fail", "code": 17, "message": said},
                status,
                {"Retry-After": "0"},
            )
            api.instead.extend([answer] * 10)
            with pytest.raises(CrawlError) as caught:
                Search(provider, api, keys).one()
            if keys:
                error_chain = [caught.value, caught.value.__cause__]
                assert not any(secret in f"{e} {e!r}" for e in error_chain for secret in (KEY, quote(KEY, safe="")))


# -- openverse ---------------------------------------------------------------------------------------------


def test_openverse_without_a_key() -> None:
    with OpenverseApi(lambda query: numbered(45)) as api:
        search = Search(openverse, api)
        first = search.one(licenses=("by", "cc0"))
        assert first.hits[0] == Hit(
            url="http://images.example/0.jpg",
            provider_id=first.hits[0].provider_id,
            title="Picture 0.jpg",
            landing_url=f"https://example.org/page/{first.hits[0].provider_id}",
            creator="Someone",
            license="by",
            license_url="https://creativecommons.org/licenses/by/4.0/",
            attribution='"Picture" by Someone is licensed under CC BY 4.0.',
            width=64,
            height=64,
        )
        query = api.requests[0].query
        assert query == {
            **{"q": "ant", "page": "1", "page_size": "20"},
            **{"mature": "false", "filter_dead": "true", "license": "by,cc0"},
        }
        assert "authorization" not in api.requests[0].headers
        assert search.urls() == numbered(45)
        assert api.asked("page") == ["1", "1", "2", "3"]


def test_openverse_filters_by_licence() -> None:
    with OpenverseApi(lambda query: numbered(45), lambda url: "cc0" if "7" in url else "by") as api:
        assert Search(openverse, api).urls(licenses=("cc0",)) == [url for url in numbered(45) if "7" in url]


def test_openverse_never_asks_beyond_page_20() -> None:
    with OpenverseApi(lambda query: numbered(1000)) as api:
        assert Search(openverse, api).urls() == numbered(400)
        assert api.asked("page")[-1] == "20"
        assert Search(openverse, api).one(cursor="21") == Page(())
        assert len(api.requests) == 20


def test_openverse_cuts_long_queries() -> None:
    with OpenverseApi(lambda query: []) as api:
        Search(openverse, api).one("x" * 300)
        assert api.asked("q") == ["x" * 200]


def test_openverse_with_a_key_asks_for_one_token() -> None:
    with OpenverseApi(lambda query: numbered(1200)) as api:
        pages, told = Search(openverse, api, WITH_KEY).pages(Query("ant", 100), anew=False)
        assert [len(page.hits) for page in pages] == [500, 500, 200]
        assert [request.path for request in api.requests] == ["/v1/auth_tokens/token/"] + ["/v1/images/"] * 3
        assert dict(api.requests[0].form) == {**WITH_KEY, "grant_type": "client_credentials"}
        assert {request.headers["authorization"] for request in api.requests[1:]} == {"Bearer token-0"}
        assert told.redacted("token-0") == "***"


def test_openverse_renews_its_token_before_it_expires() -> None:
    with OpenverseApi(lambda query: numbered(1200)) as api:
        api.token_life_s = 0
        Search(openverse, api, WITH_KEY).pages(Query("ant", 100), anew=False)
        assert sum(request.path == "/v1/auth_tokens/token/" for request in api.requests) == 3


def test_openverse_renews_a_token_that_is_refused_but_once() -> None:
    expired = Answer({"detail": "Expired."}, 401)
    with OpenverseApi(lambda query: numbered(3)) as api:
        token = Answer({"access_token": "stale", "expires_in": 36000})
        api.instead.append(token)
        assert len(Search(openverse, api, WITH_KEY).one().hits) == 3
        assert [request.headers.get("authorization") for request in api.requests] == [
            *(None, "Bearer stale"),
            *(None, "Bearer token-0"),
        ]
        api.instead.extend([token, expired, token, expired])
        with pytest.raises(CrawlError, match="HTTP 401"):
            Search(openverse, api, WITH_KEY).one()
        assert len(api.requests) == 8


def test_openverse_asks_for_one_token_for_many_searches_at_once() -> None:
    with OpenverseApi(lambda query: numbered(3)) as server:

        async def run() -> None:
            async with httpx.AsyncClient(trust_env=False) as client:
                api = Api(
                    "openverse",
                    client,
                    {"base_url": server.base, **WITH_KEY},
                    openverse.KEYS,
                    ApiLimits(1, concurrency=4),
                )
                for _ in range(2):
                    await asyncio.gather(*(openverse.search(Query(f"q{n}", 1), api, None) for n in range(6)))
                    server.expire_tokens()

        asyncio.run(run())
        assert sum(request.method == "POST" for request in server.requests) == 2


@pytest.mark.parametrize("answer", [{}, {"access_token": 3}, []])
def test_openverse_without_a_token_in_the_answer(answer: object) -> None:
    with OpenverseApi(lambda query: []) as api:
        api.instead.append(Answer(answer))
        with pytest.raises(CrawlError, match="answered without an access_token"):
            Search(openverse, api, WITH_KEY).one()


def test_openverse_does_not_know_the_key() -> None:
    with OpenverseApi(lambda query: []) as api:
        with pytest.raises(
            CrawlError, match=r"does not know this key .HTTP 401.; look at NOISYWEB_OPENVERSE_CLIENT_ID"
        ):
            Search(openverse, api, {**WITH_KEY, "client_id": "other"}).one()
        with pytest.raises(CrawlError, match="has a client_id but no client_secret; set NOISYWEB_OPENVERSE_CLIENT_S"):
            openverse.limits({"client_id": "x"})


def test_openverse_cursors_survive_a_change_of_key() -> None:
    with OpenverseApi(lambda query: numbered(300)) as api:
        alone, known = Search(openverse, api), Search(openverse, api, WITH_KEY)
        after_20 = alone.one().next
        assert known.urls(cursor=after_20) == numbered(300)[20:]
        api.images = lambda query: numbered(1300)
        after_500 = known.one().next
        assert alone.urls(cursor=after_500) == []  # beyond what it grants without a key
        assert alone.urls(cursor="2:100") == numbered(400)[100:]


def test_openverse_keys_that_get_no_larger_pages() -> None:
    with OpenverseApi(lambda query: numbered(60)) as api:
        api.max_page_size = 50
        search = Search(openverse, api, WITH_KEY)
        pages, _ = search.pages(Query("ant", 100), anew=False)
        assert [hit.url for page in pages for hit in page.hits] == numbered(60)
        assert api.asked("page_size")[1:] == ["500", "20", "20", "20"]
        assert search.urls() == numbered(60)


def test_openverse_related_images() -> None:
    with OpenverseApi(lambda query: numbered(3)) as api:
        api.related = lambda url: [f"{url}/like/{n}" for n in range(10)]
        search = Search(openverse, api)
        number = search.one().hits[1].provider_id
        page = search.one(similar_to=number)
        assert [hit.url for hit in page.hits] == [f"http://images.example/1.jpg/like/{n}" for n in range(10)]
        assert page.next is None
        assert api.requests[-1].path == f"/v1/images/{number}/related/"
        with pytest.raises(RefusedError, match="HTTP 404"):
            search.one(similar_to="../../x?y#z")
        assert api.requests[-1].path == "/v1/images/..%2F..%2Fx%3Fy%23z/related/"
        with pytest.raises(CrawlError, match="no place to go on from"):
            search.one(similar_to=number, cursor="2")


def test_openverse_blocked() -> None:
    with OpenverseApi(lambda query: []) as api:
        api.instead.append(Answer(b"<html>Sorry, you have been blocked</html>", 403))
        with pytest.raises(CrawlError, match=r"HTTP 403 .*it has blocked us; do not go on asking"):
            Search(openverse, api, WITH_KEY).one()
        assert len(api.requests) == 1


def test_openverse_leaves_odd_results_out() -> None:
    odd = [1, {}, {"url": 3}, {"url": "ftp://a/b"}, {"url": "http://a/m.jpg", "mature": True}]
    good = {
        "url": "http://a/b.jpg",
        "width": "9",
        "height": -1,
        "creator": 3,
        "license": "BY",
        "foreign_landing_url": "x",
    }
    with OpenverseApi(lambda query: []) as api:
        api.instead.append(Answer({"results": [*odd, good], "page_count": "?"}))
        page = Search(openverse, api).one()
        assert page.hits == [Hit(url="http://a/b.jpg", width=9, license="by")]


# -- wikimedia ---------------------------------------------------------------------------------------------


def test_wikimedia_hits() -> None:
    with WikimediaApi(lambda query: numbered(60)) as api:
        page = Search(wikimedia, api).one(image_size=100)
        assert page.hits[3] == Hit(
            url="http://images.example/3.jpg?thumb=250px",
            provider_id=page.hits[3].provider_id,
            title="3.jpg",
            landing_url="https://commons.wikimedia.org/wiki/File:3.jpg",
            creator="Anna & 3.jpg",
            license="by-sa",
            license_url="https://creativecommons.org/licenses/by-sa/4.0",
            attribution='"3.jpg" by Anna & 3.jpg, CC BY-SA 4.0, via Wikimedia Commons',
            width=250,
            height=187,
        )
        assert json.loads(page.next or "") == {"continue": "gsroffset||", "gsroffset": 50}
        query = api.requests[0].query
        assert query["gsrsearch"] == "ant filetype:bitmap"
        assert (query["maxlag"], query["gsrlimit"], query["iiurlwidth"]) == ("5", "50", "250")


@pytest.mark.parametrize(
    ("image_size", "width"),
    [(None, 1280), (1, 20), (10, 20), (32, 120), (84, 250), (224, 500), (480, 960), (5000, 3840)],
)
def test_wikimedia_thumbnails_are_of_allowed_widths(image_size: int | None, width: int) -> None:
    assert wikimedia.thumbnail_width(image_size) == width
    with WikimediaApi(lambda query: numbered(2)) as api:
        api.size_of = lambda url: (width + 1, 9) if "0.jpg" in url else (width, 9)
        found = Search(wikimedia, api).one(image_size=image_size).hits
        # What is no wider than the thumbnail is taken itself.
        assert [hit.url for hit in found] == [
            f"http://images.example/0.jpg?thumb={width}px",
            "http://images.example/1.jpg",
        ]
        assert [hit.width for hit in found] == [width, width]


def test_wikimedia_filters_licences_and_types_itself() -> None:
    def kind(url: str) -> str:
        return {"1": "image/svg+xml", "2": "image/tiff", "3": "application/pdf"}.get(url[-5], "image/png")

    with WikimediaApi(lambda query: numbered(10), lambda url: "by" if url[-5] in "0246" else "by-sa") as api:
        api.mime_of = kind
        found = Search(wikimedia, api).one(licenses=("by", "cc0")).hits
        assert [hit.title for hit in found] == ["0.jpg", "4.jpg", "6.jpg"]
        assert [hit.title for hit in Search(wikimedia, api).one().hits] == [f"{n}.jpg" for n in (0, 4, 5, 6, 7, 8, 9)]


def test_wikimedia_reaches_no_further_than_its_search() -> None:
    with WikimediaApi(lambda query: numbered(20_000)) as api:
        cursor = json.dumps({"gsroffset": 9950, "continue": "gsroffset||"})
        page = Search(wikimedia, api).one(cursor=cursor)
        assert (len(page.hits), page.next) == (50, None)


@pytest.mark.parametrize("code", ["maxlag", "ratelimited"])
def test_wikimedia_errors_that_pass(code: str) -> None:
    passing = Answer({"error": {"code": code, "info": "Waiting for a server."}}, 200, {"Retry-After": "0"})
    with WikimediaApi(lambda query: numbered(2)) as api:
        api.instead.append(passing)
        assert len(Search(wikimedia, api).one().hits) == 2
        api.instead.extend([passing] * 4)
        with pytest.raises(CrawlError, match=rf"no answer, 4 tries \({code}: Waiting for a server\.\)"):
            Search(wikimedia, api).one()


def test_wikimedia_refusals() -> None:
    with WikimediaApi(lambda query: []) as api:
        api.instead.append(Answer({"error": {"code": "cirrussearch-backend-error", "info": "No."}}))
        with pytest.raises(CrawlError, match="wikimedia: it refuses: cirrussearch-backend-error: No"):
            Search(wikimedia, api).one()
        api.wants_contact = True
        with pytest.raises(CrawlError, match=r"HTTP 403 .* give --contact"):
            Search(wikimedia, api).one()


def test_wikimedia_answers_in_parts_and_oddities() -> None:
    info: dict[str, Any] = {"url": "http://a/b.png", "mime": "image/png", "width": 5000, "thumburl": 3, "user": "U"}
    about = {"License": {"value": 3}, "LicenseShortName": {"value": "GFDL"}, "Artist": ["x"], "LicenseUrl": {}}
    pages = [1, {}, {"imageinfo": []}, {"imageinfo": 3}, {"imageinfo": [{"url": "x", "mime": "image/png"}], "index": 1}]
    with WikimediaApi(lambda query: []) as api:
        api.instead.append(Answer({"query": {"pages": [*pages, {"imageinfo": [{**info, "extmetadata": about}]}]}}))
        assert Search(wikimedia, api).one().hits == [
            Hit(
                "http://a/b.png",
                creator="U",
                license="gfdl",
                width=5000,
                attribution="Image by U, GFDL, via Wikimedia Commons",
            )
        ]
        api.instead.append(Answer({"continue": {"continue": "||", "iistart": 3}, "query": {"pages": {"1": {}}}}))
        assert Search(wikimedia, api).one().next == '{"continue": "||", "iistart": 3}'


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<a href="//x" title="<b>">Anna</a> &amp; <i>Bob</i>', "Anna & Bob"),
        ("one<br>two<div>three</div>", "one two three"),
        ("<style>a{}</style><script>alert('<b>')</script>Anna", "Anna"),
        ("plain", "plain"),
        ("a < b", "a < b"),
        ("<table><tr><td>a</td><td>b", "a b"),
        ("", ""),
    ],
)
def test_html_as_text(html: str, text: str) -> None:
    assert wikimedia.plain(html) == text


@given(st.text(alphabet="<>/!-&;ab ='\"script", max_size=60))
def test_any_html_is_one_line(html: str) -> None:
    assert "\n" not in wikimedia.plain(html)


# -- flickr ------------------------------------------------------------------------------------------------


def test_flickr_hits() -> None:
    with FlickrApi(lambda query: numbered(3), lambda url: "by 4.0" if "1" in url else "cc0") as api:
        page = Search(flickr, api, ONE_KEY).one()
        number = page.hits[1].provider_id
        assert page.hits[1] == Hit(
            url="http://images.example/1.jpg",
            provider_id=number,
            title=f"Photo {number}",
            landing_url=f"https://www.flickr.com/photos/12345%40N00/{number}",
            creator="Anna",
            license="by",
            license_url="https://creativecommons.org/licenses/by/4.0/",
            attribution=f'"Photo {number}" by Anna, CC BY 4.0, via Flickr',
            width=1024,
            height=768,
        )
        query = api.requests[0].query
        assert (query["safe_search"], query["per_page"], query["content_types"], query["media"]) == (
            "1",
            "500",
            "0",
            "photos",
        )
        assert "license" not in query


def test_flickr_licences_are_both_versions() -> None:
    with FlickrApi(
        lambda query: numbered(30), lambda url: ["by", "by 4.0", "by-nc", "all-rights-reserved"][int(url[-5]) % 4]
    ) as api:
        search = Search(flickr, api, ONE_KEY)
        assert search.urls(licenses=("by",)) == [url for url in numbered(30) if int(url[-5]) % 4 < 2]
        assert api.asked("license") == ["4,11"]
        assert {hit.license for hit in search.one().hits} == {"by", "by-nc", "all-rights-reserved"}


def test_flickr_finds_all_photos_past_4000() -> None:
    with FlickrApi(lambda query: numbered(9000)) as api:
        found = Search(flickr, api, ONE_KEY).urls()
        assert set(found) == set(numbered(9000))
        assert found[:4000] == numbered(4000)  # the most relevant first
        assert len(found) < 13_500  # no slice is read twice
        assert max(int(page or 0) for page in api.asked("page")) == 8
        assert len(api.requests) < 50


def test_flickr_photos_of_one_second_cannot_be_sliced() -> None:
    with FlickrApi(lambda query: numbered(4600)) as api:
        api.uploaded_at_s = lambda place: 1_500_000_000 if place < 4500 else 1_200_000_000 + place
        found = Search(flickr, api, ONE_KEY).urls()
        assert set(found) == set(numbered(4000)) | set(numbered(4600)[4500:])
        assert len(api.requests) < 200


def test_flickr_goes_on_in_the_middle_of_slices() -> None:
    with FlickrApi(lambda query: numbered(6000)) as api:
        search = Search(flickr, api, ONE_KEY)
        pages, _ = search.pages(Query("ant", 100))
        cursors = [page.next for page in pages]
        assert json.loads(cursors[0] or "") == {"slices": [], "page": 2}
        middle = next(n for n, cursor in enumerate(cursors) if cursor and json.loads(cursor)["slices"]) + 3
        later = [hit.url for page in pages[middle + 1 :] for hit in page.hits]
        assert search.urls(cursor=cursors[middle]) == later


def test_flickr_failures() -> None:
    with FlickrApi(lambda query: numbered(1)) as api:
        with pytest.raises(
            CrawlError, match=r"does not know this key \(100: .*NOISYWEB_FLICKR_API_KEY.*apps/create"
        ) as told:
            Search(flickr, api, {"api_key": "wrong"}).one()
        assert "wrong" not in str(told.value)
        with pytest.raises(CrawlError, match=r"it refuses the search \(3: Parameterless"):
            Search(flickr, api, ONE_KEY).one("")
        down = Answer(
            {"stat": "fail", "code": 105, "message": "Service currently unavailable"}, 200, {"Retry-After": "0"}
        )
        api.instead.append(down)
        assert len(Search(flickr, api, ONE_KEY).one().hits) == 1
        api.instead.extend([down] * 4)
        with pytest.raises(CrawlError, match=r"4 tries \(105: Service currently unavailable\)"):
            Search(flickr, api, ONE_KEY).one()


def test_flickr_leaves_odd_photos_out() -> None:
    photos = [
        None,
        {},
        {"id": "1", "url_l": ""},
        {"id": 3, "url_o": "https://a/o.jpg", "width_o": "9", "license": True},
    ]
    with FlickrApi(lambda query: []) as api:
        api.instead.append(Answer({"stat": "ok", "photos": {"photo": photos, "total": "4", "pages": None}}))
        [hit] = Search(flickr, api, ONE_KEY).one().hits
        assert hit == Hit("https://a/o.jpg", width=9, attribution="Image, via Flickr")
        api.instead.append(Answer({"stat": "ok", "photos": {"photo": None}}))
        with pytest.raises(CrawlError, match="without a list of photo"):
            Search(flickr, api, ONE_KEY).one()


# -- google ------------------------------------------------------------------------------------------------


def test_google_asks_for_99_at_most() -> None:
    with GoogleApi(lambda query: numbered(500)) as api:
        assert Search(google, api, GOOGLE_KEYS).urls(licenses=("by", "cc0")) == numbered(99)
        assert api.asked("start") == [str(n) for n in range(1, 92, 10)]
        assert api.asked("num") == ["10"] * 9 + ["9"]
        query = api.requests[0].query
        assert (query["safe"], query["imgType"], query["searchType"]) == ("active", "photo", "image")
        assert query["rights"] == "(cc_publicdomain|cc_attribute).-(cc_sharealike|cc_noncommercial|cc_nonderived)"
        with pytest.raises(CrawlError, match="no place to go on from"):
            Search(google, api, GOOGLE_KEYS).one(cursor="100")


def test_google_hits_tell_no_licence() -> None:
    with GoogleApi(lambda query: numbered(1)) as api:
        [hit] = Search(google, api, GOOGLE_KEYS).one().hits
        assert hit == Hit(
            numbered(1)[0], title="A picture", landing_url="https://example.org/page", width=400, height=300
        )
        assert not google.SAYS_LICENSE
        assert "rights" not in api.requests[0].query


@pytest.mark.parametrize(
    ("licenses", "rights"),
    [
        (("cc0",), "(cc_publicdomain).-(cc_sharealike|cc_noncommercial|cc_nonderived)"),
        (("by-nc-sa",), "(cc_attribute|cc_sharealike|cc_noncommercial).-(cc_nonderived)"),
        (google.LICENSES, "(cc_publicdomain|cc_attribute|cc_sharealike|cc_noncommercial|cc_nonderived)"),
    ],
)
def test_google_rights(licenses: tuple[str, ...], rights: str) -> None:
    assert google.rights(licenses) == rights


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (GoogleApi.refusal(403, "Daily Limit Exceeded", "dailyLimitExceeded"), "limit is reached .*again tomorrow"),
        (GoogleApi.refusal(403, "Too fast", "rateLimitExceeded"), "limit is reached .HTTP 403 Too fast"),
        (GoogleApi.refusal(403, "No access to this API", "forbidden"), "may not search .*closes on 2027-01-01"),
        (GoogleApi.refusal(400, "Bad Request", "invalid"), "does not understand the query .Bad Request"),
    ],
)
def test_google_refusals(answer: Answer, message: str) -> None:
    with GoogleApi(lambda query: []) as api:
        api.instead.append(answer)
        with pytest.raises(CrawlError, match=message):
            Search(google, api, GOOGLE_KEYS).one()


def test_google_does_not_know_the_key() -> None:
    with GoogleApi(lambda query: []) as api:
        with pytest.raises(
            CrawlError, match=r"does not know this key .*NOISYWEB_GOOGLE_API_KEY and NOISYWEB_G"
        ) as told:
            Search(google, api, {"api_key": "wrong", "cx": "engine:1"}).one()
        assert "wrong" not in str(told.value)


def test_google_leaves_odd_items_out() -> None:
    items = [
        3,
        {},
        {"link": "x-raw-image:///1"},
        {"link": "http://a/b.svg", "mime": "image/svg+xml"},
        {"link": "http://a/b", "image": 3},
    ]
    with GoogleApi(lambda query: []) as api:
        api.instead.append(Answer({"items": items, "queries": {"nextPage": [{"startIndex": 1}]}}))
        assert Search(google, api, GOOGLE_KEYS).one() == Page([Hit("http://a/b")])


# -- brave -------------------------------------------------------------------------------------------------


def test_brave_has_one_page() -> None:
    with BraveApi(lambda query: numbered(500)) as api:
        page = Search(brave, api, ONE_KEY).one("ant " * 300)
        assert ([hit.url for hit in page.hits], page.next) == (numbered(200), None)
        assert page.hits[0] == Hit(
            numbered(1)[0], title="A picture", landing_url="https://example.org/page", width=400, height=300
        )
        query = api.requests[0].query
        assert (query["safesearch"], query["count"], len(query["q"].split())) == ("strict", "200", 50)
        assert KEY not in query.values()


def test_brave_does_not_know_the_key() -> None:
    with BraveApi(lambda query: []) as api:
        with pytest.raises(CrawlError, match=r"does not accept this key .*NOISYWEB_BRAVE_API_KEY") as told:
            Search(brave, api, {"api_key": "wrong"}).one()
        assert "wrong" not in str(told.value)


def test_brave_leaves_odd_results_out() -> None:
    results = [None, {"properties": 3}, {"url": "http://a/page"}, {"properties": {"url": "http://a/b"}, "title": 3}]
    with BraveApi(lambda query: []) as api:
        api.instead.append(Answer({"results": results}))
        assert Search(brave, api, ONE_KEY).one().hits == [Hit("http://a/b")]


# -- the archive -------------------------------------------------------------------------------------------


def test_the_archive_of_the_tests_answers_like_the_true_one() -> None:
    with ArchiveApi(lambda url: ["http://archive/copy"] if url == "http://a" else []) as api:
        found = [
            httpx.get(f"{api.base}/wayback/available", params={"url": url}, trust_env=False)
            for url in ("http://a", "b")
        ]
        assert found[0].json()["archived_snapshots"]["closest"]["url"] == "http://archive/copy"
        assert found[1].json()["archived_snapshots"] == {}


# -- url-list ----------------------------------------------------------------------------------------------


def listed(name: str, class_names: tuple[str, ...] = NAMES, **options: str) -> list[tuple[int, Hit]]:
    return list(module(name).listing(class_names, options))


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_url_list_as_csv(tmp_path: Path) -> None:
    path = write(
        tmp_path / "urls.csv",
        "url,class,license,creator,width,provider_id\nhttp://a/1,ant,CC BY 2.0,Anna,640,x1\n"
        "http://a/2,bee/wasp,GFDL,,,\nhttp://a/3,1,https://creativecommons.org/licenses/by-sa/3.0/,,x\n",
    )
    assert listed("url-list", path=path) == [
        (0, Hit("http://a/1", "x1", license="by", creator="Anna", width=640)),
        (1, Hit("http://a/2", license="gfdl")),
        (1, Hit("http://a/3", license="by-sa")),
    ]


def test_url_list_takes_the_licence_from_its_address(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", "url,class,license_url\nhttp://a,ant,http://creativecommons.org/licenses/by/2.0/\n"
    )
    assert listed("url-list", path=path)[0][1].license == "by"


def test_url_list_as_text_and_parquet(tmp_path: Path) -> None:
    text = write(tmp_path / "urls.txt", "http://a/1\tant\n\nhttp://a/2\tbee/wasp\n")
    assert listed("url-list", path=text) == [(0, Hit("http://a/1")), (1, Hit("http://a/2"))]
    assert listed("url-list", ("ant",), path=write(tmp_path / "one.txt", "http://a/1\n")) == [(0, Hit("http://a/1"))]
    table = pa.table({"url": ["http://a/1", "http://a/2"], "label": [1, 0], "junk": [[1], [2]], "height": [3, None]})
    pq.write_table(table, tmp_path / "urls.parquet")
    assert listed("url-list", path=str(tmp_path / "urls.parquet")) == [
        (1, Hit("http://a/1", height=3)),
        (0, Hit("http://a/2")),
    ]


def annotations(count: int) -> str:
    images = [
        [
            {
                "image/uri": f"http://a/{n}",
                "image/id": f"{n:016x}",
                "image/class/label": n % 2,
                "image/class/label/is_clean": 1,
            }
        ]
        for n in range(count)
    ]
    return json.dumps({"name": "mini", "version": "1.0", "data": images, "more": 3}, indent=1)


def test_url_list_as_cnwl_annotations(tmp_path: Path) -> None:
    path = write(tmp_path / "mini.json", annotations(2000))
    found = listed("url-list", ("one", "0"), path=path)  # its labels are indexes, whatever the names
    assert found == [(n % 2, Hit(f"http://a/{n}", f"{n:016x}")) for n in range(2000)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", r"'\[' where '{' is expected"),
        ("", "it ends too early"),
        ('{"data": [', "it ends too early"),
        ('{"data": [[{"image/uri": "x"', "cannot be read"),
        ('{"data": [3]}', "'?3'? where an object is expected"),
        ('{"name": 12}', 'no "data" in it'),
        ('{"data": {}}', r"'{' where '\[' is expected"),
        ('{"data": [[{"image/id": "x", "image/class/label": 0}]]}', "row 1 has no url or no class"),
        (
            '{"data": [[{"image/uri": "http://a", "image/class/label": 7}]]}',
            "row 1 has class '7', which is none of the 2",
        ),
        ('{"data": [' + "[" * 100_000, "cannot be read"),
    ],
)
def test_cnwl_annotations_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CrawlError, match=message):
        module("url-list").listing(NAMES, {"path": write(tmp_path / "mini.json", text)})


@pytest.mark.parametrize("kind", ["csv", "txt", "parquet", "json"])
def test_long_lists_take_no_memory(tmp_path: Path, kind: str) -> None:
    count = 30_000
    path = tmp_path / f"long.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"url": numbered(count), "label": [0] * count}), path, row_group_size=4096)
    elif kind == "json":
        path.write_text(annotations(count))
    else:
        start, mark = ("url,class\n", ",") if kind == "csv" else ("", "\t")
        path.write_text(start + "".join(f"{url}{mark}ant\n" for url in numbered(count)))
    tracemalloc.start()
    try:
        assert sum(1 for _ in module("url-list").listing(NAMES, {"path": str(path)})) == count
        assert tracemalloc.get_traced_memory()[1] < 6_000_000  # a list of that many hits takes over 10 MB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "url,class\nhttp://a/1,ant\nhttp://a/2,cat\nhttp://a/3,dog\n", "row 2 has class 'cat', .* 2 rows"),
        ("a.csv", "address,class\nhttp://a/1,ant\n", "columns url and class, found 'address', 'class'"),
        ("a.CSV", "url;class\nhttp://a/1;ant\n", "row 1 has no url or no class; .*, found 'url;class'"),
        ("a.txt", "http://a/1\n", "row 1 has no url or no class"),
        ("a.parquet", "not parquet", "cannot be read as a list of URLs"),
    ],
)
def test_url_lists_that_cannot_be_used(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(CrawlError, match=message):  # before anything of it is used
        module("url-list").listing(NAMES, {"path": write(tmp_path / name, text)})


def test_a_url_list_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "http://a\tant\n")
    hits = module("url-list").listing(NAMES, {"path": path})
    write(tmp_path / "a.txt", "http://a\tcat\n")
    with pytest.raises(CrawlError, match="another class while it was read"):
        list(hits)


def test_a_missing_url_list() -> None:
    with pytest.raises(CrawlError, match="--source url-list=PATH"):
        listed("url-list")


# -- folder ------------------------------------------------------------------------------------------------


def test_folder_gives_the_files_of_the_classes(tmp_path: Path) -> None:
    for name in ("ant/b.jpg", "ant/deep/a.jpg", "ant/.hidden", "bee-wasp/ü #1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(photo(1))
    found = listed("folder", path=str(tmp_path))
    names = ("ant/b.jpg", "ant/deep/a.jpg", "bee-wasp/ü #1.jpg")
    assert [(label, hit.url) for label, hit in found] == [(n // 2, (tmp_path / names[n]).as_uri()) for n in range(3)]
    assert folder.read(found[2][1].url, {"path": str(tmp_path)}) == photo(1)


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
        folder.listing(NAMES, {"path": str(tmp_path / "none")})
    (tmp_path / "cat").mkdir()
    with pytest.raises(CrawlError, match="classes 'a/b' and 'a-b' have one sub-folder"):
        folder.listing(["a/b", "a-b"], {"path": str(tmp_path)})
    with pytest.raises(CrawlError, match="no file is named"):
        listed("url-list", path="")
    with pytest.raises(CrawlError, match=r"sub-folder 'cat' is none of the 2 classes \(1 are not\)"):
        folder.listing(NAMES, {"path": str(tmp_path)})
