"""Builds to export, written by hand: all types of images, wrong labels of several kinds, hostile text."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from noisyweb import lock
from noisyweb.manifest import Manifest, manifest_schema, open_manifest, write_shards

CLASSES = ("ant", "bee / wasp", "../cat's é", "none of these")
"""The last one has no image in what `write_builds` writes."""

Row = dict[str, Any]
FORMATS = ("JPEG", "PNG", "WEBP")


def picture(number: int, image_format: str = "JPEG") -> bytes:
    """A small image, unlike that of any other number."""
    image = Image.new("RGB", (12, 9), (number * 7 % 256, number * 31 % 256, 90))
    image.putpixel((number % 12, number % 9), (255, 255, number % 256))
    out = io.BytesIO()
    image.save(out, image_format, **({"lossless": True} if image_format == "WEBP" else {}))
    return out.getvalue()


def clean_row(number: int, image_format: str = "JPEG") -> Row:
    """An image of the clean set, of class ``number % 3``."""
    data = picture(number, image_format)
    return {
        "image_id": hashlib.sha256(data).hexdigest(),
        "image": {"bytes": data, "path": f"{number:03d}.jpg"},  # whatever the bytes are
        "label": number % 3,
        "is_clean": True,
        "true_label": number % 3,
        "noise": "none",
        "source": "clean",
    }


def web_row(number: int) -> Row:
    """A wrong image from the web."""
    return {
        **clean_row(1000 + number, "JPEG"),
        "label": number % 3,
        "is_clean": False,
        "true_label": None,
        "noise": "web",
        "source": "web",
        "url": f"https://example.org/{number}.jpg",
        "landing_url": f"https://example.org/{number}",
        "creator": "=HYPERLINK(1)" if number % 2 else 'Ann, "B"\nCé',
        "license": "by-sa" if number % 2 else "by",
        "license_url": f"https://creativecommons.org/licenses/{'by-sa' if number % 2 else 'by'}/2.0/",
        "attribution": "@somebody | <b>",
        "votes_yes": number % 2,
        "votes_total": 3 + number % 2,
    }


def red_rows(num_rows: int, num_wrong: int) -> list[Row]:
    rows = [clean_row(n, FORMATS[n % 3 if n < 6 else 0]) for n in range(num_rows)]
    return [web_row(n) if n < num_wrong else row for n, row in enumerate(rows)]


def blue_rows(num_rows: int, num_wrong: int) -> list[Row]:
    wrong = {"is_clean": False, "noise": "symmetric"}
    rows = [clean_row(n) for n in range(num_rows)]
    return [{**row, **wrong, "label": (row["label"] + 1) % 3} if n < num_wrong else row for n, row in enumerate(rows)]


def write_build(
    root: Path,
    rows: Sequence[Row],
    kind: str | None,
    level: str = "0.4",
    *,
    folder: str | None = None,
    class_names: Sequence[str] = CLASSES,
    shard_bytes: int = 2000,
    locked: bool = True,
    **info: Any,
) -> Path:
    """Write one build below ``root``; without a kind, the clean validation set."""
    what: dict[str, Any] = {"dataset": "pets", "title": 'Pets: "clean"', "edition": "own", **info}
    what |= {"split": "train", "kind": kind, "level": level, "seed": 7} if kind else {"split": "validation"}
    place = root / (folder or (f"{kind}_noise_nl_{level}" if kind else "clean_validation"))
    place.mkdir(parents=True)
    schema = manifest_schema(class_names, what)
    batches = [pa.RecordBatch.from_pylist(list(rows[i : i + 4]), schema=schema) for i in range(0, len(rows), 4)]
    files = write_shards(place, what["split"], schema, iter(batches), shard_bytes)
    if locked:
        noise = dict(Counter(row["noise"] for row in rows))
        sizes = Counter(row["label"] for row in rows)
        result = {"rows": len(rows), "wrong": len(rows) - noise.get("none", 0), "noise": noise}
        result["class_sizes"] = [sizes[label] for label in range(len(class_names))]
        classes = {"number": len(class_names), "sha256": lock.class_digest(class_names)}
        content: Mapping[str, Any] = {"options": what, "classes": classes, "inputs": {}, "result": result, "notes": []}
        lock.write_lock(place, content, files)
    return place


def write_builds(root: Path, change: Callable[[Row], Row] = lambda row: row) -> Path:
    """Three training sets and a validation set of one data set; ``change`` is done to every row."""
    for kind, level, rows in (
        ("red", "0.4", red_rows(14, 6)),
        ("red", "0.025", red_rows(14, 1)),
        ("blue", "0.4", blue_rows(14, 6)),
        (None, "", [clean_row(500 + n) for n in range(5)]),
    ):
        write_build(root, [change(row) for row in rows], kind, level)
    return root


def rows_of(folder: Path | Manifest) -> list[Row]:
    """The rows of a build, with the encoded bytes and the path of each."""
    manifest = folder if isinstance(folder, Manifest) else open_manifest(folder)
    pairs = zip(manifest.rows.to_pylist(), manifest.images(), strict=True)
    return [{**row, "bytes": data, "path": path} for row, (data, path) in pairs]
