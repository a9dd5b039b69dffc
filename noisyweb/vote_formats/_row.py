"""One row of a file of votes: its values, checked where they are taken out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from noisyweb.errors import LabelError

CLASS_COLUMNS = ("class", "class_name", "label")
"""What a column of classes is called; the first that is filled counts."""

MAX_SECONDS = 1e9
"""Some thirty years: more is a date, not how long someone took."""

UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What no name may have in it: control characters, line ends, turns of the writing direction, halves of characters."""

_YES = frozenset(("true", "t", "yes", "y", "1"))
_NO = frozenset(("false", "f", "no", "n", "0"))

ClassGiven = str | int
"""A class as a file gives it: its name (or its index as text), or its index where the file holds whole numbers."""


class Row(NamedTuple):
    """One row.

    Attributes:
        path: the file, for messages.
        number: which of its rows, from 1, without header and empty lines.
        values: by column; JSON may nest.
    """

    path: Path
    number: int
    values: Mapping[str, Any]

    def refuse(self, what: str) -> NoReturn:
        """Raise `LabelError` about this row."""
        raise LabelError(f"{self.path}: row {self.number} {what}; no vote was imported")

    def text(self, *columns: str) -> str | None:
        """The first of some columns that is there and not empty, as text without outer spaces.

        Raises:
            LabelError: it holds neither text nor a number.
        """
        for column in columns:
            value = self.values.get(column)
            if value is None:
                continue
            if not isinstance(value, str):
                value = self._number_as_text(column, value)
            if value := value.strip():
                return value
        return None

    def class_given(self, *columns: str) -> ClassGiven | None:
        """The same for a class: a whole number stays one, since it can only be an index."""
        for column in columns:
            value = self.values.get(column)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
            if isinstance(value, float) and value.is_integer():  # pandas makes floats of integers with gaps
                return int(value)
            if text := self.text(column):
                return text
        return None

    def seconds(self, column: str) -> float | None:
        """How long something took.

        Raises:
            LabelError: it is no number, or not from 0 to `MAX_SECONDS`.
        """
        text = self.text(column)
        if text is None:
            return None
        seconds = as_seconds(text)
        if seconds is None:
            self.refuse(f"has {column} = {shown(text)}; expected a number of seconds from 0 to {MAX_SECONDS:g}")
        return seconds

    def instant(self, column: str) -> datetime | None:
        """A time; UTC where it names no offset.

        Raises:
            LabelError: it is not written as in ISO 8601.
        """
        value = self.values.get(column)
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        try:
            if isinstance(value, datetime):
                found = value
            else:  # a bare number would be read as a date by fromisoformat, now and then
                text = value.isoformat() if isinstance(value, date) else value if isinstance(value, str) else ""
                found = datetime.fromisoformat(text.strip())
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.refuse(f"has {column} = {shown(str(value))}; expected a time such as 2026-11-25T10:11:12Z")

    def flag(self, *columns: str) -> bool | None:
        """True or false.

        Raises:
            LabelError: it is neither.
        """
        text = self.text(*columns)
        if text is None:
            return None
        word = text.lower()
        if word not in _YES and word not in _NO:
            self.refuse(f"has {columns[0]} = {shown(text)}; expected true or false")
        return word in _YES

    def _number_as_text(self, column: str, value: Any) -> str:
        if isinstance(value, float):
            if math.isnan(value):
                return ""
            return str(int(value)) if value.is_integer() else str(value)
        if not isinstance(value, int):
            self.refuse(f"has a value of type {type(value).__name__} as {shown(column, 40)}; expected text or a number")
        return str(value)


def as_seconds(text: str) -> float | None:
    """A number of seconds from 0 to `MAX_SECONDS`; None if it is none."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds <= MAX_SECONDS else None


def shown(value: str, longest: int = 100) -> str:
    """A value as messages show it: quoted, control characters escaped, cut where it is long."""
    return repr(value) if len(value) <= longest else f"{value[:longest]!r}..."
