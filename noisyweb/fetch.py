"""Fetching one URL, politely and within bounds: all HTTP for images goes through here.

Every hop of a redirect is checked anew: scheme, robots.txt, and (in `noisyweb.addresses`) the address that is
connected to. A failure is an answer with a reason of `noisyweb.reasons`, not an exception.
"""

from __future__ import annotations

import asyncio
import http.cookiejar
import time
import zlib
from dataclasses import dataclass
from types import TracebackType

import httpx

from noisyweb import reasons
from noisyweb.addresses import CheckedBackend, CheckedTransport, PrivateAddressError, UnresolvedNameError
from noisyweb.draws import row_keys, uniforms
from noisyweb.politeness import Robots, Turns, opted_out, retry_after_s, user_agent

ACCEPT = "image/jpeg,image/png,image/webp,image/gif;q=0.9,*/*;q=0.1"


@dataclass(frozen=True)
class Limits:
    """How much, how often, how long.

    Attributes:
        connections: downloads at once.
        per_host: downloads at once from one host.
        interval_s: seconds between the starts of two requests to one host.
        connect_s, read_s: seconds to connect, and between two pieces of an answer.
        total_s: seconds for all hops of one try.
        max_bytes: of one image, decompressed.
        tries: how often a URL is tried in one run while its reason is passing.
        backoff_s: wait after the first try, doubled after each further one, times 0.5 to 1.5.
        max_wait_s: the longest Retry-After that is waited for; a host that asks for more gets no further request
            in this run.
        max_redirects: hops followed.
    """

    connections: int = 32
    per_host: int = 4
    interval_s: float = 0.1
    connect_s: float = 10.0
    read_s: float = 15.0
    total_s: float = 60.0
    max_bytes: int = 32 * 2**20
    tries: int = 3
    backoff_s: float = 0.5
    max_wait_s: float = 30.0
    max_redirects: int = 5


@dataclass(frozen=True)
class Answer:
    """What became of one URL.

    Attributes:
        reason: None if ``body`` is the whole body of a 200 answer, else why there is none.
        http_status: of the last answer; None if there was none.
        tries: how often it was tried.
    """

    body: bytes = b""
    reason: str | None = None
    http_status: int | None = None
    tries: int = 1
    wait_s: float | None = None


class _RefusedError(Exception):
    """Ends a try; becomes an `Answer` in `Fetcher.fetch`."""

    def __init__(self, reason: str, http_status: int | None = None, wait_s: float | None = None) -> None:
        self.answer = Answer(reason=reason, http_status=http_status, wait_s=wait_s)


class Fetcher:
    """One crawl's HTTP: a client, each host's pace and robots.txt.

    Args:
        contact: mail address or web page of the user, told to every host; public hosts need one.
        allow_loopback: also talk to this machine.
        limits: bounds on sizes, times and paces.

    Raises:
        CrawlError: the contact is not one.
    """

    def __init__(self, *, contact: str | None, allow_loopback: bool = False, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        backend = CheckedBackend(allow_loopback=allow_loopback, contact=contact)
        self.client = httpx.AsyncClient(
            transport=CheckedTransport(backend, connections=self.limits.connections + 4),
            headers={"User-Agent": user_agent(contact), "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(self.limits.read_s, connect=self.limits.connect_s, pool=None),
            cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
            follow_redirects=False,
        )
        self._turns = Turns(self.limits.per_host, self.limits.interval_s)
        self._closed: dict[str, Answer] = {}  # hosts that asked for a longer wait than this run's
        self._robots: dict[str, Robots] = {}
        self._robots_locks: dict[str, asyncio.Lock] = {}

    async def __aenter__(self) -> Fetcher:
        await self.client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.__aexit__(kind, value, trace)

    async def fetch(self, url: str) -> Answer:
        """Fetch an image's bytes, trying again while the reason is passing.

        Raises:
            CrawlError: it is on a public host and there is no contact.
        """
        for attempt in range(1, self.limits.tries + 1):
            answer = await self._try(url)
            last = attempt == self.limits.tries or answer.reason == "robots-unreachable"
            if answer.reason is None or last or not reasons.is_passing(answer.reason):
                break
            jitter = 0.5 + uniforms(row_keys([url]), attempt, "backoff")[0]
            wait_s = float(self.limits.backoff_s * 2 ** (attempt - 1) * jitter)
            if answer.wait_s is not None:
                if answer.wait_s > self.limits.max_wait_s:
                    break
                wait_s = max(wait_s, answer.wait_s)
                self._turns.pause(httpx.URL(url).host, answer.wait_s)
            await asyncio.sleep(wait_s)
        return Answer(answer.body, answer.reason, answer.http_status, attempt, answer.wait_s)

    async def _try(self, url: str) -> Answer:
        try:
            return await self._follow(url)
        except _RefusedError as refusal:
            return refusal.answer
        except PrivateAddressError:
            return Answer(reason="private-address")
        except UnresolvedNameError:
            return Answer(reason="dns")
        except (TimeoutError, httpx.TimeoutException):
            return Answer(reason="timeout")
        except (httpx.UnsupportedProtocol, httpx.InvalidURL):
            return Answer(reason="bad-url")
        except httpx.TransportError:
            return Answer(reason="connection")

    async def _follow(self, start: str) -> Answer:
        url = _parsed(start)
        left_s = self.limits.total_s
        for _ in range(self.limits.max_redirects + 1):
            if url.host in self._closed:
                return self._closed[url.host]
            robots = await self._robots_of(url)
            if not robots.allows(str(url)):
                raise _RefusedError("robots" if robots.reachable else "robots-unreachable")
            async with self._turns.turn(url.host):
                started_s = time.monotonic()
                async with (
                    asyncio.timeout(left_s),
                    self.client.stream("GET", url, headers={"Accept": ACCEPT}) as answer,
                ):
                    if not answer.has_redirect_location:
                        return await self._image(answer)
                left_s -= time.monotonic() - started_s
            try:
                url = _parsed(str(url.join(answer.headers["location"])))
            except _RefusedError:
                raise _RefusedError("bad-url", answer.status_code) from None
        raise _RefusedError("redirect-loop", answer.status_code)

    async def _image(self, answer: httpx.Response) -> Answer:
        status = answer.status_code
        if status != 200:
            refusal = _RefusedError(reasons.for_status(status), status, retry_after_s(answer.headers))
            if refusal.answer.wait_s is not None and refusal.answer.wait_s > self.limits.max_wait_s:
                self._closed[answer.url.host] = refusal.answer
            raise refusal
        if opted_out(answer.headers):
            raise _RefusedError("opt-out", status)
        return Answer(await read_capped(answer, self.limits.max_bytes), None, status)

    async def _robots_of(self, url: httpx.URL) -> Robots:
        origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
        async with self._robots_locks.setdefault(origin, asyncio.Lock()):
            known = self._robots.get(origin)
            if known is None or known.expired(time.monotonic()):
                known = self._robots[origin] = await self._load_robots(httpx.URL(origin + "/robots.txt"))
            return known

    async def _load_robots(self, url: httpx.URL) -> Robots:
        """Fetch a robots.txt, redirects followed; a second try after a failure that may pass."""
        status: int | None = None
        for attempt in range(2):
            if attempt:
                await asyncio.sleep(self.limits.backoff_s)
            try:
                status, text = await self._robots_answer(url)
            except (UnresolvedNameError, PrivateAddressError):
                raise
            except (TimeoutError, httpx.TransportError, _RefusedError):
                continue
            if status < 500:
                return Robots(status, text, time.monotonic())
        return Robots(status, "", time.monotonic())

    async def _robots_answer(self, url: httpx.URL) -> tuple[int, str]:
        for _ in range(self.limits.max_redirects + 1):
            async with (
                self._turns.turn(url.host),
                asyncio.timeout(self.limits.total_s),
                self.client.stream("GET", url) as answer,
            ):
                if not answer.has_redirect_location:
                    body = b"" if answer.status_code != 200 else await read_capped(answer, 2**19, cut=True)
                    return answer.status_code, body.decode("utf-8", "replace")
            url = _parsed(str(url.join(answer.headers["location"])))
        return 404, ""  # RFC 9309, 2.3.1.2: too many redirects count as unavailable, which allows all


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise _RefusedError("bad-url") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _RefusedError("bad-url")
    return parsed


async def read_capped(answer: httpx.Response, max_bytes: int, *, cut: bool = False) -> bytes:
    """The decompressed body, refused (or, with ``cut``, cut off) once it is over ``max_bytes``.

    Compression is asked away; a host that compresses all the same is decompressed in steps, so that a small
    bomb never becomes large here.
    """
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "deflate", "x-gzip"):
        raise _RefusedError("encoding", answer.status_code)
    inflate = zlib.decompressobj(47) if "gzip" in encoding or encoding == "deflate" else None
    parts: list[bytes] = []
    size = 0
    async for raw in answer.aiter_raw():
        try:
            part = inflate.decompress(raw, max_bytes - size + 1) if inflate else raw
        except zlib.error:
            raise _RefusedError("truncated", answer.status_code) from None
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            if cut:
                break
            raise _RefusedError("too-large", answer.status_code)
    if inflate and not inflate.eof and not cut:
        raise _RefusedError("truncated", answer.status_code)
    return b"".join(parts)[:max_bytes]
