"""A table's journal at a URL: small objects of rows, numbered in the order of their writing.

    <workspace>/<table>.journal/000000000017-3fa9c2e1.jsonl    JSON lines as in a local journal (`noisyweb.journal`)

An object store cannot append. Rows are collected and written as one object every two seconds, so that a killed process
loses what it added in the last two. Numbers go on from the largest that is there: with one writer at a time, which the
workspace's lock sees to, later rows have larger numbers whatever the machines' clocks say.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import pyarrow as pa

from noisyweb.errors import SourceError
from noisyweb.journal import line_of, rows_of
from noisyweb.places import AT_ONCE
from noisyweb.remote_path import RemotePath

EVERY_S = 2.0
MOST_ROWS = 1_000

_OBJECT = re.compile(r"\d{12}-[0-9a-f]{8}\.jsonl")


class RemoteJournal:
    """Writes rows of a table as numbered objects; see `noisyweb.journal.Journal`.

    Args:
        folder: of the objects.
        schema: of the rows.
        check: called before each object is written; raises if this process may not write any more.
    """

    def __init__(self, folder: RemotePath, schema: pa.Schema, check: Callable[[], None]) -> None:
        self._objects, self._schema = Objects(folder, check), schema
        self._lines: list[bytes] = []
        self._changed = threading.Condition()
        self._is_open = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._keep_writing, daemon=True)

    def __enter__(self) -> RemoteJournal:
        self._objects.begin()
        self._is_open = True
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_open = False
            self._changed.notify()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def add(self, row: Mapping[str, Any]) -> None:
        """Add one row; columns left out are null.

        Raises:
            RemoteError: the store refuses, or has not answered for a minute.
            SourceError: the workspace's lock was lost.
        """
        assert self._is_open, "use the journal as a context manager"
        line = line_of(row, self._schema)
        with self._changed:
            while len(self._lines) >= 2 * MOST_ROWS and self._error is None:  # the store is slower than the caller
                self._changed.wait()
            if self._error is not None:
                raise self._error
            self._lines.append(line)
            if len(self._lines) >= MOST_ROWS:
                self._changed.notify_all()

    def _keep_writing(self) -> None:
        try:
            is_open = True
            while is_open:
                with self._changed:
                    self._changed.wait_for(lambda: not self._is_open or len(self._lines) >= MOST_ROWS, EVERY_S)
                    lines, self._lines, is_open = self._lines, [], self._is_open
                    self._changed.notify_all()
                if lines:
                    self._objects.write(lines)
        except BaseException as error:  # noqa: BLE001  raised again by `add` or at the end
            with self._changed:
                self._error = error
                self._changed.notify_all()


class Objects:
    """The numbered objects of a journal, for writing.

    Args:
        folder: where they are.
        check: called before each write.
    """

    def __init__(self, folder: RemotePath, check: Callable[[], None]) -> None:
        self._folder, self._check, self._number = folder, check, -1

    def begin(self) -> None:
        """Go on behind what is there."""
        numbers = [_number(place) for place in object_places(self._folder)]
        self._number = max(numbers, default=0)

    def write(self, lines: Sequence[bytes]) -> None:
        """Write lines as one object, which appears whole."""
        if self._number < 0:
            self.begin()
        self._check()
        self._number += 1
        (self._folder / f"{self._number:012d}-{secrets.token_hex(4)}.jsonl").write_bytes(b"".join(lines))


def object_places(folder: RemotePath) -> list[RemotePath]:
    """The objects of a journal in the order of their writing; first the file of a journal that was copied from a disk.

    A listing of the workspace tells whether there are any: most often there are none.
    """
    there = folder.parent.children()
    copied = [folder] if (folder.name, False) in there else []
    if (folder.name, True) not in there:
        return copied
    names = [name for name, is_folder in folder.children() if not is_folder and _OBJECT.fullmatch(name)]
    return copied + [folder / name for name in names]


def _number(place: RemotePath) -> int:
    return int(place.name.partition("-")[0]) if _OBJECT.fullmatch(place.name) else 0


def read_objects(places: Sequence[RemotePath], schema: pa.Schema) -> Iterator[dict[str, Any]]:
    """The rows of some objects of a journal.

    Raises:
        GoneError: one is gone: another process has folded it meanwhile.
        CorruptFileError: a line is damaged.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(0, len(places), AT_ONCE):
            some = places[start : start + AT_ONCE]
            for place, data in zip(some, pool.map(_content, some), strict=True):
                if data is None:
                    raise GoneError(f"{place}: folded by another process meanwhile; run this again")
                yield from rows_of(data.splitlines(keepends=True), place, schema)


class GoneError(SourceError):
    """An object of a journal has been folded while the journal was read."""


def _content(place: RemotePath) -> bytes | None:
    try:
        return place.read_bytes()
    except SourceError:  # there is nothing
        return None
