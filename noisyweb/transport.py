"""All HTTP: API calls over httpx, images over aiohttp or HTTP/2, every connection checked by one policy.

Images come over aiohttp, which carries about three times as many requests a second as httpx over the same
connections (docs/benchmarks.md); hosts that speak HTTP/2 are noticed at their first answer (robots.txt) and served
over httpx, one connection for all. Proxies of the environment are not used, since they would connect in our place;
cookies are not kept.
"""

from __future__ import annotations

import contextlib
import http.cookiejar
import socket
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp
import aiohttp.abc
import httpcore
import httpx
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from noisyweb.addresses import AddressPolicy, NoContactError, PrivateAddressError, UnresolvedNameError

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
        self._tls = tls or httpx.create_ssl_context(trust_env=False)
        self._h1_tls = tls or httpx.create_ssl_context(trust_env=False)
        self._names_s = names_s
        self._session: aiohttp.ClientSession | None = None
        self._is_h1: OrderedDict[tuple[str, str], bool] = OrderedDict()
        self.api = httpx.AsyncClient(
            transport=_CheckedTransport(policy, self._tls, connections),
            headers=self._headers,
            timeout=httpx.Timeout(read_s, connect=connect_s, pool=None),
            cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
            follow_redirects=False,
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
        await self.api.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.api.__aexit__(kind, value, trace)
        assert self._session is not None
        await self._session.close()

    @contextlib.asynccontextmanager
    async def get(self, url: URL, headers: Mapping[str, str]) -> AsyncIterator[Reply]:
        """One GET, redirects not followed.

        Raises:
            WebError: no answer, or not all of it; also from within ``body``.
            NoContactError: a public host and no contact.
        """
        with _web_errors():
            origin = (url.scheme, url.authority)
            if url.scheme == "https" and not self._is_h1.get(origin):
                async with self.api.stream("GET", str(url), headers=headers) as answer:
                    if answer.http_version != "HTTP/2":
                        self._is_h1[origin] = True
                        if len(self._is_h1) > MAX_KNOWN_ORIGINS:
                            self._is_h1.popitem(last=False)
                    pairs = [(name, value) for name, value in answer.headers.multi_items()]
                    yield Reply(answer.status_code, CIMultiDictProxy(CIMultiDict(pairs)), answer.aiter_raw())
                return
            assert self._session is not None, "use the client as a context manager"
            self._policy.check_literal(url.raw_host or "")
            async with self._session.get(url, headers=headers, allow_redirects=False) as said:
                yield Reply(said.status, said.headers, said.content.iter_any())

    def _socket(self, info: Any) -> socket.socket:
        """The last check, of the very address that is connected to."""
        family, kind, protocol, _, address = info
        try:
            self._policy.check_literal(str(address[0]))
        except (PrivateAddressError, NoContactError) as error:
            raise _CarriedError(error) from error
        return socket.socket(family, kind, protocol)


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


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, policy: AddressPolicy) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._policy = policy

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self._policy.check_literal(host)
        error: Exception | None = None
        for address in await self._policy.addresses(host, port):
            try:
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failure:
                error = failure
        assert error is not None
        raise error

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise PrivateAddressError(f"{path} is a local socket")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _CheckedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport over checked connections, HTTP/2 where the host offers it."""

    def __init__(self, policy: AddressPolicy, tls: ssl.SSLContext, connections: int) -> None:
        super().__init__(verify=tls, trust_env=False, http2=True)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=connections + 8,
            max_keepalive_connections=32,
            keepalive_expiry=3.0,
            http1=True,
            http2=True,
            network_backend=_CheckedBackend(policy),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except (PrivateAddressError, UnresolvedNameError) as error:
            raise httpx.ConnectError(str(error)) from error


@contextlib.contextmanager
def _web_errors() -> Any:
    """The errors of both carriers as `WebError`."""
    try:
        yield
    except (TimeoutError, httpx.TimeoutException) as error:
        raise WebError("timeout", _words(error)) from error
    except (httpx.InvalidURL, aiohttp.InvalidURL, UnicodeError) as error:  # too long, say, or a host with odd hyphens
        raise WebError("bad-url", _words(error)) from error
    except (aiohttp.ClientError, httpx.RequestError, ssl.SSLError) as error:
        cause: BaseException | None = getattr(error, "os_error", None) or error.__cause__
        if isinstance(cause, _CarriedError):
            cause = cause.error
        if isinstance(cause, NoContactError):
            raise cause from error
        if isinstance(cause, PrivateAddressError):
            raise WebError("private-address", str(cause)) from error
        if isinstance(cause, UnresolvedNameError):
            raise WebError("dns", str(cause)) from error
        raise WebError("connection", _words(error)) from error
    except PrivateAddressError as error:
        raise WebError("private-address", str(error)) from error
    except UnresolvedNameError as error:
        raise WebError("dns", str(error)) from error


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".removesuffix(": ")
