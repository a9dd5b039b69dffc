"""Openverse: 800 million openly licensed images, searched without a key (20 hits a page, 20 pages).

Options:
    base_url: another server that speaks its API (default: https://api.openverse.org).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from noisyweb.errors import CrawlError
from noisyweb.providers._http import get_json
from noisyweb.providers._protocol import Hit, Query

SUMMARY = "openly licensed images of many collections (openverse.org), no key needed"
BASE_URL = "https://api.openverse.org"
LICENSES = ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd", "cc0", "pdm", "sampling+")
PAGE_SIZE, MAX_PAGES = 20, 20  # what it grants without a key
MAX_QUERY_CHARACTERS = 200


async def search(query: Query, client: httpx.AsyncClient, options: Mapping[str, str]) -> AsyncIterator[Hit]:
    """Hits in Openverse's order of relevance, safe search on.

    Raises:
        CrawlError: unknown licence, refused, or over its limit.
    """
    for name in query.licenses:
        if name not in LICENSES:
            raise CrawlError(f"openverse: it knows no licence {name!r}; known: {', '.join(LICENSES)}")
    url = options.get("base_url", BASE_URL).rstrip("/") + "/v1/images/"
    params: dict[str, str | int] = {
        "q": query.text[:MAX_QUERY_CHARACTERS],
        "page_size": PAGE_SIZE,
        "mature": "false",
        "filter_dead": "true",
    }
    if query.licenses:
        params["license"] = ",".join(query.licenses)
    for page in range(1, MAX_PAGES + 1):
        answer = await get_json(client, "openverse", url, {**params, "page": page})
        if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
            raise CrawlError(f"openverse: {url} answered without a list of results; is that the right address?")
        for result in answer["results"]:
            if isinstance(result, dict) and isinstance(result.get("url"), str) and not result.get("mature"):
                yield _hit(result)
        num_pages = answer.get("page_count")
        if not answer["results"] or (isinstance(num_pages, int) and page >= num_pages):
            return


def _hit(result: Mapping[str, Any]) -> Hit:
    def text(key: str) -> str | None:
        value = result.get(key)
        return value if isinstance(value, str) and value else None

    def pixels(key: str) -> int | None:
        value = result.get(key)
        return value if isinstance(value, int) else None

    return Hit(
        url=result["url"],
        title=text("title"),
        landing_url=text("foreign_landing_url"),
        creator=text("creator"),
        license=text("license"),
        license_url=text("license_url"),
        attribution=text("attribution"),
        width=pixels("width"),
        height=pixels("height"),
    )
