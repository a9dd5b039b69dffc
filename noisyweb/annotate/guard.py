"""What every request must pass before the page looks at it, and what every answer says to browsers.

- The Host header is this machine's: an IP address, localhost, or a name the owner gave; a foreign name that was made
  to point here (DNS rebinding) is refused.
- What changes something is a POST of JSON, small, whose Origin is that very host: no other site can send it.
- Answers may run no script but the page's own, show no image from elsewhere, and stand in no frame.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 65_536

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """ASGI middleware; see the module.

    Args:
        app: what it guards.
        origins: origins that the owner gave, such as ``https://label.example.org``, of a proxy in front of this server.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str] = ()) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._hosts = frozenset(host for origin in origins for host in _hosts_of(origin))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)  # start-up and shut-down; websockets find no route
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            status, reason = refusal
            # The rest of a body without a known or decent end is not waited for.
            headers = {"Connection": "close"} if status in (411, 413) else {}
            response = JSONResponse({"error": reason}, status, headers)
            await response(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if host not in self._hosts and not _is_this_machine(host):
            return 421, "this host name is not served here; the owner can allow it with --origin"
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "only GET and POST are served"
        if scope["method"] != "POST":
            return None
        origin = headers.get("origin", "")
        if origin not in self._origins and origin != f"{scope['scheme']}://{host}":
            return 403, "the request comes from another site"
        if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            return 415, "expected application/json"
        length = headers.get("content-length", "")
        if not length.isascii() or not length.isdigit():
            return 411, "expected a Content-Length"
        if len(length) > 9 or int(length) > MAX_BODY_BYTES:
            return 413, f"expected {MAX_BODY_BYTES} bytes at most"
        return None


def _hosts_of(origin: str) -> tuple[str, ...]:
    """Host headers that a proxy may send for an origin: some name the usual port."""
    parts = urlsplit(origin.lower())
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return (parts.netloc,) if parts.port is not None else (parts.netloc, f"{parts.netloc}:{usual}")


def _is_this_machine(host: str) -> bool:
    """Whether a Host header names no domain: an attacker's page can only come under one."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
