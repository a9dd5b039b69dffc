"""One thread that writes: what many annotators send at the same time shares a transaction, and a wait for the disk."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from noisyweb.annotate.book import Book

T = TypeVar("T")
MOST_AT_ONCE = 256


class Writer:
    """Runs functions within transactions, in the order in which they came.

    Args:
        book: whose connection it uses; nobody else may, until it is closed.
    """

    def __init__(self, book: Book) -> None:
        self._ballots = book
        self._work: queue.SimpleQueue[tuple[Callable[[sqlite3.Connection], Any], Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._run, name="book")
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run ``work(connection)``; the future is done once its changes are on the disk."""
        future: Future[T] = Future()
        self._work.put((work, future))
        return future

    def close(self) -> None:
        """Finish what was submitted, and end."""
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._work.get()) is not None:
            batch, is_last = [first], False
            while len(batch) < MOST_AT_ONCE and not self._work.empty():
                following = self._work.get()
                if following is None:
                    is_last = True
                    break
                batch.append(following)
            self._write(batch)
            if is_last:
                return

    def _write(self, batch: list[tuple[Callable[[sqlite3.Connection], Any], Future[Any]]]) -> None:
        batch = [each for each in batch if each[1].set_running_or_notify_cancel()]
        results = []
        try:
            with self._ballots.transaction():
                for work, _ in batch:
                    results.append(work(self._ballots.sql))
        except BaseException as error:  # noqa: BLE001 - each of those who wait is told
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)
