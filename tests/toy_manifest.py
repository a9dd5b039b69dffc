"""Tiny manifests that any model can learn: the colour is the class."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from noisyweb.manifest import manifest_schema, write_shards

COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))


def write_toy_manifest(
    parent: Path,
    *,
    num_images: int = 48,
    num_validation: int = 24,
    level: float = 0.25,
    kind: str = "blue",
    side: int = 32,
    seed: int = 0,
    with_bytes: bool = True,
) -> Path:
    """Write ``<parent>/toy/<kind>_noise_nl_<level>`` and its clean validation; return the former.

    A share ``level`` of the labels, drawn at random, is moved on by one class.
    """
    folder = parent / "toy" / f"{kind}_noise_nl_{level:g}"
    _write(folder, "train", num_images, level, kind, side, seed, with_bytes)
    if num_validation:
        _write(parent / "toy" / "clean_validation", "validation", num_validation, 0.0, kind, side, seed + 1, True)
    return folder


def _write(folder: Path, split: str, num: int, level: float, kind: str, side: int, seed: int, with_bytes: bool) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    true = np.arange(num) % len(COLOURS)
    wrong = np.zeros(num, dtype=bool)
    wrong[rng.permutation(num)[: round(level * num)]] = True
    label = np.where(wrong, (true + 1) % len(COLOURS), true)
    data = [_png(COLOURS[colour], side, rng) for colour in true]
    info = {"dataset": "toy", "title": "Toys", "edition": "drawn", "kind": kind, "level": str(level), "seed": seed}
    info["split"] = split
    schema = manifest_schema(["red", "green", "blue"], info)
    columns = {
        "image_id": [hashlib.sha256(image).hexdigest() for image in data],
        "image": [{"bytes": image if with_bytes else None, "path": f"{i}.png"} for i, image in enumerate(data)],
        "label": label,
        "is_clean": ~wrong,
        "true_label": true,
        "noise": ["symmetric" if flag else "none" for flag in wrong],
        "source": ["clean"] * num,
    }
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(num, field.type)
        for field in schema
    ]
    write_shards(folder, split, schema, iter([pa.RecordBatch.from_arrays(arrays, schema=schema)]))


def _png(colour: tuple[int, int, int], side: int, rng: np.random.Generator) -> bytes:
    noise = rng.normal(0, 30, (side, side, 3))
    pixels = np.clip(np.asarray(colour) + noise, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
