"""An image search over the drawn web, in the shape of Openverse's API, version 1."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from noisyweb.drawn.draw import SIZE
from noisyweb.drawn.hosting import Served

MAX_PAGE = 20
MAX_PAGE_SIZE = 20
"""Hits a page without a token."""

_MAX_QUERY = 200
_TYPE_EXCLUDES = {"commercial": "nc", "modification": "nd"}

Answer = tuple[int, dict[str, Any]]
"""HTTP status and JSON body."""


class SearchIndex:
    """What is searched.

    Args:
        class_names: the classes that are served.
        served: their hits, best first within a class.
    """

    def __init__(self, class_names: Sequence[str], served: Sequence[Served]) -> None:
        self._words = [set(_words(name)) for name in class_names]
        self._hits: list[list[Served]] = [[] for _ in class_names]
        for one in served:
            self._hits[one.label].append(one)

    def answer(self, parameters: Mapping[str, str]) -> Answer:
        """Answer one request for ``/v1/images/``.

        Args:
            parameters: q, page, page_size, license and license_type; others are ignored.
        """
        wrong = {name: parameters[name] for name in ("page", "page_size") if not _is_count(parameters.get(name, "1"))}
        if wrong:
            return _input_error(f"{next(iter(wrong))}: A valid positive integer is required.", wrong)
        query = parameters.get("q", "")
        if len(query) > _MAX_QUERY:
            return _input_error(f"q: Ensure this field has no more than {_MAX_QUERY} characters.", ["q"])
        page, page_size = int(parameters.get("page", "1")), int(parameters.get("page_size", "20"))
        if page_size > MAX_PAGE_SIZE:
            return 401, {"detail": f"Page size must be between 1 & {MAX_PAGE_SIZE} for unauthenticated requests."}
        if page > MAX_PAGE:
            return _input_error(f"page: Ensure this value is less than or equal to {MAX_PAGE}.", ["page"])
        found = [one for one in self._find(query) if _is_licensed(one, parameters)]
        start = (page - 1) * page_size
        return 200, {
            "result_count": len(found),
            "page_count": min(MAX_PAGE, math.ceil(len(found) / page_size)),
            "page_size": page_size,
            "page": page,
            "results": [_result(one) for one in found[start : start + page_size]],
            "warnings": [],
        }

    def _find(self, query: str) -> list[Served]:
        """Hits of the class that the query names in full, else of all classes that have all of its words."""
        asked = set(_words(query))
        named = [label for label, words in enumerate(self._words) if words <= asked]
        if named:
            most = max(len(self._words[label]) for label in named)
            labels = [label for label in named if len(self._words[label]) == most]
        else:
            labels = [label for label, words in enumerate(self._words) if asked and asked <= words]
        ranked = [(rank, label, one) for label in labels for rank, one in enumerate(self._hits[label])]
        return [one for _, _, one in sorted(ranked, key=lambda item: item[:2])]


def _result(one: Served) -> dict[str, Any]:
    hit = one.hit
    number = hashlib.blake2b(hit.url.encode(), digest_size=16).hexdigest()
    creator = hit.creator.removesuffix(" (drawn)").lower().replace(" ", "-")
    return {
        "id": "-".join((number[:8], number[8:12], number[12:16], number[16:20], number[20:])),
        "title": hit.title,
        "url": one.url,
        "thumbnail": one.url,
        "foreign_landing_url": hit.landing_url,
        "creator": hit.creator,
        "creator_url": f"https://drawn.invalid/people/{creator}",
        "license": hit.license,
        "license_version": "1.0" if hit.license in ("cc0", "pdm") else "2.0",
        "license_url": hit.license_url,
        "attribution": hit.attribution,
        "provider": "drawn",
        "source": "drawn",
        "category": "illustration",
        "filesize": None,
        "filetype": "jpg",
        "width": SIZE[0],
        "height": SIZE[1],
        "mature": False,
        "tags": [{"name": "drawn", "accuracy": None}],
    }


def _is_licensed(one: Served, parameters: Mapping[str, str]) -> bool:
    wanted = [name for name in parameters.get("license", "").lower().split(",") if name]
    excluded = [_TYPE_EXCLUDES.get(name, "") for name in parameters.get("license_type", "").split(",")]
    parts = one.hit.license.split("-")
    return (not wanted or one.hit.license in wanted) and not any(part in parts for part in excluded if part)


def _input_error(detail: str, fields: Sequence[str] | Mapping[str, str]) -> Answer:
    return 400, {"error": "InputError", "detail": detail, "fields": list(fields)}


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text) > 0


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())
