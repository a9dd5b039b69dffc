"""Links that sign an annotator in, and the addresses that they begin with."""

from __future__ import annotations

import getpass
from urllib.parse import quote, urlsplit

from noisyweb.errors import LabelError


def link(origin: str, name: str, token: str) -> str:
    """A link to the page. What stands after # is never sent over the network, nor kept in any server's log."""
    return f"{origin}/#{quote(name, safe='')}:{token}"


def check_origin(text: str) -> str:
    """An origin as browsers write it: scheme, host and port.

    Raises:
        LabelError: it is something else.
    """
    try:
        parts = urlsplit(text.strip().rstrip("/"))
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query or parts.username:
        raise LabelError(f"origin {text!r}: expected http:// or https:// and a host, such as https://label.example.org")
    try:  # as browsers send it: xn--... for what is not ASCII
        name = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
    except UnicodeError:
        raise LabelError(f"origin {text!r}: no host name; expected one such as https://label.example.org") from None
    host = f"[{name}]" if ":" in name else name
    is_default = port in (None, {"http": 80, "https": 443}[parts.scheme])
    return f"{parts.scheme}://{host}" + ("" if is_default else f":{port}")


def owner_name() -> str:
    """What the owner goes by where nobody was invited: the login name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "owner"
