"""Talking to a Label Studio server: both kinds of token, answers as JSON, every failure as one line.

A legacy token is sent as it is (``Authorization: Token <hex>``). A personal access token is a JWT that buys another
one for a few minutes (POST /api/token/refresh), which is sent (``Authorization: Bearer``) and bought anew on a 401.
Which of the two a token is shows in its shape: a JWT has three parts with dots between them.

A module of its own, imported when it is first needed: httpx takes a fifth of a second to import.
"""

from __future__ import annotations

import http.cookiejar
import ipaddress
import math
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx

from noisyweb.errors import LabelError
from noisyweb.label_studio.answers import INVALID, MAX_ANSWER_BYTES, RefusedError, from_json, reason_in, shown

TRIES = 4
LONGEST_WAIT_S = 120.0
_TIMEOUT = httpx.Timeout(300.0, connect=10.0, pool=None)  # an import of many tasks answers when all are stored


class LostAnswerError(LabelError):
    """Something was sent, and whether the server did it is not known."""


def server_address(text: str) -> str:
    """A server's address in one form: without slashes at its end.

    Raises:
        LabelError: it is no http or https address, or has parts that it may not have.
    """
    text = text.strip()
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        usable = usable and len(text.split()) == 1 and bool(httpx.URL(text))
    except (ValueError, httpx.InvalidURL):
        usable = False
    if not usable:
        raise LabelError(f"--url {shown(text)}: no address of a server; expected one such as http://127.0.0.1:8080")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise LabelError(
            f"--url of {shown(parts.hostname or '')}: expected scheme, host, port and perhaps a path; "
            "no user, password, ? or #; the key goes into NOISYWEB_LABEL_STUDIO_TOKEN"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


class LabelStudio:
    """A server and a user's token for it.

    Args:
        url: address of the server, perhaps with a path.
        token: a legacy token, or a personal access token. It appears in no message.
        pause: waits for some seconds.

    Raises:
        LabelError: the address is none.
    """

    def __init__(self, url: str, token: str, *, pause: Callable[[float], None] = time.sleep) -> None:
        self.url = server_address(url)
        self.pause = pause
        self._token, self._access = token, ""
        self._client = httpx.Client(
            timeout=_TIMEOUT,
            follow_redirects=False,
            trust_env=not _is_loopback(self.url),  # a proxy of the environment cannot reach this machine
            cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[])),
            headers={"Accept": "application/json"},
        )

    def __enter__(self) -> LabelStudio:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def get(self, path: str, **params: str | int) -> Any:
        """The JSON that a path answers with; asked again where the failure may pass.

        Raises:
            RefusedError: it answers, and not with that.
            LabelError: it cannot be reached, or what it sends is not JSON.
        """
        for tries_left in reversed(range(TRIES)):
            try:
                return self._call("GET", path, params=params)
            except LostAnswerError:
                if not tries_left:
                    raise
                self.pause(2.0 ** (TRIES - 1 - tries_left))
        raise AssertionError("the last try returns or raises")

    def post(self, path: str, content: Any = None, *, files: Mapping[str, Any] | None = None, **params: str) -> Any:
        """Send JSON or files; the JSON answered. Sent once: a lost answer is the caller's to look into.

        Args:
            path: below the server's address.
            content: anything that JSON holds.
            files: form field -> (file name, bytes, media type).
            params: of the query.

        Raises:
            LostAnswerError: the connection or the server failed after something was sent.
            RefusedError, LabelError: as `get`.
        """
        return self._call("POST", path, params=params, json=content, files=files)

    # -- one request -------------------------------------------------------------------------------------

    def _call(self, method: str, path: str, **given: Any) -> Any:
        """One request, again where it is sure that nothing was done: too many at once, an expired access token."""
        may_refresh = self._token.count(".") == 2
        if may_refresh and not self._access:
            self._refresh()
            may_refresh = False
        for tries_left in reversed(range(TRIES)):
            status, headers, body = self._send(method, path, self._authorization(), **given)
            if status == 401 and may_refresh:
                self._refresh()
                may_refresh = False
            elif status == 429 and tries_left:
                self.pause(self._wait_asked_for(headers))
            else:
                break
        if status in (200, 201):
            return self._json(body, path, headers)
        self._refuse(method, path, status, headers, body)

    def _authorization(self) -> str:
        return f"Bearer {self._access}" if self._access else f"Token {self._token}"

    def _refresh(self) -> None:
        """Buy an access token with the personal one."""
        self._access = ""
        path = "/api/token/refresh"
        status, headers, body = self._send("POST", path, None, json={"refresh": self._token})
        if status != 200:
            self._refuse("POST", path, status, headers, body)
        answer = self._json(body, path, headers)
        access = answer.get("access") if isinstance(answer, dict) else None
        if not isinstance(access, str) or not access.isascii() or not access.isprintable() or not access:
            raise LabelError(f"{self.url}: {path} {INVALID}; expected an access token")
        self._access = access

    def _send(
        self, method: str, path: str, authorization: str | None, **given: Any
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Authorization": authorization} if authorization else {}
        body = bytearray()
        try:
            with self._client.stream(method, self.url + path, headers=headers, **given) as answer:
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MAX_ANSWER_BYTES:
                        raise LabelError(f"{self.url}: {path} answers with more than {MAX_ANSWER_BYTES >> 20} MiB")
                return answer.status_code, answer.headers, bytes(body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise LabelError(
                f"{self.url}: cannot be reached ({self._clean(str(error)) or 'timeout'}); does Label Studio run there?"
            ) from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            said = self._clean(str(error)) or type(error).__name__
            raise LostAnswerError(f"{self.url}: the answer to {method} {path} was lost ({said}); try again") from error

    def _wait_asked_for(self, headers: Mapping[str, str]) -> float:
        """Seconds that a 429 asks to wait; one if it does not say."""
        text = headers.get("Retry-After", "1")
        try:
            seconds = float(text) if text.strip().isdigit() else parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            seconds = 1.0
        if not math.isfinite(seconds) or seconds > LONGEST_WAIT_S:
            raise LabelError(
                f"{self.url}: it asks to wait {shown(text)} seconds before the next request; come back then"
            )
        return max(seconds, 0.0)

    # -- what it answers ---------------------------------------------------------------------------------

    def _json(self, body: bytes, path: str, headers: Mapping[str, str]) -> Any:
        try:
            return from_json(body)
        except ValueError:
            kind = shown(headers.get("Content-Type", "") or "nothing")
            raise LabelError(
                f"{self.url}: {path} answers with {kind}, not with JSON; is this the address of Label Studio?"
            ) from None

    def _refuse(self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> NoReturn:
        said = self._clean(reason_in(body))
        why = f" ({said})" if said else ""
        if 300 <= status < 400:
            to = self._clean(headers.get("Location", "nowhere"))
            raise LabelError(f"{self.url}: it redirects {path} to {to}; give the address of Label Studio itself")
        if status >= 500:
            raise LostAnswerError(f"{self.url}: {method} {path} failed with status {status}{why}; try again later")
        hints = {
            401: "the token is refused; set NOISYWEB_LABEL_STUDIO_TOKEN to one of Account & Settings in Label Studio, "
            "a personal access token where legacy tokens are switched off",
            403: f"the token's user may not {method} {path}; take the token of one who may",
            404: f"there is no {path}; is this the address of Label Studio, and may the token's user see that?",
            413: f"{method} {path} is too large for it or for a proxy before it",
            429: "it goes on asking for fewer requests; try again later",
        }
        raise RefusedError(
            f"{self.url}: {hints.get(status, f'{method} {path} is refused, status {status}')}{why}", status
        )

    def _clean(self, text: str) -> str:
        """A server's words without our secrets, on one short line."""
        for secret in (self._token, self._access):
            text = text.replace(secret, "***") if secret else text
        return shown(text)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
