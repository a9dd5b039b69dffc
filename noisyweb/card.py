"""The card of a data set's builds (README.md) and the credits (ATTRIBUTION.md), as texts.

The card's front matter lists every build as a configuration, so that ``load_dataset("builds/cars",
"red_noise_nl_0.4")`` of Hugging Face gives its train and validation splits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from noisyweb.attribution import CREDITS, attribution_text, cell
from noisyweb.certainty import Certainty
from noisyweb.facts import Facts
from noisyweb.manifest import Manifest
from noisyweb.schemas import PROVENANCE_COLUMNS

DRAWN_NOTICE = (
    "**This is the drawn edition**: the images are drawn by code and the votes come from simulated annotators. "
    "It is for running, testing and teaching. Make no claims about label noise from it."
)
CARD_TAG = "- noisyweb\n"
"""A line of every card."""


Credits = Mapping[str, Mapping[str, Any]]
"""By image id: the provenance columns of every web image."""


def credits_of(manifests: Iterable[Manifest]) -> Credits:
    """Whom to credit for the web images of some builds; each image once."""
    credits: dict[str, Mapping[str, Any]] = {}
    for manifest in manifests:
        web = manifest.rows.select(["image_id", "source", *PROVENANCE_COLUMNS])
        for row in web.filter(pc.equal(web.column("source"), "web")).to_pylist():
            credits.setdefault(row["image_id"], row)
    return credits


def attribution(credits: Credits) -> str:
    """The text of an ATTRIBUTION.md."""
    if not credits:
        return f"{CREDITS}\nNo image here comes from the web.\n"
    return "".join(attribution_text(row for _, row in sorted(credits.items())))


def card(name: str, facts: Mapping[str, Facts], credits: Credits, configs: Mapping[str, str] | None = None) -> str:
    """The text of a data-set card.

    Args:
        name: of the data set.
        facts: of each build, by the name of its folder.
        credits: of their web images.
        configs: the configurations of Hugging Face, with the folder of each; None: every training set by its folder's
            name.
    """
    options = next(iter(facts.values()))["options"]
    if configs is None:
        configs = {folder: folder for folder, fact in facts.items() if fact["options"]["split"] == "train"}
    validation = next((f for f, fact in facts.items() if fact["options"]["split"] == "validation"), None)
    rows = max(fact["result"]["rows"] for fact in facts.values())
    lines = [
        "---",
        f"pretty_name: {_quoted(options['title'])}",
        "task_categories:\n- image-classification",
        f"size_categories:\n- {_size_category(rows)}",
        f"tags:\n- label-noise\n- noisy-labels\n{CARD_TAG}".rstrip(),
        *(["configs:"] if configs else []),
    ]
    for config, folder in configs.items():
        lines += [
            f"- config_name: {_plain(config)}",
            "  data_files:",
            "  - split: train",
            f"    path: {_plain(f'{folder}/train-*.parquet')}",
        ]
        if validation:
            lines += ["  - split: validation", f"    path: {_plain(f'{validation}/validation-*.parquet')}"]
    editions = sorted({fact["options"]["edition"] for fact in facts.values()})
    lines += ["---", "", f"# {cell(options['title'])}", "", *([DRAWN_NOTICE, ""] if "drawn" in editions else [])]
    lines += [
        f"Training sets of `{cell(name)}` with controlled label noise: edition {cell(', '.join(editions))}, "
        f"{next(iter(facts.values()))['classes']['number']} classes.",
        "",
        "| folder | images | wrong labels | share | by kind | seed |",
        "|---|---|---|---|---|---|",
        *[_line(folder, fact) for folder, fact in facts.items()],
        "",
    ]
    if credits:
        licences = Counter(row["license"] or "not stated" for row in credits.values())
        rollup = ", ".join(f"{cell(licence)} {count:,}" for licence, count in sorted(licences.items()))
        lines += [f"Licences of the web images: {rollup}. Credits: ATTRIBUTION.md.", ""]
    known = {folder: Certainty.of_record(fact["result"].get("certainty")) for folder, fact in facts.items()}
    lines += [f"- {folder}: {certainty}" for folder, certainty in known.items() if certainty is not None]
    lines += [f"- {cell(note)}" for note in _notes(facts)]
    lines += [
        "",
        "`label` is what the trainer sees, `is_clean` says whether it is right, `true_label` is the right class where",
        *_promise(facts),
        "`noisyweb verify` re-proves all of it.",
        "",
    ]
    return "\n".join(lines)


def _promise(facts: Mapping[str, Facts]) -> list[str]:
    """What holds of all builds."""
    options = [content["options"] for content in facts.values()]
    if any(each["edition"] == "official" for each in options):
        return ["known. The rows, and so the level and how levels are nested, are those of the official release."]
    shares = "" if any("balance" in each for each in options) else ", in each class its share rounded up or down"
    return [
        f"known. The number of wrong rows is round(level x images){shares}, and what is wrong",
        "at a level is wrong at every higher one of the same kind and seed.",
    ]


def _line(folder: str, content: Facts) -> str:
    result = content["result"]
    kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(result["noise"].items()) if name != "none")
    share = result["wrong"] / max(result["rows"], 1)
    seed = content["options"].get("seed", "")
    return f"| {cell(folder)} | {result['rows']:,} | {result['wrong']:,} | {share:.4%} | {kinds or 'none'} | {seed} |"


def _notes(facts: Mapping[str, Facts]) -> Sequence[str]:
    return list(dict.fromkeys(note for fact in facts.values() for note in fact["notes"]))


def _plain(text: str) -> str:
    """As it is where YAML takes it for text, else in quotes."""
    return text if re.fullmatch(r"[A-Za-z][\w./*-]*", text, re.ASCII) else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _size_category(num_rows: int) -> str:
    for bound, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if num_rows < bound:
            return name
    return "n>1M"
