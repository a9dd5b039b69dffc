"""Patience with a store: what fails for a passing reason is tried again, for a minute at most.

A store that is busy (503 SlowDown), restarts, or drops connections is the normal case in a long run. The libraries'
own tries are over in seconds, and each counts other errors as passing.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

Result = TypeVar("Result")

PATIENCE_S = 60.0
"""How long a store may fail before it counts as failed; ``$NOISYWEB_STORE_PATIENCE_S`` says otherwise."""

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_STATUSES = {408, 429, 500, 502, 503, 504}
_CODES = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "OperationAborted", "Throttling"}
_NAMES = {
    # botocore's and requests', aiohttp's, http.client's, fsspec's, httpx's
    *("ConnectionError", "HTTPClientError", "IncompleteReadError", "ResponseStreamingError", "ResponseParserError"),
    *("ClientConnectionError", "ClientPayloadError", "IncompleteRead", "FSTimeoutError", "TransportError"),
}
_FINAL = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError)


def patience_s() -> float:
    """How long to go on trying, in seconds."""
    try:
        return float(os.environ["NOISYWEB_STORE_PATIENCE_S"])
    except (KeyError, ValueError):
        return PATIENCE_S


def patient(call: Callable[[], Result]) -> Result:
    """What a call gives; tried again while it fails for a passing reason, with growing random pauses.

    Args:
        call: may be made any number of times.
    """
    pause_s, end_s = _FIRST_WAIT_S, 0.0
    while True:
        try:
            return call()
        except Exception as error:
            if not is_passing(error):
                raise
            now_s = time.monotonic()
            end_s = end_s or now_s + patience_s()
            wait_s = pause_s * random.uniform(0.5, 1.5)  # many workers must not come back at once
            if now_s + wait_s > end_s:
                raise
            time.sleep(wait_s)
            pause_s = min(2 * pause_s, _LONGEST_WAIT_S)


def is_passing(error: BaseException) -> bool:
    """Whether what a store's library raised may be over soon: a busy server, a lost connection, a time-out."""
    for cause in _causes(error):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):  # botocore: the status decides, whatever the error was made of it
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return status in _STATUSES or response.get("Error", {}).get("Code") in _CODES
    for cause in _causes(error):
        status = getattr(cause, "status", None) or getattr(cause, "code", None)  # aiohttp, gcsfs
        if str(status).isdigit():
            return int(str(status)) in _STATUSES
    return not isinstance(error, _FINAL) and any(_is_about_the_line(cause) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    for _ in range(8):
        if found is None:
            return
        yield found
        found = found.__cause__


def _is_about_the_line(error: BaseException) -> bool:
    names = {cls.__name__ for cls in type(error).__mro__}
    if any("SSL" in name or "Certificate" in name for name in names):  # a wrong certificate stays wrong
        return False
    return isinstance(error, ConnectionError | TimeoutError) or bool(names & _NAMES)
