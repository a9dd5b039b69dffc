from __future__ import annotations

import ipaddress

import pytest
from multidict import CIMultiDict

from noisyweb.addresses import is_public
from noisyweb.politeness import Robots, opted_out, retry_after_s


@pytest.mark.parametrize(
    ("value", "reserved"),
    [
        ("noai", True),
        ("NoImageAI", True),
        ("nofollow, noai", True),
        ("noindex", True),
        ("none", True),
        ("nofollow", False),
        ("all", False),
        ("googlebot: noindex", False),
        ("googlebot: nofollow, noindex", False),
        ("noisyweb: noai", True),
        ("*: noai", True),
        ("googlebot: noindex, noisyweb: noml", True),
        ("unavailable_after: Wed, 25 Jun 2031 15:00:00 PST", False),
        ("unavailable_after: Wed, 25 Jun 2031 15:00:00 PST, noai", True),
        ("max-image-preview: large, noimageindex", True),
    ],
)
def test_x_robots_tag(value: str, reserved: bool) -> None:
    assert (opted_out(CIMultiDict([("X-Robots-Tag", value)])) is not None) is reserved


def test_each_of_several_headers_counts() -> None:
    assert opted_out(CIMultiDict([("X-Robots-Tag", "all"), ("X-Robots-Tag", "noai")])) == "x-robots-tag: noai"


@pytest.mark.parametrize(
    ("value", "reserved"), [("train-ai=n", True), ("search=y, train-ai=n", True), ("train-ai=y", False)]
)
def test_content_usage(value: str, reserved: bool) -> None:
    assert (opted_out(CIMultiDict({"Content-Usage": value})) is not None) is reserved


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_in_both_forms(value: str, seconds: float | None) -> None:
    now_s = 1445412480.0  # Wed, 21 Oct 2015 07:28:00 GMT
    assert retry_after_s(CIMultiDict({"Retry-After": value}), now_s) == seconds


@pytest.mark.parametrize(
    ("status", "text", "allowed"),
    [(404, "", True), (403, "User-agent: *\nDisallow: /", True), (503, "", False), (None, "", False), (200, "", True)],
)
def test_robots_by_status(status: int | None, text: str, allowed: bool) -> None:
    assert Robots(status, text, 0.0).allows("http://a.example/b.jpg") is allowed


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public
