"""Which addresses may be connected to.

The address that is checked is the address that is connected to: a name is resolved once a connection, its
addresses are judged, and the connection goes to one of those. A name that answers differently the second time
(DNS rebinding) gains nothing. Every connection passes here: API calls, robots.txt, images and each hop of a
redirect, whatever carries it (`noisyweb.transport`).
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from noisyweb.errors import CrawlError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Addresses of a host's name; raises OSError where it has none."""

LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class PrivateAddressError(Exception):
    """The host has no address that may be connected to."""


class UnresolvedNameError(Exception):
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


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """Ask the machine's own resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


@dataclass(frozen=True)
class AddressPolicy:
    """Who may be connected to.

    Attributes:
        contact: the user's contact; without one nothing but ``allowed`` is connected to.
        allowed: networks that are not public and may be connected to all the same (tests, a server of one's own).
        resolve: how names become addresses.
    """

    contact: str | None = None
    allowed: tuple[Network, ...] = ()
    resolve: Resolve = field(default=system_resolve)

    def check(self, host: str, address: Address) -> None:
        """Judge one address of a host.

        Raises:
            PrivateAddressError: it is neither public nor allowed.
            NoContactError: it is public, and there is no contact.
        """
        if any(address in network for network in self.allowed if network.version == address.version):
            return
        if not is_public(address):
            raise PrivateAddressError(f"{host} is not on the public internet ({address})")
        if self.contact is None:
            raise NoContactError(
                f"{host} is a public host and no contact was given; "
                "tell hosts who is asking: --contact you@example.org, or NOISYWEB_CONTACT"
            )

    def check_literal(self, host: str) -> None:
        """Judge a host that is an address rather than a name, odd spellings (0x7f.1) included.

        Raises:
            PrivateAddressError, NoContactError: as `check`.
        """
        address = _literal(host)
        if address is not None:
            self.check(host, address)

    async def addresses(self, host: str, port: int) -> list[Address]:
        """The addresses of a host that may be connected to.

        Raises:
            PrivateAddressError, NoContactError: as `check`, of the first address, if none may.
            UnresolvedNameError: the name has no address.
        """
        try:
            found = await self.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise UnresolvedNameError(f"{host}: its name cannot be resolved ({error})") from error
        allowed: list[Address] = []
        refusal: PrivateAddressError | None = None
        for address in dict.fromkeys(ipaddress.ip_address(text.partition("%")[0]) for text in found):
            try:
                self.check(host, address)
                allowed.append(address)
            except PrivateAddressError as error:
                refusal = refusal or error
        if not allowed:
            raise refusal or UnresolvedNameError(f"{host}: its name has no address")
        return allowed


@functools.lru_cache(4096)
def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))  # 127.1, 0x7f000001, 2130706433
    except OSError:
        return None
