"""What a Label Studio server answers, read as if by a stranger: JSON, its parts, and the words of a refusal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from noisyweb.errors import LabelError

MAX_ANSWER_BYTES = 256 << 20
INVALID = "answers in another shape than Label Studio does"
_LONGEST_SHOWN = 300


class RefusedError(LabelError):
    """The server answers, and says no.

    Attributes:
        status: the HTTP status, 400 to 499.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def from_json(body: bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def part(thing: object, name: str, kind: type | tuple[type, ...], what: str) -> Any:
    """One field of a JSON object, of the kind that it must be; true is no number here.

    Args:
        thing: the object.
        name: of the field; a missing one is null.
        kind: what it may be, ``type(None)`` for null.
        what: how to call the object in a message.

    Raises:
        LabelError: it is of another kind.
    """
    if not isinstance(thing, Mapping):
        raise LabelError(f"{what} {INVALID}: found {type(thing).__name__}, expected an object")
    value = thing.get(name)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise LabelError(f"{what} {INVALID}: its {name!r} is {type(value).__name__}, expected {_names(kinds)}")
    return value


def _names(kinds: tuple[type, ...]) -> str:
    words = {dict: "an object", list: "a list", str: "text", int: "a whole number", float: "a number", bool: "a truth"}
    return " or ".join(words.get(kind, "null") for kind in kinds)


def reason_in(body: bytes) -> str:
    """The words of a refusal: its detail and what it says is wrong with what was sent; "" for no JSON."""
    try:
        answer = from_json(body)
    except ValueError:
        return ""
    if not isinstance(answer, Mapping):
        return ""
    errors = answer.get("validation_errors")
    texts = list(_errors(errors)) if isinstance(errors, Mapping) else []
    detail = answer.get("detail")
    return "; ".join(texts) or (detail if isinstance(detail, str) else "")


def _errors(errors: Mapping[str, Any]) -> Iterator[str]:
    for name, texts in errors.items():
        for text in texts if isinstance(texts, list) else [texts]:
            yield str(text) if name == "non_field_errors" else f"{name}: {text}"


def shown(text: str) -> str:
    """Text of a stranger for a message: one short line without control characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * _LONGEST_SHOWN]).split())
    return line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]}..."
