"""Google Programmable Search (the "Custom Search JSON API"): 99 images a query, for those who have a key already.

It takes no new customers and closes on 2027-01-01. Its answers do not tell the licence of an image.

Options:
    base_url: another server that speaks its API (default: https://customsearch.googleapis.com).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from noisyweb import keys
from noisyweb.errors import CrawlError
from noisyweb.providers._api import Api, RefusedError
from noisyweb.providers._fields import base_url, cursor_error, cursor_number, mapping, mappings, pixels, text, web_url
from noisyweb.providers._protocol import ApiLimits, Hit, Options, Page, Query

SUMMARY = "Google image search by its API; needs a key from before 2026"
KEYS = {"api_key": True, "cx": True}
LICENSES = ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd", "cc0", "pdm")
SAYS_LICENSE = False
BASE_URL = "https://customsearch.googleapis.com"
PAGE_SIZE, MAX_START_AND_NUM = 10, 100
_RIGHTS = {"sa": "cc_sharealike", "nc": "cc_noncommercial", "nd": "cc_nonderived"}
_LIMIT_REASONS = frozenset({"rateLimitExceeded", "dailyLimitExceeded", "userRateLimitExceeded", "quotaExceeded"})
_ENDS = "the API takes no new customers and closes on 2027-01-01"


def limits(options: Options) -> ApiLimits:
    """100 requests a day are free; more are paid."""
    return ApiLimits(PAGE_SIZE, MAX_START_AND_NUM - 1, ((100, "day"),), note=_ENDS)


def rights(licenses: Collection[str]) -> str:
    """The ``rights`` parameter for some licences: what an image may have, and what it must not have.

    >>> rights(["by", "by-nc"])
    '(cc_attribute|cc_noncommercial).-(cc_sharealike|cc_nonderived)'
    """
    elements = {element for slug in licenses for element in slug.split("-")}
    some = ["cc_publicdomain"] if elements & {"cc0", "pdm"} else []
    some += ["cc_attribute"] if "by" in elements else []
    some += [right for element, right in _RIGHTS.items() if element in elements]
    none = [right for element, right in _RIGHTS.items() if element not in elements]
    return f"({'|'.join(some)})" + (f".-({'|'.join(none)})" if none else "")


async def search(query: Query, api: Api, cursor: str | None) -> Page:
    """One page of ten; the cursor is the rank of its first hit, counted from 1.

    Raises:
        CrawlError: its key is refused, or the day's requests are used up.
    """
    start = 1 if cursor is None else cursor_number(api.name, cursor)
    num = min(PAGE_SIZE, MAX_START_AND_NUM - start)
    if num < 1:
        raise cursor_error(api.name, str(cursor))
    url = base_url(api.options, BASE_URL) + "/customsearch/v1"
    params: dict[str, str | int] = {
        "key": api.options.get("api_key", ""),
        "cx": api.options.get("cx", ""),
        "q": query.text,
        "searchType": "image",
        "imgType": "photo",
        "safe": "active",
        "num": num,
        "start": start,
    }
    if query.licenses:
        params["rights"] = rights(query.licenses)
    try:
        answer = await api.get_json(url, params)
    except RefusedError as error:
        raise _explained(api, error) from None
    if not isinstance(answer, dict) or not answer.keys() & {"items", "queries", "searchInformation"}:
        raise CrawlError(f"{api.name}: {url} answered without items; is that the right address?")
    further = next(mappings(mapping(answer.get("queries")).get("nextPage")), {})
    following = pixels(further.get("startIndex")) or 0
    items = list(mappings(answer.get("items")))
    hits = [hit for item in items if (hit := _hit(item))]
    goes_on = items and start < following < MAX_START_AND_NUM
    return Page(hits, str(following) if goes_on else None)


def _explained(api: Api, error: RefusedError) -> CrawlError:
    """A refusal in words of what to do about it."""
    detail = mapping(mapping(error.answer).get("error"))
    reasons = {entry.get("reason") for field in ("errors", "details") for entry in mappings(detail.get(field))}
    said = f"HTTP {error.status} {error.said}".rstrip()
    if reasons & _LIMIT_REASONS:
        return CrawlError(
            f"{api.name}: its limit is reached ({said}); 100 requests a day are free; "
            "run the same command again tomorrow, it goes on where it stopped"
        )
    if error.status in (400, 401, 403) and (reasons & {"API_KEY_INVALID", "keyInvalid"} or "key" in error.said.lower()):
        return CrawlError(
            f"{api.name}: it does not know this key ({said}); look at {keys.variable(api.name, 'api_key')} and "
            f"{keys.variable(api.name, 'cx')}, or at the keys file"
        )
    if error.status == 403:
        return CrawlError(f"{api.name}: this key may not search ({said}); {_ENDS}")
    return error


def _hit(item: Mapping[str, Any]) -> Hit | None:
    url, image = web_url(item.get("link")), mapping(item.get("image"))
    if url is None or item.get("mime") == "image/svg+xml":
        return None
    return Hit(
        url=url,
        title=text(item.get("title")),
        landing_url=web_url(image.get("contextLink")),
        width=pixels(image.get("width")),
        height=pixels(image.get("height")),
    )
