"""Cloud Vision's label detection over Google's own client (the extra ``google``), and what its answers mean.

Images go to Google, with the user's Application Default Credentials, or to an emulator on this machine, without any.
What may pass (429, 5xx, a lost connection) is tried again with exponential backoff and jitter until a deadline; what
will not (no permission, no billing, a wrong request) is one clear line at once.
"""

from __future__ import annotations

import contextlib
import importlib
import ipaddress
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from noisyweb.errors import LabelError, MissingExtraError

MODEL = "builtin/stable"
MAX_LABELS = 50
"""Labels asked for an image. Google's own default is 10; more cost the same."""

ATTEMPT_S = 60.0
"""Seconds that one try waits for an answer."""

_MAX_TEXT = 500  # characters of a label

_CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
"""google.rpc.Code, by number."""

_PASSING = {"CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL", "UNAVAILABLE"}


@dataclass(frozen=True)
class Label:
    """One thing that Vision sees: its Knowledge Graph id, its English name, and how sure that is, 0..1."""

    mid: str
    description: str
    score: float
    topicality: float


@dataclass(frozen=True)
class Answer:
    """What Vision says of one image.

    Attributes:
        labels: None where there is an error.
        error: google.rpc code and message.
        retry: the error may pass.
    """

    labels: tuple[Label, ...] | None
    error: str | None = None
    retry: bool = False


Annotate = Callable[[Sequence[bytes]], list[Answer]]
"""Asks about 1 to 16 images, at most 10 MB of JSON; raises LabelError where all of it failed."""


@dataclass(frozen=True)
class Patience:
    """How long a failing request is tried again.

    Attributes:
        first_s, most_s: the first wait and the longest, at the most: a wait is drawn between 0 and its bound, and the
            bound doubles each time.
        deadline_s: seconds after which the request is given up.
    """

    first_s: float = 1.0
    most_s: float = 32.0
    deadline_s: float = 300.0


@contextlib.contextmanager
def connect(
    endpoint: str | None = None, patience: Patience = Patience(), tell: Callable[[str], None] = lambda text: None
) -> Iterator[Annotate]:
    """A connection to Cloud Vision for the length of a block.

    Args:
        endpoint: another address: ``https://eu-vision.googleapis.com``, or an emulator's, ``http://127.0.0.1:PORT``.
        patience: with requests that fail.
        tell: called with a line of text when a request fails and is going to be tried again, once a request.

    Raises:
        LabelError: there are no credentials, or the address is neither Google's nor this machine's.
        MissingExtraError: google-cloud-vision is not installed.
    """
    vision, auth = _package("google.cloud.vision"), _package("google.auth.exceptions")
    options: dict[str, Any] = {"transport": "rest"}
    if endpoint is not None:
        address, is_local = _checked(endpoint)
        options["client_options"] = {"api_endpoint": address}
        if is_local:
            options["credentials"] = _package("google.auth.credentials").AnonymousCredentials()
    try:
        client = vision.ImageAnnotatorClient(**options)
    except auth.GoogleAuthError as error:
        raise LabelError(
            f"Cloud Vision: no usable Google credentials ({_words(error)}); run `gcloud auth application-default "
            "login`, or set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account"
        ) from error
    with client:
        yield _Asker(client, patience, tell).annotate


def _package(name: str) -> Any:
    """A part of the extra ``google``, imported when it is needed: it takes half a second."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError("google-cloud-vision", "google", "asking Cloud Vision") from error


def _checked(endpoint: str) -> tuple[str, bool]:
    """The address without anything around it, and whether it is this machine's."""
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    is_local = host == "localhost" or _is_loopback(host)
    is_google = parts.scheme == "https" and re.fullmatch(r"[a-z0-9.-]+\.googleapis\.com", host) is not None
    is_plain = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
    if not is_plain or not (is_google or (is_local and parts.scheme in ("http", "https"))):
        raise LabelError(
            f"Cloud Vision: address {endpoint!r}; expected https://...googleapis.com, such as "
            "https://eu-vision.googleapis.com, or an emulator on this machine, http://127.0.0.1:PORT"
        )
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}" + (f":{port}" if port else ""), is_local


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Asker:
    """Asks, again and again where that may help, and reads the answers."""

    def __init__(self, client: Any, patience: Patience, tell: Callable[[str], None]) -> None:
        self._client, self._patience, self._tell = client, patience, tell
        self._has_answered = self._has_told = False

    def annotate(self, images: Sequence[bytes]) -> list[Answer]:
        """See `Annotate`."""
        vision, requests = _package("google.cloud.vision"), _package("requests")
        api, auth = _package("google.api_core.exceptions"), _package("google.auth.exceptions")
        parse_error = _package("google.protobuf.json_format").ParseError
        feature = {"type_": vision.Feature.Type.LABEL_DETECTION, "max_results": MAX_LABELS, "model": MODEL}
        again = _package("google.api_core.retry").Retry(
            predicate=self._may_pass,
            initial=self._patience.first_s,
            maximum=self._patience.most_s,
            multiplier=2.0,
            timeout=self._patience.deadline_s,
            on_error=self._failed,
        )
        self._has_told = False
        try:
            found = self._client.batch_annotate_images(
                requests=[{"image": {"content": data}, "features": [feature]} for data in images],
                retry=again,
                timeout=_package("google.api_core.timeout").ConstantTimeout(ATTEMPT_S),
            )
        except api.RetryError as error:
            raise LabelError(
                f"Cloud Vision: busy or out of reach for {self._patience.deadline_s:g} s ({_with_code(error.cause)})"
            ) from error
        except api.GoogleAPICallError as error:
            hint = "; see that the project has the Vision API and billing" if error.code == 403 else ""
            raise LabelError(f"Cloud Vision: it refuses, {_with_code(error)}{hint}") from error
        except requests.RequestException as error:
            raise LabelError(f"Cloud Vision: cannot be reached ({_words(error)})") from error
        except auth.GoogleAuthError as error:
            raise LabelError(
                f"Cloud Vision: the Google credentials do not work ({_words(error)}); "
                "run `gcloud auth application-default login`"
            ) from error
        except (parse_error, UnicodeDecodeError, RecursionError, AttributeError, TypeError) as error:
            # What the client raises for JSON of another shape; an error body that is no object is an AttributeError.
            raise _odd(_words(error)) from error
        responses = type(found).pb(found).responses
        if len(responses) != len(images):
            raise _odd(f"{len(responses)} answers for {len(images)} images")
        self._has_answered = True
        return [_answer(response) for response in responses]

    def _may_pass(self, error: BaseException) -> bool:
        api, requests = _package("google.api_core.exceptions"), _package("requests.exceptions")
        busy = (
            *(api.TooManyRequests, api.InternalServerError, api.BadGateway),
            *(api.ServiceUnavailable, api.GatewayTimeout),
        )
        # Who has never been reached is not away for a while: there is no network, or the address is wrong.
        lost = (
            *(requests.ConnectionError, requests.Timeout, requests.ChunkedEncodingError),
            _package("google.auth.exceptions").TransportError,
        )
        return isinstance(error, busy) or (self._has_answered and isinstance(error, lost))

    def _failed(self, error: Exception) -> None:
        if not self._has_told:
            self._has_told = True
            self._tell(f"{_with_code(error)}; trying again for up to {self._patience.deadline_s:g} s")


def _answer(response: Any) -> Answer:
    """Read one image's part of an answer. Labels that are there are right even beside an error, Google says."""
    labels = tuple(Label(one.mid, one.description, one.score, one.topicality) for one in response.label_annotations)
    if len(labels) > MAX_LABELS:
        raise _odd(f"{len(labels)} labels where at most {MAX_LABELS} were asked for")
    for label in labels:
        if not 0 <= label.score <= 1 or not math.isfinite(label.topicality):
            raise _odd(f"score {label.score}, topicality {label.topicality}; expected 0 to 1")
        if max(len(label.mid), len(label.description)) > _MAX_TEXT:
            raise _odd(f"a label of {len(label.description):,} characters")
    if response.error.code and not labels:
        number = response.error.code
        code = _CODES[number] if 0 < number < len(_CODES) else f"code {number}"
        return Answer(None, f"{code}: {_words(response.error.message)}", code in _PASSING)
    return Answer(labels)


def _odd(what: str) -> LabelError:
    return LabelError(f"Cloud Vision: that is no answer of Cloud Vision's ({what}); is the address right?")


def _with_code(error: object) -> str:
    code = getattr(error, "code", None)
    return (f"HTTP {code}: " if code else "") + _words(error)


def _words(what: object) -> str:
    """An error or a text in one line, without the address that Google's client puts in front."""
    text = " ".join(str(getattr(what, "message", None) or what or "no more is known").split())
    head, colon, rest = text.partition(": ")
    return (rest if colon and "://" in head and rest else text)[:300]
