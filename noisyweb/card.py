"""The documents beside the builds of a data set: its card (README.md) and the credits (ATTRIBUTION.md).

The card's front matter lists every build as a configuration, so that ``load_dataset("builds/cars",
"red_noise_nl_0.4")`` of Hugging Face gives its train and validation splits. Both files are worked out afresh from
the builds that stand there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from noisyweb import lock
from noisyweb.atomic import replacing_file
from noisyweb.attribution import CREDITS, attribution_text, cell
from noisyweb.certainty import Certainty
from noisyweb.errors import OutputError
from noisyweb.manifest import open_manifest

DRAWN_NOTICE = (
    "**This is the drawn edition**: the images are drawn by code and the votes come from simulated annotators. "
    "It is for running, testing and teaching. Make no claims about label noise from it."
)
_TAG = "- noisyweb\n"


def check_documents(root: Path) -> None:
    """Refuse to overwrite documents that are not ours.

    Raises:
        OutputError: ``root`` holds a README.md or ATTRIBUTION.md of somebody else's.
    """
    for name, mark in (("README.md", _TAG), ("ATTRIBUTION.md", CREDITS)):
        path = root / name
        if path.exists() and mark not in path.read_text(encoding="utf-8", errors="replace"):
            raise OutputError(f"{path}: not written by noisyweb; name another place with --out, or move it away")


def write_documents(root: Path) -> None:
    """Write README.md and ATTRIBUTION.md for the builds directly below ``root``."""
    folders = lock.locked_folders(root)
    locks = {folder.name: lock.read_lock(folder) for folder in folders}
    credits: dict[str, Mapping[str, Any]] = {}
    licences: Counter[str] = Counter()
    for folder in folders:
        rows = open_manifest(folder).rows
        web = rows.select(["image_id", "source", "url", "landing_url", "creator", "license", "attribution"])
        for row in web.to_pylist():
            if row["source"] == "web" and row["image_id"] not in credits:
                credits[row["image_id"]] = row
                licences[row["license"] or "not stated"] += 1
    for name, text in (("README.md", _card(root.name, locks, licences)), ("ATTRIBUTION.md", _attribution(credits))):
        with replacing_file(root / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _card(name: str, locks: Mapping[str, Mapping[str, Any]], licences: Mapping[str, int]) -> str:
    options = next(iter(locks.values()))["options"]
    trains = {folder: content for folder, content in locks.items() if content["options"]["split"] == "train"}
    validation = next((f for f, content in locks.items() if content["options"]["split"] == "validation"), None)
    rows = max(content["result"]["rows"] for content in locks.values())
    lines = [
        "---",
        f"pretty_name: {_quoted(options['title'])}",
        "task_categories:\n- image-classification",
        f"size_categories:\n- {_size_category(rows)}",
        f"tags:\n- label-noise\n- noisy-labels\n{_TAG}configs:",
    ]
    for folder in trains:
        lines += [
            f"- config_name: {folder}",
            "  data_files:",
            "  - split: train",
            f"    path: {folder}/train-*.parquet",
        ]
        if validation:
            lines += ["  - split: validation", f"    path: {validation}/validation-*.parquet"]
    editions = sorted({content["options"]["edition"] for content in locks.values()})
    lines += ["---", "", f"# {cell(options['title'])}", "", *([DRAWN_NOTICE, ""] if "drawn" in editions else [])]
    lines += [
        f"Training sets of `{name}` with controlled label noise: edition {cell(', '.join(editions))}, "
        f"{next(iter(locks.values()))['classes']['number']} classes.",
        "",
        "| folder | images | wrong labels | share | by kind | seed |",
        "|---|---|---|---|---|---|",
        *[_line(folder, content) for folder, content in locks.items()],
        "",
    ]
    if licences:
        rollup = ", ".join(f"{cell(licence)} {count:,}" for licence, count in sorted(licences.items()))
        lines += [f"Licences of the web images: {rollup}. Credits: ATTRIBUTION.md.", ""]
    known = {folder: Certainty.of_record(content["result"].get("certainty")) for folder, content in locks.items()}
    lines += [f"- {folder}: {certainty}" for folder, certainty in known.items() if certainty is not None]
    lines += [f"- {cell(note)}" for note in _notes(locks)]
    lines += [
        "",
        "`label` is what the trainer sees, `is_clean` says whether it is right, `true_label` is the right class where",
        "known. The number of wrong rows is round(level x images), in each class its share rounded up or down, and",
        "what is wrong at a level is wrong at every higher one. `noisyweb verify` re-proves all of it.",
        "",
    ]
    return "\n".join(lines)


def _line(folder: str, content: Mapping[str, Any]) -> str:
    result = content["result"]
    kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(result["noise"].items()) if name != "none")
    share = result["wrong"] / max(result["rows"], 1)
    seed = content["options"].get("seed", "")
    return f"| {folder} | {result['rows']:,} | {result['wrong']:,} | {share:.4%} | {kinds or 'none'} | {seed} |"


def _notes(locks: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    return list(dict.fromkeys(note for content in locks.values() for note in content["notes"]))


def _attribution(credits: Mapping[str, Mapping[str, Any]]) -> str:
    if not credits:
        return f"{CREDITS}\nNo image here comes from the web.\n"
    return "".join(attribution_text(row for _, row in sorted(credits.items())))


def _quoted(text: str) -> str:
    return '"' + " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _size_category(num_rows: int) -> str:
    for bound, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if num_rows < bound:
            return name
    return "n>1M"
