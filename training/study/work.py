"""Train the cells of a study that nobody has trained yet, one after the other."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noisyweb.atomic import replacing_file
from noisyweb.errors import NoisywebError, OutputError, TrainingError
from noisyweb.progress import Progress, silent
from noisyweb.training.run import make_plan, run
from noisyweb.training.run_folder import RunFolder
from noisyweb.training.study.cells import Cell
from noisyweb.training.study.claims import Claim, LostClaimError, is_claimed, try_claim
from noisyweb.training.study.settings import Settings, StudyFolder

POLL_S = 2.0
"""Seconds between looks at cells that other processes are at."""


class _Stopped(Exception):
    """Time is over, or nobody waits for this process any more."""


@dataclass(frozen=True)
class Limits:
    """When a worker stops before all is done.

    Attributes:
        ends: time.monotonic() after which no epoch is begun.
        parent: process id; when that is no longer this process' parent, it stops too. None: it has none to heed.
    """

    ends: float = float("inf")
    parent: int | None = None

    def check(self) -> None:
        """Raise `_Stopped` if it is time."""
        if time.monotonic() > self.ends or (self.parent is not None and os.getppid() != self.parent):
            raise _Stopped


def work(
    folder: StudyFolder,
    settings: Settings,
    cells: Sequence[Cell],
    *,
    device: str = "auto",
    limits: Limits = Limits(),
    failures: Failures | None = None,
    cell_done: Callable[[Cell, dict[str, Any] | None, str], None] = lambda cell, summary, reason: None,
    progress: Progress = silent,
) -> bool:
    """Train what is left, beside any other processes that do the same; return whether all cells have ended.

    A cell that was begun goes on where it was. One that fails (a loss that is not finite, too little memory) is
    written down with its reason and left; the next call tries it once more.

    Args:
        folder: an opened study.
        settings: of its runs.
        cells: all of them.
        device: as `noisyweb.training.machine.this_machine` takes it.
        limits: when to stop early.
        failures: those before this call, where several processes share it.
        cell_done: called after each cell that was trained here: with its summary, or None and the reason.
        progress: called within a cell's training.

    Raises:
        OutputError: the folder cannot be written.
    """
    failures = failures or Failures(folder.path)
    left = [cell for cell in cells if not is_finished(folder, cell)]
    try:
        while left:
            trained = False
            for cell in list(left):
                limits.check()
                if is_finished(folder, cell) or failures.is_new(cell):
                    left.remove(cell)
                    continue
                claim = try_claim(folder.path / "claims", cell.key)
                if claim is None:
                    continue
                with claim, contextlib.suppress(LostClaimError):  # then somebody else is at it
                    if not is_finished(folder, cell) and not failures.is_new(cell):
                        summary, reason = _train(folder, settings, cell, device, limits, claim, failures, progress)
                        cell_done(cell, summary, reason)
                left.remove(cell)
                trained = True
            if left and not trained:
                time.sleep(POLL_S)  # others are at what is left; should one of them die, it is taken over
    except _Stopped:
        return False
    return True


def is_finished(folder: StudyFolder, cell: Cell) -> bool:
    """Whether a cell has been trained.

    Raises:
        TrainingError: it has, on another training set than the study's.
    """
    place = RunFolder(folder.run(cell))
    if not place.is_finished:
        return False
    digest = place.read_summary().get("data_digest")
    if digest != folder.digests[cell.data.folder.name]:
        raise TrainingError(f"{place.path}: this run was trained on another {cell.data.folder.name}; move it away")
    return True


def state_of(folder: StudyFolder, cell: Cell, failures: Failures) -> str:
    """``done``, ``failed``, ``running`` or ``waiting``."""
    if is_finished(folder, cell):
        return "done"
    if is_claimed(folder.path / "claims", cell.key):
        return "running"
    return "failed" if failures.reason(cell) is not None else "waiting"


def _train(
    folder: StudyFolder,
    settings: Settings,
    cell: Cell,
    device: str,
    limits: Limits,
    claim: Claim,
    failures: Failures,
    progress: Progress,
) -> tuple[dict[str, Any] | None, str]:
    place = RunFolder(folder.run(cell))
    wishes = dataclasses.replace(folder.wishes(settings, cell), device=None if device == "auto" else device)

    def after_epoch(row: dict[str, Any]) -> None:
        claim.check()
        limits.check()

    try:
        plan = make_plan(cell.data.folder, wishes, out=place.path, resume=place.is_started, recipe=settings.recipe)
        summary = run(plan, progress=progress, epoch_done=after_epoch)
    except (OutputError, LostClaimError):
        raise
    except NoisywebError as error:
        reason = " ".join(str(error).split())
        failures.write(cell, reason)
        return None, reason
    failures.clear(cell)
    return summary, ""


class Failures:
    """Why cells have failed: a file each.

    Args:
        path: the study's folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path / "failed"
        self._known = {file.name: file.stat().st_mtime_ns for file in self._path.glob("*.json")}

    def is_new(self, cell: Cell) -> bool:
        """Whether the cell has failed since this object was made: then it is not tried again now."""
        try:
            failed = self._file(cell).stat().st_mtime_ns
        except FileNotFoundError:
            return False
        return failed != self._known.get(self._file(cell).name)

    def reason(self, cell: Cell) -> str | None:
        """Why it has failed; None: it has not."""
        try:
            return str(json.loads(self._file(cell).read_text())["reason"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            return "the file of its failure cannot be read"

    def write(self, cell: Cell, reason: str) -> None:
        """Note a failure."""
        with replacing_file(self._file(cell)) as temporary:
            temporary.write_text(json.dumps({"cell": cell.key, "reason": reason}) + "\n")

    def clear(self, cell: Cell) -> None:
        """Forget an earlier failure."""
        self._file(cell).unlink(missing_ok=True)

    def _file(self, cell: Cell) -> Path:
        return self._path / f"{cell.key}.json"
