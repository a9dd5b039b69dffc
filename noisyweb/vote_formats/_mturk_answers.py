"""What a worker of Mechanical Turk answered: columns ``Answer.*``, with radio buttons and JSON in them."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from noisyweb.vote_formats._row import Row, shown

BASES = ("answer", "label", "category")
"""What the answer that counts is called, the likeliest first."""

Number = int | None
"""Which image of a HIT; None where it has one."""

_PREFIX = "answer."
_TASK_ANSWERS = "taskanswers"
_NUMBERED = re.compile(r"(.+?)[_-]?(\d{1,6})")
_LONGEST_NAME = 200
_MAX_DEPTH = 8


class _Key(NamedTuple):
    """The name of an answer in parts: ``answer_2.yes`` is answer, 2, yes."""

    base: str
    number: Number
    rest: str


class Answers:
    """Finds the answers in rows of a batch; false if the batch has no column of answers.

    Args:
        columns: of the batch.
        is_numbered: its HITs have several images; numbers at the end of names say of which an answer is.
    """

    def __init__(self, columns: Sequence[str], *, is_numbered: bool) -> None:
        names = [(column, column[len(_PREFIX) :]) for column in columns if column.lower().startswith(_PREFIX)]
        self._columns = [(column, name) for column, name in names if name.lower() != _TASK_ANSWERS]
        self._json_columns = [column for column, name in names if name.lower() == _TASK_ANSWERS]
        self._is_numbered = is_numbered

    def __bool__(self) -> bool:
        return bool(self._columns or self._json_columns)

    def of(self, row: Row) -> dict[Number, str]:
        """What one worker answered about each image of a HIT; left out where the question was left open.

        Raises:
            LabelError: it is not clear which answer counts, there are two, or JSON that is not as it should be.
        """
        given: dict[str, dict[_Key, Any]] = defaultdict(dict)
        for name, value in self._all(row):
            if len(name) > _LONGEST_NAME:
                row.refuse(
                    f"has an answer whose name is {len(name):,} characters long; expected {_LONGEST_NAME} at most"
                )
            key = _key(name, self._is_numbered)
            of_base = given[key.base]  # there even if nothing was answered: a remark is not the answer then
            if value is not None and value != "" and of_base.setdefault(key, value) != value:
                row.refuse(f"has two values of the answer {shown(name)}; expected one")
        if not given:
            return {}
        base = next((base for base in BASES if base in given), None)
        if base is None and len(given) > 1:
            names = ", ".join(shown(name, 40) for name in list(given)[:12])
            row.refuse(f"has the answers {names}; expected the one that counts to be called {' or '.join(BASES)}")
        answers: dict[Number, str] = {}
        for key, value in given[base or next(iter(given))].items():
            word = _word(row, key, value)
            if word is not None and answers.setdefault(key.number, word) != word:
                row.refuse(f"has both {shown(answers[key.number])} and {shown(word)} as its answer; expected one")
        return answers

    def _all(self, row: Row) -> Iterator[tuple[str, Any]]:
        """Name and value of each answer, those in JSON included."""
        for column, name in self._columns:
            value = row.values.get(column)
            yield name, value.strip() if isinstance(value, str) else value
        for column in self._json_columns:
            if value := row.values.get(column):
                yield from _flat(row, _json(row, value), "", 0)


def _word(row: Row, key: _Key, value: Any) -> str | None:
    """The answer that one value gives: the value, or the radio button that it says was chosen."""
    if key.rest not in ("", "label"):
        return key.rest if str(value).strip().lower() in ("true", "on") else None
    if isinstance(value, list):
        row.refuse(f"has a list as its answer {shown(key.base)}; expected one answer")
    return str(value).strip() or None


def _json(row: Row, value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        row.refuse(f"has Answer.taskAnswers that are not JSON ({error}); expected a list of objects")


def _flat(row: Row, value: Any, name: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Nested objects with dots between their names; a list on top is one object after the other."""
    if depth > _MAX_DEPTH:
        row.refuse(f"has answers nested more than {_MAX_DEPTH} deep; expected a list of objects")
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(row, inner, f"{name}.{key}" if name else key, depth + 1)
    elif name:
        yield name, value
    elif isinstance(value, list):
        for inner in value:
            if not isinstance(inner, dict):
                row.refuse(f"has a {type(inner).__name__} in Answer.taskAnswers; expected a list of objects")
            yield from _flat(row, inner, "", depth + 1)
    else:
        row.refuse(f"has a {type(value).__name__} as Answer.taskAnswers; expected a list of objects")


@lru_cache(maxsize=4096)
def _key(name: str, is_numbered: bool) -> _Key:
    """The parts of an answer's name."""
    base, _, rest = name.partition(".")
    found = _NUMBERED.fullmatch(base) if is_numbered else None
    number = int(found[2]) if found else None
    return _Key((found[1] if found else base).lower(), number, rest)
