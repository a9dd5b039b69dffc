"""What reports are made of in tests: builds with hostile names, runs and a study as training leaves them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.export_builds import Row, blue_rows, clean_row, red_rows, write_build

HOSTILE = ("<script>alert(1)</script>", "x" * 300, "שלום \u202egnp.exe $\\frac{1}{$ & 'q\"")
WRONG = {0.2: 6, 0.4: 12}
NUM_ROWS = 30


def write_hostile(root: Path) -> Path:
    """Red and blue builds of 30 rows with validation images, whose class names are an attack each."""
    root.mkdir(parents=True)
    for level, wrong in WRONG.items():
        for kind, rows in (("red", red_rows), ("blue", blue_rows)):
            write_build(root, rows(NUM_ROWS, wrong), kind, f"{level:g}", class_names=HOSTILE, title=HOSTILE[0])
    write_build(root, [clean_row(500 + n) for n in range(6)], None, class_names=HOSTILE, title=HOSTILE[0])
    return root


def write_rows(root: Path, rows: Sequence[Row], level: str, class_names: Sequence[str] = ("ant", "bee", "cat")) -> Path:
    """One build of blue noise with these rows; return its folder."""
    return write_build(root, rows, "blue", level, class_names=class_names)


def write_run(
    folder: Path,
    curves: Sequence[tuple[float | None, float | None, float | None]],
    *,
    kind: str = "blue",
    level: float = 0.4,
    method: str = "standard",
    seed: int = 0,
) -> Path:
    """A run folder, as far as a report reads it.

    Args:
        folder: to make.
        curves: of each epoch: shares of right and of wrong labels fitted, and validation accuracy.
    """
    folder.mkdir(parents=True)
    config: dict[str, Any] = {"train": {"method": method, "model": "small", "weights": None, "seed": seed}}
    config["data"] = {"kind": kind, "level": level}
    (folder / "config.json").write_text(json.dumps(config))
    names = ("train_accuracy_clean", "train_accuracy_wrong", "val_accuracy")
    rows = [{"epoch": n, **dict(zip(names, row, strict=True))} for n, row in enumerate(curves, 1)]
    schema = pa.schema([("epoch", pa.int32()), *((name, pa.float64()) for name in names)])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "metrics.parquet")
    (folder / "summary.json").write_text("{}")
    return folder


def write_study(folder: Path, seeds: int = 2) -> Path:
    """A study of red and blue noise at 40 %, and of none, with two methods; blue ends lower than red."""
    finals = {("clean", 0.0): 0.9, ("blue", 0.4): 0.3, ("red", 0.4): 0.6}
    cells, table = [], []
    for (kind, level), final in finals.items():
        for method in ("standard", "mentormix"):
            about = {"kind": kind, "level": level, "start": "scratch", "model": "small", "method": method}
            for seed in range(seeds):
                run = f"runs/{kind}_{level}_{method}_s{seed}"
                write_run(
                    folder / run, [(0.5, 0.1, 0.7), (1.0, 0.8, final)], kind=kind, level=level, method=method, seed=seed
                )
                cells.append({**about, "seed": seed, "status": "done", "run": run, "peak": 0.7, "final": final})
            means = {"peak_mean": 0.7, "final_mean": final, "drop_mean": 0.7 - final}
            table.append(
                {**about, "runs": seeds, **means, **dict.fromkeys(("peak_std", "final_std", "drop_std"), 0.02)}
            )
    cells.append({**about, "seed": 9, "status": "waiting", "run": "runs/none", "peak": None, "final": None})
    pq.write_table(pa.Table.from_pylist(cells), folder / "cells.parquet")
    head = list(table[0])
    lines = [",".join(head), *(",".join(str(row[name]) for name in head) for row in table)]
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    finding = {"name": "generalisation", "question": "Is red better?", "answer": "supported"}
    findings = {"findings": [{**finding, "sentence": "By +30.0 points.", "numbers": {"value": 0.3}}]}
    (folder / "findings.json").write_text(json.dumps(findings))
    return folder
