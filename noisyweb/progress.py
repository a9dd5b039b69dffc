"""How long work says how far it is: a callback, so that the library prints nothing."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``; ``total`` is 0 where it is not known."""


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""
