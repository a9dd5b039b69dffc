"""Brave image search: up to 200 images a query, one paid request each; knows no licences.

Options:
    base_url: another server that speaks its API (default: https://api.search.brave.com).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from noisyweb import keys
from noisyweb.errors import CrawlError
from noisyweb.providers._api import Api, RefusedError
from noisyweb.providers._fields import base_url, cursor_error, listed, mapping, pixels, text, web_url
from noisyweb.providers._protocol import ApiLimits, Hit, Options, Page, Query

SUMMARY = "Brave image search; needs a paid key, knows no licences"
KEYS = {"api_key": True}
LICENSES: Collection[str] | None = None
BASE_URL = "https://api.search.brave.com"
PAGE_SIZE = 200
MAX_QUERY_CHARACTERS, MAX_QUERY_WORDS = 400, 50


def limits(options: Options) -> ApiLimits:
    """One page a query; its smallest plan allows a request a second."""
    return ApiLimits(PAGE_SIZE, PAGE_SIZE, interval_s=1.0, note="each request is paid for")


async def search(query: Query, api: Api, cursor: str | None) -> Page:
    """The only page, strict safe search on; there is no second one, so no cursor either.

    Raises:
        CrawlError: its key is refused, or over its limit.
    """
    if cursor is not None:
        raise cursor_error(api.name, cursor)
    url = base_url(api.options, BASE_URL) + "/res/v1/images/search"
    words = " ".join(query.text.split()[:MAX_QUERY_WORDS])
    # A name of a class is meant as it is written, so no correction of its spelling.
    params: dict[str, str | int] = {
        "q": words[:MAX_QUERY_CHARACTERS],
        "count": PAGE_SIZE,
        "safesearch": "strict",
        "spellcheck": 0,
    }
    try:
        answer = await api.get_json(url, params, headers={"X-Subscription-Token": api.options.get("api_key", "")})
    except RefusedError as error:
        code = str(mapping(mapping(error.answer).get("error")).get("code"))
        if error.status not in (401, 403) and "TOKEN" not in code:
            raise
        raise CrawlError(
            f"{api.name}: it does not accept this key (HTTP {error.status} {error.said}".rstrip()
            + f"); look at {keys.variable(api.name, 'api_key')} or at the keys file"
        ) from None
    return Page([hit for result in listed(answer, "results", api.name, url) if (hit := _hit(result))])


def _hit(result: Mapping[str, Any]) -> Hit | None:
    image = mapping(result.get("properties"))
    url = web_url(image.get("url"))  # the thumbnail would be Brave's own copy
    if url is None:
        return None
    return Hit(
        url=url,
        title=text(result.get("title")),
        landing_url=web_url(result.get("url")),
        width=pixels(image.get("width")),
        height=pixels(image.get("height")),
    )
