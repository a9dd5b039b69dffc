"""What goes over httpx: API calls, and images of hosts that speak HTTP/2. Its connections are checked like all others.

A module of its own, imported when it is first needed: httpx takes a fifth of a second to import.
"""

from __future__ import annotations

import contextlib
import http.cookiejar
import logging
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping

import httpcore
import httpx
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from noisyweb.addresses import AddressPolicy, PrivateAddressError, UnresolvedNameError
from noisyweb.transport import Reply, WebError, refusal, web_error, words

KEY_PARAMETERS = frozenset({"api_key", "key", "access_token", "client_secret"})


class _WithoutKeys(logging.Filter):
    """httpx logs the address of every request, and some APIs want their key in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_without_keys(arg) if isinstance(arg, httpx.URL) else arg for arg in record.args)
        return True


def _without_keys(url: httpx.URL) -> httpx.URL:
    for name in KEY_PARAMETERS & set(url.params):
        url = url.copy_set_param(name, "***")
    return url


logging.getLogger("httpx").addFilter(_WithoutKeys())


def checked_client(
    policy: AddressPolicy,
    headers: Mapping[str, str],
    *,
    connections: int,
    connect_s: float,
    read_s: float | None,
    tls: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """A client that connects to nobody but whom a policy allows, without proxies, cookies or redirects.

    Args:
        policy: whom to connect to.
        headers: sent with every request.
        connections: at once.
        connect_s, read_s: seconds to connect, and between two pieces of an answer.
        tls: another TLS context (tests).
    """
    return httpx.AsyncClient(
        transport=_CheckedTransport(policy, tls or httpx.create_ssl_context(trust_env=False), connections),
        headers=headers,
        timeout=httpx.Timeout(read_s, connect=connect_s, pool=None),
        cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[])),
        trust_env=False,
        follow_redirects=False,
    )


@contextlib.asynccontextmanager
async def stream(client: httpx.AsyncClient, url: URL, headers: Mapping[str, str]) -> AsyncIterator[tuple[str, Reply]]:
    """One GET: which version of HTTP it went over, and the reply.

    Raises:
        WebError, NoContactError: as `noisyweb.transport.WebClient.get`.
    """
    try:
        async with client.stream("GET", str(url), headers=headers) as answer:
            pairs = CIMultiDict(answer.headers.multi_items())
            yield answer.http_version, Reply(answer.status_code, CIMultiDictProxy(pairs), answer.aiter_raw())
    except httpx.TimeoutException as error:
        raise WebError("timeout", words(error)) from error
    except httpx.InvalidURL as error:
        raise WebError("bad-url", words(error)) from error
    except httpx.RequestError as error:
        raise (refusal(error.__cause__) or WebError("connection", words(error))) from error
    except Exception as error:
        said = web_error(error)
        if said is error:
            raise
        raise said from error


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
