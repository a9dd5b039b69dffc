"""The search APIs, on loopback: each answers in its documented shape and keeps its documented limits.

with OpenverseApi(lambda query: ["http://127.0.0.1:1/a.jpg"]) as api:
    ...  # give api.base as the option base_url; look at api.requests afterwards
"""

from __future__ import annotations

import itertools
import json
import random
import re
import threading
import uuid
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

Images = Callable[[str], list[str]]
KEY = "not+a/real=key"  # with characters that an address must quote
WIDTH, HEIGHT = 4000, 3000


@dataclass(frozen=True)
class Request:
    """What was asked; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    form: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What is answered: JSON, or bytes as they are."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


SLOW_DOWN = Answer({"detail": "Request was throttled."}, 429, {"Retry-After": "0"})
DOWN = Answer(b"<html>Bad gateway</html>", 502, {"Retry-After": "0"})


class SearchApi:
    """A server in threads of its own.

    Args:
        images: the URLs of the images that a query finds, best first.
        license_of: the licence of an image, by its URL.

    Attributes:
        requests: all that came, in order.
        instead: answers to give before, and in place of, true ones.
    """

    def __init__(self, images: Images, license_of: Callable[[str], str] = lambda url: "by") -> None:
        self.images, self.license_of = images, license_of
        self.requests: list[Request] = []
        self.instead: deque[Answer] = deque()
        self._lock = threading.Lock()

    def __enter__(self) -> Any:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._answered))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def asked(self, name: str) -> list[str | None]:
        """One parameter of all requests."""
        return [request.query.get(name) for request in self.requests]

    def answer(self, request: Request) -> Answer:
        raise NotImplementedError

    def _answered(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            return self.instead.popleft() if self.instead else self.answer(request)


def _handler(answered: Callable[[Request], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            form = dict(parse_qsl(self.rfile.read(size).decode()))
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            answer = answered(Request(self.command, parts.path, query, headers, form))
            body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    return Handler


NOT_FOUND = Answer({"detail": "Not found."}, 404)


class OpenverseApi(SearchApi):
    """https://api.openverse.org.

    Attributes:
        related: images like one, by its URL.
        clients: the client ids and secrets that it knows.
        token_life_s: how long it says that a token lasts.
        max_page_size: of requests with a token.
    """

    def __init__(self, images: Images, license_of: Callable[[str], str] = lambda url: "by") -> None:
        super().__init__(images, license_of)
        self.related: Images = lambda url: []
        self.clients = {"client": KEY}
        self.token_life_s = 36_000
        self.max_page_size = 500
        self._tokens: set[str] = set()
        self._urls: dict[str, str] = {}
        self._numbers = itertools.count()

    def expire_tokens(self) -> None:
        self._tokens.clear()

    def answer(self, request: Request) -> Answer:
        if request.path == "/v1/auth_tokens/token/":
            return self._token(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and token not in self._tokens:
            return Answer({"detail": "Authentication credentials were not provided or have expired."}, 401)
        if request.path == "/v1/images/":
            return self._search(request.query, bool(token))
        start, _, end = request.path.removeprefix("/v1/images/").rpartition("/related/")
        url = self._urls.get(unquote(start))
        if url is None or end:
            return NOT_FOUND
        return self._page(self.related(url), 1, 20)

    def _token(self, request: Request) -> Answer:
        form = request.form
        if request.method != "POST" or form.get("grant_type") != "client_credentials":
            return Answer({"error": "unsupported_grant_type"}, 400)
        if self.clients.get(form.get("client_id", "")) != form.get("client_secret"):
            return Answer({"error": "invalid_client"}, 401)
        token = f"token-{next(self._numbers)}"
        self._tokens.add(token)
        kind = {"token_type": "Bearer", "scope": "read write"}
        return Answer({"access_token": token, "expires_in": self.token_life_s, **kind})

    def _search(self, query: Mapping[str, str], known: bool) -> Answer:
        page, size, text = int(query.get("page", 1)), int(query.get("page_size", 20)), query.get("q", "")
        if size > (self.max_page_size if known else 20):
            detail = {"detail": f"page_size must be between 1 & {self.max_page_size if known else 20}"}
            return Answer(detail, 400 if known else 401)
        if page > 20 or len(text) > 200:
            return Answer({"error": "InputError", "detail": "Invalid input given.", "fields": ["page", "q"]}, 400)
        found = self.images(text)
        if "license" in query:
            found = [url for url in found if self.license_of(url) in query["license"].split(",")]
        return self._page(found, page, size)

    def _page(self, found: Sequence[str], page: int, size: int) -> Answer:
        pages = min(20, -(-len(found) // size))
        results = [self._result(url) for url in found[(page - 1) * size : page * size]]
        counts = {"result_count": len(found), "page_count": pages, "page_size": size, "page": page}
        return Answer({**counts, "results": results, "warnings": []})

    def _result(self, url: str) -> dict[str, Any]:
        number, name = str(uuid.uuid5(uuid.NAMESPACE_URL, url)), self.license_of(url)
        self._urls[number] = url
        return {
            "id": number,
            "title": f"Picture {url.rsplit('/', 1)[-1]}",
            "indexed_on": "2024-01-01T00:00:00Z",
            "url": url,
            "thumbnail": f"{self.base}/v1/images/{number}/thumb/",
            "foreign_landing_url": f"https://example.org/page/{number}",
            "creator": "Someone",
            "creator_url": None,
            "license": name,
            "license_version": "4.0",
            "license_url": f"https://creativecommons.org/licenses/{name}/4.0/",
            "attribution": f'"Picture" by Someone is licensed under CC {name.upper()} 4.0.',
            "provider": "flickr",
            "source": "flickr",
            "filesize": None,
            "filetype": "jpg",
            "width": 64,
            "height": 64,
            "mature": False,
            "tags": [{"name": "picture", "accuracy": None}],
            "related_url": f"{self.base}/v1/images/{number}/related/",
        }


class WikimediaApi(SearchApi):
    """https://commons.wikimedia.org/w/api.php, the search of files.

    Attributes:
        size_of: width and height of an original, by its URL.
        mime_of: its type.
        wants_contact: whether it refuses a User-Agent without one.
    """

    WIDTHS: ClassVar = {20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840}

    def __init__(self, images: Images, license_of: Callable[[str], str] = lambda url: "by-sa") -> None:
        super().__init__(images, license_of)
        self.size_of: Callable[[str], tuple[int, int]] = lambda url: (WIDTH, HEIGHT)
        self.mime_of: Callable[[str], str] = lambda url: "image/jpeg"
        self.wants_contact = False

    def answer(self, request: Request) -> Answer:
        query, agent = request.query, request.headers.get("user-agent", "")
        if request.path != "/w/api.php":
            return NOT_FOUND
        if self.wants_contact and not ("(" in agent and ("@" in agent or "http" in agent)):
            return Answer(b"Please set a user-agent and respect our robot policy", 403)
        wanted = {"action": "query", "format": "json", "formatversion": "2", "generator": "search", "gsrnamespace": "6"}
        if any(query.get(name) != value for name, value in wanted.items()):
            return Answer({"error": {"code": "badvalue", "info": "Unrecognized value.", "docref": "See ..."}})
        limit, offset, width = int(query["gsrlimit"]), int(query.get("gsroffset", 0)), int(query["iiurlwidth"])
        if limit > 50 or width not in self.WIDTHS:
            return Answer({"error": {"code": "toomanyvalues", "info": "Too many values."}})
        if offset and query.get("continue") != "gsroffset||":
            return Answer({"error": {"code": "badcontinue", "info": "Invalid continue param."}})
        found = self.images(query["gsrsearch"].removesuffix(" filetype:bitmap"))
        if not found:
            return Answer({"batchcomplete": True})
        numbered = list(enumerate(found, start=1))[offset : offset + limit]
        pages = [self._page(index, url, width) for index, url in numbered]
        random.Random(offset).shuffle(pages)  # they come by page id, not by rank
        more = {"gsroffset": offset + limit, "continue": "gsroffset||"}
        further = {"continue": more} if offset + limit < len(found) else {}
        return Answer({"batchcomplete": True, **further, "query": {"pages": pages}})

    def _page(self, index: int, url: str, wanted: int) -> dict[str, Any]:
        width, height = self.size_of(url)
        name, slug = url.rsplit("/", 1)[-1], self.license_of(url)
        thumb_width = min(wanted, width)
        about = {
            "License": f"cc-{slug}-4.0",
            "LicenseShortName": f"CC {slug.upper()} 4.0",
            "LicenseUrl": f"https://creativecommons.org/licenses/{slug}/4.0",
            "Artist": f'<a href="//commons.wikimedia.org/wiki/User:A">Anna &amp;\n <b>{name}</b></a>',
            "Credit": '<span class="int-own-work">Own work</span>',
            "AttributionRequired": "true",
        }
        info = {
            "timestamp": "2020-01-01T00:00:00Z",
            "user": "Uploader",
            "size": 1000,
            "width": width,
            "height": height,
            "url": url,
            "thumburl": f"{url}?thumb={thumb_width}px",
            "thumbwidth": thumb_width,
            "thumbheight": height * thumb_width // width,
            "descriptionurl": f"https://commons.wikimedia.org/wiki/File:{name}",
            "mime": self.mime_of(url),
            "mediatype": "BITMAP",
            "sha1": "0" * 40,
            "extmetadata": {key: {"value": value, "source": "commons-desc-page"} for key, value in about.items()},
        }
        page = {"pageid": zlib.crc32(url.encode()), "ns": 6, "title": f"File:{name}", "index": index}
        return {**page, "imagerepository": "local", "imageinfo": [info]}


class FlickrApi(SearchApi):
    """https://api.flickr.com/services/rest, only flickr.photos.search.

    Attributes:
        uploaded_at_s: when an image was uploaded (seconds since 1970), by its place among a query's images.
    """

    IDS: ClassVar = {
        **{"by-nc-sa": "1", "by-nc": "2", "by-nc-nd": "3", "by": "4", "by-sa": "5", "by-nd": "6"},
        **{"all-rights-reserved": "0", "cc0": "9", "pdm": "10", "by 4.0": "11"},
    }

    def __init__(self, images: Images, license_of: Callable[[str], str] = lambda url: "by") -> None:
        super().__init__(images, license_of)
        self.key = KEY
        self.uploaded_at_s: Callable[[int], int] = lambda place: 1_100_000_000 + place * 77_777 % 600_000_000

    def answer(self, request: Request) -> Answer:
        query = request.query
        if request.path != "/services/rest" or query.get("nojsoncallback") != "1":
            return NOT_FOUND
        if query.get("api_key") != self.key:
            said = f"Invalid API Key (Key not found: {query.get('api_key')})"
            return Answer({"stat": "fail", "code": 100, "message": said})
        if query.get("method") != "flickr.photos.search":
            return Answer({"stat": "fail", "code": 112, "message": "Method not found"})
        if not query.get("text"):
            return Answer({"stat": "fail", "code": 3, "message": "Parameterless searches have been disabled."})
        first, last = int(query.get("min_upload_date", 0)), int(query.get("max_upload_date", 1 << 40))
        kinds = query["license"].split(",") if "license" in query else None
        found = [
            url
            for place, url in enumerate(self.images(query["text"]))
            if first <= self.uploaded_at_s(place) <= last and (kinds is None or self._id(url) in kinds)
        ]
        size, page = min(500, int(query.get("per_page", 100))), int(query.get("page", 1))
        reached = found[:4000]
        places = range((page - 1) * size, min(page * size, len(found)))
        photos = [self._photo(reached[place % len(reached)]) for place in places]  # again from the start past 4,000
        pages = -(-len(found) // size)
        counts = {"page": page, "pages": pages, "perpage": size, "total": len(found)}
        return Answer({"photos": {**counts, "photo": photos}, "stat": "ok"})

    def _id(self, url: str) -> str:
        return self.IDS[self.license_of(url)]

    def _photo(self, url: str) -> dict[str, Any]:
        number = str(zlib.crc32(url.encode()))
        about = {"id": number, "owner": "12345@N00", "ownername": "Anna", "secret": "x", "server": "1", "farm": 1}
        sizes = {"url_l": url, "width_l": 1024, "height_l": "768", "o_width": "4000", "o_height": "3000"}
        return {**about, "title": f"Photo {number}", "license": self._id(url), "ispublic": 1, **sizes}


class GoogleApi(SearchApi):
    """https://customsearch.googleapis.com/customsearch/v1, only images."""

    def __init__(self, images: Images, license_of: Callable[[str], str] = lambda url: "by") -> None:
        super().__init__(images, license_of)
        self.key, self.cx = KEY, "engine:1"

    @staticmethod
    def refusal(status: int, message: str, reason: str, **headers: str) -> Answer:
        error = {"message": message, "domain": "global", "reason": reason}
        return Answer({"error": {"code": status, "message": message, "errors": [error]}}, status, headers)

    def answer(self, request: Request) -> Answer:
        query = request.query
        if request.path != "/customsearch/v1":
            return NOT_FOUND
        if query.get("key") != self.key:
            said = f"API key not valid: {query.get('key')}. Please pass a valid API key."
            return self.refusal(400, said, "badRequest")
        num, start = int(query.get("num", 10)), int(query.get("start", 1))
        if query.get("cx") != self.cx or query.get("searchType") != "image" or num > 10 or start + num > 100:
            return self.refusal(400, "Request contains an invalid argument.", "badRequest")
        found = self.images(query["q"])
        shown = [self._item(url) for url in found[start - 1 : start - 1 + num]]
        queries: dict[str, Any] = {"request": [{"startIndex": start, "count": len(shown)}]}
        if len(found) > start - 1 + num:
            queries["nextPage"] = [{"startIndex": start + num, "count": 10}]
        items = {"items": shown} if shown else {}
        total = {"searchInformation": {"totalResults": str(len(found))}}
        return Answer({"kind": "customsearch#search", "queries": queries, **total, **items})

    def _item(self, url: str) -> dict[str, Any]:
        size = {"height": 300, "width": 400, "byteSize": 1000}
        image = {"contextLink": "https://example.org/page", "thumbnailLink": "https://example.org/t", **size}
        about = {"kind": "customsearch#result", "title": "A picture", "displayLink": "example.org"}
        return {**about, "link": url, "mime": "image/jpeg", "image": image}


class BraveApi(SearchApi):
    """https://api.search.brave.com/res/v1/images/search."""

    def __init__(self, images: Images, license_of: Callable[[str], str] = lambda url: "by") -> None:
        super().__init__(images, license_of)
        self.key = KEY

    def answer(self, request: Request) -> Answer:
        query = request.query
        if request.path != "/res/v1/images/search":
            return NOT_FOUND
        if (token := request.headers.get("x-subscription-token")) != self.key:
            said = f"The provided subscription token is invalid: {token}"
            return self._error("SUBSCRIPTION_TOKEN_INVALID", said)
        if int(query.get("count", 50)) > 200 or len(query["q"]) > 400 or len(query["q"].split()) > 50:
            return self._error("VALIDATION", "Unable to validate request parameter(s)")
        found = self.images(query["q"])[: int(query.get("count", 50))]
        return Answer({"type": "images", "query": {"original": query["q"]}, "results": list(map(self._result, found))})

    @staticmethod
    def _error(code: str, detail: str) -> Answer:
        return Answer({"type": "ErrorResponse", "error": {"code": code, "detail": detail, "status": 422}}, 422)

    def _result(self, url: str) -> dict[str, Any]:
        about = {
            "type": "image_result",
            "title": "A picture",
            "url": "https://example.org/page",
            "source": "example.org",
        }
        image = {"url": url, "placeholder": "https://imgs.example.org/p", "width": 400, "height": 300}
        return {**about, "thumbnail": {"src": "https://imgs.example.org/t"}, "properties": image, "confidence": "high"}


class ArchiveApi(SearchApi):
    """https://archive.org/wayback/available; ``images`` gives the archived copies of an address."""

    def answer(self, request: Request) -> Answer:
        if request.path != "/wayback/available":
            return NOT_FOUND
        url = request.query.get("url", "")
        if not (copies := self.images(url)):
            return Answer({"url": url, "archived_snapshots": {}})
        taken = re.search(r"/web/(\d+)/", copies[0])  # https://web.archive.org/web/20200102030405/http://...
        copy = {"available": True, "status": "200", "timestamp": taken[1] if taken else "20200102030405"}
        return Answer({"url": url, "archived_snapshots": {"closest": {**copy, "url": copies[0]}}})
