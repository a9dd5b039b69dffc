"""Engines: where functions run. `noisyweb.scale.local` is processes of this machine, `noisyweb.scale.ray` a cluster.

A function that runs on an engine is a generator of a module, so that another process finds it by name. What it yields
comes to whoever waits while it still runs; when its process dies, what it had yielded is not lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from noisyweb.errors import SourceError, UnknownNameError

Function = Callable[[Any], Iterator[Any]]
"""Takes one argument and yields what comes of it; argument and results can be pickled."""

ITEM, DONE, FAILED = "item", "done", "failed"


@dataclass(frozen=True)
class Event:
    """Something that happened to a running function.

    Attributes:
        key: which.
        kind: `ITEM`: it yielded something; `DONE`: it ended; `FAILED`: it raised, or its process died.
        value: what it yielded.
        reason: of a failure, in one line.
        is_own: whether the failure may be the function's own: it raised, or its process died alone. A machine that is
            gone, with whatever ran on it, says nothing of the functions.
        error: what it raised, where it is one of ours (`noisyweb.errors.NoisywebError`).
    """

    key: str
    kind: str
    value: Any = None
    reason: str = ""
    is_own: bool = True
    error: Exception | None = None


@dataclass
class Tally:
    """What became of all that a run gave to its engine, for one line at its end; kept by whoever submits.

    Attributes:
        num_done: functions that came to their end.
        num_retried: failures that were followed by another try.
        num_aside: items that were given up.
    """

    num_done: int = 0
    num_retried: int = 0
    num_aside: int = 0

    def line(self) -> str:
        """The line."""
        return f"{self.num_done:,} shards done, retried {self.num_retried:,}, set aside {self.num_aside:,}"


class Engine(Protocol):
    """Runs functions; use it as a context manager.

    Attributes:
        name: as the user chose it.
        num_workers: functions that run at once.
        tally: of this run.
    """

    name: str
    tally: Tally

    @property
    def num_workers(self) -> int: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def submit(self, key: str, function: Function, argument: Any) -> None:
        """Start a function, or queue it while all workers are busy.

        Args:
            key: of its events; one that failed or is done may come again. What stands before a slash is what the engine
                calls the function where it shows what runs.
            function, argument: what is run.
        """
        ...

    def wait(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None if nothing happened in time, or nothing runs. Items of one key come in order."""
        ...

    def check_nodes(self, function: Function, argument: Any) -> list[Any]:
        """Run a function once on each other machine; what it yields first there.

        Raises:
            SourceError: it fails on one, or that one's noisyweb is another.
        """
        ...


NAMES = ("local", "ray")


def open_engine(name: str, address: str | None = None, workers: int | None = None) -> Engine:
    """An engine by its name; use it as a context manager.

    Args:
        name: "local" or "ray".
        address: of a Ray cluster; None: `$RAY_ADDRESS`, or a Ray of this machine's own.
        workers: functions at once; None: one a processor.

    Raises:
        UnknownNameError: no such engine.
        SourceError: an address for the local engine, or fewer than one worker.
        MissingExtraError: Ray is not installed.
    """
    if workers is not None and workers < 1:
        raise SourceError(f"--workers {workers}: expected 1 or more")
    if name == "local":
        if address is not None:
            raise SourceError(f"--address {address}: the local engine has none; did you mean --engine ray?")
        from noisyweb.scale.local import LocalEngine

        return LocalEngine(workers)
    if name == "ray":
        from noisyweb.scale.ray import RayEngine

        return RayEngine(address, workers)
    raise UnknownNameError("engine", name, NAMES)
