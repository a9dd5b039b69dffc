"""The lock of a workspace at a URL: one object a process, renewed while it lives.

    <workspace>/lock/<random>    who holds it: host, process; its time is the store's

Who wants the lock puts an object of its own there, then lists all of them. Another one that has been renewed in the
last two minutes: the lock is held, one's own object goes again. Objects that were not renewed, or whose process on this
very machine is dead, are removed. Of two who come at once at least one lists the other's object, so that both cannot
win; it takes a store that lists what has been put, which S3, Google Cloud, MinIO and memory do. A write that fails if
the name exists would be simpler, but servers that do not know `If-None-Match` ignore it, and then two would win.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import socket
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from noisyweb.errors import NoisywebError, SourceError
from noisyweb.remote_path import RemotePath

BEAT_S = 20.0
STALE_S = 120.0
"""Seconds without renewal, by the store's clock, after which a lock is free."""
_FRESH_S = 40.0
"""Seconds after a renewal in which a write asks nothing: with a minute's patience for it, below `STALE_S`."""
_TRIES = 3


class RemoteLock:
    """Holds a workspace's lock for the length of a ``with`` block.

    Args:
        folder: of the lock's objects.
        refusal: raised if another process holds it.
        beat_s: seconds between renewals.
        stale_s: seconds without renewal after which another's lock is taken over.
    """

    def __init__(
        self, folder: RemotePath, refusal: Exception, beat_s: float = BEAT_S, stale_s: float = STALE_S
    ) -> None:
        self._folder, self._refusal, self._beat_s, self._stale_s = folder, refusal, beat_s, stale_s
        self._fresh_s = _FRESH_S * stale_s / STALE_S
        self._own = folder / secrets.token_hex(8)
        self._is_lost, self._renewed_s = False, 0.0
        self._once = threading.Lock()
        self._ended = threading.Event()
        self._beat = threading.Thread(target=self._keep_alive, daemon=True)

    def __enter__(self) -> Self:
        for attempt in range(_TRIES):  # two who came at once have both gone back: not again at the same moment
            if self._claim():
                self._beat.start()
                return self
            if attempt < _TRIES - 1:
                time.sleep(random.uniform(0.1, 0.5) * (attempt + 1))
        raise self._refusal

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._beat.join()
        if not self._is_lost:
            with contextlib.suppress(*((NoisywebError,) if kind is not None else ())):  # the first failure counts
                self._own.unlink(missing_ok=True)

    def check(self) -> None:
        """Call it before a write.

        Raises:
            SourceError: this process gave no sign of life, and another one has taken over.
            RemoteError: the store does not answer.
        """
        with self._once:
            if not self._is_lost and _now_s() - self._renewed_s > self._fresh_s:
                self._renew()
        if self._is_lost:
            raise SourceError(
                f"{self._folder.parent}: another process has taken the workspace over, since this one gave no sign of "
                "life; run this again once that one has ended"
            )

    def _claim(self, earlier: RemotePath | None = None) -> bool:
        """Put an object of one's own; whether no other one counts. If one does, one's own is removed.

        Args:
            earlier: an object of one's own whose renewal is overdue: if it is gone, somebody else was here meanwhile,
                and may have ended already.
        """
        self._put()
        times = self._folder.times()
        own = times.pop(self._own.name, None)
        is_ours = earlier is None or earlier.name in times
        for name, since in times.items():
            other = self._folder / name
            if is_ours and other != earlier:
                is_ours = self._is_free(other, since, own)
            if is_ours:
                other.unlink(missing_ok=True)
        if not is_ours:
            self._own.unlink(missing_ok=True)
        return is_ours

    def _renew(self) -> None:
        """Stay the holder, or find that another process is."""
        if _now_s() - self._renewed_s < self._fresh_s:
            self._put()
            return
        earlier, self._own = self._own, self._folder / secrets.token_hex(8)
        try:
            self._is_lost = not self._claim(earlier)
        except BaseException:  # still not known: the earlier one says it the next time
            self._own = earlier
            self._renewed_s = 0.0
            raise

    def _is_free(self, other: RemotePath, since: datetime | None, now: datetime | None) -> bool:
        if since is not None and now is not None and now - since > timedelta(seconds=self._stale_s):
            return True
        try:
            holder = json.loads(other.read_bytes())
        except SourceError:  # it has just gone
            return True
        except ValueError:
            return False
        return isinstance(holder, dict) and holder.get("machine") == _machine() and not _lives(holder)

    def _put(self) -> None:
        start_s = _now_s()
        holder = {
            "host": socket.gethostname(),
            "machine": _machine(),
            "pid": os.getpid(),
            "started": _started(os.getpid()),
        }
        self._own.write_bytes(json.dumps(holder).encode())
        self._renewed_s = start_s

    def _keep_alive(self) -> None:
        while not self._ended.wait(self._beat_s):
            with self._once, contextlib.suppress(NoisywebError):  # the store may be away; `check` asks again
                if self._is_lost:
                    return
                self._renew()


def _now_s() -> float:
    """Of a clock that also counts while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _machine() -> str:
    """This machine since it was started, and what its process numbers are counted in (a container has its own)."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _started(pid: int) -> str:
    """When a process began, as Linux counts; empty where that is not known. Numbers of processes are used again."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""


def _lives(holder: dict[str, object]) -> bool:
    pid = holder.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return holder.get("started") in (_started(pid), "", None)
