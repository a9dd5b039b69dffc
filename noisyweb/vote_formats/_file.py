"""A file of votes as rows, whatever is in it: CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.errors import LabelError
from noisyweb.vote_formats._row import Row, shown

KINDS: Mapping[str, str] = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}
"""What a suffix says about a file."""

ROWS_AT_ONCE = 65_536
MAX_LINE = 1 << 20
"""Characters of a line of text; longer ones are not read into memory."""

_MAX_DEPTH = 8
"""Nesting of Parquet columns; deeper ones are left out."""


@dataclass(frozen=True)
class VoteFile:
    """A file of votes, looked into but not yet read.

    Attributes:
        path: where it is.
        kind: csv, json (one object a line) or parquet.
        columns: the cells of the first row, the keys of the first object, or the names of all Parquet columns, those
            of structs with dots between (``labels.human_1``); empty for an empty file.
    """

    path: Path
    kind: str
    columns: tuple[str, ...]

    def rows(self, wanted: Collection[str] | None = None, *, header: bool = True) -> Iterator[Row]:
        """All rows that are not empty lines.

        Args:
            wanted: the columns that are needed, where only these matter; others may be left out, missing ones are.
            header: the first row of a CSV file names the columns; if not, they are named 1, 2, 3, ...

        Raises:
            LabelError: the file cannot be read, or has two columns of one name.
        """
        if self.kind == "csv":
            values = self._csv() if header else _csv_rows(self.path, None)
        elif self.kind == "json":
            values = _json_rows(self.path)
        else:
            values = _parquet_rows(self.path, [c for c in self._distinct() if wanted is None or c in wanted])
        for number, each in enumerate(values, start=1):
            yield Row(self.path, number, each)

    def _csv(self) -> Iterator[Mapping[str, Any]]:
        self._distinct()
        return _csv_rows(self.path, self.columns)

    def _distinct(self) -> tuple[str, ...]:
        for name, count in Counter(self.columns).items():
            if count > 1 and name:
                raise LabelError(f"{self.path}: {count} columns are named {shown(name)}; expected one")
        return self.columns


def open_votes(path: Path) -> VoteFile:
    """Look into a file.

    Raises:
        LabelError: there is no such file, its suffix is unknown, or it cannot be read.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise LabelError(f"{path}: what is a {path.suffix or 'file without suffix'}? expected .csv, .jsonl or .parquet")
    if not path.is_file():
        raise LabelError(f"{path}: no such file; expected votes as CSV, JSON lines or Parquet")
    if kind == "parquet":
        return VoteFile(path, kind, tuple(_parquet_columns(path)))
    first = next(_json_rows(path) if kind == "json" else _csv_rows(path, None), {})
    names = first if kind == "json" else (cell.strip() for cell in first.values())
    return VoteFile(path, kind, tuple(names))


def _csv_rows(path: Path, header: tuple[str, ...] | None) -> Iterator[dict[str, Any]]:
    """The rows of a CSV file; with a header, the first is that."""
    numbered: tuple[str, ...] = ()
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(_lines(path, handle), strict=True)
            number = 0
            for cells in reader:
                if not any(cells):
                    continue
                number += 1
                if header is None:
                    if len(cells) > len(numbered):
                        numbered = tuple(map(str, range(1, len(cells) + 1)))
                    yield dict(zip(numbered, cells, strict=False))
                elif number > 1:
                    if any(cells[len(header) :]):
                        raise LabelError(
                            f"{path}: row {number - 1} has {len(cells)} values for {len(header)} columns; "
                            "expected text with commas in it to be in quotes"
                        )
                    yield dict(zip(header, cells, strict=False))
    except csv.Error as error:
        raise _unreadable(path, f"line {reader.line_num}: {error}", "CSV") from error
    except (UnicodeDecodeError, OSError) as error:
        raise _unreadable(path, error, "CSV in UTF-8") from error


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as handle:
            for number, line in enumerate(_lines(path, handle), start=1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise LabelError(f"{path}: line {number} is not a JSON object; expected one a line")
                    yield row
    except (UnicodeDecodeError, OSError) as error:
        raise _unreadable(path, error, "JSON lines in UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, f"line {number}: {error}", "one JSON object a line") from error


def _lines(path: Path, handle: IO[str]) -> Iterator[str]:
    number = 0
    while line := handle.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE and not line.endswith(("\n", "\r")):
            raise LabelError(f"{path}: line {number} is longer than {MAX_LINE:,} characters; expected votes as text")
        yield line


def _parquet_columns(path: Path) -> list[str]:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error, "Parquet") from error
    return list(chain.from_iterable(_leaves(field, 1) for field in schema))


def _leaves(field: pa.Field, depth: int) -> Iterator[str]:
    if not pa.types.is_struct(field.type):
        yield field.name
    elif depth < _MAX_DEPTH:
        for inner in field.type.fields:
            for name in _leaves(inner, depth + 1):
                yield f"{field.name}.{name}"


def _parquet_rows(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=columns):
                table = pa.Table.from_batches([batch])
                while any(pa.types.is_struct(kind) for kind in table.schema.types):
                    table = table.flatten()
                values = [_as_list(table[name]) for name in columns]
                for row in zip(*values, strict=True) if values else [()] * batch.num_rows:
                    yield dict(zip(columns, row, strict=True))
    except (pa.ArrowException, KeyError, ValueError, OverflowError, OSError) as error:
        raise _unreadable(path, error, "Parquet") from error


def _as_list(column: pa.ChunkedArray) -> list[Any]:
    kind = column.type
    if pa.types.is_timestamp(kind):  # Python knows neither nanoseconds nor every time zone
        column = column.cast(pa.timestamp("us", "UTC"), safe=kind.unit != "ns")
    values: list[Any] = column.to_pylist()
    return values


def _unreadable(path: Path, error: Exception | str, expected: str) -> LabelError:
    why = (str(error).splitlines() or [""])[0]
    return LabelError(f"{path}: cannot be read as votes ({why}); expected {expected}")
