"""An engine that runs everything in the test's own process, at once."""

from __future__ import annotations

from typing import Any, Self

from noisyweb.scale.engine import DONE, ITEM, Event, Function, Tally


class InProcess:
    """An engine that runs everything here, at once: blocks are what is tested, not processes."""

    name, num_workers = "local", 1

    def __init__(self) -> None:
        self.tally = Tally()
        self._events: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *of: object) -> None:
        pass

    def check_nodes(self, function: Function, argument: Any) -> list[Any]:
        return []

    def submit(self, key: str, function: Function, argument: Any) -> None:
        self._events += [*(Event(key, ITEM, item) for item in function(argument)), Event(key, DONE)]

    def wait(self, timeout_s: float | None = None) -> Event | None:
        return self._events.pop(0) if self._events else None
