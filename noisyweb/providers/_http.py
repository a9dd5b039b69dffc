"""Asking an API for JSON: limits respected, refusals in plain words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx

from noisyweb.errors import CrawlError
from noisyweb.politeness import retry_after_s

MAX_WAIT_S = 60.0
TRIES = 4
MAX_BYTES = 16 * 2**20


async def get_json(client: httpx.AsyncClient, name: str, url: str, params: Mapping[str, str | int]) -> Any:
    """One GET of an API.

    429 and 5xx are tried again, after Retry-After where it is given and short enough.

    Args:
        client: whose connections are checked (`noisyweb.addresses`).
        name: the provider, for messages.
        url, params: what to ask.

    Raises:
        CrawlError: the API refuses, its limit is reached for longer than can be waited, it does not answer, or
            its answer is not JSON.
    """
    status, wait_s, trouble = 0, 0.0, ""
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(wait_s)
        try:
            async with (
                asyncio.timeout(MAX_WAIT_S),
                client.stream("GET", url, params=params, headers={"Accept": "application/json"}) as answer,
            ):
                body = await _body(answer, name)
        except (TimeoutError, httpx.RequestError) as error:
            wait_s, trouble = 0.5 * 2**attempt, f"{type(error).__name__} {error}".strip()
            continue
        status = answer.status_code
        asked_s = retry_after_s(answer.headers)
        if status == 200:
            return _parsed(body, name, url)
        if status != 429 and status < 500:
            raise CrawlError(_refusal(name, url, status, body))
        wait_s, trouble = 0.5 * 2**attempt if asked_s is None else asked_s, f"HTTP {status}"
        if wait_s > MAX_WAIT_S:
            raise CrawlError(
                f"{name}: its limit is reached (HTTP {status}); it asks to wait {wait_s:.0f} s; "
                "run the same command again then, it goes on where it stopped"
            )
    raise CrawlError(f"{name}: {url} gave no answer in {TRIES} tries ({trouble}); run the same command again later")


async def _body(answer: httpx.Response, name: str) -> bytes:
    parts, size = [], 0
    async for part in answer.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            raise CrawlError(f"{name}: an answer of over {MAX_BYTES >> 20} MiB; expected a page of search results")
    return b"".join(parts)


def _parsed(body: bytes, name: str, url: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise CrawlError(f"{name}: {url} answered something that is not JSON; is that the right address?") from None


def _refusal(name: str, url: str, status: int, body: bytes) -> str:
    said = " ".join(_detail(body).split())[:200]
    why = {
        400: "it does not understand the query",
        401: "it wants other credentials, or smaller pages",
        403: "it has blocked us; do not go on asking, write to its operators",
        404: "there is no such API at that address",
    }.get(status, "it refuses")
    return f"{name}: HTTP {status} from {url}: {why}" + (f" ({said})" if said else "")


def _detail(body: bytes) -> str:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return str(content.get("detail", "")) if isinstance(content, dict) else ""
