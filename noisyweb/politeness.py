"""What a host may expect of us: a name and a contact, robots.txt, and its opt-outs. Its pace is in `noisyweb.hosts`."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from importlib.metadata import version

from multidict import CIMultiDict, CIMultiDictProxy
from protego import Protego

from noisyweb import __version__
from noisyweb.errors import CrawlError

AGENT = "noisyweb"
Headers = CIMultiDict[str] | CIMultiDictProxy[str]
OPT_OUTS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "noml", "none"})
_VALUED_DIRECTIVES = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_DAY_S = 24 * 3600.0


def user_agent(contact: str | None) -> str:
    """The User-Agent header: who we are, how to reach the user, what carries the request.

    Raises:
        CrawlError: the contact is neither a mail address nor a web page.
    """
    if contact is None:
        return f"{AGENT}/{__version__} aiohttp/{version('aiohttp')}"
    if not re.fullmatch(r"[\x21-\x7e]+@[\x21-\x7e]+\.[\x21-\x7e]+|https?://[\x21-\x7e]+", contact):
        raise CrawlError(f"contact {contact!r}: expected a mail address or a web page; it is told to every host")
    return f"{AGENT}/{__version__} (+{contact}) aiohttp/{version('aiohttp')}"


class Robots:
    """What one host's robots.txt allows us (RFC 9309): 4xx allows all, 5xx and silence forbid for now.

    Besides the rules it reads ``Content-Usage`` lines (IETF aipref), which reserve paths from AI training.
    """

    def __init__(self, status: int | None, text: str, loaded_at_s: float) -> None:
        self.reachable = status is not None and status < 500
        self.status = status
        self._expires_s = loaded_at_s + _DAY_S
        self._rules = Protego.parse(text) if status == 200 and text.strip() else None
        self._usage = _usage_rules(text) if status == 200 else []

    def expired(self, now_s: float) -> bool:
        """Whether it is older than the 24 hours that RFC 9309 allows."""
        return now_s >= self._expires_s

    def allows(self, url: str) -> bool:
        """Whether we may fetch a URL of this host; false as long as robots.txt cannot be had."""
        return self.reachable and (self._rules is None or self._rules.can_fetch(url, AGENT))

    def reserves(self, path: str) -> str | None:
        """The ``Content-Usage`` line that reserves a path from training; None if there is none.

        The longest matching path decides, as for Allow and Disallow.
        """
        matching = [(len(prefix), line, reserved) for prefix, line, reserved in self._usage if path.startswith(prefix)]
        if not matching:
            return None
        _, line, reserved = max(matching, key=lambda rule: (rule[0], rule[2]))
        return line if reserved else None

    @property
    def crawl_delay_s(self) -> float:
        """Seconds between two requests that it asks for; 0 if it asks for none."""
        return float((self._rules and self._rules.crawl_delay(AGENT)) or 0.0)


def _usage_rules(text: str) -> list[tuple[str, str, bool]]:
    """Paths, lines and whether they reserve, of the groups that are for us, or else for everyone."""
    rules: dict[str, list[tuple[str, str, bool]]] = {}
    agents: list[str] = []
    in_rules = False
    for raw in text.splitlines():
        name, _, value = (part.strip() for part in raw.partition("#")[0].partition(":"))
        if name.lower() == "user-agent":
            agents = [value.lower()] if in_rules else [*agents, value.lower()]
            in_rules = False
        elif name:
            in_rules = True
            if name.lower() == "content-usage" and value:
                path, _, usage = value.partition(" ") if value.startswith("/") else ("/", "", value)
                for agent in agents:
                    rules.setdefault(agent, []).append((path, f"Content-Usage: {value}", _is_train_no(usage)))
    return rules.get(AGENT) or rules.get("*") or []


def _is_train_no(usage: str) -> bool:
    """Whether a Content-Usage value (a structured dictionary) says no to AI training."""
    said = dict(part.replace(" ", "").lower().partition("=")[::2] for part in usage.split(","))
    return said.get("train-ai") in ("n", "?0")


def opted_out(headers: Headers) -> str | None:
    """The header that reserves this answer from us, as "name: value"; None if there is none.

    Known are X-Robots-Tag (all directives of `OPT_OUTS`, for everyone or for our agent), the IETF's
    Content-Usage with train-ai=n, and tdm-reservation: 1.
    """
    for value in headers.getall("x-robots-tag", ()):
        if _reserves(value):
            return f"x-robots-tag: {value}"
    for value in headers.getall("content-usage", ()):
        if _is_train_no(value):
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


def retry_after_s(headers: Mapping[str, str], now_s: float | None = None) -> float | None:
    """Seconds that a Retry-After header asks us to wait, from its number or its date; None if there is none."""
    value = headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - (time.time() if now_s is None else now_s))
