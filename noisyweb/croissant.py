"""Croissant 1.1 metadata of a folder of builds: what is in which file, what the columns mean, how labels were made.

Each build is a record set of its own; the classes are one more, an enumeration that the labels refer to. The JSON-LD
follows the MLCommons Croissant format 1.1 and its vocabulary for responsible AI (RAI) 1.0, and is what ``mlcroissant``
reads. Of what these ask for, the date of publication, the creators and a home page are left out: a build does not know
them. Whoever publishes a set adds them.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from noisyweb import lock
from noisyweb.card import DRAWN_NOTICE, Credits, credits_of
from noisyweb.croissant_words import CITATION, COLUMNS, CONTEXT, TYPES
from noisyweb.facts import Facts, facts_of
from noisyweb.manifest import Manifest, open_manifest
from noisyweb.schemas import MANIFEST

CROISSANT_NAME = "croissant.json"
CONFORMS_TO = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
_CLASSES = "classes"
_FILE_SET = "parquet"
_PARQUET = "application/x-parquet"


def croissant(root: Path) -> dict[str, Any]:
    """Describe the builds directly below a folder; the result belongs into ``root / CROISSANT_NAME``.

    The same builds give the same metadata: hashes come from the lock files, there are no times, and all paths are
    relative to ``root``.

    Args:
        root: a folder of builds, such as ``builds/cars``.

    Raises:
        SourceError, CorruptFileError: a build is damaged.
    """
    manifests = [open_manifest(folder) for folder in lock.locked_folders(root)]
    return croissant_of(root.name, manifests, credits_of(manifests))


def croissant_of(name: str, manifests: Sequence[Manifest], credits: Credits) -> dict[str, Any]:
    """Describe builds that lie side by side.

    Args:
        name: of the data set.
        manifests: at least one, of one vocabulary.
        credits: of all their web images.
    """
    facts = [facts_of(manifest) for manifest in manifests]
    title = facts[0]["options"]["title"]
    described: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS_TO),
        "name": name,
        "alternateName": title,
        "description": _description(title, facts),
        "keywords": ["label noise", "noisy labels", "image classification"],
        "isLiveDataset": False,
        **_licence(credits),
        **_citation(facts),
        **_responsible(facts, manifests, credits),
        "distribution": [],
        "recordSet": [_classes(manifests[0].class_names)],
    }
    for manifest, fact in zip(manifests, facts, strict=True):
        described["distribution"] += _files(manifest.folder.name, fact)
        described["recordSet"].append(_rows(manifest.folder.name, fact))
    return described


def _description(title: str, facts: Sequence[Facts]) -> str:
    drawn = any(fact["options"]["edition"] == "drawn" for fact in facts)
    text = (
        f"{title}: images of {facts[0]['classes']['number']:,} classes, as training sets with controlled label noise. "
        "The number of wrong labels is round(level x images) in each."
    )
    return f"{text} {DRAWN_NOTICE.replace('**', '')}" if drawn else text


def _licence(credits: Credits) -> dict[str, Any]:
    """The licences of the web images; nobody told those of the clean ones."""
    found = {row["license_url"] or row["license"] or "not stated" for row in credits.values()}
    return {"license": sorted(found)} if found else {}


def _citation(facts: Iterable[Facts]) -> dict[str, Any]:
    """The paper that red and blue noise are from."""
    of_paper = any({"web", "symmetric"} & set(fact["result"]["noise"]) for fact in facts)
    return {"citeAs": CITATION} if of_paper else {}


def _responsible(facts: Sequence[Facts], manifests: Sequence[Manifest], credits: Credits) -> dict[str, Any]:
    """What is known of how images and labels came about, and nothing else."""
    editions = ", ".join(sorted({fact["options"]["edition"] for fact in facts}))
    collected = f"Clean images and their labels: edition {editions} of the data set."
    if credits:
        collected += " Web images were found by the name of the class that they stand under; the column url has where."
    noise = "; ".join(
        f"{manifest.folder.name}: {_noise(fact)}" for manifest, fact in zip(manifests, facts, strict=True)
    )
    limits = "Labels are wrong on purpose: the sets are for research into learning with them, not for products."
    if any(fact["options"]["edition"] == "drawn" for fact in facts):
        limits += f" {DRAWN_NOTICE.replace('**', '')}"
    told = {
        "rai:dataCollection": collected,
        "rai:dataManipulationProtocol": f"How many labels are wrong, and how: {noise}.",
        "rai:dataUseCases": ["Training and comparing methods that learn from wrong labels"],
        "rai:dataLimitations": [limits, *dict.fromkeys(note for fact in facts for note in fact["notes"])],
    }
    return {**told, **_annotation(manifests)}


def _noise(fact: Facts) -> str:
    options, result = fact["options"], fact["result"]
    if options["split"] != "train":
        return f"no label was made wrong, {result['rows']:,} images"
    kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(result["noise"].items()) if name != "none")
    return (
        f"kind {options['kind']}, level {options['level']}, seed {options.get('seed', 'not known')}: "
        f"{result['wrong']:,} of {result['rows']:,} ({kinds or 'none'})"
    )


def _annotation(manifests: Iterable[Manifest]) -> dict[str, Any]:
    """What annotators did, if the rows have votes."""
    fewest, most = [], []
    for manifest in manifests:
        votes = manifest.rows.column("votes_total").drop_null().to_numpy()
        if len(votes):
            fewest.append(int(votes.min()))
            most.append(int(votes.max()))
    if not most:
        return {}
    low, high = min(fewest), max(most)
    return {
        "rai:dataAnnotationProtocol": [
            "Annotators judged whether an image shows its label; votes_yes of votes_total said that it does. "
            "is_clean follows their verdict."
        ],
        "rai:annotationsPerItem": str(low) if low == high else f"{low} to {high}",
    }


def _classes(class_names: Sequence[str]) -> dict[str, Any]:
    label, name = f"{_CLASSES}/label", f"{_CLASSES}/name"
    return {
        "@type": "cr:RecordSet",
        "@id": _CLASSES,
        "name": _CLASSES,
        "description": "The vocabulary: what each label stands for.",
        "dataType": "sc:Enumeration",
        "key": {"@id": label},
        "field": [
            {"@type": "cr:Field", "@id": label, "name": "label", "dataType": "sc:Integer"},
            {"@type": "cr:Field", "@id": name, "name": "name", "dataType": ["sc:Text", "sc:name"]},
        ],
        "data": [{label: number, name: text} for number, text in enumerate(class_names)],
    }


def _files(folder: str, fact: Facts) -> list[dict[str, Any]]:
    """Every Parquet file with its hash, and all of them as one set, which the rows are read from."""
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": _id(folder, name),
            "name": name,
            "contentUrl": f"{folder}/{name}",
            "contentSize": f"{file['bytes']} B",
            "encodingFormat": _PARQUET,
            "sha256": file["sha256"],
        }
        for name, file in sorted(fact["files"].items())
        if name.endswith(".parquet")
    ]
    file_set = {
        "@type": "cr:FileSet",
        "@id": _id(folder, _FILE_SET),
        "name": f"{folder} files",
        "description": f"The files of {folder}, in row order.",
        "encodingFormat": _PARQUET,
        "includes": f"{glob.escape(folder)}/{fact['options']['split']}-*.parquet",
    }
    return [*objects, file_set]


def _rows(folder: str, fact: Facts) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": _id(folder),
        "name": folder,
        "description": f"One record an image: {_noise(fact)}.",
        "field": [_field(folder, column.name) for column in MANIFEST],
    }


def _field(folder: str, column: str) -> dict[str, Any]:
    source: dict[str, Any] = {"fileSet": {"@id": _id(folder, _FILE_SET)}, "extract": {"column": column}}
    if column == "image":
        source["transform"] = {"jsonPath": "bytes"}
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": _id(folder, column),
        "name": column,
        "description": COLUMNS[column],
        "dataType": TYPES.get(column, "sc:Text"),
        "source": source,
    }
    # true_label refers to the classes too, but a reader may join on one reference only
    return {**field, "references": {"field": {"@id": f"{_CLASSES}/label"}}} if column == "label" else field


def _id(*parts: str) -> str:
    """An @id is an IRI, whatever folders are called."""
    return "/".join(quote(part, safe="") for part in parts)
