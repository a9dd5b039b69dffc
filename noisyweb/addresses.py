"""Which addresses may be connected to, and an HTTP transport that connects to no other.

The address that is checked is the address that is connected to: a name is resolved once a connection, its
addresses are judged, and the connection goes to one of those. A name that answers differently the second time
(DNS rebinding) gains nothing. Every connection passes here: API calls, robots.txt, images and each hop of a
redirect. Proxies of the environment are not used, since they would connect in our place.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import httpcore
import httpx

from noisyweb.errors import CrawlError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class PrivateAddressError(httpx.ConnectError):
    """The host has no address that may be connected to."""


class UnresolvedNameError(httpx.ConnectError):
    """The host's name cannot be resolved."""


def is_public(address: Address) -> bool:
    """Whether an address is on the public internet, addresses wrapped in IPv6 included.

    Loopback, private, link-local (cloud metadata), shared, reserved and multicast addresses are not.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None and not is_public(inner):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_link_local)


class NoContactError(CrawlError):
    """A public host is to be talked to, and the user has not said who they are."""


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to allowed addresses only.

    Args:
        allow_loopback: also connect to this machine's loopback addresses (tests, a server of one's own).
        contact: the user's contact; without one nothing but loopback is connected to.
    """

    def __init__(self, *, allow_loopback: bool, contact: str | None) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._allow_loopback, self._contact = allow_loopback, contact

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, connect.

        Raises:
            PrivateAddressError: no address of the host is allowed.
            UnresolvedNameError: the name has no address.
            NoContactError: a public host and no contact.
        """
        allowed = [address for address in await _resolve(host, port, timeout) if self._allows(address)]
        if not allowed:
            raise PrivateAddressError(f"{host} is not on the public internet")
        if self._contact is None and not all(address.is_loopback for address in allowed):
            raise NoContactError(
                f"{host} is a public host and no contact was given; "
                "tell hosts who is asking: --contact you@example.org, or NOISYWEB_CONTACT"
            )
        error: Exception | None = None
        for address in allowed:
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
        """Refused: nothing on the web is a file of this machine."""
        raise PrivateAddressError(f"{path} is a local socket")

    async def sleep(self, seconds: float) -> None:
        """Wait between connection attempts."""
        await asyncio.sleep(seconds)

    def _allows(self, address: Address) -> bool:
        return is_public(address) or (self._allow_loopback and address.is_loopback)


async def _resolve(host: str, port: int, timeout: float | None) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise httpcore.ConnectTimeout(f"{host}: its name was not resolved in time") from None
    except (socket.gaierror, UnicodeError) as error:
        raise UnresolvedNameError(f"{host}: its name cannot be resolved ({error})") from error
    return list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))


class CheckedTransport(httpx.AsyncBaseTransport):
    """An httpx transport whose connections are opened by a `CheckedBackend`."""

    def __init__(self, backend: CheckedBackend, *, connections: int) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=5.0,
            network_backend=backend,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; errors come out as httpx's own."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        with _httpx_errors():
            answer = await self._pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for part in self._stream:
                yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


@contextlib.contextmanager
def _httpx_errors() -> Iterator[None]:
    """httpcore's errors have the names of httpx's."""
    try:
        yield
    except tuple(_SAME_NAME) as error:
        raise _SAME_NAME[type(error)](str(error)) from error


_SAME_NAME: dict[type[Exception], type[httpx.TransportError]] = {
    getattr(httpcore, name): getattr(httpx, name)
    for name in (
        "ConnectTimeout",
        "ReadTimeout",
        "WriteTimeout",
        "PoolTimeout",
        "ConnectError",
        "ReadError",
        "WriteError",
        "LocalProtocolError",
        "RemoteProtocolError",
        "UnsupportedProtocol",
    )
}
