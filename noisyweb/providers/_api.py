"""Asking an API for JSON: paced, tried again where that helps, refusals in plain words, keys kept secret."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from noisyweb.errors import CrawlError
from noisyweb.politeness import retry_after_s
from noisyweb.providers._protocol import ApiLimits, Options

if TYPE_CHECKING:
    import httpx

MAX_WAIT_S = 60.0
TRIES = 4
BACKOFF_S = 0.5
MAX_BYTES = 16 * 2**20

Params = Mapping[str, str | int]


class RefusedError(CrawlError):
    """The API answered with a status that no repetition changes.

    Attributes:
        status: the HTTP status.
        said: the API's own words, or "".
        answer: its whole answer, parsed; None if it is not JSON. Not for messages: it may tell keys.
    """

    def __init__(self, message: str, status: int, said: str, answer: Any = None) -> None:
        super().__init__(message)
        self.status, self.said, self.answer = status, said, answer


class Api:
    """One provider's API in one crawl.

    Args:
        name: the provider, for messages.
        client: whose connections are checked (`noisyweb.addresses`).
        options: the provider's options, keys included.
        keys: which of the options are secret.
        limits: its pace.

    Attributes:
        state: for what a provider keeps between its requests (an access token, say); guarded by ``lock``.
        num_requests: how many were sent.
    """

    def __init__(
        self,
        name: str,
        client: httpx.AsyncClient,
        options: Options | None = None,
        keys: Mapping[str, bool] | None = None,
        limits: ApiLimits | None = None,
    ) -> None:
        self.name, self.options = name, dict(options or {})
        self.state: dict[str, Any] = {}
        self.lock = asyncio.Lock()
        self.num_requests = 0
        self._client = client
        self._secrets = {value for key, value in self.options.items() if key in (keys or {}) and value}
        limits = limits or ApiLimits(page_size=1)
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._interval_s, self._next_s = limits.interval_s, 0.0

    def keep_secret(self, value: str) -> None:
        """Keep one more value, such as an access token, out of messages."""
        self._secrets.add(value)

    def redacted(self, text: str) -> str:
        """A text with every secret in it blotted out, also where it is written as in an address."""
        forms = {form for secret in self._secrets for form in (secret, quote(secret, safe=""), quote_plus(secret))}
        for secret in sorted(forms, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    async def get_json(
        self,
        url: str,
        params: Params,
        *,
        headers: Mapping[str, str] | None = None,
        passing: Callable[[Any], str | None] = lambda answer: None,
    ) -> Any:
        """One GET. 429 and 5xx are tried again, after Retry-After where it is given and short enough.

        Args:
            url, params, headers: what to ask.
            passing: for APIs that hide passing troubles in a 200 answer: what is wrong, or None if nothing is.

        Raises:
            RefusedError: the API refuses.
            CrawlError: its limit is reached for longer than can be waited, it does not answer, or its answer is
                not JSON.
        """
        return await self._ask("GET", url, params=params, headers=headers, passing=passing)

    async def post_form(self, url: str, form: Mapping[str, str]) -> Any:
        """One form-encoded POST; else as `get_json`."""
        return await self._ask("POST", url, form=form)

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        params: Params | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        passing: Callable[[Any], str | None] = lambda answer: None,
    ) -> Any:
        import httpx

        wait_s, trouble, status = 0.0, "", 0
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(wait_s)
            wait_s = BACKOFF_S * 2**attempt
            try:
                answer, body = await self._send(method, url, params, form, headers)
            except (TimeoutError, httpx.RequestError) as error:
                trouble, status = self.redacted(f"{type(error).__name__} {error}".strip()), 0
                continue
            status, asked_s = answer.status_code, retry_after_s(answer.headers)
            if status == 200:
                content = self._parsed(body, url)
                wrong = passing(content)
                if wrong is None:
                    return content
                trouble = self.redacted(wrong)
            elif status != 429 and status < 500:
                raise self._refusal(url, status, body)
            else:
                trouble = f"HTTP {status} {self._said(_json(body))}".strip()
            wait_s = wait_s if asked_s is None else asked_s
            if wait_s > MAX_WAIT_S:
                raise CrawlError(
                    f"{self.name}: its limit is reached ({trouble}); it asks to wait {wait_s:.0f} s; "
                    "run the same command again then, it goes on where it stopped"
                )
        what = "its limit is reached" if status == 429 else f"{url} gave no answer"
        raise CrawlError(f"{self.name}: {what}, {TRIES} tries ({trouble}); run the same command again later")

    async def _send(
        self,
        method: str,
        url: str,
        params: Params | None,
        form: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
    ) -> tuple[httpx.Response, bytes]:
        async with self._slots:
            loop = asyncio.get_running_loop()
            start_s = max(loop.time(), self._next_s)
            self._next_s = start_s + self._interval_s
            await asyncio.sleep(max(0.0, start_s - loop.time()))
            self.num_requests += 1
            said = {"Accept": "application/json", **(headers or {})}
            async with (
                asyncio.timeout(MAX_WAIT_S),
                self._client.stream(method, url, params=params, data=form, headers=said) as answer,
            ):
                return answer, await self._body(answer)

    async def _body(self, answer: httpx.Response) -> bytes:
        parts, size = [], 0
        async for part in answer.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > MAX_BYTES:
                raise CrawlError(
                    f"{self.name}: an answer of over {MAX_BYTES >> 20} MiB; expected a page of search results"
                )
        return b"".join(parts)

    def _parsed(self, body: bytes, url: str) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise CrawlError(
                f"{self.name}: {url} answered something that is not JSON; is that the right address?"
            ) from None

    def _refusal(self, url: str, status: int, body: bytes) -> RefusedError:
        answer = _json(body)
        said = self._said(answer)
        why = {
            400: "it does not understand the query",
            401: "it wants other credentials, or smaller pages",
            403: "it has blocked us; do not go on asking, write to its operators",
            404: "there is no such API at that address",
        }.get(status, "it refuses")
        message = f"{self.name}: HTTP {status} from {self.redacted(url)}: {why}" + (f" ({said})" if said else "")
        return RefusedError(message, status, said, answer)

    def _said(self, answer: Any) -> str:
        return self.redacted(" ".join(_detail(answer).split()))[:200]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _detail(content: Any) -> str:
    """What an API's error answer says: Openverse's ``detail``, Google's and Brave's ``error.message``."""
    if not isinstance(content, dict):
        return ""
    error = content.get("error")
    if isinstance(error, dict):
        return str(error.get("message") or error.get("detail") or "")
    return str(content.get("detail") or content.get("error_description") or "")
