"""Label files: every column but the pixels as CSV, and labels as NumPy arrays, which cleanlab reads.

    labels.csv          every column but the pixels; empty cells are nulls
    given_labels.npy    int64, shape (N,): the label the trainer sees
    true_labels.npy     int64, shape (N,): the right class; -1 where it is outside the vocabulary or nobody knows
    is_clean.npy        bool, shape (N,)
    classes.txt         K lines

All have the rows in the same order. With several builds they lie in a folder each; the clean validation set has one of
its own. Text that a spreadsheet would run as a formula (it begins with ``=``, ``+``, ``-`` or ``@``, or with a tab or
line break) gets a ``'`` in front: names of creators come from the web.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pyarrow import csv

from noisyweb.export import Builds, Options
from noisyweb.exporters._images import class_lines
from noisyweb.formulas import without_formulas
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.manifest import Manifest

SUMMARY = "labels.csv with every column but the pixels, and labels as .npy for cleanlab"


def export(builds: Builds, target: Path, options: Options) -> list[str]:
    """Write the label columns; rows need no image."""
    names = builds.folder_names()
    for manifest in builds.train():
        _write(manifest, target if builds.is_single else target / names[manifest.folder.name])
    for manifest in builds.validations():
        _write(manifest, target / VALIDATION_FOLDER if builds.folders else target)
    (target / "classes.txt").write_text(class_lines(builds.class_names), encoding="utf-8")
    return []


def _write(manifest: Manifest, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    rows = manifest.rows
    csv.write_csv(without_formulas(rows), folder / "labels.csv")
    arrays = {
        "given_labels": rows.column("label").to_numpy().astype(np.int64),
        "true_labels": rows.column("true_label").fill_null(-1).to_numpy().astype(np.int64),
        "is_clean": rows.column("is_clean").to_numpy().astype(np.bool_),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
