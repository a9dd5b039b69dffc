"""One program at work: its time, the memory of its whole process tree, and whether anything disturbed it.

Not a benchmark itself.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Measured:
    """One process tree from start to end.

    Attributes:
        seconds: wall time.
        peak_bytes: the greatest memory of the whole tree at one time.
        series: (seconds since the start, bytes) of each sample.
        output: standard output.
        cores: processors that the tree used on average.
        web_cores: those that its web and this script's sampling used.
        others: processors that programs apart from the tree, its web and this script used on average: a run with
            much of it was disturbed.
    """

    seconds: float
    peak_bytes: int
    series: list[tuple[float, int]]
    output: str
    cores: float
    web_cores: float
    others: float


def measure(command: Sequence[str], log: Path, hz: float = 20.0, quiet_s: float = 60.0) -> Measured:
    """Run a command, sampling its tree's memory; its output goes to a file, so that nothing waits for a reader.

    Raises:
        SystemExit: it failed.
    """
    os.sync()  # the pages of an earlier run are not written during this one
    wait_for_quiet(quiet_s)
    series: list[tuple[float, int]] = []
    errors = log.with_suffix(".err")
    before = CpuTimes.now()
    with log.open("wb") as out, errors.open("wb") as err:
        start_s = time.perf_counter()
        with subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL) as process:
            tree = _Tree(process.pid)
            try:
                while True:
                    try:
                        process.wait(1 / hz)
                        break
                    except subprocess.TimeoutExpired:
                        series.append((time.perf_counter() - start_s, tree.memory_bytes()))
            except BaseException:
                tree.kill()
                raise
            seconds = time.perf_counter() - start_s
    used = CpuTimes.now() - before
    if process.returncode:
        said = (errors.read_text(errors="replace") or log.read_text(errors="replace"))[-3000:]
        raise SystemExit(f"{' '.join(map(str, command))}: exit status {process.returncode}\n{said}")
    return Measured(
        seconds=seconds,
        peak_bytes=max((memory for _, memory in series), default=0),
        series=series,
        output=log.read_text(errors="replace"),
        cores=used.ended / seconds,
        web_cores=used.ours / seconds,
        others=max(0.0, used.all - used.ended - used.ours) / seconds,
    )


@dataclass(frozen=True)
class CpuTimes:
    """Seconds of processor time: of all programs, of our children that have ended, of ourselves and the live ones."""

    all: float
    ended: float
    ours: float

    @classmethod
    def now(cls) -> CpuTimes:
        system, me = psutil.cpu_times(), psutil.Process()
        own = me.cpu_times()
        ours = own.user + own.system
        for child in me.children(recursive=True):
            with suppress(psutil.Error):
                ours += sum(child.cpu_times()[:2])
        busy = sum(system) - system.idle - getattr(system, "iowait", 0.0) - getattr(system, "guest", 0.0)
        return cls(busy, own.children_user + own.children_system, ours)

    def __sub__(self, other: CpuTimes) -> CpuTimes:
        return CpuTimes(self.all - other.all, self.ended - other.ended, self.ours - other.ours)


def wait_for_quiet(limit_s: float, cores: float = 0.15) -> None:
    """Wait until other programs leave the processors alone, up to a limit."""
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        before = CpuTimes.now()
        time.sleep(2.0)
        used = CpuTimes.now() - before
        if used.all - used.ended - used.ours < 2.0 * cores:
            return


def wait_for_disk(cache: Path, limit_s: float, quick_s: float = 50e-6, files: int = 200) -> float:
    """Wait until files are made quickly: ext4 without a journal takes ten times as long for minutes after a deletion.

    Returns:
        Seconds a file, at the last look.
    """
    cache.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="noisyweb-disk-", dir=cache.parent))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    end_s, turn = time.monotonic() + limit_s, 0
    while True:
        start_s = time.perf_counter()
        for number in range(files):
            (folder / f"{turn}-{number}").write_bytes(b"0" * 4096)
        file_s = (time.perf_counter() - start_s) / files
        if file_s < quick_s or time.monotonic() > end_s:
            return file_s
        turn += 1
        time.sleep(10.0)


class _Tree:
    """A process with all its descendants, these looked for four times a second."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._processes = [self._root]
        self._looked_s = 0.0

    def memory_bytes(self) -> int:
        now_s = time.monotonic()
        if now_s - self._looked_s > 0.25:
            self._looked_s = now_s
            try:
                self._processes = [self._root, *self._root.children(recursive=True)]
            except psutil.Error:
                return 0
        return sum(_memory_bytes(process) for process in self._processes)

    def kill(self) -> None:
        with suppress(psutil.Error):
            self._processes = [self._root, *self._root.children(recursive=True)]
        for process in self._processes:
            with suppress(psutil.Error):
                process.kill()


def _memory_bytes(process: psutil.Process) -> int:
    """PSS where the system tells it: pages that processes share are counted once."""
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or full.rss)
    except psutil.Error:
        return 0
