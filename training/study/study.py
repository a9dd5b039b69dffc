"""Carry out a study: the one call behind ``noisyweb study``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from noisyweb.progress import Progress, silent
from noisyweb.training.study.cells import Cell
from noisyweb.training.study.findings import Finding, findings
from noisyweb.training.study.jobs import CellDone, carry_out
from noisyweb.training.study.results import read_runs, write_results
from noisyweb.training.study.settings import Settings, StudyFolder
from noisyweb.training.study.work import Failures, state_of

__all__ = ["collect", "study"]


def study(
    folder: StudyFolder,
    settings: Settings,
    cells: Sequence[Cell],
    *,
    num_jobs: int = 1,
    device: str = "auto",
    ends: float = float("inf"),
    cell_done: CellDone = lambda cell, summary, reason: None,
    progress: Progress = silent,
) -> tuple[pa.Table, list[Finding]]:
    """Train what is left of a study, and sum up what there is; the tables are brought up to date after every cell.

    Args:
        folder: where it is or goes.
        settings: of its runs.
        cells: all that are wanted (`noisyweb.training.study.cells.cells`).
        num_jobs, device, ends: as `noisyweb.training.study.jobs.carry_out` takes them.
        progress: called after each cell, and as `carry_out` calls it.
        cell_done: called after each cell: with its summary, or None and the reason of its failure.

    Returns:
        What `collect` gives.

    Raises:
        NoisywebError: of the class that fits the mistake.
    """
    folder.open(settings, cells)

    def after_cell(cell: Cell, summary: dict[str, Any] | None, reason: str) -> None:
        rows, _ = collect(folder, cells)
        progress("runs", rows.column("status").to_pylist().count("done"), rows.num_rows)
        cell_done(cell, summary, reason)

    carry_out(
        folder,
        settings,
        cells,
        num_jobs=num_jobs,
        device=device,
        ends=ends,
        cell_done=after_cell,
        progress=progress,
    )
    return collect(folder, cells)


def collect(folder: StudyFolder, cells: Sequence[Cell] = ()) -> tuple[pa.Table, list[Finding]]:
    """Read all runs of a study, answer the findings, and write cells.parquet, table.csv and findings.json.

    Args:
        folder: of the study.
        cells: those that are wanted, finished or not.

    Returns:
        A row for each cell (`noisyweb.training.study.results.CELLS`), and the findings.

    Raises:
        CorruptFileError: a run cannot be read.
        OutputError: the tables cannot be written.
    """
    failures = Failures(folder.path)
    waiting = {}
    for cell in cells:
        about = {
            "kind": cell.data.kind,
            "level": float(cell.data.level),
            "method": cell.method,
            "model": cell.model,
            "start": cell.start,
            "seed": cell.seed,
        }
        status = state_of(folder, cell, failures)
        waiting[cell.key] = (about, status, failures.reason(cell) if status == "failed" else None)
    rows = read_runs(folder.path, waiting)
    answers = findings(rows)
    write_results(folder.path, rows, [answer.record() for answer in answers])
    return rows, answers
