"""Flickr: photographs of many people, most of them not openly licensed; needs a key.

A key comes from https://www.flickr.com/services/apps/create/.

Options:
    base_url: another server that speaks its API (default: https://api.flickr.com).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from noisyweb import keys
from noisyweb.errors import CrawlError
from noisyweb.providers._api import Api
from noisyweb.providers._fields import (
    base_url,
    credit,
    cursor_error,
    cursor_mapping,
    listed,
    mapping,
    pixels,
    text,
    web_url,
)
from noisyweb.providers._protocol import ApiLimits, Hit, Options, Page, Query

SUMMARY = "photographs of Flickr; needs a key"
KEYS = {"api_key": True}
BASE_URL = "https://api.flickr.com"
PAGE_SIZE = 500
MAX_REACHED = 4000  # beyond that it gives again what it gave before
START_S = 1_072_915_200  # 2004-01-01: nothing was uploaded before
_MAX_PAGES = MAX_REACHED // PAGE_SIZE
_CC_URL = "https://creativecommons.org/licenses/{}/{}/"
_CC_IDS = {  # of flickr.photos.licenses.getInfo: id, licence, version
    **{1: ("by-nc-sa", "2.0"), 2: ("by-nc", "2.0"), 3: ("by-nc-nd", "2.0")},
    **{4: ("by", "2.0"), 5: ("by-sa", "2.0"), 6: ("by-nd", "2.0")},
    **{11: ("by", "4.0"), 12: ("by-sa", "4.0"), 13: ("by-nd", "4.0")},
    **{14: ("by-nc", "4.0"), 15: ("by-nc-sa", "4.0"), 16: ("by-nc-nd", "4.0")},
}
LICENSE_IDS: Mapping[int, tuple[str, str, str | None]] = {
    **{n: (slug, f"CC {slug.upper()} {v}", _CC_URL.format(slug, v)) for n, (slug, v) in _CC_IDS.items()},
    0: ("all-rights-reserved", "all rights reserved", None),
    7: ("no-known-copyright-restrictions", "no known copyright restrictions", "https://www.flickr.com/commons/usage/"),
    8: ("us-gov", "United States government work", "https://www.usa.gov/government-copyright"),
    9: ("cc0", "CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
    10: ("pdm", "Public Domain Mark 1.0", "https://creativecommons.org/publicdomain/mark/1.0/"),
}
"""Flickr's number of a licence: slug, name, address."""
LICENSES = tuple(dict.fromkeys(slug for slug, _, _ in LICENSE_IDS.values()))
_PASSING = frozenset({10, 105})  # search, or everything, "is not currently available"

_Slice = tuple[int, int]  # first and last second of uploading, both within


def limits(options: Options) -> ApiLimits:
    """3,600 queries an hour, evenly."""
    return ApiLimits(PAGE_SIZE, quota=((3600, "hour"),), interval_s=1.0)


async def search(query: Query, api: Api, cursor: str | None) -> Page:
    """One page: the 4,000 most relevant photos of all time, then all, in slices of time, each by relevance.

    Flickr reaches no further than 4,000 photos into one search. Where there are more, the time since its beginning is
    halved until each slice has fewer; the cursor is the stack of slices that are still to do and the page of the
    uppermost. The most relevant ones come a second time then; that costs a few requests, while slices from the start
    would make the first thousands all of one day.

    Raises:
        CrawlError: its key is refused, or over its limit.
    """
    slices, page = ([], 1) if cursor is None else _place(api.name, cursor)
    url = base_url(api.options, BASE_URL) + "/services/rest"
    params: dict[str, str | int] = {
        "method": "flickr.photos.search",
        "api_key": api.options.get("api_key", ""),
        "text": query.text,
        "sort": "relevance",
        "media": "photos",
        "content_types": 0,  # photographs: no screenshots, no drawings
        "safe_search": 1,
        "per_page": PAGE_SIZE,
        "page": page,
        "extras": "license,owner_name,o_dims,url_l,url_o",
        "format": "json",
        "nojsoncallback": 1,
    }
    if query.licenses:
        params["license"] = ",".join(str(n) for n, (slug, _, _) in LICENSE_IDS.items() if slug in query.licenses)
    if slices:
        params["min_upload_date"], params["max_upload_date"] = slices[-1]
    answer = await api.get_json(url, params, passing=_passing)
    _check(api, answer)
    photos = mapping(mapping(answer).get("photos"))
    found = listed(photos, "photo", api.name, url)
    total, num_pages = pixels(photos.get("total")) or 0, pixels(photos.get("pages")) or 0
    if slices and page == 1 and total > MAX_REACHED and slices[-1][0] < slices[-1][1]:
        return Page((), _cursor([*slices[:-1], *_halves(slices[-1])], 1))
    hits = [hit for photo in found if (hit := _hit(photo))]
    if page < min(num_pages, _MAX_PAGES):
        return Page(hits, _cursor(slices, page + 1))
    if not slices and total > MAX_REACHED:
        return Page(hits, _cursor(_halves((START_S, int(time.time()))), 1))
    return Page(hits, _cursor(slices[:-1], 1) if len(slices) > 1 else None)


def _halves(whole: _Slice) -> list[_Slice]:
    """Both halves, the newer one on top."""
    middle = (whole[0] + whole[1]) // 2
    return [(whole[0], middle), (middle + 1, whole[1])]


def _cursor(slices: list[_Slice], page: int) -> str:
    return json.dumps({"slices": slices, "page": page})


def _place(name: str, cursor: str) -> tuple[list[_Slice], int]:
    found = cursor_mapping(name, cursor)
    slices, page = found.get("slices"), pixels(found.get("page"))
    if page is None or not isinstance(slices, list):
        raise cursor_error(name, cursor)
    for times in slices:
        if not isinstance(times, list) or len(times) != 2 or not all(pixels(second) for second in times):
            raise cursor_error(name, cursor)
    return [(first, last) for first, last in slices], page


def _passing(answer: Any) -> str | None:
    if mapping(answer).get("stat") == "fail" and answer.get("code") in _PASSING:
        return f"{answer.get('code')}: {answer.get('message')}"
    return None


def _check(api: Api, answer: Any) -> None:
    if mapping(answer).get("stat") != "fail":
        return
    said = api.redacted(f"{answer.get('code')}: {answer.get('message')}")
    if answer.get("code") == 100:
        raise CrawlError(
            f"{api.name}: it does not know this key ({said}); look at {keys.variable(api.name, 'api_key')} or at the "
            "keys file; keys come from https://www.flickr.com/services/apps/create/"
        )
    raise CrawlError(f"{api.name}: it refuses the search ({said})")


def _hit(photo: Mapping[str, Any]) -> Hit | None:
    """A hit; None where its owner lets nobody have a large image."""
    size = "l" if web_url(photo.get("url_l")) else "o"
    url = web_url(photo.get(f"url_{size}"))
    if url is None:
        return None
    number, owner, title = text(photo.get("id")), text(photo.get("owner")), text(photo.get("title"))
    creator = text(photo.get("ownername")) or owner
    slug, license_name, license_url = LICENSE_IDS.get(_license_id(photo.get("license")), (None, None, None))
    return Hit(
        url=url,
        provider_id=number,
        title=title,
        landing_url=f"https://www.flickr.com/photos/{quote(owner)}/{quote(number)}" if owner and number else None,
        creator=creator,
        license=slug,
        license_url=license_url,
        attribution=credit(title, creator, license_name, "Flickr"),
        width=pixels(photo.get(f"width_{size}")),
        height=pixels(photo.get(f"height_{size}")),
    )


def _license_id(value: Any) -> int:
    return -1 if isinstance(value, bool) or str(value) not in map(str, LICENSE_IDS) else int(value)
