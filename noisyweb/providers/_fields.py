"""Taking strangers' answers apart: each field as what it ought to be, or None."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from noisyweb.errors import CrawlError
from noisyweb.providers._protocol import Options


def base_url(options: Options, default: str) -> str:
    """The server to ask, without a slash at its end."""
    return (options.get("base_url") or default).rstrip("/")


def text(value: Any) -> str | None:
    """A text that says something."""
    return value.strip() or None if isinstance(value, str) else None


def web_url(value: Any) -> str | None:
    """An address on the web; APIs sometimes give none, or the image itself (``data:``)."""
    url = text(value)
    return url if url and url.lower().startswith(("http://", "https://")) else None


def pixels(value: Any) -> int | None:
    """A length in pixels, also where it is written as a text."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def mapping(value: Any) -> Mapping[str, Any]:
    """A JSON object; an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    """The JSON objects in a list, whatever else is in it."""
    yield from (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def listed(answer: Any, key: str, name: str, url: str) -> Iterator[Mapping[str, Any]]:
    """The results that an answer has under ``key``.

    Raises:
        CrawlError: there is no such list, so it is not the answer of that API.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get(key), list):
        raise CrawlError(f"{name}: {url} answered without a list of {key}; is that the right address?")
    return mappings(answer[key])


def cursor_error(name: str, cursor: str) -> CrawlError:
    """For a cursor that no version of this provider gave."""
    return CrawlError(f"{name}: a search stopped at {cursor[:40]!r}, which is no place to go on from; search anew")


def cursor_number(name: str, cursor: str) -> int:
    """A cursor that is a number from 1.

    Raises:
        CrawlError: it is not.
    """
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 10 and int(cursor) > 0):
        raise cursor_error(name, cursor)
    return int(cursor)


def cursor_mapping(name: str, cursor: str) -> dict[str, Any]:
    """A cursor that is a JSON object.

    Raises:
        CrawlError: it is not.
    """
    try:
        value = json.loads(cursor)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise cursor_error(name, cursor)
    return value


def credit(title: str | None, creator: str | None, license_name: str | None, where: str) -> str:
    """A credit line in the form that Creative Commons recommends: title, author, source, licence."""
    line = f'"{title}"' if title else "Image"
    line += f" by {creator}" if creator else ""
    line += f", {license_name}" if license_name else ""
    return f"{line}, via {where}"
