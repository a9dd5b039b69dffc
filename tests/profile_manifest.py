"""Manifests with images and labels as a test wants them, to be profiled."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from noisyweb.manifest import manifest_schema, write_shards

NAMES = ("red fox", "red panda", "blue whale", "blue shark")
COLOURS = ((170, 90, 60), (170, 120, 60), (60, 90, 170), (60, 120, 170))


def write_manifest(
    folder: Path,
    label: Sequence[int],
    is_clean: Sequence[bool | None],
    true: Sequence[int | None],
    *,
    class_names: Sequence[str] = NAMES,
    edition: str = "own",
    kind: str = "blue",
    images: Sequence[bytes | None] | None = None,
    title: str = "Animals",
    **columns: Any,
) -> Path:
    """Write a training set of as many rows as labels; return its folder.

    Images are blotches of the colour of the class that is true, 24 pixels wide, unless others are given; a column that
    is not given is empty, but noise and source, which are those of flipped labels.
    """
    folder.mkdir(parents=True)
    size = len(label)
    shown = images if images is not None else [blotch(t or 0, row) for row, t in enumerate(true)]
    info = {"dataset": "animals", "title": title, "edition": edition, "kind": kind, "level": "0.4", "seed": 0}
    schema = manifest_schema(class_names, {**info, "split": "train"})
    values: dict[str, Any] = {
        "image_id": [f"{row:064x}" for row in range(size)],
        "image": [{"bytes": data, "path": f"{row}.png"} for row, data in enumerate(shown)],
        "label": list(label),
        "is_clean": list(is_clean),
        "true_label": list(true),
        "noise": ["none" if clean else "symmetric" for clean in is_clean],
        "source": ["clean"] * size,
        **columns,
    }
    arrays = [pa.array(values.get(field.name, [None] * size), field.type) for field in schema]
    write_shards(folder, "train", schema, iter([pa.RecordBatch.from_arrays(arrays, schema=schema)]))
    return folder


def blotch(label: int, seed: int) -> bytes:
    """A noisy PNG in the colour of a class."""
    rng = np.random.default_rng(seed)
    pixels = np.asarray(COLOURS[label]) + rng.normal(0, 25, 3) + rng.normal(0, 20, (24, 24, 3))
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def flipped(
    size: int, level: float, seed: int, to: npt.NDArray[np.int64] | None = None
) -> tuple[list[int], list[bool], list[int | None]]:
    """Labels, verdicts and true classes of symmetric noise; or of noise that turns class k into ``to[k]``."""
    rng = np.random.default_rng(seed)
    true = np.arange(size) % len(NAMES)
    wrong = rng.random(size) < level
    other = (true + rng.integers(1, len(NAMES), size)) % len(NAMES) if to is None else to[true]
    shown: list[int | None] = [int(each) for each in true]
    return np.where(wrong, other, true).tolist(), (~wrong).tolist(), shown
