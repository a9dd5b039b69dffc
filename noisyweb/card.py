"""The data-set card (README.md) and the credit list (ATTRIBUTION.md) of a build."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

DRAWN_NOTICE = (
    "**This is the drawn edition**: the images are drawn by code and the votes come from simulated annotators. "
    "It is for running, testing and teaching. Make no claims about label noise from it."
)


def card(info: Mapping[str, Any], rows: pa.Table, notes: Sequence[str]) -> str:
    """The text of README.md, with the front matter that the Hugging Face hub reads.

    Args:
        info: dataset, title, edition, kind, level, seed, split, class_names.
        rows: the label columns of the manifest.
        notes: sentences to pass on to the reader.
    """
    split = info["split"]
    wrong = rows.num_rows - sum(rows.column("is_clean").to_pylist())
    noise = Counter(rows.column("noise").to_pylist())
    licences = Counter(name or "not stated" for name in rows.column("license").to_pylist())
    lines = [
        "---",
        f"pretty_name: {_quoted(_heading(info))}",
        "task_categories:\n- image-classification",
        f"size_categories:\n- {_size_category(rows.num_rows)}",
        "tags:\n- label-noise\n- noisy-labels",
        "configs:",
        "- config_name: default",
        "  data_files:",
        f"  - split: {split}",
        f"    path: {split}-*.parquet",
        "---",
        "",
        f"# {_heading(info)}",
        "",
    ]
    if info["edition"] == "drawn":
        lines += [DRAWN_NOTICE, ""]
    lines += [
        "| | |",
        "|---|---|",
        f"| data set | {_cell(info['dataset'])} ({_cell(info['title'])}) |",
        f"| edition | {_cell(info['edition'])} |",
        f"| classes | {len(info['class_names'])} |",
        f"| images | {rows.num_rows:,} |",
        f"| wrong labels | {wrong:,} ({wrong / max(rows.num_rows, 1):.4%}) |",
        f"| by kind | {', '.join(f'{name} {count:,}' for name, count in sorted(noise.items()))} |",
        f"| licences | {', '.join(f'{_cell(name)} {count:,}' for name, count in sorted(licences.items()))} |",
    ]
    if split == "train":
        lines += [f"| kind | {info['kind']} |", f"| level | {info['level']} |", f"| seed | {info['seed']} |"]
    lines += ["", *[f"- {note}" for note in notes], *([""] if notes else [])]
    lines += [
        "`label` is what the trainer sees, `is_clean` says whether it is right, `true_label` is the right class where",
        "known. Wrong rows are exactly round(level x N), each class floor or ceil of its share. What each column means",
        "and how the level is made exact: `docs/manifest-format.md` of noisyweb. `noisyweb verify` re-proves it all.",
        "",
        "```python",
        "from datasets import load_dataset",
        f'load_dataset("path/to/this/folder", split="{split}")',
        "```",
        "",
    ]
    return "\n".join(lines)


def attribution(rows: pa.Table) -> str:
    """The text of ATTRIBUTION.md: one line of credit per web image, by image id."""
    lines = ["# Attribution", ""]
    web = rows.filter(pc.equal(rows.column("source"), "web"))
    if web.num_rows == 0:
        return "\n".join([*lines, "No image in this folder comes from the web.", ""])
    lines += ["Images from the web, with what their providers say of creator and licence. Verify before reuse.", ""]
    for row in web.select(["image_id", "url", "landing_url", "creator", "license", "attribution"]).to_pylist():
        creator, licence = row["creator"] or "unknown creator", row["license"] or "not stated"
        credit = row["attribution"] or f"{creator}, licence {licence}"
        place = row["landing_url"] or row["url"] or ""
        lines.append(f"- `{row['image_id'][:16]}` {_cell(credit)} {_cell(place)}".rstrip())
    return "\n".join([*lines, ""])


def _heading(info: Mapping[str, Any]) -> str:
    if info["split"] != "train":
        return f"{info['dataset']}: clean validation set"
    return f"{info['dataset']} with {info['kind']} label noise at {info['level']}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _cell(text: str) -> str:
    """Hostile names must not break the page: no line breaks, no table bars, no HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def _size_category(num_rows: int) -> str:
    for bound, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if num_rows < bound:
            return name
    return "n>1M"
