"""A workspace: the tables of a crawl and the images they speak of, in one folder.

    <workspace>/classes.json          the class vocabulary that the labels refer to
    <workspace>/<table>.parquet       candidates, searches, images, hashes, views, duplicates, votes, verdicts, ...
    <workspace>/dedup.json            what the last dedup was asked for and looked at (`noisyweb.dedup_record`)
    <workspace>/<table>.journal       rows added since, one JSON line each, in case the process dies
    <workspace>/crawl.sqlite          candidates, searches, images and hashes while a crawl goes on, or was killed
    <workspace>/store/ab/abcd...      image bytes under their SHA-256 (`noisyweb.store`)

A row is in the journal before anything relies on it: one ``write`` a row, so that a killed process loses at
most the row it was writing. The journal is folded into the Parquet file when a stage ends, and by the next
stage if the last one was killed. Folding is idempotent: rows with the same key replace one another, last wins.
A crawl has too many rows for that: its tables grow in SQLite (`noisyweb.tabledb`) and become Parquet when it ends.
As long as crawl.sqlite is there, it is what counts.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb import schemas
from noisyweb.atomic import disk_errors, held_alone, replacing_file
from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.journal import Journal, read_journal
from noisyweb.store import ImageStore
from noisyweb.tabledb import Database, Tables, sql_errors

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
        self.store = ImageStore(self.folder / "store")
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
        message = f"workspace {self.folder}: another noisyweb process is writing to it; wait for it to end"
        with held_alone(self.folder / ".lock", SourceError(message)):
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
        if name in CRAWL_TABLES and self._database_path.exists():
            database = Database(self._database_path, {name: TABLES[name]}, readonly=True)
            try:
                with sql_errors(self._database_path):
                    if _is_loaded(database):
                        return database.table(name, CRAWL_TABLES[name])
            finally:
                database.close()
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
        """Fold the journal of a table, or what a killed crawl left, into its Parquet file and return the whole."""
        if name in CRAWL_TABLES:
            self._finish_crawl()
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
        batches = list(self._parquet_batches(name))
        schema = TABLES[name][0]
        return pa.Table.from_batches(batches, schema=schema) if batches else schema.empty_table()

    def _parquet_batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """A table's Parquet file, a batch at a time; columns of a later version that it lacks are null."""
        schema, _ = TABLES[name]
        path = self.folder / f"{name}.parquet"
        if not path.exists():
            return
        try:
            for batch in pq.ParquetFile(path).iter_batches():
                known = set(batch.schema.names)
                missing = [f.name for f in schema if f.name not in known and not f.nullable]
                if missing:
                    raise KeyError(f"no column {missing[0]!r}")
                arrays = [
                    batch.column(f.name).cast(f.type) if f.name in known else pa.nulls(len(batch), f.type)
                    for f in schema
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        except (pa.ArrowException, KeyError, OSError) as error:
            raise CorruptFileError(
                f"{path}: not a readable {name} table ({str(error).splitlines()[0]}); "
                "restore it from a copy, or delete it and run that stage again"
            ) from error

    def _read_journal(self, name: str) -> Iterator[dict[str, Any]]:
        return read_journal(self._journal_path(name), TABLES[name][0])

    # -- a crawl's tables ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def database(self) -> Iterator[Database]:
        """The crawl's tables in SQLite for the length of a block, Parquet again at its end.

        Keep the workspace `locked` meanwhile. If the block or the process dies, the database stays, and the next
        block goes on with it.
        """
        database = Database(self._database_path, {name: TABLES[name] for name in CRAWL_TABLES})
        try:
            with sql_errors(self._database_path):
                self._load(database)
                yield database
                with database.transaction():  # nothing may change between the first table and the last
                    for name, order in CRAWL_TABLES.items():
                        database.export(name, self.folder / f"{name}.parquet", order)
        except BaseException:
            database.close()
            raise
        database.remove()

    def _load(self, database: Database) -> None:
        """Fill a new database from Parquet and journals; one that is loaded already is what counts."""
        if not _is_loaded(database):
            with database.transaction():
                for name in CRAWL_TABLES:
                    database.sql.execute(f'DELETE FROM "{name}"')
                    database.load(name, self._parquet_batches(name))
                    journal = list(self._read_journal(name))
                    if journal:
                        database.load(name, pa.Table.from_pylist(journal, schema=TABLES[name][0]).to_batches())
                database.sql.execute("CREATE TABLE loaded (done INTEGER)")
        for name in CRAWL_TABLES:
            self._journal_path(name).unlink(missing_ok=True)

    def _finish_crawl(self) -> None:
        """Turn a killed crawl's database into Parquet."""
        if self._database_path.exists():
            with self.database():
                pass

    @property
    def _database_path(self) -> Path:
        return self.folder / "crawl.sqlite"

    # -- image store -----------------------------------------------------------------------------------

    def put(self, data: bytes) -> str:
        """Store image bytes once; return their id (SHA-256, hex)."""
        return self.store.put(data)

    def get(self, image_id: str) -> bytes:
        """The stored bytes of an image.

        Raises:
            SourceError: the store does not hold it.
        """
        return self.store.get(image_id)

    def load(self, image_ids: Sequence[str]) -> Iterator[bytes | None]:
        """The stored bytes of images; None where a file is gone."""
        for image_id in image_ids:
            try:
                yield self.store.get(image_id)
            except SourceError:
                yield None

    def path(self, image_id: str) -> Path:
        """Where an image is, or would be, stored."""
        return self.store.path(image_id)


def _is_loaded(database: Database) -> bool:
    """Whether all that the Parquet files held is in the database: it is what counts from then on."""
    return bool(database.sql.execute("SELECT count(*) FROM sqlite_master WHERE name = 'loaded'").fetchone()[0])
