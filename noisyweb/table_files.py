"""The tables of a workspace as files, in a folder or at a URL: each a Parquet file, replaced whole, and a journal.

At a URL a table is read as a copy on this machine's disk, so that it is of one version, and its journal before it: what
another process folds meanwhile is in the table then, and taking it in twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb import schemas
from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.journal import Journal, read_journal
from noisyweb.places import remove_all, unnamed_file, write_file
from noisyweb.remote_journal import GoneError, RemoteJournal, object_places, read_objects
from noisyweb.remote_path import Place, RemotePath
from noisyweb.tabledb import Tables

TABLES: Tables = {
    "candidates": (schemas.CANDIDATES, ("url", "label")),
    "searches": (schemas.SEARCHES, ("label", "provider", "query", "filters")),
    "images": (schemas.IMAGES, ("url", "label")),
    "hashes": (schemas.HASHES, ("image_id",)),
    "dhashes": (schemas.DHASHES, ("image_id",)),
    "views": (schemas.VIEWS, ("image_id",)),
    "embeddings": (schemas.EMBEDDINGS, ("image_id", "model")),
    "duplicates": (schemas.DUPLICATES, ("image_id", "label")),
    "clean_duplicates": (schemas.CLEAN_DUPLICATES, ("train_id",)),
    "votes": (schemas.VOTES, ("image_id", "label", "annotator")),
    "vision_labels": (schemas.VISION_LABELS, ("image_id",)),
    "verdicts": (schemas.VERDICTS, ("image_id", "label")),
    "known": (schemas.KNOWN, ("image_id", "label")),
    "known_votes": (schemas.VOTES, ("image_id", "label", "annotator")),
}
"""Every table's schema and key."""

CRAWL_TABLES: Mapping[str, tuple[str, ...]] = {
    "candidates": ("label", "rank", "provider", "query", "url"),
    "searches": ("label", "provider", "query", "filters"),
    "images": ("label", "url"),
    "hashes": ("image_id",),
}
"""The tables that a crawl writes, and the order of their rows."""

GROUP_ROWS = 1 << 16
"""Rows of a row group, so that a table can be read a piece at a time."""

_BUFFER_BYTES = 1 << 20
_TRIES = 5


class TableFiles:
    """Reads and writes them.

    Args:
        folder: of the workspace.
        check: called before a write at a URL; raises if this process may not write any more.
    """

    def __init__(self, folder: Place, check: Callable[[], None]) -> None:
        self.folder, self.check = folder, check

    def journal(self, name: str) -> Journal | RemoteJournal:
        """See `noisyweb.workspace.Workspace.journal`."""
        place, (schema, _) = self.journal_place(name), TABLES[name]
        return Journal(place, schema) if isinstance(place, Path) else RemoteJournal(place, schema, self.check)

    def journal_place(self, name: str) -> Place:
        """Where a journal is: a file, or the folder of a remote one's objects."""
        return self.folder / f"{name}.journal"

    def journal_files(self, name: str) -> list[Place]:
        """The files of a journal, in the order of their writing."""
        place = self.journal_place(name)
        if isinstance(place, Path):
            return [place] if place.exists() else []
        return list(object_places(place))

    def added(self, name: str, files: Sequence[Place]) -> Iterator[dict[str, Any]]:
        """The rows of files of a journal.

        Raises:
            CorruptFileError: a line is damaged.
            GoneError: another process has folded it meanwhile.
        """
        schema = TABLES[name][0]
        for file in files:
            if isinstance(file, Path):
                yield from read_journal(file, schema)
        yield from read_objects([file for file in files if isinstance(file, RemotePath)], schema)

    def read(self, name: str) -> tuple[pa.Table, list[Place]]:
        """A table with its journal, and the journal's files that are in it.

        Raises:
            CorruptFileError: its Parquet file is damaged or of another schema.
        """
        schema, _ = TABLES[name]
        for _ in range(_TRIES):
            files = self.journal_files(name)
            try:
                added = list(self.added(name, files))
            except GoneError:
                continue
            batches = list(self._merged(name, added))
            if added and isinstance(self.folder, RemotePath) and not set(files) <= set(self.journal_files(name)):
                continue  # folded meanwhile, and perhaps changed since: what the journal says may be older
            return pa.Table.from_batches(batches, schema=schema), files
        raise SourceError(f"{self.folder}: other processes keep changing {name}; try again once they have ended")

    def _merged(self, name: str, added: Sequence[dict[str, Any]]) -> Iterator[pa.RecordBatch]:
        """A table's file with the rows of its journal: of one key the last counts, where the first stood."""
        if not added:
            yield from self.batches(name)
            return
        import pyarrow.compute as pc  # a tenth of a crawl's imports, and seldom needed

        schema, key = TABLES[name]
        last = {tuple(row[column] for column in key): row for row in added}
        places = {values: place for place, values in enumerate(last)}
        new = pa.RecordBatch.from_pylist(list(last.values()), schema=schema)
        is_left = np.ones(len(new), bool)
        for batch in self.batches(name):
            maybe = np.flatnonzero(pc.is_in(batch[key[0]], new[key[0]]).to_numpy(zero_copy_only=False))
            keys = zip(*(batch[column].take(pa.array(maybe)).to_pylist() for column in key), strict=True)
            found = [
                (row, places[values]) for row, values in zip(maybe.tolist(), keys, strict=True) if values in places
            ]
            if found:
                rows = np.arange(len(batch))
                old, by = np.array(found).T
                rows[old] = len(batch) + by
                is_left[by] = False
                both = pa.Table.from_batches([batch, new])
                yield from both.take(pa.array(rows)).combine_chunks().to_batches()
            else:
                yield batch
        yield from pa.Table.from_batches([new]).filter(pa.array(is_left)).to_batches()

    def settle(self, name: str) -> None:
        """Fold a table's journal into its file, in a stream; nobody else may do so meanwhile."""
        if files := self.journal_files(name):
            self.write_batches(name, self._merged(name, list(self.added(name, files))), files)

    def write(self, name: str, table: pa.Table, files: Sequence[Place] | None = None) -> None:
        """Replace a table, then remove its journal.

        Args:
            name: which.
            table: its rows.
            files: of the journal; None: all that are there now.
        """
        schema, _ = TABLES[name]
        self.write_batches(name, table.select(schema.names).cast(schema).to_batches(), files)

    def write_batches(self, name: str, batches: Iterable[pa.RecordBatch], files: Sequence[Place] | None = None) -> None:
        """The same with rows that come in a stream; they may come from the table that is replaced."""
        schema, _ = TABLES[name]
        if files is None:
            files = self.journal_files(name)
        if isinstance(self.folder, RemotePath):
            self.check()
        with (
            write_file(self.folder / f"{name}.parquet") as temporary,
            pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
        ):
            for group in tables_of(batches, GROUP_ROWS):
                writer.write_table(group)
            if isinstance(self.folder, RemotePath):
                self.check()
        self.forget(files)

    def forget(self, files: Sequence[Place]) -> None:
        """Remove files of journals that are in their tables now."""
        for file in files:
            if isinstance(file, Path):
                file.unlink(missing_ok=True)
        remove_all(file for file in files if isinstance(file, RemotePath))

    def batches(
        self, name: str, columns: Sequence[str] | None = None, size: int = GROUP_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """A table's Parquet file, a batch at a time; columns of a later version that it lacks are null.

        Args:
            name: which.
            columns: those wanted; None: all.
            size: rows of a batch.
        """
        place = self.folder / f"{name}.parquet"
        if isinstance(place, Path):
            if place.exists():
                yield from _batches(place, place, name, columns, size)
        elif place.is_file():
            with unnamed_file() as copy:
                place.download(copy)
                yield from _batches(copy, place, name, columns, size)


def tables_of(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """Rows in tables of ``size``, however they come; the last may have fewer. The same rows give the same tables."""
    held: list[pa.RecordBatch] = []
    num_rows = 0
    for batch in batches:
        while num_rows + len(batch) >= size:
            held.append(batch.slice(0, size - num_rows))
            batch = batch.slice(size - num_rows)
            yield pa.Table.from_batches(held).combine_chunks()
            held, num_rows = [], 0
        if len(batch):
            held.append(batch)
            num_rows += len(batch)
    if held:
        yield pa.Table.from_batches(held).combine_chunks()


def _batches(path: Path, place: Place, name: str, columns: Sequence[str] | None, size: int) -> Iterator[pa.RecordBatch]:
    schema, _ = TABLES[name]
    if columns is not None:
        schema = pa.schema([schema.field(column) for column in columns])
    try:
        file = pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES)  # else all that was read stays
        for batch in file.iter_batches(size, columns=columns):
            known = set(batch.schema.names)
            missing = [f.name for f in schema if f.name not in known and not f.nullable]
            if missing:
                raise KeyError(f"no column {missing[0]!r}")
            arrays = [
                batch.column(f.name).cast(f.type) if f.name in known else pa.nulls(len(batch), f.type) for f in schema
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
    except (pa.ArrowException, KeyError, OSError) as error:
        raise CorruptFileError(
            f"{place}: not a readable {name} table ({str(error).splitlines()[0]}); "
            "restore it from a copy, or delete it and run that stage again"
        ) from error
