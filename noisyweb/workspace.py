"""A workspace: the tables of a crawl and the images they speak of, in one folder.

    <workspace>/classes.json          the class vocabulary that the labels refer to
    <workspace>/<table>.parquet       candidates, searches, images, hashes, duplicates, votes, verdicts
    <workspace>/<table>.journal       rows added since, one JSON line each, in case the process dies
    <workspace>/store/ab/abcd...      image bytes under their SHA-256

A row is in the journal before anything relies on it: one ``write`` a row, so that a killed process loses at
most the row it was writing. The journal is folded into the Parquet file when a stage ends, and by the next
stage if the last one was killed. Folding is idempotent: rows with the same key replace one another, last wins.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb import schemas
from noisyweb.atomic import disk_errors, replacing_file
from noisyweb.errors import CorruptFileError, SourceError

TABLES: Mapping[str, tuple[pa.Schema, tuple[str, ...]]] = {
    "candidates": (schemas.CANDIDATES, ("url", "label")),
    "searches": (schemas.SEARCHES, ("label", "provider", "query", "filters")),
    "images": (schemas.IMAGES, ("url", "label")),
    "hashes": (schemas.HASHES, ("image_id",)),
    "duplicates": (schemas.DUPLICATES, ("image_id", "label")),
    "votes": (schemas.VOTES, ("image_id", "label", "annotator")),
    "verdicts": (schemas.VERDICTS, ("image_id", "label")),
}
"""Every table's schema and key."""


class Workspace:
    """The tables and the image store of one folder; see the module's docstring for its layout.

    Args:
        folder: where it is, or is to be.
        create: make it if it is missing.

    Raises:
        SourceError: the folder is missing and ``create`` is false.
    """

    def __init__(self, folder: str | Path, *, create: bool = False) -> None:
        self.folder = Path(folder)
        if create:
            with disk_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
        elif not self.folder.is_dir():
            raise SourceError(
                f"workspace {self.folder}: no such folder; make one with `noisyweb crawl --workspace {self.folder}`"
            )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other noisyweb processes from writing to this workspace meanwhile.

        Raises:
            SourceError: another process holds it.
        """
        with (self.folder / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SourceError(
                    f"workspace {self.folder}: another noisyweb process is writing to it; wait for it to end"
                ) from None
            yield

    # -- class vocabulary ------------------------------------------------------------------------------

    def class_names(self) -> list[str]:
        """The vocabulary; a label is an index into it.

        Raises:
            SourceError: no stage has set one yet.
        """
        path = self.folder / "classes.json"
        if not path.exists():
            raise SourceError(f"workspace {self.folder}: it has no classes yet; start with `noisyweb crawl`")
        try:
            names = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CorruptFileError(f"{path}: not valid JSON ({error})") from error
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise CorruptFileError(f"{path}: expected a list of class names")
        return names

    def set_class_names(self, names: Sequence[str]) -> None:
        """Set the vocabulary; once set it stays, since labels refer to it.

        Raises:
            SourceError: another vocabulary is already set.
        """
        path = self.folder / "classes.json"
        if path.exists():
            if self.class_names() != list(names):
                raise SourceError(
                    f"workspace {self.folder}: it holds {len(self.class_names())} other classes; "
                    "use another workspace for another class list"
                )
            return
        with replacing_file(path) as temporary:
            temporary.write_text(json.dumps(list(names), ensure_ascii=False, indent=0) + "\n", encoding="utf-8")

    # -- tables ----------------------------------------------------------------------------------------

    def read(self, name: str) -> pa.Table:
        """One table, journal included; empty if nothing was written yet.

        Raises:
            CorruptFileError: its Parquet file is damaged or of another schema.
        """
        schema, key = TABLES[name]
        table = self._read_parquet(name)
        added = list(self._read_journal(name))
        if not added:
            return table
        rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in (*table.to_pylist(), *added):
            rows[tuple(row[column] for column in key)] = row
        return pa.Table.from_pylist(list(rows.values()), schema=schema)

    def write(self, name: str, table: pa.Table) -> None:
        """Replace one table, journal included."""
        schema, _ = TABLES[name]
        with replacing_file(self.folder / f"{name}.parquet") as temporary:
            pq.write_table(table.select(schema.names).cast(schema), temporary, compression="zstd")
        self._journal_path(name).unlink(missing_ok=True)

    def fold(self, name: str) -> pa.Table:
        """Fold the journal of a table into its Parquet file and return the whole."""
        table = self.read(name)
        if self._journal_path(name).exists():
            self.write(name, table)
        return table

    def journal(self, name: str) -> Journal:
        """A writer that adds rows to one table at once; fold it when done."""
        return Journal(self._journal_path(name), TABLES[name][0])

    def _journal_path(self, name: str) -> Path:
        return self.folder / f"{name}.journal"

    def _read_parquet(self, name: str) -> pa.Table:
        schema, _ = TABLES[name]
        path = self.folder / f"{name}.parquet"
        if not path.exists():
            return schema.empty_table()
        try:
            return pq.read_table(path).select(schema.names).cast(schema)
        except (pa.ArrowException, KeyError, OSError) as error:
            raise CorruptFileError(
                f"{path}: not a readable {name} table ({str(error).splitlines()[0]}); "
                "restore it from a copy, or delete it and run that stage again"
            ) from error

    def _read_journal(self, name: str) -> Iterator[dict[str, Any]]:
        path = self._journal_path(name)
        if not path.exists():
            return
        schema = TABLES[name][0]
        with path.open("rb") as handle:
            for number, line in enumerate(handle, start=1):
                if not line.endswith(b"\n"):
                    return  # the row that was being written when the process died
                try:
                    row = json.loads(line)
                    complete = {field.name: _from_json(row[field.name], field.type) for field in schema}
                except (ValueError, KeyError, TypeError) as error:
                    raise CorruptFileError(
                        f"{path}: line {number} is damaged; delete that line (its row is done again) and run this again"
                    ) from error
                yield complete

    # -- image store -----------------------------------------------------------------------------------

    def put(self, data: bytes) -> str:
        """Store image bytes once; return their id (SHA-256, hex)."""
        image_id = hashlib.sha256(data).hexdigest()
        path = self.path(image_id)
        if not path.exists():
            with replacing_file(path) as temporary:
                temporary.write_bytes(data)
        return image_id

    def get(self, image_id: str) -> bytes:
        """The stored bytes of an image.

        Raises:
            SourceError: the store does not hold it.
        """
        try:
            return self.path(image_id).read_bytes()
        except FileNotFoundError:
            raise SourceError(
                f"workspace {self.folder}: image {image_id} is not in the store; crawl again or restore store/"
            ) from None

    def path(self, image_id: str) -> Path:
        """Where an image is, or would be, stored."""
        if len(image_id) != 64 or not set(image_id) <= set("0123456789abcdef"):
            raise SourceError(f"{image_id!r}: not an image id; expected 64 hexadecimal digits (SHA-256)")
        return self.folder / "store" / image_id[:2] / image_id


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
        unknown = set(row) - set(self._schema.names)
        assert not unknown, f"columns not in the schema: {unknown}"
        complete = {name: row.get(name) for name in self._schema.names}
        line = json.dumps(complete, ensure_ascii=True, default=bytes.hex).encode() + b"\n"
        with disk_errors(self._path):
            while line:
                line = line[os.write(self._file, line) :]


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
