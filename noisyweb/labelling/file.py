"""Votes from a file: CSV, JSON lines or Parquet, one vote a row.

Options:
    path: the file; its suffix (.csv, .jsonl or .ndjson, .parquet) says what it is.

Columns: ``image_id`` or ``url``; ``class`` (or ``class_name`` or ``label``: a name, or an index into the
vocabulary); ``annotator``; ``answer``: yes, no or unsure, or y, n, 1, 0, true, false, ?.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.errors import LabelError
from noisyweb.schemas import VOTES

SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(("yes", "y", "1", "true", "t"), "yes"),
    **dict.fromkeys(("no", "n", "0", "false", "f"), "no"),
    **dict.fromkeys(("unsure", "u", "?", "maybe", "unknown"), "unsure"),
}
CLASS_COLUMNS = ("class", "class_name", "label")
ROWS_AT_ONCE = 65_536

Row = Mapping[str, Any]


def collect(questions: pa.Table, options: Mapping[str, str]) -> Iterator[pa.Table]:
    """All votes of a file, checked against the questions.

    Args:
        questions: image_id, label, class_name and url of every question.
        options: see the module.

    Raises:
        LabelError: the file cannot be read, lacks a column, or speaks of images, classes or answers that
            there are none of; the message names the first and says how many. Nothing is yielded then.
    """
    path = Path(options["path"]).expanduser()
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise LabelError(f"{path}: what is a {path.suffix or 'file without suffix'}? expected .csv, .jsonl or .parquet")
    if not path.is_file():
        raise LabelError(f"{path}: no such file; expected votes as CSV, JSON lines or Parquet")
    book = _Book(questions)
    votes = [vote for number, row in enumerate(read(path), start=1) for vote in book.votes(path, number, row)]
    book.complain(path)
    rows = iter(votes)
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        yield pa.Table.from_pylist(batch, schema=VOTES)


class _Book:
    """Looks votes up among the questions and keeps count of those that fit none."""

    def __init__(self, questions: pa.Table) -> None:
        columns = questions.select(["image_id", "label", "class_name", "url"]).to_pydict()
        self._asked = set(zip(columns["image_id"], columns["label"], strict=True))
        self._labels = dict(zip(columns["class_name"], columns["label"], strict=True))
        self._labels.update({str(n): n for n in columns["label"] if str(n) not in self._labels})
        self._ids: dict[str, set[str]] = defaultdict(set)
        for image_id, url in zip(columns["image_id"], columns["url"], strict=True):
            self._ids[url].add(image_id)
        self._images = set(columns["image_id"])
        self._strangers: dict[str, list[str]] = defaultdict(list)

    def votes(self, path: Path, number: int, row: Row) -> Iterator[dict[str, Any]]:
        """The vote of one row, or none if something about it is unknown."""
        name = _value(row, *CLASS_COLUMNS)
        image_id, url = _value(row, "image_id"), _value(row, "url")
        annotator, answer = _value(row, "annotator"), _value(row, "answer")
        image = image_id or url
        given = {"image_id or url": image, "class": name, "annotator": annotator, "answer": answer}
        missing = [column for column, value in given.items() if not value]
        if missing or image is None or name is None or annotator is None or answer is None:
            raise LabelError(f"{path}: row {number} has no {missing[0]}; expected the columns {', '.join(given)}")
        label, said = self._labels.get(name), SYNONYMS.get(answer.lower())
        ids = {image_id} & self._images if image_id else self._ids.get(image, set())
        asked = sorted(each for each in ids if (each, label) in self._asked)
        if label is None:
            self._strangers["class"].append(name)
        elif said is None:
            self._strangers["answer"].append(answer)
        elif not ids:
            self._strangers["image"].append(image)
        elif not asked:
            self._strangers["pair of image and class"].append(f"{image} / {name}")
        else:
            for each in asked:
                yield {"image_id": each, "label": label, "annotator": annotator, "answer": said, "backend": "file"}

    def complain(self, path: Path) -> None:
        """Raise `LabelError` about the first row that fits no question, if there is one."""
        hints = {
            "class": "is none of the workspace's classes that have images",
            "answer": f"is no answer; expected one of {', '.join(SYNONYMS)}",
            "image": "is not among the workspace's unique images",
            "pair of image and class": "is not a question of this workspace: the image was found for another class",
        }
        for thing, values in self._strangers.items():
            rows = f"{len(values):,} row{'s are' if len(values) > 1 else ' is'} like that"
            raise LabelError(f"{path}: {thing} {values[0]!r} {hints[thing]}; {rows}; no vote was imported")


def _value(row: Row, *columns: str) -> str | None:
    """The first of some columns that is there and not empty, as text."""
    for column in columns:
        value = row.get(column)
        if value is not None and str(value).strip():
            return str(value).strip()
    return None


def _csv(path: Path) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            yield from csv.DictReader(handle)
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise _unreadable(path, error) from error


def _json_lines(path: Path) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig") as handle:
            for number, line in enumerate(handle, start=1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise LabelError(f"{path}: line {number} is not a JSON object; expected one vote a line")
                    yield row
    except (ValueError, RecursionError, OSError) as error:
        raise _unreadable(path, error) from error


def _parquet(path: Path) -> Iterator[Row]:
    try:
        for batch in pq.ParquetFile(path).iter_batches(ROWS_AT_ONCE):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> LabelError:
    return LabelError(f"{path}: cannot be read as votes ({(str(error).splitlines() or [''])[0]})")


_READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
