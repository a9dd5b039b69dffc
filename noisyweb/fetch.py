"""One request of a crawl, within bounds: robots.txt first, then the image, then its opt-outs.

Nothing is followed or repeated here: a redirect is an answer like any other, and `noisyweb.crawl_images` queues its
target at its own host, so that every hop is checked anew: scheme, robots.txt, pace, and the address connected to.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from dataclasses import dataclass, field
from types import TracebackType

from yarl import URL

from noisyweb import reasons
from noisyweb.addresses import AddressPolicy
from noisyweb.hosts import Host, Pace
from noisyweb.politeness import Robots, opted_out, retry_after_s, user_agent
from noisyweb.transport import Headers, Reply, WebClient, WebError
from noisyweb.urls import web_url

ACCEPT = "image/jpeg,image/png,image/webp,image/gif;q=0.9,*/*;q=0.1"
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_ROBOTS_BYTES = 2**19
MAX_VALIDATOR = 1024


@dataclass(frozen=True)
class Limits:
    """How much, how long, how often.

    Attributes:
        connections: downloads at once.
        pace: each host's pace.
        connect_s, read_s: seconds to connect, and between two pieces of an answer.
        total_s: seconds for one request.
        max_bytes: of one image, decompressed.
        tries: how often a URL is tried in one run while its reason is passing.
        backoff_s: wait after the first try, doubled after each further one, times 0.5 to 1.5.
        max_wait_s: the longest Retry-After that is waited for; a host that asks for more gets no further request
            in this run.
        max_redirects: hops followed.
        names_s: seconds that a name's addresses are remembered.
    """

    connections: int = 32
    pace: Pace = field(default_factory=Pace)
    connect_s: float = 10.0
    read_s: float = 15.0
    total_s: float = 60.0
    max_bytes: int = 32 * 2**20
    tries: int = 3
    backoff_s: float = 0.5
    max_wait_s: float = 30.0
    max_redirects: int = 5
    names_s: float = 30.0


@dataclass(frozen=True)
class Answer:
    """What came of one request.

    Attributes:
        body: the whole decompressed body of a 200 answer, where ``reason`` is None and it is not a redirect.
        reason: None or why there is no body, of `noisyweb.reasons`.
        detail: what decided: a header, a rule, an error.
        http_status: None if there was no answer.
        redirect: where it leads, absolute.
        unchanged: a 304: the copy that is there already is still the answer.
        wait_s: seconds that Retry-After asks for.
    """

    body: bytes = b""
    reason: str | None = None
    detail: str | None = None
    http_status: int | None = None
    redirect: str | None = None
    unchanged: bool = False
    wait_s: float | None = None
    etag: str | None = None
    last_modified: str | None = None


class _RefusedError(Exception):
    """Ends a request; becomes an `Answer`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


class Fetcher:
    """One crawl's requests.

    Args:
        policy: whom to connect to, and the contact that every host is told.
        limits: bounds on sizes, times and paces.
        tls: another TLS context (tests).

    Raises:
        CrawlError: the contact is not one.
    """

    def __init__(
        self, policy: AddressPolicy, limits: Limits | None = None, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.limits = limits or Limits()
        self.web = WebClient(
            policy,
            user_agent(policy.contact),
            connections=self.limits.connections,
            connect_s=self.limits.connect_s,
            read_s=self.limits.read_s,
            names_s=self.limits.names_s,
            tls=tls,
        )

    async def __aenter__(self) -> Fetcher:
        await self.web.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.web.__aexit__(kind, value, trace)

    async def ask(
        self, address: str, host: Host, *, etag: str | None = None, last_modified: str | None = None
    ) -> Answer:
        """One request for an image, robots.txt first where it is not known yet.

        Args:
            address: the URL; its host and port are ``host``'s name.
            host: holds the robots.txt of its origins.
            etag, last_modified: ask only whether that copy has changed.

        Raises:
            NoContactError: it is on a public host and there is no contact.
        """
        try:
            url = parse_url(address)
            robots = await self._robots_of(url, host)
            if not robots.reachable:
                said = f"robots.txt: HTTP {robots.status}" if robots.status else "robots.txt: no answer"
                raise _RefusedError(Answer(reason="robots-unreachable", detail=said))
            if not robots.allows(str(url)):
                raise _RefusedError(Answer(reason="robots", detail="robots.txt disallows it"))
            reserved = robots.reserves(url.raw_path)
            if reserved:
                raise _RefusedError(Answer(reason="opt-out", detail=f"robots.txt: {reserved}"))
            headers = {"Accept": ACCEPT}
            if etag:
                headers["If-None-Match"] = etag
            if last_modified:
                headers["If-Modified-Since"] = last_modified
            async with asyncio.timeout(self.limits.total_s), self.web.get(url, headers) as reply:
                return await self._image(url, reply, etag is not None or last_modified is not None)
        except _RefusedError as refusal:
            return refusal.answer
        except TimeoutError:
            return Answer(reason="timeout", detail=f"not complete after {self.limits.total_s:g} s")
        except WebError as error:
            return Answer(reason=error.reason, detail=error.detail)

    async def _image(self, url: URL, reply: Reply, is_conditional: bool) -> Answer:
        status, headers = reply.status, reply.headers
        if status in REDIRECTS and headers.get("location"):
            try:
                target = str(parse_url(str(url.join(URL(headers["location"])))))
            except (ValueError, _RefusedError):
                raise _RefusedError(
                    Answer(reason="bad-url", http_status=status, detail=f"redirects to {headers['location'][:200]!r}")
                ) from None
            return Answer(http_status=status, redirect=target)
        if status == 304 and is_conditional:
            return Answer(http_status=status, unchanged=True)
        if status != 200:
            raise _RefusedError(
                Answer(reason=reasons.for_status(status), http_status=status, wait_s=retry_after_s(headers))
            )
        opt_out = opted_out(headers)
        if opt_out:
            raise _RefusedError(Answer(reason="opt-out", detail=opt_out[:200], http_status=status))
        body = await read_capped(reply, self.limits.max_bytes)
        return Answer(
            body,
            http_status=status,
            etag=_validator(headers, "etag"),
            last_modified=_validator(headers, "last-modified"),
        )

    async def _robots_of(self, url: URL, host: Host) -> Robots:
        known = host.robots.get(url.scheme)
        if known is None or known.expired(time.monotonic()):
            known = await self._load_robots(url)
            host.slow_down(min(known.crawl_delay_s, self.limits.max_wait_s))
            host.open(url.scheme, known)
        return known

    async def _load_robots(self, url: URL) -> Robots:
        """Fetch a robots.txt, redirects followed; a second try after a quick failure that may pass."""
        status: int | None = None
        for attempt in range(2):
            if attempt:
                await asyncio.sleep(self.limits.backoff_s)
            try:
                status, text = await self._robots_answer(url.origin() / "robots.txt")
            except (TimeoutError, _RefusedError):
                break
            except WebError as error:
                if error.reason in ("dns", "private-address", "bad-url"):
                    raise
                if error.reason == "timeout":
                    break
                continue
            if status < 500:
                return Robots(status, text, time.monotonic())
        return Robots(status if status and status >= 500 else None, "", time.monotonic())

    async def _robots_answer(self, url: URL) -> tuple[int, str]:
        for _ in range(self.limits.max_redirects + 1):
            async with asyncio.timeout(self.limits.total_s), self.web.get(url, {}) as reply:
                if reply.status not in REDIRECTS or not reply.headers.get("location"):
                    body = b"" if reply.status != 200 else await read_capped(reply, MAX_ROBOTS_BYTES, cut=True)
                    return reply.status, body.decode("utf-8", "replace")
                try:
                    url = parse_url(str(url.join(URL(reply.headers["location"]))))
                except ValueError:
                    return 404, ""
        return 404, ""  # RFC 9309, 2.3.1.2: too many redirects count as unavailable, which allows all


def _validator(headers: Headers, name: str) -> str | None:
    """A header that is to be sent back; None unless it is plain text of a sane length."""
    value = headers.get(name, "")
    return value if 0 < len(value) <= MAX_VALIDATOR and value.isascii() and value.isprintable() else None


def parse_url(text: str) -> URL:
    """A web address, or a refusal.

    Raises:
        _RefusedError: with the reason bad-url.
    """
    url = web_url(text)
    if url is None:
        raise _RefusedError(Answer(reason="bad-url"))
    return url


async def read_capped(reply: Reply, max_bytes: int, *, cut: bool = False) -> bytes:
    """The decompressed body, refused (or, with ``cut``, cut off) once it is over ``max_bytes``.

    Compression is asked away; a host that compresses all the same is decompressed in steps, so that a small
    bomb never becomes large here.
    """
    encoding = reply.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "deflate", "x-gzip"):
        raise _RefusedError(Answer(reason="encoding", http_status=reply.status, detail=encoding[:50]))
    inflate = zlib.decompressobj(47) if "gzip" in encoding or encoding == "deflate" else None
    parts: list[bytes] = []
    size = 0
    async for raw in reply.body:
        try:
            part = inflate.decompress(raw, max_bytes - size + 1) if inflate else raw
        except zlib.error:
            raise _RefusedError(
                Answer(reason="truncated", http_status=reply.status, detail="bad compression")
            ) from None
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            if cut:
                break
            raise _RefusedError(
                Answer(reason="too-large", http_status=reply.status, detail=f"over {max_bytes:,} bytes")
            )
    if inflate and not inflate.eof and not cut:
        raise _RefusedError(Answer(reason="truncated", http_status=reply.status, detail="compressed body cut off"))
    return b"".join(parts)[:max_bytes]
