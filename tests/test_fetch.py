from __future__ import annotations

import asyncio
import socket
import time
import tracemalloc
from collections.abc import Iterator

import pytest

from noisyweb.addresses import NoContactError
from noisyweb.errors import CrawlError
from noisyweb.fetch import Answer, Fetcher, Limits
from tests.web import HostileWeb, dead_port, photo

QUICK = Limits(interval_s=0, connect_s=2, read_s=0.4, total_s=0.8, max_bytes=1_000_000, tries=2, backoff_s=0.01)


@pytest.fixture
def web() -> Iterator[HostileWeb]:
    with HostileWeb() as server:
        yield server


def fetch(*urls: str, limits: Limits = QUICK, contact: str | None = None, allow_loopback: bool = True) -> list[Answer]:
    async def run() -> list[Answer]:
        async with Fetcher(contact=contact, allow_loopback=allow_loopback, limits=limits) as fetcher:
            return await asyncio.gather(*(fetcher.fetch(url) for url in urls))

    return asyncio.run(run())


def reason(url: str, **options: object) -> str | None:
    return fetch(url, **options)[0].reason  # type: ignore[arg-type]


def test_a_plain_image_arrives_whole(web: HostileWeb) -> None:
    [answer] = fetch(web.url("ok/7"))
    assert answer == Answer(photo(7), None, 200, tries=1)


def test_compressed_answers_are_decompressed(web: HostileWeb) -> None:
    [answer] = fetch(web.url("gzipped/3"))
    assert answer.body == photo(3)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("status/404", "http-404"),
        ("status/410", "http-410"),
        ("status/503", "http-503"),
        ("status/204", "http-204"),
        ("huge/1", "too-large"),
        ("says-huge/1", "connection"),
        ("gzip-bomb/1", "too-large"),
        ("brotli/1", "encoding"),
        ("loop/0", "redirect-loop"),
        ("to/x?url=file:///etc/passwd", "bad-url"),
        ("to/x?url=gopher://127.0.0.1/", "bad-url"),
        ("to/x?url=http://10.0.0.1/secret", "private-address"),
        ("to/x?url=http://169.254.169.254/latest/meta-data", "private-address"),
        ("to/x?url=http://[::ffff:10.0.0.1]/", "private-address"),
        ("stall/1", "timeout"),
        ("silent/1", "timeout"),
        ("trickle/1", "timeout"),
        ("short/1", "connection"),
        ("reset/1", "connection"),
        ("nonsense/1", "connection"),
        ("header/X-Robots-Tag=noai", "opt-out"),
        ("header/x-robots-tag=noimageai", "opt-out"),
        ("header/X-Robots-Tag=otherbot: noai", None),
        ("header/TDM-Reservation=1", "opt-out"),
    ],
)
def test_misbehaviour_has_its_reason_in_bounded_time(web: HostileWeb, path: str, expected: str | None) -> None:
    start_s = time.monotonic()
    assert reason(web.url(path)) == expected
    assert time.monotonic() - start_s < 10


def test_a_small_bomb_never_becomes_large_here(web: HostileWeb) -> None:
    tracemalloc.start()
    try:
        assert reason(web.url("gzip-bomb/1")) == "too-large"
        assert tracemalloc.get_traced_memory()[1] < 20_000_000  # of 50 MB, all in the first piece received
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("url", ["", "ftp://example.org/a.jpg", "/etc/passwd", "file:///etc/passwd", "http://"])
def test_urls_that_are_not_web_addresses(url: str) -> None:
    assert reason(url) == "bad-url"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "0x7f000001",
        "2130706433",
        "0.0.0.0",
        "[::1]",
        "192.168.1.1",
        "[fe80::1]",
        "100.64.0.1",
    ],
)
def test_no_private_address_is_connected_to(host: str) -> None:
    assert reason(f"http://{host}:9/", allow_loopback=False) == "private-address"


def test_loopback_is_refused_before_any_request_unless_allowed(web: HostileWeb) -> None:
    assert reason(web.url("ok/1"), allow_loopback=False) == "private-address"
    assert not web.requests


def test_nothing_listens() -> None:
    with dead_port() as port:
        assert reason(f"http://127.0.0.1:{port}/a.jpg") == "robots-unreachable"


def test_a_name_that_does_not_exist() -> None:
    assert reason("http://no-such-host.invalid/a.jpg") == "dns"


def test_passing_failures_are_tried_again(web: HostileWeb) -> None:
    [answer] = fetch(web.url("busy/2"), limits=Limits(interval_s=0, tries=3, backoff_s=0.01))
    assert (answer.reason, answer.tries, answer.body) == (None, 3, photo(2))
    assert web.count("busy/2") == 3


def test_final_failures_are_not(web: HostileWeb) -> None:
    fetch(web.url("status/404"), limits=Limits(interval_s=0, tries=3, backoff_s=0.01))
    assert web.count("status/404") == 1


def test_a_long_retry_after_ends_the_tries_at_once(web: HostileWeb) -> None:
    [answer] = fetch(web.url("busy-long/1"), limits=Limits(interval_s=0, tries=3))
    assert (answer.reason, answer.tries) == ("http-429", 1)


def test_a_host_that_asks_for_a_long_wait_is_left_alone(web: HostileWeb) -> None:
    async def run() -> list[str | None]:
        async with Fetcher(contact=None, allow_loopback=True, limits=QUICK) as fetcher:
            return [(await fetcher.fetch(web.url(path))).reason for path in ("ok/1", "busy-long/1", "ok/2")]

    assert asyncio.run(run()) == [None, "http-429", "http-429"]
    assert web.count("ok/2") == 0


def test_robots_txt_is_fetched_once_and_obeyed() -> None:
    rules = "User-agent: *\nDisallow: /ok/\n\nUser-agent: noisyweb\nDisallow: /gif/\n"
    with HostileWeb((200, rules)) as web:
        allowed, forbidden = fetch(web.url("ok/1"), web.url("gif/1"))
        assert (allowed.reason, forbidden.reason) == (None, "robots")
        assert (web.count("robots.txt"), web.count("gif/1")) == (1, 0)


def test_robots_of_the_host_that_is_redirected_to_counts(web: HostileWeb) -> None:
    with HostileWeb((200, "User-agent: *\nDisallow: /")) as other:
        assert reason(web.url(f"to/x?url={other.url('ok/1')}")) == "robots"
        assert other.count("ok/1") == 0


def test_robots_that_fail_forbid_for_now() -> None:
    with HostileWeb((503, "")) as web:
        assert reason(web.url("ok/1")) == "robots-unreachable"
        assert web.count("ok/1") == 0


def test_no_more_than_the_limit_at_once_from_one_host(web: HostileWeb) -> None:
    urls = [web.url(f"together/{n}") for n in range(39)]
    answers = fetch(*urls, limits=Limits(connections=40, per_host=3, interval_s=0))
    assert {answer.reason for answer in answers} == {None}
    assert web.most_at_once == 3


def test_the_interval_between_requests_is_kept(web: HostileWeb) -> None:
    start_s = time.monotonic()
    fetch(*(web.url(f"ok/{n}") for n in range(5)), limits=Limits(interval_s=0.05))
    assert time.monotonic() - start_s >= 0.25  # robots.txt and five images: five gaps


def test_we_say_who_we_are_and_send_no_cookies_back(web: HostileWeb) -> None:
    fetch(web.url("header/Set-Cookie=a=b"), contact="me@example.org")
    [agent] = web.user_agents
    assert agent.startswith("noisyweb/")
    assert "(+me@example.org)" in agent


def test_public_hosts_need_a_contact(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("connected to a public host")

    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(NoContactError, match="--contact"):
        fetch("http://93.184.215.14/a.jpg")


def test_a_contact_must_be_one() -> None:
    with pytest.raises(CrawlError, match="mail address or a web page"):
        fetch("http://127.0.0.1/", contact="me\r\nX-Evil: 1")
