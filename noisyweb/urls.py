"""Web addresses: one spelling for each, and which host they are of."""

from __future__ import annotations

import contextlib
import re

from yarl import URL

_PLAIN_URL = re.compile(
    r"https?://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}))?)"
    r"/[\w~.,;=&/-]*(?:\?[\w~.,;=&/?-]+)?",
    re.ASCII,
)


def web_url(text: str) -> URL | None:
    """An http or https address, user names and fragments dropped; None for what is none."""
    with contextlib.suppress(ValueError, UnicodeError):
        if plain_authority(text) is not None:
            return URL(text, encoded=True)
        url = URL(text)
        if url.scheme in ("http", "https") and url.host:
            return url.with_user(None).with_fragment(None)
    return None


def host_of(text: str) -> str:
    """Host and port of a URL, the key of its pace; "" for what is no web address."""
    plain = plain_authority(text)
    if plain is not None:
        return plain
    url = web_url(text)
    return (url.host_port_subcomponent or "") if url is not None else ""


def canonical_url(text: str) -> str:
    """One spelling for one address: scheme and host in lower case, no default port, no user name, no fragment."""
    if plain_authority(text) is not None:
        return text
    with contextlib.suppress(ValueError, UnicodeError):
        url = URL(text)
        if url.scheme in ("http", "https") and url.host:
            return str(url.with_user(None).with_fragment(None))
    return text


def plain_authority(text: str) -> str | None:
    """Host and port of a URL that is spelled canonically and needs no quoting; None for all others. Much quicker."""
    match = _PLAIN_URL.fullmatch(text)
    if match is None or match[1].endswith((":80", ":443")) or "/." in text:
        return None
    return match[1]
