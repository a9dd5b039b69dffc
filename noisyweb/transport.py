"""All HTTP: API calls over httpx, images over aiohttp or HTTP/2, every connection checked by one policy.

Images come over aiohttp, which carries about three times as many requests a second as httpx over the same
connections (docs/benchmarks.md); hosts that speak HTTP/2 are noticed at their first answer (robots.txt) and served
over httpx (`noisyweb.transport_httpx`), one connection for all. Proxies of the environment are not used, since they
would connect in our place; cookies are not kept.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import aiohttp
import aiohttp.abc
import certifi
from multidict import CIMultiDictProxy
from yarl import URL

from noisyweb.addresses import AddressPolicy, NoContactError, PrivateAddressError, UnresolvedNameError

if TYPE_CHECKING:
    import httpx

Headers = CIMultiDictProxy[str]
MAX_KNOWN_ORIGINS = 10_000


class WebError(Exception):
    """No answer, or not all of it.

    Attributes:
        reason: of `noisyweb.reasons`: timeout, connection, dns, private-address or bad-url.
        detail: what exactly happened.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Reply:
    """The head of an answer, and its body as it comes: still compressed, in pieces."""

    status: int
    headers: Headers
    body: AsyncIterator[bytes]


class WebClient:
    """Connections of one crawl.

    Args:
        policy: whom to connect to.
        agent: the User-Agent header.
        connections: at once.
        connect_s, read_s: seconds to connect, and between two pieces of an answer.
        names_s: seconds that a name's addresses are remembered.
        tls: another TLS context (tests).
    """

    def __init__(
        self,
        policy: AddressPolicy,
        agent: str,
        *,
        connections: int,
        connect_s: float,
        read_s: float,
        names_s: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._headers = {"User-Agent": agent, "Accept-Encoding": "identity"}
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s, sock_read=read_s)
        self._tls = tls
        self._h1_tls = tls or ssl.create_default_context(cafile=certifi.where())
        self._names_s, self._connections = names_s, connections
        self._session: aiohttp.ClientSession | None = None
        self._is_h1: OrderedDict[tuple[str, str], bool] = OrderedDict()

    @functools.cached_property
    def api(self) -> httpx.AsyncClient:
        """For API calls, and for hosts that speak HTTP/2; made when first asked for, since httpx is slow to import."""
        from noisyweb.transport_httpx import checked_client

        assert self._timeout.sock_connect is not None
        return checked_client(
            self._policy,
            self._headers,
            connections=self._connections,
            connect_s=self._timeout.sock_connect,
            read_s=self._timeout.sock_read,
            tls=self._tls,
        )

    async def __aenter__(self) -> WebClient:
        connector = aiohttp.TCPConnector(
            limit=0,  # who calls has a limit of their own
            resolver=_CheckedResolver(self._policy),
            socket_factory=self._socket,
            ssl=self._h1_tls,
            keepalive_timeout=3.0,
            happy_eyeballs_delay=None,
            ttl_dns_cache=round(self._names_s),
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=self._timeout,
            headers=self._headers,
            requote_redirect_url=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "api" in self.__dict__:
            await self.api.aclose()
        assert self._session is not None
        await self._session.close()

    def get(self, url: URL, headers: Mapping[str, str]) -> AbstractAsyncContextManager[Reply]:
        """One GET, redirects not followed.

        Raises:
            WebError: no answer, or not all of it; also from within ``body``.
            NoContactError: a public host and no contact.
        """
        if url.scheme == "https" and not self._is_h1.get((url.scheme, url.raw_authority)):
            return self._get_h2(url, headers)
        assert self._session is not None, "use the client as a context manager"
        return _Get(self._session, self._policy, url, headers)

    @contextlib.asynccontextmanager
    async def _get_h2(self, url: URL, headers: Mapping[str, str]) -> AsyncIterator[Reply]:
        from noisyweb.transport_httpx import stream

        async with stream(self.api, url, headers) as (version, reply):
            if version != "HTTP/2":
                self._is_h1[url.scheme, url.raw_authority] = True
                if len(self._is_h1) > MAX_KNOWN_ORIGINS:
                    self._is_h1.popitem(last=False)
            yield reply

    def _socket(self, info: Any) -> socket.socket:
        """The last check, of the very address that is connected to."""
        family, kind, protocol, _, address = info
        try:
            self._policy.check_literal(str(address[0]))
        except (PrivateAddressError, NoContactError) as error:
            raise _CarriedError(error) from error
        return socket.socket(family, kind, protocol)


class _Get:
    """A GET over aiohttp; a plain class, since a generator for each of millions of requests costs more."""

    __slots__ = ("_headers", "_policy", "_session", "_stream", "_url")

    def __init__(
        self, session: aiohttp.ClientSession, policy: AddressPolicy, url: URL, headers: Mapping[str, str]
    ) -> None:
        self._session, self._policy, self._url, self._headers = session, policy, url, headers

    async def __aenter__(self) -> Reply:
        try:
            self._policy.check_literal(self._url.raw_host or "")
            self._stream = self._session.get(self._url, headers=self._headers, allow_redirects=False)
            answer = await self._stream.__aenter__()
        except Exception as error:
            said = web_error(error)
            if said is error:
                raise
            raise said from error
        return Reply(answer.status, answer.headers, answer.content.iter_any())

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stream.__aexit__(kind, value, trace)
        if isinstance(value, Exception):
            said = web_error(value)
            if said is not value:
                raise said from value


class _CarriedError(OSError):
    """Carries an error of ours through aiohttp, which passes on OSErrors only."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class _CheckedResolver(aiohttp.abc.AbstractResolver):
    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        try:
            found = await self._policy.addresses(host, port)
        except (PrivateAddressError, UnresolvedNameError, NoContactError) as error:
            raise _CarriedError(error) from error
        return [
            aiohttp.abc.ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Nothing is open."""


def web_error(error: Exception) -> Exception:
    """What an error means for a request: a `WebError` or a `NoContactError`; any other is the error itself."""
    if isinstance(error, TimeoutError):
        return WebError("timeout", words(error))
    if isinstance(error, (aiohttp.InvalidURL, UnicodeError)):  # too long, say, or a host with odd hyphens
        return WebError("bad-url", words(error))
    cause: BaseException | None = error
    if isinstance(error, (aiohttp.ClientError, ssl.SSLError)):
        cause = getattr(error, "os_error", None) or error.__cause__
    return refusal(cause) or (WebError("connection", words(error)) if cause is not error else error)


def refusal(cause: BaseException | None) -> Exception | None:
    """Our own reason not to connect, if that is what is behind a failed request."""
    if isinstance(cause, _CarriedError):
        cause = cause.error
    if isinstance(cause, PrivateAddressError):
        return WebError("private-address", str(cause))
    if isinstance(cause, UnresolvedNameError):
        return WebError("dns", str(cause))
    return cause if isinstance(cause, NoContactError) else None


def words(error: BaseException) -> str:
    """An error on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".removesuffix(": ")
