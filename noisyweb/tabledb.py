"""Tables in SQLite while they grow, Parquet when they are done: memory stays flat, and a kill loses nothing.

A table's columns and key are those of its pyarrow schema. Every statement is its own transaction unless grouped by
`Database.transaction`; the write-ahead log survives the death of the process at any instant.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.errors import CorruptFileError, OutputError
from noisyweb.places import write_file
from noisyweb.remote_path import Place

Tables = Mapping[str, tuple[pa.Schema, tuple[str, ...]]]

BATCH_ROWS = 5_000


_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNUSABLE = {
    *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR),
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED),
}


@contextlib.contextmanager
def sql_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a damaged file or a full disk into one clear error; other errors stay as they are."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            raise CorruptFileError(f"{path}: damaged ({error}); move it away, the .parquet files stay") from error
        if code == sqlite3.SQLITE_FULL:
            raise OutputError(f"{path}: the disk is full; free some space and go on, nothing is lost") from error
        if code in _UNUSABLE:
            raise OutputError(f"{path}: cannot be opened ({error}); name a folder that you may write to") from error
        raise


@contextlib.contextmanager
def transaction(sql: sqlite3.Connection) -> Iterator[None]:
    """All statements of the block or none of them."""
    sql.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if sql.in_transaction:  # a full disk has ended it already
            sql.execute("ROLLBACK")
        raise
    sql.execute("COMMIT")


def storable(text: str) -> str:
    """A stranger's text made fit for a table: half characters, such as a header's odd bytes become, are replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


class Database:
    """Tables of given schemas in one SQLite file.

    Args:
        path: the file; made if missing.
        tables: schemas and keys.
        readonly: open what is there, and write nothing.

    Raises:
        CorruptFileError: it is no database, or a damaged one.
        OutputError: it cannot be written.
    """

    def __init__(self, path: Path, tables: Tables, *, readonly: bool = False) -> None:
        self.path, self._tables = path, tables
        self._columns = {name: schema.names for name, (schema, _) in tables.items()}
        self._upserts = {name: _insert("REPLACE", name, schema) for name, (schema, _) in tables.items()}
        self._inserts = {name: _insert("IGNORE", name, schema) for name, (schema, _) in tables.items()}
        with sql_errors(path):
            self.sql = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode={'ro' if readonly else 'rwc'}", uri=True, isolation_level=None
            )
            if not readonly:
                self.sql.execute("PRAGMA journal_mode = WAL")
                self.sql.execute("PRAGMA synchronous = NORMAL")
                # A checkpoint waits for the disk, and for the images that are on their way to it.
                self.sql.execute("PRAGMA wal_autocheckpoint = 20000")
                for name, (schema, key) in tables.items():
                    self.sql.execute(_create(name, schema, key))
                    self._check_columns(name)

    def _check_columns(self, name: str) -> None:
        found = [row[1] for row in self.sql.execute(f'PRAGMA table_info("{name}")')]
        odd = sorted(set(found) ^ set(self._columns[name]))
        if odd:
            self.close()
            raise CorruptFileError(
                f"{self.path}: table {name} is of another version (column {odd[0]!r}); "
                "finish that crawl with the version that began it, or move the file away, the .parquet files stay"
            )

    def close(self) -> None:
        """Close the file."""
        self.sql.close()

    def remove(self) -> None:
        """Close and delete the file and its logs."""
        self.sql.execute("PRAGMA synchronous = OFF")  # no need to wait for the disk
        self.close()
        for suffix in ("", "-wal", "-shm"):  # without its log it would be an older one
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements of the block or none of them."""
        with transaction(self.sql):
            yield

    def put(self, name: str, row: Mapping[str, Any]) -> None:
        """Add a row, or replace the one with its key; columns left out are null."""
        self.sql.execute(self._upserts[name], [row.get(column) for column in self._columns[name]])

    def add(self, name: str, row: Mapping[str, Any]) -> int:
        """Add a row unless there is one with its key; return how many were added: 0 or 1."""
        values = [row.get(column) for column in self._columns[name]]
        return self.sql.execute(self._inserts[name], values).rowcount

    def load(self, name: str, batches: Iterable[pa.RecordBatch]) -> None:
        """Add many rows, replacing those with the same keys."""
        names = self._tables[name][0].names
        for batch in batches:
            known = set(batch.schema.names)
            columns = [batch.column(c).to_pylist() if c in known else [None] * len(batch) for c in names]
            self.sql.executemany(self._upserts[name], zip(*columns, strict=True))

    def batches(self, name: str, order: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """All rows of a table, ``BATCH_ROWS`` at a time."""
        schema = self._tables[name][0]
        columns = ", ".join(f'"{column}"' for column in schema.names)
        by = " ORDER BY " + ", ".join(f'"{column}"' for column in order) if order else ""
        cursor = self.sql.execute(f'SELECT {columns} FROM "{name}"{by}')
        while rows := cursor.fetchmany(BATCH_ROWS):
            values = zip(*rows, strict=True)
            arrays = [_array(column, field) for column, field in zip(values, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def table(self, name: str, order: Sequence[str] = ()) -> pa.Table:
        """A whole table in memory."""
        return pa.Table.from_batches(self.batches(name, order), schema=self._tables[name][0])

    def export(self, name: str, place: Place, order: Sequence[str]) -> None:
        """Write a table as Parquet, sorted, in bounded memory; what stands at ``place`` is replaced whole."""
        with (
            write_file(place) as temporary,
            pq.ParquetWriter(temporary, self._tables[name][0], compression="zstd") as writer,
        ):
            for batch in self.batches(name, order):
                writer.write_batch(batch)


def _array(values: Sequence[Any], field: pa.Field) -> pa.Array:
    """A column of values; made of buffers, since `pyarrow.array` imports pandas (half a second, 40 MB)."""
    kind, size = field.type, len(values)
    is_there = np.fromiter((value is not None for value in values), bool, size)
    validity = None if is_there.all() else pa.py_buffer(np.packbits(is_there, bitorder="little"))
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        pieces = [b"" if v is None else v.encode() if isinstance(v, str) else v for v in values]
        offsets = np.zeros(size + 1, np.int32)
        offsets[1:] = np.cumsum(np.fromiter(map(len, pieces), np.int64, size))
        buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(b"".join(pieces))]
    elif pa.types.is_fixed_size_binary(kind):
        blank = bytes(kind.byte_width)
        buffers = [validity, pa.py_buffer(b"".join(blank if value is None else value for value in values))]
    else:
        numbers = np.array(
            [value or 0 for value in values], bool if pa.types.is_boolean(kind) else kind.to_pandas_dtype()
        )
        data = np.packbits(numbers, bitorder="little") if pa.types.is_boolean(kind) else numbers
        buffers = [validity, pa.py_buffer(data)]
    array = pa.Array.from_buffers(kind, size, buffers)
    array.validate()
    return array


def _create(name: str, schema: pa.Schema, key: Sequence[str]) -> str:
    columns = ", ".join(f'"{field.name}" {_sql_type(field.type)}' for field in schema)
    keys = ", ".join(f'"{column}"' for column in key)
    return f'CREATE TABLE IF NOT EXISTS "{name}" ({columns}, PRIMARY KEY ({keys})) WITHOUT ROWID'


def _insert(otherwise: str, name: str, schema: pa.Schema) -> str:
    columns = ", ".join(f'"{column}"' for column in schema.names)
    return f'INSERT OR {otherwise} INTO "{name}" ({columns}) VALUES ({", ".join("?" * len(schema.names))})'


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "INTEGER"
    return "BLOB" if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) else "TEXT"
