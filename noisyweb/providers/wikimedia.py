"""Wikimedia Commons: 100 million free images, searched without a key; it wants to know a contact.

Options:
    base_url: another server that speaks its API (default: https://commons.wikimedia.org).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from noisyweb import licenses
from noisyweb.errors import CrawlError
from noisyweb.providers._api import Api, RefusedError
from noisyweb.providers._fields import (
    base_url,
    credit,
    cursor_error,
    cursor_mapping,
    mapping,
    mappings,
    pixels,
    text,
    web_url,
)
from noisyweb.providers._protocol import ApiLimits, Hit, HostLimit, Options, Page, Query

SUMMARY = "free images of Wikimedia Commons, no key needed"
BASE_URL = "https://commons.wikimedia.org"
PAGE_SIZE, MAX_HITS = 50, 10_000
WIDTHS = (20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840)  # the only thumbnails that it serves
USUAL_WIDTH = 1280
MIME_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
HOSTS = {"upload.wikimedia.org": HostLimit(2, 25e6 / 8)}
_PASSING = frozenset({"maxlag", "ratelimited", "readonly"})
_MAX_HTML_CHARACTERS = 10_000


def limits(options: Options) -> ApiLimits:
    """What Wikimedia asks of clients, and how deep its search goes."""
    return ApiLimits(PAGE_SIZE, MAX_HITS, concurrency=3, note="it refuses clients that give no contact")


async def search(query: Query, api: Api, cursor: str | None) -> Page:
    """One page in the search's order, licences filtered here; the cursor is the whole ``continue`` object.

    Raises:
        CrawlError: refused, or its answer is none of MediaWiki.
    """
    url = base_url(api.options, BASE_URL) + "/w/api.php"
    width = thumbnail_width(query.image_size)
    params: dict[str, str | int] = {
        "action": "query",
        "format": "json",
        "formatversion": 2,
        "generator": "search",
        "gsrnamespace": 6,
        "gsrlimit": PAGE_SIZE,
        "gsrsearch": f"{query.text} filetype:bitmap",
        "prop": "imageinfo",
        "iiprop": "url|size|mime|mediatype|sha1|user|timestamp|extmetadata",
        "iiurlwidth": width,
        "maxlag": 5,
    }
    if cursor is not None:
        params.update(_continuation(api.name, cursor))
    try:
        answer = await api.get_json(url, params, passing=_passing)
    except RefusedError as error:
        if error.status != 403:
            raise
        raise CrawlError(f"{error}; it wants a contact in the User-Agent: give --contact") from None
    if not isinstance(answer, dict):
        raise CrawlError(f"{api.name}: {url} answered with no object; is that the right address?")
    if wrong := mapping(answer.get("error")):
        raise CrawlError(api.redacted(f"{api.name}: it refuses: {wrong.get('code')}: {wrong.get('info')}"))
    if not answer.keys() & {"query", "continue", "batchcomplete"}:
        raise CrawlError(f"{api.name}: {url} answered without pages; is that the right address?")
    pages = list(mappings(mapping(answer.get("query")).get("pages")))
    pages.sort(key=lambda page: page["index"] if isinstance(page.get("index"), int) else MAX_HITS)
    hits = [hit for page in pages if (hit := _hit(page, width))]
    if query.licenses:
        hits = [hit for hit in hits if hit.license in query.licenses]
    return Page(hits, _next(answer))


def thumbnail_width(image_size: int | None) -> int:
    """The narrowest thumbnail, in pixels, that keeps enough detail for images of ``image_size`` pixels."""
    if image_size is None:
        return USUAL_WIDTH
    return next((width for width in WIDTHS if width >= 2 * image_size), WIDTHS[-1])


def plain(html: str) -> str:
    """The text that a browser would show of some HTML, on one line."""
    stripper = _Stripper(convert_charrefs=True)
    stripper.feed(html[:_MAX_HTML_CHARACTERS])
    stripper.close()
    return " ".join("".join(stripper.parts).split())


class _Stripper(HTMLParser):
    def __init__(self, *, convert_charrefs: bool) -> None:
        super().__init__(convert_charrefs=convert_charrefs)
        self.parts: list[str] = []
        self._hidden = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._hidden = tag
        elif tag in ("br", "p", "div", "li", "td", "th"):
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def _passing(answer: Any) -> str | None:
    """What is wrong for the moment, in an answer that comes with status 200."""
    error = mapping(mapping(answer).get("error"))
    return f"{error.get('code')}: {error.get('info')}" if error.get("code") in _PASSING else None


def _continuation(name: str, cursor: str) -> dict[str, str | int]:
    found = cursor_mapping(name, cursor)
    if not found or not all(isinstance(value, str | int) for value in found.values()):
        raise cursor_error(name, cursor)
    return found


def _next(answer: Mapping[str, Any]) -> str | None:
    further = mapping(answer.get("continue"))
    offset = further.get("gsroffset")
    if not further or (isinstance(offset, int) and offset + PAGE_SIZE > MAX_HITS):
        return None
    return json.dumps(further, sort_keys=True)


def _hit(page: Mapping[str, Any], width: int) -> Hit | None:
    """A hit; None for what is not a picture of pixels, or has no address (yet: an answer may come in parts)."""
    info = next(mappings(page.get("imageinfo")), {})
    original = web_url(info.get("url"))
    if original is None or info.get("mime") not in MIME_TYPES:
        return None
    thumbnail, full_width = web_url(info.get("thumburl")), pixels(info.get("width"))
    small = thumbnail is not None and (full_width is None or full_width > width)
    about = {key: _value(value) for key, value in mapping(info.get("extmetadata")).items()}
    title = (text(page.get("title")) or "").removeprefix("File:") or None
    creator = plain(about.get("Artist") or "") or text(info.get("user"))
    license_name, license_url = about.get("LicenseShortName"), web_url(about.get("LicenseUrl"))
    slug = licenses.from_text(about.get("License") or "") or licenses.from_url(license_url or "")
    slug = slug or licenses.from_text(license_name or "") or (license_name or "").lower() or None
    return Hit(
        url=thumbnail if small and thumbnail else original,
        provider_id=str(page["pageid"]) if isinstance(page.get("pageid"), int) else None,
        title=title,
        landing_url=web_url(info.get("descriptionurl")),
        creator=creator,
        license=slug,
        license_url=license_url,
        attribution=credit(title, creator, license_name, "Wikimedia Commons"),
        width=pixels(info.get("thumbwidth" if small else "width")),
        height=pixels(info.get("thumbheight" if small else "height")),
    )


def _value(entry: Any) -> str | None:
    return text(mapping(entry).get("value"))
