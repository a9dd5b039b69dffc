from __future__ import annotations

import asyncio
import ipaddress
import time
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from noisyweb.addresses import LOOPBACK, AddressPolicy, NoContactError, system_resolve
from noisyweb.errors import CrawlError
from noisyweb.fetch import Answer, Fetcher, Limits
from noisyweb.hosts import Host, Pace
from noisyweb.urls import canonical_url, host_of, plain_authority
from tests.web import HostileWeb, dead_port, photo

QUICK = Limits(connect_s=2, read_s=1.0, total_s=2.0, max_bytes=1_000_000, backoff_s=0.01, names_s=0)


def ask(*urls: str, limits: Limits = QUICK, policy: AddressPolicy | None = None) -> list[Answer]:
    """Ask for URLs one after the other, as one crawl."""

    async def run() -> list[Answer]:
        hosts: dict[str, Host] = {}
        answers = []
        async with Fetcher(policy or AddressPolicy(allowed=LOOPBACK), limits) as fetcher:
            for url in urls:
                host = hosts.setdefault(host_of(url), Host(host_of(url), Pace()))
                answers.append(await fetcher.ask(url, host))
        return answers

    return asyncio.run(run())


def reason(url: str, **options: object) -> str | None:
    return ask(url, **options)[0].reason  # type: ignore[arg-type]


def test_a_plain_image_arrives_whole(web: HostileWeb) -> None:
    [answer] = ask(web.url("ok/7"))
    assert answer == Answer(photo(7), http_status=200)


def test_compressed_answers_are_decompressed(web: HostileWeb) -> None:
    [answer] = ask(web.url("gzipped/3"))
    assert answer.body == photo(3)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("status/404", "http-404"),
        ("status/410", "http-410"),
        ("status/503", "http-503"),
        ("status/451", "http-451"),
        ("partial/1", "http-206"),
        ("huge/1", "too-large"),
        ("gzip-bomb/1", "too-large"),
        ("half-gzip/1", "truncated"),
        ("not-gzip/1", "truncated"),
        ("brotli/1", "encoding"),
        ("to/x?url=file:///etc/passwd", "bad-url"),
        ("to/x?url=gopher://127.0.0.1/", "bad-url"),
        ("to/x?url=http://[", "bad-url"),
        ("stall/1", "timeout"),
        ("silent/1", "timeout"),
        ("trickle/1", "timeout"),
        ("slow-header/1", "timeout"),
        ("says-huge/1", "connection"),
        ("short/1", "connection"),
        ("reset/1", "connection"),
        ("nonsense/1", "connection"),
        ("bad-length/1", "connection"),
        ("bad-chunks/1", "connection"),
        ("long-header/1", "connection"),
        ("header/X-Robots-Tag=noai", "opt-out"),
        ("header/x-robots-tag=noimageai", "opt-out"),
        ("header/X-Robots-Tag=noisyweb: noai", "opt-out"),
        ("header/X-Robots-Tag=otherbot: noai", None),
        ("header/Content-Usage=search=y, train-ai=n", "opt-out"),
        ("header/TDM-Reservation=1", "opt-out"),
    ],
)
def test_misbehaviour_has_its_reason_in_bounded_time(web: HostileWeb, path: str, expected: str | None) -> None:
    start_s = time.monotonic()
    [answer] = ask(web.url(path))
    assert answer.reason == expected
    assert time.monotonic() - start_s < 10
    if expected in ("opt-out", "connection", "timeout"):
        assert answer.detail


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


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "0x7f000001",
        "2130706433",
        "127.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "192.168.1.1",
        "169.254.169.254",
        "[fe80::1]",
        "100.64.0.1",
    ],
)
def test_no_private_address_is_connected_to(host: str, scheme: str) -> None:
    assert reason(f"{scheme}://{host}:9/", policy=AddressPolicy("me@example.org")) == "private-address"


def test_loopback_is_refused_before_any_request_unless_allowed(web: HostileWeb) -> None:
    assert reason(web.url("ok/1"), policy=AddressPolicy("me@example.org")) == "private-address"
    assert not web.requests


def test_a_redirect_is_an_answer_and_not_followed_here(web: HostileWeb) -> None:
    [answer] = ask(web.url("to/x?url=http://10.0.0.1/secret"))
    assert (answer.redirect, answer.reason) == ("http://10.0.0.1/secret", None)
    [answer] = ask(web.url("here/4"))
    assert answer.redirect == web.url("ok/4")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_turns_private_at_its_second_look_up_gains_nothing(web: HostileWeb, scheme: str) -> None:
    answers = [["127.0.0.1"], ["127.0.0.53"], ["127.0.0.53"], ["127.0.0.53"]]
    asked = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    policy = AddressPolicy(None, (ipaddress.ip_network("127.0.0.1/32"),), resolve)
    port = web.base.rpartition(":")[2]
    if scheme == "http":
        first, second = ask(*[f"http://rebind.example:{port}/ok/{n}" for n in (1, 2)], policy=policy)
        # robots.txt came from the first address; the image would have come from the second.
        assert (first.reason, second.reason) == ("private-address", "private-address")
        assert len(asked) >= 2
        assert list(web.requests) == ["/robots.txt"]
    else:
        answers.pop(0)
        assert reason(f"https://rebind.example:{port}/ok/1", policy=policy) == "private-address"
        assert not web.requests


def test_nothing_listens() -> None:
    with dead_port() as port:
        [answer] = ask(f"http://127.0.0.1:{port}/a.jpg")
        assert (answer.reason, answer.detail) == ("robots-unreachable", "robots.txt: no answer")


def test_a_name_that_does_not_exist() -> None:
    assert reason("http://no-such-host.invalid/a.jpg") == "dns"


def test_robots_txt_is_fetched_once_and_obeyed() -> None:
    rules = "User-agent: *\nDisallow: /ok/\n\nUser-agent: noisyweb\nDisallow: /gif/\nAllow: /gif/7$\nDisallow: /*.svg\n"
    with HostileWeb((200, rules)) as web:
        answers = ask(*[web.url(path) for path in ("ok/1", "gif/1", "gif/7", "ok/a.svg")])
        assert [answer.reason for answer in answers] == [None, "robots", None, "robots"]
        assert (web.count("robots.txt"), web.count("gif/1")) == (1, 0)


def test_content_usage_in_robots_txt_reserves_paths() -> None:
    rules = "User-agent: *\nContent-Usage: /ok/ train-ai=n\nContent-Usage: /ok/7 train-ai=y\nAllow: /\n"
    with HostileWeb((200, rules)) as web:
        answers = ask(*[web.url(path) for path in ("ok/1", "ok/7", "gif/1")])
        assert [answer.reason for answer in answers] == ["opt-out", None, None]
        assert answers[0].detail == "robots.txt: Content-Usage: /ok/ train-ai=n"
        assert web.count("ok/1") == 0


def test_a_crawl_delay_is_the_pace() -> None:
    with HostileWeb((200, "User-agent: *\nCrawl-delay: 2.5\n")) as web:

        async def run() -> float:
            host = Host(host_of(web.url("")), Pace(rate=100))
            async with Fetcher(AddressPolicy(allowed=LOOPBACK), QUICK) as fetcher:
                await fetcher.ask(web.url("ok/1"), host)
            return host.interval_s

        assert asyncio.run(run()) == 2.5


def test_robots_that_fail_forbid_for_now() -> None:
    with HostileWeb((503, "")) as web:
        [answer] = ask(web.url("ok/1"))
        assert (answer.reason, answer.detail) == ("robots-unreachable", "robots.txt: HTTP 503")
        assert web.count("ok/1") == 0


def test_conditional_requests(web: HostileWeb) -> None:
    async def run() -> list[Answer]:
        host = Host(host_of(web.url("")), Pace())
        async with Fetcher(AddressPolicy(allowed=LOOPBACK), QUICK) as fetcher:
            first = await fetcher.ask(web.url("etag/5"), host)
            return [first, await fetcher.ask(web.url("etag/5"), host, etag=first.etag)]

    first, second = asyncio.run(run())
    assert (first.body, first.etag) == (photo(5), '"5"')
    assert (second.unchanged, second.body, second.http_status) == (True, b"", 304)


def test_public_hosts_need_a_contact() -> None:
    with pytest.raises(NoContactError, match="--contact"):
        ask("http://93.184.215.14/a.jpg")


def test_public_hosts_behind_names_and_tls_need_a_contact_too() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["93.184.215.14"]

    for scheme in ("http", "https"):
        with pytest.raises(NoContactError, match="--contact"):
            ask(f"{scheme}://example.org/a.jpg", policy=AddressPolicy(resolve=resolve))


def test_the_user_agent_is_honest_and_has_the_contact(web: HostileWeb) -> None:
    ask(web.url("ok/1"), policy=AddressPolicy("me@example.org", LOOPBACK, system_resolve))
    [agent] = web.user_agents
    assert agent.startswith("noisyweb/")
    assert "(+me@example.org)" in agent


@pytest.mark.parametrize("contact", ["me", "a b@c.de", "me@example.org\r\nX: y", "ftp://example.org"])
def test_a_contact_is_an_address_or_a_page(contact: str) -> None:
    with pytest.raises(CrawlError, match="expected a mail address or a web page"):
        ask("http://127.0.0.1/", policy=AddressPolicy(contact, LOOPBACK))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HTTP://Example.ORG/A.jpg", "http://example.org/A.jpg"),
        ("http://example.org:80/a.jpg", "http://example.org/a.jpg"),
        ("https://example.org:443/a.jpg#part", "https://example.org/a.jpg"),
        ("http://example.org/a b.jpg", "http://example.org/a%20b.jpg"),
        ("http://example.org/x/../a.jpg", "http://example.org/a.jpg"),
        ("ftp://example.org/a.jpg", "ftp://example.org/a.jpg"),
        ("no url", "no url"),
    ],
)
def test_one_address_has_one_spelling(text: str, expected: str) -> None:
    assert canonical_url(text) == expected
    assert canonical_url(expected) == expected


def test_one_host_has_one_name() -> None:
    urls = ["http://Example.org/", "http://example.org:80/a", "https://example.org/%41", "https://u:p@example.org:443/"]
    assert {host_of(url) for url in urls} == {"example.org"}
    assert host_of("http://example.org:8080/") == "example.org:8080"


@settings(max_examples=300)
@given(
    st.sampled_from(["http", "https"]),
    st.from_regex(r"[a-z0-9.-]{1,20}(:[0-9]{1,5})?", fullmatch=True),
    st.text("abcXYZ019_~.,;=&/?-", max_size=20),
)
def test_the_short_cut_for_plain_urls_changes_nothing(scheme: str, authority: str, path: str) -> None:
    text = f"{scheme}://{authority}/{path}"
    found = plain_authority(text)
    if found is not None:
        try:
            url = URL(text)
        except ValueError:
            return  # refused later, by whoever connects
        assert (str(url), url.host_port_subcomponent) == (text, found)
