"""The annotation page's book: who may answer, what is asked, and every answer, in ``<workspace>/labels.sqlite``.

An answer is in the write-ahead log, and on the disk, before its annotator is told that it is saved. A question has at
most one answer of each annotator; ``history`` keeps all that were ever given, taken back ones included.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from noisyweb.errors import CorruptFileError
from noisyweb.schemas import KNOWN, VOTES
from noisyweb.tabledb import sql_errors, transaction
from noisyweb.votes import as_votes

FILE = "labels.sqlite"
BACKEND = "page"
KEY = ("label", "image_id", "annotator")
_VERSION = 1

_TABLES = """
CREATE TABLE salt (salt BLOB NOT NULL);
CREATE TABLE annotators (name TEXT PRIMARY KEY, token TEXT NOT NULL);
CREATE TABLE sessions (cookie TEXT PRIMARY KEY, annotator TEXT NOT NULL);
CREATE TABLE questions (
    id TEXT PRIMARY KEY, image_id TEXT NOT NULL, label INTEGER NOT NULL, known TEXT, is_asked INTEGER NOT NULL,
    UNIQUE (image_id, label)
);
CREATE TABLE samples (
    label INTEGER NOT NULL, place INTEGER NOT NULL, image_id TEXT NOT NULL, PRIMARY KEY (label, place)
);
CREATE TABLE answers (
    question TEXT NOT NULL, annotator TEXT NOT NULL, answer TEXT NOT NULL, seconds REAL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (question, annotator)
) WITHOUT ROWID;
CREATE TABLE history (
    question TEXT NOT NULL, annotator TEXT NOT NULL, answer TEXT, seconds REAL, at_ms INTEGER NOT NULL
);
"""


@dataclass(frozen=True)
class Question:
    """Is this image a <class>?

    Attributes:
        id: what the page calls it; tells nothing of the image, nor whether the answer is known.
        image_id: SHA-256 of the image bytes.
        label: the class asked about.
        known: the right answer, yes or no, of an image that measures annotators; None of a real question.
    """

    id: str
    image_id: str
    label: int
    known: str | None


class Book:
    """The book of one workspace.

    Args:
        folder: the workspace's.
        readonly: open what is there, and write nothing.

    Raises:
        CorruptFileError: the file is damaged, or of another version.
        OutputError: it cannot be opened.
    """

    def __init__(self, folder: Path, *, readonly: bool = False) -> None:
        self.path = folder / FILE
        with sql_errors(self.path):
            mode = "rwc"
            if readonly:  # a folder that nobody may write to has no room for the log's index; then none is needed
                has_log = self.path.with_name(f"{FILE}-wal").exists()
                mode = "ro" if has_log else "ro&immutable=1"
            # One thread at a time uses a connection: the writer's, or the event loop's.
            self.sql = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
            )
            self.sql.execute("PRAGMA busy_timeout = 10000")
            if not readonly:
                self.sql.execute("PRAGMA journal_mode = WAL")
                self.sql.execute("PRAGMA synchronous = FULL")  # a vote survives a power cut too
                self._make()
            [version] = self.sql.execute("PRAGMA user_version").fetchone()
        if version != _VERSION:
            raise CorruptFileError(
                f"{self.path}: version {version} of the annotation page's book, expected {_VERSION}; "
                "use the noisyweb that made it, or move it away"
            )

    def _make(self) -> None:
        with self.transaction():
            if not self.sql.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in _TABLES.split(";"):
                    self.sql.execute(statement)
                self.sql.execute("INSERT INTO salt VALUES (?)", (secrets.token_bytes(16),))
                self.sql.execute(f"PRAGMA user_version = {_VERSION}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements of the block or none of them."""
        with sql_errors(self.path), transaction(self.sql):
            yield

    @property
    def name(self) -> str:
        """What tells this book from those of other workspaces; no secret."""
        [[salt]] = self._read("SELECT salt FROM salt")
        return hashlib.blake2b(b"name", key=salt, digest_size=8).hexdigest()

    def close(self) -> None:
        """Close the connection."""
        self.sql.close()

    # -- what is asked ---------------------------------------------------------------------------------

    def ask(self, keys: Iterable[tuple[str, int]]) -> None:
        """Ask these questions, (image id, label), and no others; answers to earlier ones are kept."""
        with self.transaction():
            self.sql.execute("UPDATE questions SET is_asked = 0 WHERE known IS NULL")
            self._insert((image_id, label, None) for image_id, label in keys)

    def plant(self, known: Iterable[tuple[str, int, str]]) -> None:
        """Hide questions with known answers, (image id, label, yes or no), among the others; earlier ones stay."""
        with self.transaction():
            self._insert(known)

    def _insert(self, rows: Iterable[tuple[str, int, str | None]]) -> None:
        [salt] = self.sql.execute("SELECT salt FROM salt").fetchone()
        self.sql.executemany(
            "INSERT INTO questions VALUES (?, ?, ?, ?, 1) ON CONFLICT (image_id, label) DO UPDATE SET is_asked = 1",
            ((_question_id(salt, image_id, label), image_id, label, known) for image_id, label, known in rows),
        )

    def questions(self) -> list[Question]:
        """All that is asked now, sorted by (label, id)."""
        rows = self._read("SELECT id, image_id, label, known FROM questions WHERE is_asked ORDER BY label, id")
        return [Question(*row) for row in rows]

    def ids(self) -> frozenset[str]:
        """The ids of all questions that were ever asked."""
        return frozenset(each for (each,) in self._read("SELECT id FROM questions"))

    def set_samples(self, rows: Iterable[tuple[int, int, str]]) -> None:
        """Clean images to look at beside a question: (label, place, image id)."""
        with self.transaction():
            self.sql.executemany("REPLACE INTO samples VALUES (?, ?, ?)", rows)

    def samples(self) -> dict[int, list[str]]:
        """The image ids of each label's clean images."""
        found: dict[int, list[str]] = {}
        for label, image_id in self._read("SELECT label, image_id FROM samples ORDER BY label, place"):
            found.setdefault(label, []).append(image_id)
        return found

    # -- answers ---------------------------------------------------------------------------------------

    def answers(self) -> list[tuple[str, str, str]]:
        """All that stand: (annotator, question id, answer)."""
        return self._read("SELECT annotator, question, answer FROM answers")

    def taken_back(self) -> pa.Table:
        """The keys (label, image_id, annotator) of answers that were given once and do not stand."""
        rows = self._read(
            "SELECT DISTINCT q.label, q.image_id, h.annotator FROM history h JOIN questions q ON q.id = h.question "
            "LEFT JOIN answers a ON a.question = h.question AND a.annotator = h.annotator WHERE a.answer IS NULL"
        )
        columns = zip(KEY, _columns(rows, len(KEY)), strict=True)
        return pa.table({name: pa.array(column, VOTES.field(name).type) for name, column in columns})

    def votes(self, *, known: bool) -> pa.Table:
        """The answers as a table of `noisyweb.schemas.VOTES`, sorted by (label, image_id, annotator).

        Args:
            known: those on images whose answer is known, or the real ones.
        """
        rows = self._read(
            "SELECT q.image_id, q.label, a.annotator, a.answer, a.seconds, a.at_ms FROM answers a "
            "JOIN questions q ON q.id = a.question WHERE (q.known IS NOT NULL) = ? ORDER BY 2, 1, 3",
            known,
        )
        names = ("image_id", "label", "annotator", "answer", "seconds", "answered_at")
        columns: dict[str, Any] = dict(zip(names, _columns(rows, len(names)), strict=True))
        return as_votes(
            {
                "image_id": pa.array(columns["image_id"], pa.string()),
                "label": pa.array(columns["label"], pa.int32()),
                "annotator": pa.array(columns["annotator"], pa.string()),
                "answer": pa.array(columns["answer"], pa.string()),
                "backend": pa.array([BACKEND] * len(rows), pa.string()),
                "seconds": pa.array(columns["seconds"], pa.float32()),
                "answered_at": pa.array(columns["answered_at"], pa.int64()).cast(pa.timestamp("ms", tz="UTC")),
            }
        )

    def known(self) -> pa.Table:
        """The known answers, a table of `noisyweb.schemas.KNOWN` sorted by (label, image_id)."""
        rows = self._read(
            "SELECT image_id, label, known FROM questions WHERE known IS NOT NULL ORDER BY label, image_id"
        )
        columns = _columns(rows, len(KNOWN))
        return pa.table([pa.array(column, field.type) for column, field in zip(columns, KNOWN, strict=True)], KNOWN)

    def _read(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with sql_errors(self.path):
            return self.sql.execute(statement, values).fetchall()


def record(
    sql: sqlite3.Connection, annotator: str, question: str, answer: str | None, seconds: float | None, at_ms: int
) -> str | None:
    """Write one answer, or take it back; give the one that stood before.

    Args:
        sql: a connection within a transaction.
        annotator: who answered.
        question: its id.
        answer: yes, no or unsure; None takes it back.
        seconds: from seeing the image to answering, if measured.
        at_ms: milliseconds since 1970.
    """
    key = (question, annotator)
    row = sql.execute("SELECT answer FROM answers WHERE question = ? AND annotator = ?", key).fetchone()
    earlier: str | None = row[0] if row else None
    if answer == earlier:  # sent again after a lost reply
        return earlier
    if answer is None:
        sql.execute("DELETE FROM answers WHERE question = ? AND annotator = ?", key)
    else:
        sql.execute("REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", (*key, answer, seconds, at_ms))
    sql.execute("INSERT INTO history VALUES (?, ?, ?, ?, ?)", (*key, answer, seconds, at_ms))
    return earlier


def _question_id(salt: bytes, image_id: str, label: int) -> str:
    return hashlib.blake2b(f"{label}/{image_id}".encode(), key=salt, digest_size=12).hexdigest()


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width
