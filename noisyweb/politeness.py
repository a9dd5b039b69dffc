"""What a host may expect of us: a name and a contact, a pace, robots.txt, and its opt-outs."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import re
import time
from collections.abc import AsyncIterator
from urllib.robotparser import RobotFileParser

import httpx

from noisyweb import __version__
from noisyweb.errors import CrawlError

AGENT = "noisyweb"
OPT_OUTS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "noml", "none"})
_VALUED_DIRECTIVES = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_DAY_S = 24 * 3600.0


def user_agent(contact: str | None) -> str:
    """The User-Agent header: who we are, how to reach the user, what carries the request.

    Raises:
        CrawlError: the contact is neither a mail address nor a web page.
    """
    if contact is None:
        return f"{AGENT}/{__version__} python-httpx/{httpx.__version__}"
    if not re.fullmatch(r"[\x21-\x7e]+@[\x21-\x7e]+\.[\x21-\x7e]+|https?://[\x21-\x7e]+", contact):
        raise CrawlError(f"contact {contact!r}: expected a mail address or a web page; it is told to every host")
    return f"{AGENT}/{__version__} (+{contact}) python-httpx/{httpx.__version__}"


class Robots:
    """What one host's robots.txt allows us (RFC 9309): 4xx allows all, 5xx and silence forbid for now."""

    def __init__(self, status: int | None, text: str, loaded_at_s: float) -> None:
        self.reachable = status is not None and status < 500
        self._expires_s = loaded_at_s + _DAY_S
        self._rules = RobotFileParser()
        self._rules.parse(text.splitlines() if status == 200 else [])

    def expired(self, now_s: float) -> bool:
        """Whether it is older than the 24 hours that RFC 9309 allows."""
        return now_s >= self._expires_s

    def allows(self, url: str) -> bool:
        """Whether we may fetch a URL of this host; false as long as robots.txt cannot be had."""
        return self.reachable and self._rules.can_fetch(AGENT, url)


def opted_out(headers: httpx.Headers) -> str | None:
    """The header that reserves this answer from us, as "name: value"; None if there is none.

    Known are X-Robots-Tag (all directives of `OPT_OUTS`, for everyone or for our agent), the IETF's
    Content-Usage with train-ai=n, and tdm-reservation: 1.
    """
    for value in headers.get_list("x-robots-tag"):
        if _reserves(value):
            return f"x-robots-tag: {value}"
    for value in headers.get_list("content-usage", split_commas=True):
        if value.replace(" ", "").lower() in ("train-ai=n", "train-ai=?0"):
            return f"content-usage: {value}"
    if headers.get("tdm-reservation", "").strip() == "1":
        return "tdm-reservation: 1"
    return None


def _reserves(value: str) -> bool:
    agent = ""  # directives before any agent's name are for everyone
    for part in value.lower().split(","):
        name, colon, directive = (piece.strip() for piece in part.partition(":"))
        if colon and re.fullmatch(r"[\w.*-]+", name) and name not in _VALUED_DIRECTIVES:
            agent = name
        else:
            directive = name
        if directive in OPT_OUTS and agent in ("", "*", AGENT):
            return True
    return False


def retry_after_s(headers: httpx.Headers, now_s: float | None = None) -> float | None:
    """Seconds that a Retry-After header asks us to wait, from its number or its date; None if there is none."""
    value = headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - (time.time() if now_s is None else now_s))


class Turns:
    """Each host's pace: so many requests at once, so long between two starts, and a pause when it asks for one."""

    def __init__(self, per_host: int, interval_s: float) -> None:
        self._per_host, self._interval_s = per_host, interval_s
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._next_s: dict[str, float] = {}

    @contextlib.asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Wait for a turn at a host and hold it for the block."""
        slot = self._slots.setdefault(host, asyncio.Semaphore(self._per_host))
        async with slot:
            now_s = asyncio.get_running_loop().time()
            start_s = max(now_s, self._next_s.get(host, 0.0))
            self._next_s[host] = start_s + self._interval_s
            if start_s > now_s:
                await asyncio.sleep(start_s - now_s)
            yield

    def pause(self, host: str, seconds: float) -> None:
        """Start nothing new at a host for a while."""
        until_s = asyncio.get_running_loop().time() + seconds
        self._next_s[host] = max(self._next_s.get(host, 0.0), until_s)
