"""The local engine: functions run in processes of this machine, each process one function at a time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections import deque
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self

from noisyweb.errors import NoisywebError
from noisyweb.scale.engine import DONE, FAILED, ITEM, Event, Function, Tally

_END = "end"


class LocalEngine:
    """See `noisyweb.scale.engine.Engine`.

    Args:
        workers: processes; None: one a core.
    """

    name = "local"

    def __init__(self, workers: int | None = None) -> None:
        self.num_workers = workers or os.cpu_count() or 1
        self.tally = Tally()
        self._queue: deque[tuple[str, Function, Any]] = deque()
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, _Worker] = {}
        self._ready: deque[Event] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.clear()
        for worker in (*self._idle, *self._busy.values()):
            worker.stop(kill=kind is not None or worker.key != "")
        self._idle, self._busy = [], {}

    def submit(self, key: str, function: Function, argument: Any) -> None:
        """See `noisyweb.scale.engine.Engine`."""
        self._queue.append((key, function, argument))
        self._fill()

    def wait(self, timeout_s: float | None = None) -> Event | None:
        """See `noisyweb.scale.engine.Engine`."""
        if not self._ready and self._busy:
            for link in wait(list(self._busy), timeout_s):
                assert isinstance(link, Connection)
                self._hear(link)
        return self._ready.popleft() if self._ready else None

    def check_nodes(self, function: Function, argument: Any) -> list[Any]:
        """See `noisyweb.scale.engine.Engine`; there are no other machines."""
        return []

    def _fill(self) -> None:
        while self._queue and len(self._busy) < self.num_workers:
            worker = self._idle.pop() if self._idle else _Worker()
            worker.key, function, argument = self._queue.popleft()
            self._busy[worker.link] = worker
            worker.give(function, argument)

    def _hear(self, link: Connection) -> None:
        """Take the next message of a worker, or its death."""
        worker = self._busy[link]
        try:
            kind, value, reason = link.recv()
        except (EOFError, ConnectionError):
            del self._busy[link]
            worker.process.join()
            code = worker.process.exitcode or 0
            died = f"its process died ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"
            self._ready.append(Event(worker.key, FAILED, reason=died))
        else:
            error = value if kind == FAILED else None
            self._ready.append(Event(worker.key, kind, None if error else value, reason, error=error))
            if kind == ITEM:
                return
            del self._busy[link]
            worker.key = ""
            self._idle.append(worker)
        self._fill()


class _Worker:
    """A process, started when it is made.

    Attributes:
        key: of the function that it runs; empty: none.
    """

    def __init__(self) -> None:
        self.key = ""
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
        self.link, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=False)
        # A Ctrl-C while it starts is for the parent as well; it comes there a moment later.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()

    def give(self, function: Function, argument: Any) -> None:
        with contextlib.suppress(ConnectionError):  # it has died: whoever waits for it hears that
            self.link.send((function, argument))

    def stop(self, kill: bool) -> None:
        self.link.close()  # an idle one ends by itself
        if kill:
            self.process.kill()
        self.process.join()


def _serve(link: Connection) -> None:
    """Run functions until the other end closes; in the worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes the link
    while True:
        try:
            function, argument = link.recv()
        except (EOFError, ConnectionError):
            return
        try:
            for kind, value, reason in events(function, argument):
                link.send((kind, value, reason))
        except ConnectionError:
            return


def events(function: Function, argument: Any) -> Any:
    """Run a function; yield kind, value and reason of what comes of it, `ITEM` or the end."""
    try:
        for item in function(argument):
            yield ITEM, item, ""
    except NoisywebError as error:
        yield FAILED, error, str(error)
    except Exception as error:  # noqa: BLE001  told to whoever waits
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(last.filename)}:{last.lineno}"
        yield FAILED, None, f"{type(error).__name__}: {' '.join(str(error).split())[:500]} ({where})"
    else:
        yield DONE, None, ""
