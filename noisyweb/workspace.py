"""A workspace: the tables of a crawl and the images they speak of, in one folder or at an fsspec URL.

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

At a URL (``s3://bucket/ws``) the same files are objects, each replaced whole; journals are folders of small objects
(`noisyweb.remote_journal`), the lock is one too (`noisyweb.remote_lock`), and crawl.sqlite is on this machine's disk
(`noisyweb.crawl_tables`).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from noisyweb.atomic import disk_errors, held_alone
from noisyweb.crawl_changes import Changes
from noisyweb.crawl_tables import CrawlTables
from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.journal import Journal
from noisyweb.places import write_whole
from noisyweb.remote_journal import RemoteJournal
from noisyweb.remote_lock import RemoteLock
from noisyweb.remote_path import Place, RemotePath, place_of
from noisyweb.store import open_store
from noisyweb.table_files import CRAWL_TABLES, TABLES, TableFiles
from noisyweb.tabledb import Database

__all__ = ["CRAWL_TABLES", "SCAN_ROWS", "TABLES", "Workspace"]

SCAN_ROWS = 1 << 14


class Workspace:
    """The tables and the image store of one folder; see the module's docstring for its layout.

    Args:
        folder: where it is, or is to be: a path or an fsspec URL.
        create: make it if it is missing; at a URL there is nothing to make.

    Attributes:
        folder: the same as a place.
        store: the image store.

    Raises:
        SourceError: the folder is missing and ``create`` is false.
        RemoteError: the store behind the URL refuses or does not answer.
    """

    def __init__(self, folder: str | Place, *, create: bool = False) -> None:
        self.folder = place_of(folder)
        self.store = open_store(self.folder / "store")
        self._lock: RemoteLock | None = None
        self._files = TableFiles(self.folder, self._check_lock)
        self._crawl = CrawlTables(self._files)
        if isinstance(self.folder, RemotePath):
            names = {name for name, _ in self.folder.children()}
            if "crawl.sqlite" in names:
                raise SourceError(
                    f"{self.folder}: copied from a disk in the middle of a crawl (it holds crawl.sqlite); end the "
                    "crawl there, then copy it again without that file"
                )
            is_there = bool(names)
        else:
            if create:
                with disk_errors(self.folder):
                    self.folder.mkdir(parents=True, exist_ok=True)
            is_there = self.folder.is_dir()
        if not (is_there or create):
            raise SourceError(
                f"workspace {self.folder}: no such folder; make one with `noisyweb crawl --workspace {self.folder}`"
            )

    def on_disk(self) -> Path:
        """The folder, for what works on a disk only.

        Raises:
            SourceError: the workspace is at a URL.
        """
        if isinstance(self.folder, RemotePath):
            raise SourceError(
                f"workspace {self.folder}: this needs a workspace folder on a disk; copy it here first, and name "
                "the copy"
            )
        return self.folder

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other noisyweb processes from writing to this workspace meanwhile.

        Raises:
            SourceError: another process holds it.
        """
        refusal = SourceError(f"workspace {self.folder}: another noisyweb process is writing to it; wait for it to end")
        if isinstance(self.folder, Path):
            with held_alone(self.folder / ".lock", refusal):
                yield
            return
        with RemoteLock(self.folder / "lock", refusal) as self._lock:
            try:
                yield
            finally:
                self._lock = None

    def _check_lock(self) -> None:
        if self._lock is not None:
            self._lock.check()

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
        self._check_lock()
        write_whole(path, (json.dumps(list(names), ensure_ascii=False, indent=0) + "\n").encode())

    # -- tables ----------------------------------------------------------------------------------------

    def read(self, name: str) -> pa.Table:
        """One table, journal included; empty if nothing was written yet.

        Raises:
            CorruptFileError: its Parquet file is damaged or of another schema.
        """
        table = self._crawl.table(name) if name in CRAWL_TABLES else None
        return table if table is not None else self._files.read(name)[0]

    def write(self, name: str, table: pa.Table) -> None:
        """Replace one table, journal included."""
        self._files.write(name, table)

    def fold(self, name: str) -> pa.Table:
        """Fold the journal of a table, or what a killed crawl left, into its Parquet file and return the whole."""
        if name in CRAWL_TABLES:
            self._crawl.finish()
        table, files = self._files.read(name)
        if files:
            self._files.write(name, table, files)
        return table

    def scan(self, name: str, columns: Sequence[str] | None = None, size: int = SCAN_ROWS) -> Iterator[pa.RecordBatch]:
        """The same rows as `fold` gives, some at a time, for tables that are not to be held; keep it `locked`.

        Args:
            name: which table.
            columns: those wanted, in this order; None: all.
            size: rows of a batch.
        """
        self.settle(name)
        yield from self._files.batches(name, columns, size)
        pa.default_memory_pool().release_unused()  # what was read is not kept for a table that is as large

    def settle(self, name: str) -> None:
        """`fold` without the table, in a stream; keep the workspace `locked`."""
        if name in CRAWL_TABLES:
            self._crawl.finish()
        self._files.settle(name)

    def write_batches(self, name: str, batches: Iterable[pa.RecordBatch]) -> None:
        """`write` of rows that come in a stream, also from a `scan` of this table; keep the workspace `locked`."""
        self._files.write_batches(name, batches)

    def journal(self, name: str) -> Journal | RemoteJournal:
        """A writer that adds rows to one table at once; fold it when done. At a URL: within two seconds."""
        return self._files.journal(name)

    # -- a crawl's tables ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def database(self) -> Iterator[Database]:
        """The crawl's tables in SQLite for the length of a block, Parquet again at its end.

        Keep the workspace `locked` meanwhile. If the block or the process dies, the database stays, and the next
        block goes on with it. At a URL it is on this machine's disk; use `checkpoint` so that others can go on.

        Raises:
            SourceError: what was left on this machine is older than what is at the URL.
        """
        with self._crawl.database() as database:
            yield database

    def checkpoint(self, database: Database) -> None:
        """Write what has changed in `database` to the URL, if the workspace is at one; another machine goes on there.

        Raises:
            SourceError: the lock was lost.
            RemoteError: the store refuses, or has not answered for a minute.
        """
        self._crawl.checkpoint(database)

    def changes(self, database: Database) -> Changes | None:
        """The same in steps, for who must not wait: ``send()`` it in another thread, then ``forget(database)`` in this.

        Returns:
            Some of what has changed; None if nothing has, or the workspace is on a disk.
        """
        return self._crawl.changes(database)

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
        return self.store.load(image_ids)

    def path(self, image_id: str) -> Place:
        """Where an image is, or would be, stored."""
        return self.store.path(image_id)
