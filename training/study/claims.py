"""Who is at which cell, by files in a folder that all processes and machines see.

A claim on a cell is a file ``<cell>.<n>``, made in one step that only one process can win; its owner touches it while
it works. When it has not been touched for `STALE_S`, the next one to come makes ``<cell>.<n + 1>``, which again only
one can win. Nothing is locked for good, and clocks of machines are not compared: times are the file system's.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from noisyweb.atomic import disk_errors
from noisyweb.errors import NoisywebError

STALE_S = 180.0
"""Seconds without a sign of life after which a cell is free again."""

_BEAT_S = 20.0


class LostClaimError(NoisywebError):
    """Another process has taken a cell over, since this one had given no sign of life."""


class Claim:
    """A cell that this process is at.

    Args:
        path: the claim's file, which this process has made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ended = threading.Event()
        self._beat = threading.Thread(target=self._keep_alive, daemon=True)

    @property
    def is_lost(self) -> bool:
        """Whether somebody else has taken the cell over."""
        cell, _, number = self.path.name.rpartition(".")
        return _newest(self.path.parent, cell) > int(number) or not self.path.exists()

    def check(self) -> None:
        """Stop work that somebody else does by now.

        Raises:
            LostClaimError: it has been taken over.
        """
        if self.is_lost:
            raise LostClaimError(f"{self.path}: another process has taken this run over; this one gave no sign of life")

    def __enter__(self) -> Claim:
        self._beat.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._beat.join()
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.path, (0, 0))  # free at once

    def _keep_alive(self) -> None:
        while not self._ended.wait(_BEAT_S):
            with contextlib.suppress(OSError):  # the file system may be away for a while
                os.utime(self.path)


def try_claim(folder: Path, cell: str, stale_s: float = STALE_S) -> Claim | None:
    """Claim a cell; None if another process is at it.

    Args:
        folder: of all claims of a study; it is made where it is missing.
        cell: name of the cell.
        stale_s: seconds without a sign of life after which a claim counts no more.

    Raises:
        OutputError: the folder cannot be written.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        number = _newest(folder, cell)
        if number and not _is_stale(folder / f"{cell}.{number}", stale_s):
            return None
        path = folder / f"{cell}.{number + 1}"
        try:
            with path.open("x") as file:
                json.dump({"host": socket.gethostname(), "pid": os.getpid()}, file)
        except FileExistsError:
            return None
    return Claim(path)


def is_claimed(folder: Path, cell: str, stale_s: float = STALE_S) -> bool:
    """Whether some process is at a cell."""
    number = _newest(folder, cell)
    return number > 0 and not _is_stale(folder / f"{cell}.{number}", stale_s)


def _newest(folder: Path, cell: str) -> int:
    return max((int(name.rpartition(".")[2]) for name in _names(folder, cell)), default=0)


def _names(folder: Path, cell: str) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            stem, _, number = name.rpartition(".")
            if stem == cell and number.isdigit():
                yield name


def _is_stale(path: Path, stale_s: float) -> bool:
    try:
        touched = path.stat().st_mtime
        owner = json.loads(path.read_text() or "{}")
    except FileNotFoundError:
        return True
    except ValueError:
        owner = {}  # being written
    if isinstance(owner, dict) and owner.get("host") == socket.gethostname() and _is_dead(owner.get("pid")):
        return True
    return _now(path.parent) - touched > stale_s


def _now(folder: Path) -> float:
    """The file system's time, by a file that is made."""
    with tempfile.TemporaryFile(dir=folder) as probe:
        return os.fstat(probe.fileno()).st_mtime


def _is_dead(pid: object) -> bool:
    """Whether this machine has no process of that number."""
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
