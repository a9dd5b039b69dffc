"""Openverse: 800 million openly licensed images, searched with or without a key.

A key (free: POST /v1/auth_tokens/register/) is a client id and a client secret, which are traded for an access token.

Options:
    base_url: another server that speaks its API (default: https://api.openverse.org).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from noisyweb import keys
from noisyweb.errors import CrawlError
from noisyweb.providers._api import Api, Params, RefusedError
from noisyweb.providers._fields import base_url, cursor_error, cursor_number, listed, pixels, text, web_url
from noisyweb.providers._protocol import ApiLimits, Hit, Options, Page, Query

SUMMARY = "openly licensed images of many collections (openverse.org), no key needed"
KEYS = {"client_id": False, "client_secret": False}
LICENSES = ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd", "cc0", "pdm", "sampling+", "nc-sampling+")
RELATED = True
BASE_URL = "https://api.openverse.org"
PAGE_SIZE, PAGE_SIZE_WITH_KEY, MAX_PAGES = 20, 500, 20
MAX_QUERY_CHARACTERS = 200
_RENEW_BEFORE_S = 60.0


def limits(options: Options) -> ApiLimits:
    """What it grants with this key, or without one."""
    if _has_key(options):
        quota = ((100, "minute"), (10_000, "day"))
        return ApiLimits(PAGE_SIZE_WITH_KEY, PAGE_SIZE_WITH_KEY * MAX_PAGES, quota)
    return ApiLimits(
        PAGE_SIZE,
        PAGE_SIZE * MAX_PAGES,
        ((5, "hour"), (100, "day")),
        note="a free key allows 100 requests a minute and 500 hits a page",
    )


async def search(query: Query, api: Api, cursor: str | None) -> Page:
    """One page in Openverse's order of relevance, or all images like one; safe search on.

    The cursor is ``page:size``, since a key that comes or goes between two runs changes the size of its pages.

    Raises:
        CrawlError: refused, or over its limit.
    """
    url = base_url(api.options, BASE_URL) + "/v1/images/"
    if query.similar_to is not None:
        if cursor is not None:
            raise cursor_error(api.name, cursor)
        url += f"{quote(query.similar_to, safe='')}/related/"
        return Page(_hits(await _get(api, url, {}), api, url))
    page, size = _place(api, cursor)
    if page > MAX_PAGES:
        return Page(())
    params: dict[str, str | int] = {
        "q": query.text[:MAX_QUERY_CHARACTERS],
        "page": page,
        "page_size": size,
        "mature": "false",
        "filter_dead": "true",
    }
    if query.licenses:
        params["license"] = ",".join(query.licenses)
    try:
        answer = await _get(api, url, params)
    except RefusedError as error:
        if size == PAGE_SIZE or "page_size" not in error.said:
            raise
        api.state["page_size"] = PAGE_SIZE  # some keys get no larger pages than anyone
        return Page((), f"{(page - 1) * size // PAGE_SIZE + 1}:{PAGE_SIZE}")
    hits = _hits(answer, api, url)
    num_pages = answer.get("page_count")
    ends = not answer["results"] or page >= (num_pages if isinstance(num_pages, int) else MAX_PAGES)
    return Page(hits, None if ends or page >= MAX_PAGES else f"{page + 1}:{size}")


def _place(api: Api, cursor: str | None) -> tuple[int, int]:
    """Page and page size to ask for."""
    most = int(api.state.get("page_size", PAGE_SIZE_WITH_KEY if _has_key(api.options) else PAGE_SIZE))
    if cursor is None:
        return 1, most
    page_text, _, size_text = cursor.partition(":")
    page = cursor_number(api.name, page_text)
    size = cursor_number(api.name, size_text) if size_text else most
    if size <= most:
        return page, size
    return (page - 1) * size // most + 1, most


def _hits(answer: Any, api: Api, url: str) -> list[Hit]:
    return [
        _hit(result)
        for result in listed(answer, "results", api.name, url)
        if web_url(result.get("url")) and not result.get("mature")
    ]


def _hit(result: Mapping[str, Any]) -> Hit:
    license_name = text(result.get("license"))
    return Hit(
        url=str(web_url(result["url"])),
        provider_id=text(result.get("id")),
        title=text(result.get("title")),
        landing_url=web_url(result.get("foreign_landing_url")),
        creator=text(result.get("creator")),
        license=license_name.lower() if license_name else None,
        license_url=web_url(result.get("license_url")),
        attribution=text(result.get("attribution")),
        width=pixels(result.get("width")),
        height=pixels(result.get("height")),
    )


async def _get(api: Api, url: str, params: Params) -> Any:
    """One request; a token that is refused is renewed once."""
    if not _has_key(api.options):
        return await api.get_json(url, params)
    token = await _token(api)
    try:
        return await api.get_json(url, params, headers={"Authorization": f"Bearer {token}"})
    except RefusedError as error:
        if error.status != 401 or "page_size" in error.said:
            raise
    token = await _token(api, refused=token)
    return await api.get_json(url, params, headers={"Authorization": f"Bearer {token}"})


async def _token(api: Api, refused: str | None = None) -> str:
    """An access token that is good for a minute at least, and not the one that was refused."""
    async with api.lock:
        now_s = asyncio.get_running_loop().time()
        known = api.state.get("token")
        if isinstance(known, str) and known != refused and now_s < api.state["renew_at_s"]:
            return known
        form = {key: api.options[key] for key in KEYS} | {"grant_type": "client_credentials"}
        url = base_url(api.options, BASE_URL) + "/v1/auth_tokens/token/"
        try:
            answer = await api.post_form(url, form)
        except RefusedError as error:
            if error.status not in (400, 401):
                raise
            raise CrawlError(
                f"{api.name}: it does not know this key (HTTP {error.status} {error.said}".rstrip()
                + f"); look at {keys.variable(api.name, 'client_id')} and {keys.variable(api.name, 'client_secret')}, "
                "or at the keys file"
            ) from None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise CrawlError(f"{api.name}: {url} answered without an access_token; is that the right address?")
        api.keep_secret(token)
        lasts_s = answer.get("expires_in")
        lasts_s = lasts_s if isinstance(lasts_s, int | float) else 3600
        api.state.update(token=token, renew_at_s=now_s + lasts_s - min(_RENEW_BEFORE_S, lasts_s / 2))
        return token


def _has_key(options: Options) -> bool:
    given = [key for key in KEYS if options.get(key)]
    if len(given) == 1:
        missing = next(key for key in KEYS if key != given[0])
        raise CrawlError(
            f"openverse: it has a {given[0]} but no {missing}; set {keys.variable('openverse', missing)}, or neither"
        )
    return bool(given)
