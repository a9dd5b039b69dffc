"""Why a candidate has no image: the vocabulary of the ``reason`` column of `noisyweb.schemas.IMAGES`.

A reason is passing (the next crawl tries again) or final (it never does). Besides the words below there is
``http-<code>`` for an answer that is not 200: passing for 408, 425, 429 and 5xx, final for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

PASSING: Mapping[str, str] = {
    "timeout": "no answer, or not all of it, in time",
    "connection": "refused, reset, or not HTTP",
    "dns": "the host's name has no address",
    "robots-unreachable": "robots.txt answered 5xx or not at all, which means: keep out for now",
    "host-down": "its host failed so often in a row that it was left alone for the rest of the run",
    "set-aside": "the processes that were to fetch it died three times",
}

FINAL: Mapping[str, str] = {
    "bad-url": "not http or https, or no URL at all",
    "private-address": "the host, or one it redirects to, is not on the public internet",
    "redirect-loop": "too many redirects, or one that leads nowhere",
    "robots": "robots.txt forbids it",
    "opt-out": "a header reserves it from machine learning or indexing",
    "too-large": "more bytes than the limit",
    "encoding": "compressed in a way that was not asked for",
    "not-an-image": "neither JPEG, PNG, WebP nor GIF, whatever it says it is",
    "other-format": "an image of a format that is not read (AVIF, TIFF, BMP, ...)",
    "svg": "a drawing in SVG, which can carry scripts and has no pixels",
    "truncated": "bytes are missing or damaged",
    "pixel-bomb": "more pixels than the limit",
    "too-small": "fewer pixels on a side than the limit",
    "decoder-crash": "the decoder died of it, or did not come to an end",
    "unreadable": "a local file that cannot be read",
}

_PASSING_CODES = {408, 425, 429}


def for_status(code: int) -> str:
    """The reason for an HTTP status other than 200."""
    return f"http-{code}"


def is_passing(reason: str) -> bool:
    """Whether trying again later may help."""
    kind, _, code = reason.partition("-")
    if kind == "http" and code.isdigit():
        return int(code) >= 500 or int(code) in _PASSING_CODES
    return reason in PASSING
