"""A crawl's tables in SQLite while it goes on: in the workspace's folder, or on this machine's disk if it is at a URL.

    <workspace>/crawl.sqlite     on a disk; at a URL <scratch>/crawl.sqlite (`noisyweb.scratch`) and
    <workspace>/crawl.token      which of such databases counts: the one that was begun last

A database is begun with a token of its own, which stands at the URL until its tables are there. One that finds another
token there, or none, is older than what is at the URL and never written over it. What it has to tell meanwhile goes
into journals at the URL, so that another machine can go on.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from noisyweb.atomic import clear_temporary
from noisyweb.crawl_changes import Changes, changes_of, note_changes
from noisyweb.errors import SourceError
from noisyweb.remote_journal import Objects
from noisyweb.remote_path import RemotePath
from noisyweb.scratch import make_scratch, scratch_folder
from noisyweb.table_files import CRAWL_TABLES, TABLES, TableFiles
from noisyweb.tabledb import Database, sql_errors

_NAME = "crawl.sqlite"


class CrawlTables:
    """See the module.

    Args:
        files: the workspace's.
    """

    def __init__(self, files: TableFiles) -> None:
        self._files = files
        folder = files.folder
        self._remote = folder if isinstance(folder, RemotePath) else None
        self.path = (folder if isinstance(folder, Path) else scratch_folder(folder)) / _NAME
        self._journals: dict[str, Objects] = {}

    def table(self, name: str) -> pa.Table | None:
        """A table as the database has it; None where there is none that counts."""
        if not self.path.exists():
            return None
        database = Database(self.path, {name: TABLES[name]}, readonly=True)
        try:
            with sql_errors(self.path):
                if _is_loaded(database) and (self._remote is None or _token(database) == self._token_there()):
                    return database.table(name, CRAWL_TABLES[name])
        finally:
            database.close()
        return None

    @contextlib.contextmanager
    def database(self) -> Iterator[Database]:
        """See `noisyweb.workspace.Workspace.database`."""
        if self._remote is not None:
            make_scratch(self._remote)
        else:
            for name in (*(f"{name}.parquet" for name in CRAWL_TABLES), "ATTRIBUTION.md", "crawl-report.json"):
                clear_temporary(self.path.with_name(name))
        database = Database(self.path, {name: TABLES[name] for name in CRAWL_TABLES})
        self._journals = {}
        try:
            with sql_errors(self.path):
                self._load(database)
                yield database
                self.checkpoint(database)  # so that any of the tables, old or new, and the journals make a whole
                files = [file for name in CRAWL_TABLES for file in self._files.journal_files(name)]
                with database.transaction():  # nothing may change between the first table and the last
                    for name, order in CRAWL_TABLES.items():
                        self._export(database, name, order)
                self._files.forget(files)
        except BaseException:
            database.close()
            raise
        database.remove()
        if self._remote is not None:  # last: a database that is gone cannot be taken for an older one
            self._files.check()
            (self._remote / "crawl.token").unlink(missing_ok=True)

    def finish(self) -> None:
        """Turn a killed crawl's database into Parquet."""
        if self.path.exists():
            with self.database():
                pass

    def changes(self, database: Database) -> Changes | None:
        """Some rows that have changed since they were told to the URL; None if there are none, or no URL."""
        return changes_of(database, self._journals) if self._remote is not None else None

    def checkpoint(self, database: Database) -> None:
        """Tell the URL all that has changed."""
        while (changes := self.changes(database)) is not None:
            changes.send()
            changes.forget(database)

    def _load(self, database: Database) -> None:
        """Fill a new database from Parquet and journals; one that is loaded already is what counts."""
        token = self._begin(database) if self._remote is not None else ""
        if not _is_loaded(database):
            with database.transaction():
                for name in CRAWL_TABLES:
                    database.sql.execute(f'DELETE FROM "{name}"')
                    database.load(name, self._files.batches(name))
                    journal = list(self._files.added(name, self._files.journal_files(name)))
                    if journal:
                        database.load(name, pa.Table.from_pylist(journal, schema=TABLES[name][0]).to_batches())
                database.sql.execute("CREATE TABLE loaded (done INTEGER)")
                if token:
                    database.sql.execute("CREATE TABLE token (token TEXT)")
                    database.sql.execute("INSERT INTO token VALUES (?)", (token,))
                    note_changes(database)
        if self._remote is None:  # those at a URL stay until the tables are there, in case this machine dies
            self._files.forget([file for name in CRAWL_TABLES for file in self._files.journal_files(name)])

    def _begin(self, database: Database) -> str:
        """Let this database be the one that counts; its token.

        Raises:
            SourceError: it is older than what is at the URL.
        """
        assert self._remote is not None
        self._journals = {name: Objects(self._remote / f"{name}.journal", self._files.check) for name in CRAWL_TABLES}
        if _is_loaded(database):
            if (token := _token(database)) != self._token_there():
                raise SourceError(
                    f"{self.path}: left by a crawl of {self._remote} that another machine has gone on with since; what "
                    "is there is newer: delete this file, then run this again"
                )
            return token
        self._files.check()
        token = secrets.token_hex(8)
        (self._remote / "crawl.token").write_bytes(token.encode())
        return token

    def _token_there(self) -> str:
        assert self._remote is not None
        place = self._remote / "crawl.token"
        return place.read_text() if place.is_file() else ""

    def _export(self, database: Database, name: str, order: tuple[str, ...]) -> None:
        place = self._files.folder / f"{name}.parquet"
        if isinstance(place, RemotePath):
            self._files.check()
        database.export(name, place, order)


def _is_loaded(database: Database) -> bool:
    """Whether all that the Parquet files held is in the database: it is what counts from then on."""
    return bool(database.sql.execute("SELECT count(*) FROM sqlite_master WHERE name = 'loaded'").fetchone()[0])


def _token(database: Database) -> str:
    return str(database.sql.execute("SELECT token FROM token").fetchone()[0])
