"""A study in one process, or in several of this machine; more machines join by running the same command."""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Callable, Sequence
from typing import Any

import torch

from noisyweb.errors import NoisywebError, TrainingError
from noisyweb.progress import Progress, silent
from noisyweb.training.study.cells import Cell
from noisyweb.training.study.settings import Settings, StudyFolder
from noisyweb.training.study.work import Failures, Limits, work

CellDone = Callable[[Cell, dict[str, Any] | None, str], None]


def carry_out(
    folder: StudyFolder,
    settings: Settings,
    cells: Sequence[Cell],
    *,
    num_jobs: int = 1,
    device: str = "auto",
    ends: float = float("inf"),
    cell_done: CellDone = lambda cell, summary, reason: None,
    progress: Progress = silent,
) -> bool:
    """Train what is left of a study; return whether all cells have ended, done or failed.

    Args:
        folder: an opened study.
        settings: of its runs.
        cells: all of them.
        num_jobs: processes; they share the processor's cores, and take the CUDA GPUs in turn.
        device: as `noisyweb.training.machine.this_machine` takes it.
        ends: time.monotonic() after which no epoch is begun.
        cell_done: called here after each cell: with its summary, or None and the reason of its failure.
        progress: called within a cell's training; with several processes not at all.

    Raises:
        NoisywebError: of the class that fits what went wrong.
    """
    failures = Failures(folder.path)
    if num_jobs == 1:
        return work(
            folder,
            settings,
            cells,
            device=device,
            limits=Limits(ends),
            failures=failures,
            cell_done=cell_done,
            progress=progress,
        )
    return _in_processes(folder, settings, cells, num_jobs, device, Limits(ends, os.getpid()), failures, cell_done)


def _in_processes(
    folder: StudyFolder,
    settings: Settings,
    cells: Sequence[Cell],
    num_jobs: int,
    device: str,
    limits: Limits,
    failures: Failures,
    cell_done: CellDone,
) -> bool:
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    told: Any = context.Queue()
    threads = max(torch.get_num_threads() // num_jobs, 1)
    processes = [
        context.Process(
            target=_job,
            args=(folder, settings, cells, _device(device, number), threads, limits, failures, told),
            daemon=True,
        )
        for number in range(num_jobs)
    ]
    for process in processes:
        process.start()
    ended, waiting = [], num_jobs
    try:
        while waiting:
            try:
                what, *rest = told.get(timeout=1.0)
            except queue.Empty:
                if all(process.is_alive() or process.exitcode == 0 for process in processes):
                    continue
                dead = next(process for process in processes if not process.is_alive() and process.exitcode)
                raise TrainingError(
                    f"a process of the study died (exit code {dead.exitcode}); run the same command again to go on, "
                    "with fewer --jobs if memory was short"
                ) from None
            if what == "cell":
                cell_done(*rest)
            elif what == "error":
                raise rest[0]
            else:
                ended.append(rest[0])
                waiting -= 1
    finally:
        for process in processes:
            if waiting:
                process.terminate()
            process.join()
    return all(ended)


def _job(
    folder: StudyFolder,
    settings: Settings,
    cells: Sequence[Cell],
    device: str,
    threads: int,
    limits: Limits,
    failures: Failures,
    told: Any,
) -> None:
    """One process' work; what happens is told to the one that started it."""
    torch.set_num_threads(threads)
    try:
        ended = work(
            folder,
            settings,
            cells,
            device=device,
            limits=limits,
            failures=failures,
            cell_done=lambda *what: told.put(("cell", *what)),
        )
    except NoisywebError as error:
        told.put(("error", error))
        return
    told.put(("end", ended))


def _device(device: str, number: int) -> str:
    """The CUDA GPUs in turn, where no one device is asked for."""
    if device in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{number % torch.cuda.device_count()}"
    return device
