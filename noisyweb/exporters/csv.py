"""Label files: ``labels.csv`` with every column but the pixels, and ``classes.txt``."""

from __future__ import annotations

from pathlib import Path

from pyarrow import csv

from noisyweb.manifest import Manifest

SUMMARY = "labels.csv with every column but the pixels"


def export(manifest: Manifest, target: Path) -> None:
    """Write the label columns; empty cells are nulls."""
    csv.write_csv(manifest.rows, target / "labels.csv")
    (target / "classes.txt").write_text("".join(f"{name}\n" for name in manifest.class_names), encoding="utf-8")
