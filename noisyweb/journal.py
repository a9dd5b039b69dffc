"""A table's journal: one JSON line a row, in the file before anything relies on it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from noisyweb.atomic import disk_errors
from noisyweb.errors import CorruptFileError
from noisyweb.remote_path import Place


class Journal:
    """Appends rows to a table's journal, each in one ``write`` that survives the death of the process."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._file: int | None = None

    def __enter__(self) -> Journal:
        with disk_errors(self._path):
            _drop_torn_line(self._path)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def add(self, row: Mapping[str, Any]) -> None:
        """Add one row; columns left out are null."""
        assert self._file is not None, "use the journal as a context manager"
        line = line_of(row, self._schema)
        with disk_errors(self._path):
            while line:
                line = line[os.write(self._file, line) :]


def line_of(row: Mapping[str, Any], schema: pa.Schema) -> bytes:
    """A row as a line of JSON; columns left out are null, bytes are hexadecimal."""
    unknown = set(row) - set(schema.names)
    assert not unknown, f"columns not in the schema: {unknown}"
    complete = {name: row.get(name) for name in schema.names}
    return json.dumps(complete, ensure_ascii=True, default=bytes.hex).encode() + b"\n"


def read_journal(path: Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    """The rows of a journal; see `rows_of`.

    Raises:
        CorruptFileError: a line is damaged.
    """
    if path.exists():
        with path.open("rb") as lines:
            yield from rows_of(lines, path, schema)


def rows_of(lines: Iterable[bytes], place: Place, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    """The rows of lines; a last line without an end is left out, being the row that a kill cut off.

    Raises:
        CorruptFileError: a line is damaged.
    """
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            return
        try:
            row = json.loads(line)
            for field in schema:
                if field.nullable:  # an optional column of a later version
                    row.setdefault(field.name, None)
            complete = {field.name: _from_json(row[field.name], field.type) for field in schema}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptFileError(
                f"{place}: line {number} is damaged; delete that line (its row is done again) and run this again"
            ) from error
        yield complete


def _from_json(value: Any, kind: pa.DataType) -> Any:
    if value is not None and (pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind)):
        return bytes.fromhex(value)
    return value


def _drop_torn_line(path: Path) -> None:
    """Cut off a last line without an end, or the next row would be glued to it."""
    if not path.exists():
        return
    with path.open("rb") as handle:
        size = end = handle.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 4096)
            handle.seek(start)
            newline = handle.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
    if end != size:
        os.truncate(path, end)
