"""What has changed in a crawl's database since it was last told to a workspace at a URL.

Triggers note the key of each row that is written, in the same transaction, with the number of the next telling. So
nothing is missed when a process is killed, and what changes while a telling is under way is told by the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from noisyweb.journal import line_of
from noisyweb.remote_journal import Objects
from noisyweb.table_files import CRAWL_TABLES, TABLES
from noisyweb.tabledb import Database

MOST_ROWS = 20_000
"""Of a table that are told at once."""


@dataclass(frozen=True)
class Changes:
    """Some rows that have changed.

    Attributes:
        lines: by table, as a journal has them.
    """

    lines: Mapping[str, Sequence[bytes]]
    _journals: Mapping[str, Objects]
    _keys: Mapping[str, Sequence[tuple[Any, ...]]]
    _turn: int

    def send(self) -> None:
        """Write them as objects of the journals; may run in another thread than the database's.

        Raises:
            SourceError: the workspace's lock was lost.
            RemoteError: the store refuses, or has not answered for a minute.
        """
        for name, lines in self.lines.items():
            self._journals[name].write(lines)

    def forget(self, database: Database) -> None:
        """They have been sent: do not tell them again unless they change again."""
        with database.transaction():
            for name, keys in self._keys.items():
                where = " AND ".join(f'"{column}" = ?' for column in TABLES[name][1])
                rows = [(*key, self._turn) for key in keys]
                database.sql.executemany(f'DELETE FROM "changed_{name}" WHERE {where} AND turn <= ?', rows)


def note_changes(database: Database) -> None:
    """Note from now on which rows are written."""
    database.sql.execute("CREATE TABLE turns (turn INTEGER)")
    database.sql.execute("INSERT INTO turns VALUES (0)")
    for name in CRAWL_TABLES:
        key = TABLES[name][1]
        columns = ", ".join(f'"{column}"' for column in key)
        database.sql.execute(
            f'CREATE TABLE "changed_{name}" ({columns}, turn INTEGER, PRIMARY KEY ({columns})) WITHOUT ROWID'
        )
        values = ", ".join(f'NEW."{column}"' for column in key)
        for event in ("INSERT", "UPDATE"):
            database.sql.execute(
                f'CREATE TRIGGER "{name}_{event}" AFTER {event} ON "{name}" BEGIN '
                f'INSERT OR REPLACE INTO "changed_{name}" VALUES ({values}, (SELECT turn FROM turns)); END'
            )


def changes_of(database: Database, journals: Mapping[str, Objects]) -> Changes | None:
    """Some of what has changed and has not been told; None if there is nothing."""
    ((turn,),) = database.sql.execute("SELECT turn FROM turns").fetchall()
    database.sql.execute("UPDATE turns SET turn = turn + 1")  # what changes from here on is told again
    lines: dict[str, list[bytes]] = {}
    keys: dict[str, list[tuple[Any, ...]]] = {}
    for name in CRAWL_TABLES:
        schema, key = TABLES[name]
        columns = ", ".join(f't."{column}"' for column in schema.names)
        on = " AND ".join(f'c."{column}" = t."{column}"' for column in key)
        found = database.sql.execute(
            f'SELECT {columns} FROM "changed_{name}" c JOIN "{name}" t ON {on} WHERE c.turn <= ? LIMIT ?',
            (turn, MOST_ROWS),
        ).fetchall()
        if found:
            rows = [_row(values, schema) for values in found]
            lines[name] = [line_of(row, schema) for row in rows]
            keys[name] = [tuple(row[column] for column in key) for row in rows]
    return Changes(lines, journals, keys, turn) if lines else None


def _row(values: Sequence[Any], schema: pa.Schema) -> dict[str, Any]:
    return {
        field.name: bool(value) if value is not None and pa.types.is_boolean(field.type) else value
        for field, value in zip(schema, values, strict=True)
    }
