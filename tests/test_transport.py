"""What goes over the wire, and to whom: HTTP/2 where it is offered, HTTP/1.1 elsewhere, private addresses never."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import hypercorn.asyncio
import hypercorn.config
import pytest
import trustme
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yarl import URL

from noisyweb.addresses import LOOPBACK, AddressPolicy, NoContactError, Resolve
from noisyweb.fetch import Fetcher, Limits, parse_url
from noisyweb.hosts import Host, Pace
from noisyweb.transport import WebClient, WebError
from tests.web import HostileWeb, dead_port, photo

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:hypercorn.*", "ignore::DeprecationWarning:h2.*")

T = TypeVar("T")
TRUSTED = AddressPolicy(allowed=LOOPBACK)


class Server:
    """Hypercorn on loopback, in a thread of its own; ``with Server(["h2"], authority) as server``.

    Attributes:
        scopes: of all requests: HTTP version, path and headers.
        connections: the clients' ports.
    """

    def __init__(self, protocols: Sequence[str], authority: trustme.CA | None, folder: Path) -> None:
        self.scopes: list[dict[str, Any]] = []
        self._config = hypercorn.config.Config()
        self._config.errorlog = None
        self._config.graceful_timeout = 0.5
        self._config.shutdown_timeout = 0.5
        if authority is not None:
            certificate = folder / f"{id(self)}.pem"
            issued = authority.issue_cert("127.0.0.1", "localhost", "h.example")
            issued.private_key_and_cert_chain_pem.write_to_path(certificate)
            self._config.alpn_protocols = list(protocols)
            self._config.certfile = self._config.keyfile = str(certificate)
        self._scheme = "https" if authority else "http"

    def __enter__(self) -> Server:
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        self.port: int = listening.getsockname()[1]
        self._config.bind = [f"fd://{listening.detach()}"]
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        serve = hypercorn.asyncio.serve(self._app, self._config, shutdown_trigger=self._stop.wait)
        try:
            self._loop.run_until_complete(serve)
        finally:
            self._loop.close()

    async def _app(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Any]) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.scopes.append(scope)
        path, number = scope["path"], len(self.scopes)
        headers = [(b"set-cookie", b"known=%d; Path=/" % number), (b"x-two", b"1"), (b"x-two", b"2")]
        status, body = 200, b"answer %d" % number
        if path == "/robots.txt":
            status = 404
        elif path.startswith("/photo"):
            body = photo(int(path.rpartition("/")[2]))
        elif path == "/large":
            body = bytes(3_000_000)
        elif path == "/moved":
            status = 302
            headers.append((b"location", b"/photo/1"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if path == "/stall":
            await send({"type": "http.response.body", "body": b"some", "more_body": True})
            await receive_end(receive)
            return
        await send({"type": "http.response.body", "body": body})

    def url(self, path: str, host: str = "127.0.0.1") -> URL:
        return URL(f"{self._scheme}://{host}:{self.port}/{path}", encoded=True)

    @property
    def versions(self) -> list[str]:
        return [scope["http_version"] for scope in self.scopes]

    @property
    def ports(self) -> set[int]:
        return {scope["client"][1] for scope in self.scopes}

    def header(self, name: str) -> list[str | None]:
        return [dict(scope["headers"]).get(name.encode(), b"").decode() or None for scope in self.scopes]


async def receive_end(receive: Callable[[], Awaitable[Any]]) -> None:
    """Until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def start(authority: trustme.CA, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a server that speaks some protocols over TLS; none: plain HTTP."""
    with contextlib.ExitStack() as stack:
        yield lambda *protocols: stack.enter_context(Server(protocols, authority if protocols else None, tmp_path))


def client(tls: ssl.SSLContext | None = None, policy: AddressPolicy = TRUSTED, **options: float) -> WebClient:
    limits: dict[str, Any] = {"connections": 8, "connect_s": 5.0, "read_s": 5.0, **options}
    return WebClient(policy, "noisyweb/test", tls=tls, **limits)


async def get(web: WebClient, url: URL, **headers: str) -> tuple[int, bytes]:
    async with web.get(url, headers) as reply:
        return reply.status, b"".join([part async for part in reply.body])


def run(coroutine: Awaitable[T], limit_s: float = 30) -> T:
    async def limited() -> T:
        return await asyncio.wait_for(coroutine, limit_s)

    return asyncio.run(limited())


def failure(url: URL, tls: ssl.SSLContext | None = None, policy: AddressPolicy = TRUSTED, **options: float) -> WebError:
    """How a request fails."""

    async def go() -> WebError:
        async with client(tls, policy, **options) as web:
            with pytest.raises(WebError) as caught:
                await get(web, url)
            return caught.value

    return run(go())


def resolver(*addresses: str) -> Resolve:
    async def resolve(host: str, port: int) -> Sequence[str]:
        if not addresses:
            raise OSError("no such name")
        return addresses

    return resolve


def test_http2_is_used_where_it_is_offered_over_one_connection(
    start: Callable[..., Server], tls: ssl.SSLContext
) -> None:
    server = start("h2", "http/1.1")

    async def go() -> list[tuple[int, bytes]]:
        async with client(tls) as web:
            await get(web, server.url("robots.txt"))
            return await asyncio.gather(*(get(web, server.url(f"photo/{number}")) for number in range(10)))

    assert run(go()) == [(200, photo(number)) for number in range(10)]
    assert server.versions == ["2"] * 11
    assert len(server.ports) == 1
    assert set(server.header("user-agent")) == {"noisyweb/test"}
    assert set(server.header("accept-encoding")) == {"identity"}


def test_a_host_without_http2_is_asked_over_http1_from_then_on(
    start: Callable[..., Server], tls: ssl.SSLContext
) -> None:
    """The first answer comes by whatever is spoken; the next are carried by aiohttp."""
    server = start("http/1.1")

    async def go() -> None:
        async with client(tls) as web:
            assert await get(web, server.url("robots.txt")) == (404, b"answer 1")
            first = server.ports
            for number in range(3):
                assert await get(web, server.url(f"photo/{number}")) == (200, photo(number))
            assert len(server.ports - first) == 1  # another library, another connection, and kept
            assert web._session is not None
            assert len(cast(Any, web._session.connector)._conns) == 1

    run(go())
    assert server.versions == ["1.1"] * 4
    assert set(server.header("user-agent")) == {"noisyweb/test"}
    assert set(server.header("accept-encoding")) == {"identity"}


@pytest.mark.parametrize("protocols", [("h2",), ("http/1.1",), ()], ids=["h2", "h1-tls", "plain"])
def test_both_carriers_say_the_same(
    start: Callable[..., Server], tls: ssl.SSLContext, protocols: tuple[str, ...]
) -> None:
    server = start(*protocols)
    odd = "a%2Fb/%C3%A9%20%7E(1)'!$&,;=:@/x.jpg?w=1&x=%2B+%20[]|"

    async def go() -> None:
        async with client(tls) as web:
            for _ in range(2):  # the second request of an HTTP/1.1 host goes another way
                async with web.get(server.url("moved"), {"If-None-Match": '"1"'}) as reply:
                    assert reply.status == 302  # not followed
                    assert reply.headers.getall("X-TWO") == ["1", "2"]
                    assert reply.headers["location"] == "/photo/1"
                    assert b"".join([part async for part in reply.body]).startswith(b"answer")
                await get(web, server.url(odd))
                assert len((await get(web, server.url("large")))[1]) == 3_000_000

    run(go())
    assert server.scopes[1]["path"].startswith("/a/b/é ~(1)")
    sent = {scope["raw_path"] + b"?" + scope["query_string"] for scope in server.scopes if b"%C3" in scope["raw_path"]}
    assert len(sent) == 1
    assert sent.pop().startswith(b"/a%2Fb/%C3%A9%20")
    assert server.header("if-none-match") == ['"1"', None, None] * 2
    assert server.header("host") == [f"127.0.0.1:{server.port}"] * 6 or protocols == ("h2",)


@pytest.mark.parametrize("protocols", [("h2",), ("http/1.1",), ()], ids=["h2", "h1-tls", "plain"])
def test_cookies_are_not_kept(start: Callable[..., Server], tls: ssl.SSLContext, protocols: tuple[str, ...]) -> None:
    server = start(*protocols)

    async def go() -> None:
        async with client(tls, AddressPolicy(allowed=LOOPBACK, resolve=resolver("127.0.0.1"))) as web:
            for host in ("127.0.0.1", "h.example"):
                for number in range(3):
                    async with web.get(server.url(f"photo/{number}", host), {}) as reply:
                        assert "known=" in reply.headers["set-cookie"]
                        assert b"".join([part async for part in reply.body]) == photo(number)
            assert not web.api.cookies

    run(go())
    assert server.header("cookie") == [None] * 6


@pytest.mark.parametrize("protocols", [("h2",), ("http/1.1",)], ids=["h2", "h1"])
def test_a_certificate_that_is_not_trusted_is_a_failed_connection(
    start: Callable[..., Server], protocols: tuple[str, ...]
) -> None:
    server = start(*protocols)
    error = failure(server.url("photo/1"))
    assert error.reason == "connection"
    assert "certificate" in error.detail.lower()
    assert server.scopes == []


def test_a_certificate_for_another_name_is_a_failed_connection(
    start: Callable[..., Server], tls: ssl.SSLContext
) -> None:
    server = start("h2")
    policy = AddressPolicy(allowed=LOOPBACK, resolve=resolver("127.0.0.1"))
    error = failure(server.url("photo/1", "other.example"), tls, policy)
    assert error.reason == "connection"
    assert server.scopes == []


def test_a_host_without_tls_is_a_failed_connection(start: Callable[..., Server], tls: ssl.SSLContext) -> None:
    server = start()
    assert failure(server.url("photo/1").with_scheme("https"), tls).reason == "connection"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_refused_connection_and_a_silent_host_have_their_reasons(tls: ssl.SSLContext, scheme: str) -> None:
    with dead_port() as port:
        assert failure(URL(f"{scheme}://127.0.0.1:{port}/"), tls).reason == "connection"
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = URL(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/")
        assert failure(url, tls, connect_s=0.2, read_s=0.2).reason == "timeout"


@pytest.mark.parametrize("protocols", [("h2",), ("http/1.1",), ()], ids=["h2", "h1-tls", "plain"])
def test_a_body_that_stalls_is_a_timeout(
    start: Callable[..., Server], tls: ssl.SSLContext, protocols: tuple[str, ...]
) -> None:
    server = start(*protocols)

    async def go() -> None:
        async with client(tls, read_s=0.3) as web:
            for _ in range(2):
                with pytest.raises(WebError) as caught:
                    await get(web, server.url("stall"))
                assert caught.value.reason == "timeout"
            assert await get(web, server.url("photo/1")) == (200, photo(1))  # the next request is none the worse

    run(go())


PRIVATE = [
    "127.0.0.1",
    "0x7f.1",
    "2130706433",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "10.0.0.1",
    "169.254.169.254",
    "[fe80::1]",
]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused_by_both_carriers(
    start: Callable[..., Server], tls: ssl.SSLContext, scheme: str, host: str
) -> None:
    server = start("h2", "http/1.1") if scheme == "https" else start()
    url = URL(f"{scheme}://{host}:{server.port}/photo/1")
    assert failure(url, tls, AddressPolicy(contact="me@example.org")).reason == "private-address"
    assert server.scopes == []


@pytest.mark.parametrize("protocols", [("h2",), ("http/1.1",), ()], ids=["h2", "h1-tls", "plain"])
def test_names_that_lead_to_private_addresses_are_refused(
    start: Callable[..., Server], tls: ssl.SSLContext, protocols: tuple[str, ...]
) -> None:
    server = start(*protocols)
    policy = AddressPolicy(contact="me@example.org", resolve=resolver("127.0.0.1", "::1", "10.0.0.1"))
    error = failure(server.url("photo/1", "h.example"), tls, policy)
    assert error.reason == "private-address"
    assert "h.example" in error.detail
    assert server.scopes == []


@pytest.mark.parametrize("protocols", [("h2",), ("http/1.1",), ()], ids=["h2", "h1-tls", "plain"])
def test_the_address_that_is_allowed_is_the_one_that_is_connected_to(
    start: Callable[..., Server], tls: ssl.SSLContext, protocols: tuple[str, ...]
) -> None:
    """Of a name's addresses, the private ones are passed over; the name is asked for by its name."""
    server = start(*protocols)
    allowed = (ipaddress.ip_network("127.0.0.1/32"),)
    policy = AddressPolicy(allowed=allowed, resolve=resolver("10.0.0.1", "127.0.0.2", "127.0.0.1"))

    async def go() -> None:
        async with client(tls, policy) as web:
            for _ in range(2):
                assert await get(web, server.url("photo/1", "h.example")) == (200, photo(1))

    run(go())
    assert len(server.scopes) == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_does_not_resolve_is_dns(tls: ssl.SSLContext, scheme: str) -> None:
    assert failure(URL(f"{scheme}://h.example/"), tls, AddressPolicy(resolve=resolver())).reason == "dns"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["h.example", "93.184.215.14"])
def test_a_public_host_is_not_asked_without_a_contact(tls: ssl.SSLContext, scheme: str, host: str) -> None:
    async def go() -> None:
        async with client(tls, AddressPolicy(resolve=resolver("93.184.215.14"))) as web:
            with pytest.raises(NoContactError, match="--contact"):
                await get(web, URL(f"{scheme}://{host}/"))

    run(go())


URLS = st.tuples(
    st.sampled_from(["http", "https"]),
    st.sampled_from(
        ["h.example", "xn--a", "xn--zzzzzz-.example", "a_b.example", "-a-.example", "é.example", "a..b", "a."]
    )
    | st.text("abcé-_.xn%ß☃[]:1", min_size=1, max_size=12),
    st.sampled_from(["", ":0", ":80", ":99999"]),
    st.text(max_size=12),
)


async def reasons_of(urls: Sequence[str]) -> list[str | None]:
    policy = AddressPolicy(allowed=LOOPBACK, resolve=resolver())
    async with Fetcher(policy, Limits(tries=1, backoff_s=0, connect_s=0.2, read_s=0.2), tls=NO_TRUST) as fetcher:
        return [(await fetcher.ask(url, Host("h", Pace()))).reason for url in urls]


NO_TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@settings(max_examples=60, deadline=None)
@given(urls=st.lists(URLS, min_size=1, max_size=8))
@example(urls=[("https", "xn--zzzzzz-.example", "", "")])
@example(urls=[("http", "xn--zzzzzz-.example", "", "")])
def test_whatever_passes_for_a_url_is_an_answer_or_a_reason(urls: list[tuple[str, str, str, str]]) -> None:
    """No URL from the web may end a crawl."""
    reasons = run(reasons_of([f"{scheme}://{host}{port}/{path}" for scheme, host, port, path in urls]))
    assert set(reasons) <= {"bad-url", "dns", "private-address", "connection", "robots-unreachable"}


@pytest.mark.parametrize("protocols", [("h2",), ("http/1.1",), ()], ids=["h2", "h1-tls", "plain"])
def test_a_url_that_is_too_long_is_an_answer_or_a_reason(
    start: Callable[..., Server], tls: ssl.SSLContext, protocols: tuple[str, ...]
) -> None:
    server = start(*protocols)

    async def go() -> None:
        async with Fetcher(TRUSTED, tls=tls) as fetcher:
            host = Host(f"127.0.0.1:{server.port}", Pace())
            answer = await fetcher.ask(str(server.url("a" * 70_000)), host)
            assert answer.reason in ("connection", "http-400", "http-414", "http-431", "bad-url")

    run(go())


def test_a_crawls_requests_go_over_http2(start: Callable[..., Server], tls: ssl.SSLContext) -> None:
    server = start("h2", "http/1.1")

    async def go() -> None:
        async with Fetcher(TRUSTED, tls=tls) as fetcher:
            host = Host(f"127.0.0.1:{server.port}", Pace())
            answer = await fetcher.ask(str(server.url("photo/3")), host)
            assert (answer.body, answer.reason, answer.http_status) == (photo(3), None, 200)
            moved = await fetcher.ask(str(server.url("moved")), host)
            assert moved.redirect == str(server.url("photo/1"))

    run(go())
    assert [scope["path"] for scope in server.scopes] == ["/robots.txt", "/photo/3", "/moved"]
    assert server.versions == ["2"] * 3
    assert parse_url(str(server.url("photo/3"))) == server.url("photo/3")


def test_keys_in_addresses_are_not_logged(web: HostileWeb, caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> int:
        async with WebClient(TRUSTED, "t", connections=1, connect_s=5, read_s=5) as client:
            return (
                await client.api.get(web.url("ok/1"), params={"api_key": "SECRET1", "key": "SECRET2", "q": "ant"})
            ).status_code

    with caplog.at_level(logging.DEBUG):
        assert asyncio.run(ask()) == 200
    assert "q=ant" in caplog.text
    assert "SECRET" not in caplog.text


ASK = """
import asyncio, ssl, sys
from yarl import URL
from noisyweb.addresses import LOOPBACK, AddressPolicy
from noisyweb.transport import WebClient
async def main():
    tls = ssl.create_default_context(cafile=sys.argv[1])
    policy = AddressPolicy(allowed=LOOPBACK)
    async with WebClient(policy, "t", connections=2, connect_s=5, read_s=5, tls=tls) as web:
        for url in sys.argv[2:]:
            for _ in range(2):
                async with web.get(URL(url), {}) as reply:
                    assert reply.status == 200
                    async for _ in reply.body:
                        pass
            assert (await web.api.get(url)).status_code == 200
    print("done")
asyncio.run(main())
"""


def test_proxies_of_the_environment_are_not_used(
    start: Callable[..., Server], authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    first, second = start("h2"), start("http/1.1")
    with HostileWeb() as web, dead_port() as port:
        names = ["http_proxy", "https_proxy", "all_proxy"]
        proxies = dict.fromkeys([*names, *map(str.upper, names)], f"http://127.0.0.1:{port}")
        environment = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"} | proxies
        urls = [str(first.url("photo/1")), str(second.url("photo/1")), web.url("ok/1")]
        command = [sys.executable, "-c", ASK, str(tmp_path / "ca.pem"), *urls]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.stdout == "done\n", done.stderr
        assert web.count("ok/1") == 3
    assert (len(first.scopes), len(second.scopes)) == (3, 3)
