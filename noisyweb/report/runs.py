"""Training runs and studies as they lie on the disk, read without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from noisyweb.errors import CorruptFileError, SourceError

_CURVES = ("epoch", "train_accuracy_clean", "train_accuracy_wrong", "val_accuracy")
_CELLS = ("kind", "level", "method", "model", "start", "seed", "status", "run", "peak", "final")
_TABLE = {
    **dict.fromkeys(("kind", "start", "model", "method"), pa.string()),
    "level": pa.float64(),
    "runs": pa.int64(),
    **{f"{name}_{what}": pa.float64() for name in ("peak", "final", "drop") for what in ("mean", "std")},
}


@dataclass(frozen=True)
class Run:
    """A training run, finished or not.

    Attributes:
        name: of its folder.
        summary: what it wrote at its end; empty if it has not ended.
        metrics: a row an epoch, with ``train_accuracy_clean``, ``train_accuracy_wrong`` and ``val_accuracy``.
        kind, level, method, model, start, seed: what was trained; ``start`` is scratch or fine-tuned.
    """

    name: str
    summary: Mapping[str, Any]
    metrics: pa.Table
    kind: str
    level: float
    method: str
    model: str
    start: str
    seed: int


@dataclass(frozen=True)
class Study:
    """What `noisyweb study` wrote.

    Attributes:
        path: its folder.
        cells: a row a run; accuracies are shares.
        table: means and deviations over seeds.
        findings: questions and their answers.
        runs: those of its runs that are done.
    """

    path: Path
    cells: pa.Table
    table: pa.Table
    findings: Sequence[Mapping[str, Any]]
    runs: Sequence[Run]


def open_runs(places: Sequence[Path]) -> list[Run]:
    """Read runs.

    Args:
        places: run folders, or folders with run folders in them.

    Raises:
        SourceError: there is no run in one of them.
        CorruptFileError: a run's files cannot be read.
    """
    folders: dict[Path, None] = {}
    for place in places:
        found = [place] if (place / "config.json").exists() else sorted(f.parent for f in place.glob("*/config.json"))
        if not found:
            raise SourceError(f"{place}: there is no training run in it; expected a folder that `noisyweb train` wrote")
        folders |= dict.fromkeys(found)
    return [run for folder in folders if (run := _run(folder)) is not None]


def open_study(folder: Path) -> Study:
    """Read a study.

    Raises:
        SourceError: there is none.
        CorruptFileError: its files cannot be read.
    """
    if not (folder / "cells.parquet").exists():
        raise SourceError(f"{folder}: there is no study in it (cells.parquet); expected what `noisyweb study` wrote")
    try:
        cells = pq.read_table(folder / "cells.parquet")
        table = csv.read_csv(folder / "table.csv", convert_options=csv.ConvertOptions(column_types=_TABLE))
        findings = [
            {key: str(one[key]) for key in ("name", "question", "answer", "sentence")}
            for one in json.loads((folder / "findings.json").read_text(encoding="utf-8"))["findings"]
        ]
        cells.select(_CELLS), table.select(list(_TABLE))
        done = sorted(one["run"] for one in cells.to_pylist() if one["status"] == "done")
        runs = [folder / one for one in done if (folder / one).resolve().is_relative_to(folder.resolve())]
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise CorruptFileError(
            f"{folder}: a study that cannot be read ({error!r}); run `noisyweb study` again"
        ) from error
    return Study(folder, cells, table, findings, open_runs([one for one in runs if (one / "config.json").exists()]))


def _run(folder: Path) -> Run | None:
    """A run; None if it has not come to the end of an epoch."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        done = folder / "summary.json"
        summary = json.loads(done.read_text(encoding="utf-8")) if done.exists() else {}
        if not (folder / "metrics.parquet").exists():
            return None
        metrics = pq.read_table(folder / "metrics.parquet")
        metrics.select(_CURVES)
        train, data = config["train"], config["data"]
        return Run(
            name=folder.name,
            summary=dict(summary),
            metrics=metrics,
            kind=str(data["kind"]) if data["level"] else "clean",
            level=float(data["level"]),
            method=str(train["method"]),
            model=str(train["model"]),
            start="fine-tuned" if train["weights"] is not None else "scratch",
            seed=int(train["seed"]),
        )
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise CorruptFileError(f"{folder}: a training run that cannot be read ({error!r}); move it away") from error
