"""What came of a study: a row for each cell, and the table of means over seeds. No torch is needed."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.atomic import replacing_file
from noisyweb.errors import CorruptFileError
from noisyweb.training.study.cells import CLEAN, FINE_TUNED, SCRATCH

CELLS = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),  # of noise; clean at level 0
        pa.field("level", pa.float64(), nullable=False),  # share of wrong labels
        pa.field("method", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("start", pa.string(), nullable=False),  # scratch or fine-tuned
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("status", pa.string(), nullable=False),  # done, failed, running or waiting
        pa.field("reason", pa.string()),  # of a failure
        pa.field("run", pa.string(), nullable=False),  # the run folder, from the study's
        # accuracies on the clean validation set, 0..1
        pa.field("peak", pa.float64()),
        pa.field("final", pa.float64()),
        pa.field("drop", pa.float64()),  # peak - final
        pa.field("balanced", pa.float64()),  # final, mean over classes
        pa.field("peak_epoch", pa.int64()),
        pa.field("epochs", pa.int64()),
        pa.field("seconds", pa.float64()),
        pa.field("train_accuracy_wrong", pa.float64()),  # share of the wrong labels that are predicted as given
    ]
)
BY = ["kind", "level", "start", "model", "method"]
TABLE = ("peak", "final", "drop")


def read_runs(study: Path, waiting: Mapping[str, tuple[Mapping[str, Any], str, str | None]]) -> pa.Table:
    """A row for each cell, in the columns of `CELLS`, sorted.

    Args:
        study: its folder; every run in ``runs/`` that was finished counts, also of earlier calls.
        waiting: by cell, those that were asked for: kind, level and so on, status, and the reason of a failure.

    Raises:
        CorruptFileError: a run's files cannot be read.
    """
    rows = {key: {**about, "status": status, "reason": reason} for key, (about, status, reason) in waiting.items()}
    for file in sorted((study / "runs").glob("*/summary.json")):
        rows[file.parent.name] = _row(file)
    for key, row in rows.items():
        row["run"] = f"runs/{key}"
    table = pa.Table.from_pylist(list(rows.values()), schema=CELLS)
    return table.sort_by([(name, "ascending") for name in (*BY, "seed")])


def _row(file: Path) -> dict[str, Any]:
    try:
        summary = json.loads(file.read_text())
        config = json.loads((file.parent / "config.json").read_text())
        level = float(Decimal(repr(float(summary["level"]))))
        peak, final = float(summary["peak_val_accuracy"]), float(summary["final_val_accuracy"])
        return {
            "kind": str(summary["kind"]) if level else CLEAN,
            "level": level,
            "method": str(summary["method"]),
            "model": str(summary["model"]),
            "start": FINE_TUNED if config["train"]["weights"] is not None else SCRATCH,
            "seed": int(summary["seed"]),
            "status": "done",
            "reason": None,
            "peak": peak,
            "final": final,
            "drop": peak - final,
            "balanced": summary["final_val_balanced_accuracy"],
            "peak_epoch": int(summary["peak_epoch"]),
            "epochs": int(summary["epochs"]),
            "seconds": float(summary["seconds"]),
            "train_accuracy_wrong": summary["train_accuracy_wrong"],
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptFileError(
            f"{file.parent}: a finished run that cannot be read ({error!r}); move it away"
        ) from error


def table_of(cells: pa.Table) -> pd.DataFrame:
    """Means and sample standard deviations over the seeds that are done.

    Args:
        cells: in the columns of `CELLS`.

    Returns:
        A row for each kind, level, start, model and method: ``runs``, and ``<name>_mean``, ``<name>_std`` for the
        names of `TABLE`, as shares 0..1; the deviation of a single run is not a number.
    """
    frame = cells.to_pandas()
    done = frame[frame["status"] == "done"]
    if done.empty:
        names = [f"{name}_{what}" for name in TABLE for what in ("mean", "std")]
        return pd.DataFrame({name: [] for name in [*BY, "runs", *names]})
    groups = done.groupby(BY, sort=True)
    table = groups.size().rename("runs").to_frame()
    for name in TABLE:
        table[f"{name}_mean"] = groups[name].mean()
        table[f"{name}_std"] = groups[name].std(ddof=1)
    found: pd.DataFrame = table.reset_index()
    return found


def over_levels(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """As the paper sums up: mean and deviation over the noisy levels of the means over seeds.

    Args:
        table: of `table_of`.
        name: one of `TABLE`.

    Returns:
        A row for each kind, start, model and method: ``levels``, ``mean``, ``std``.
    """
    noisy = table[table["level"] > 0]
    by = [one for one in BY if one != "level"]
    if noisy.empty:
        return pd.DataFrame({one: [] for one in [*by, "levels", "mean", "std"]})
    groups = noisy.groupby(by, sort=True)[f"{name}_mean"]
    found = pd.DataFrame({"levels": groups.size(), "mean": groups.mean(), "std": groups.std(ddof=1)})
    return found.reset_index()


def write_results(study: Path, cells: pa.Table, findings: Sequence[Mapping[str, Any]]) -> None:
    """Write cells.parquet, table.csv and findings.json.

    Raises:
        OutputError: they cannot be written.
    """
    with replacing_file(study / "cells.parquet") as temporary:
        pq.write_table(cells, temporary)
    with replacing_file(study / "table.csv") as temporary:
        table_of(cells).to_csv(temporary, index=False, float_format="%.6f", quoting=csv.QUOTE_MINIMAL)
    with replacing_file(study / "findings.json") as temporary:
        temporary.write_text(json.dumps({"findings": list(findings)}, indent=2, allow_nan=False) + "\n")


def percent(mean: float, std: float, places: int = 1) -> str:
    """Mean ± deviation of shares, in percent: ``63.1 ± 0.4``."""
    spread = "" if np.isnan(std) else f" ± {100 * std:.{places}f}"
    return f"{100 * mean:.{places}f}{spread}"
