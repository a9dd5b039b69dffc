"""Which texts are URLs, and which of them name one place."""

from __future__ import annotations

import re

from noisyweb.errors import SourceError
from noisyweb.remote_errors import shown

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: C: is a drive


def is_url(place: str) -> bool:
    """Whether a text is an fsspec URL (``s3://...``, ``memory://...``, ``file:///...``) and not a path."""
    return _URL.match(place) is not None


def check_plain(url: str) -> None:
    """Refuse what fsspec or a disk would take for something else than one place.

    Raises:
        SourceError: a chain of URLs, a part that is ``.`` or ``..``, or a letter that is none.
    """
    if "::" in url:
        raise SourceError(f"{shown(url)}: a chain of URLs; expected one URL such as s3://bucket/builds/cars")
    parts = url.partition("?")[0].partition("://")[2].split("/")
    if any(part in (".", "..") for part in parts) or any(ord(letter) < 32 for letter in url):
        raise SourceError(f"{shown(url)!r}: not a plain URL; expected one such as s3://bucket/builds/cars")
