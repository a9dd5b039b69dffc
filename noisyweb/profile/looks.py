"""The images of some rows as vectors: what they look like to a glance, or to a model that the user gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from noisyweb.decode import DAMAGE, NotUsableError, load, open_header, pillow_in_bounds, to_rgb
from noisyweb.embedding import Embedding, embed
from noisyweb.manifest import Manifest
from noisyweb.perceptual import NUM_FEATURES, perceptual_features
from noisyweb.profile.rows import Labels
from noisyweb.progress import Progress

_BATCH, _SIDE = 128, 64

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """What was seen of M rows.

    Attributes:
        vectors: of length 1, shape (S, D).
        has: which of the rows have one, shape (M,): S of them.
        num_absent: rows without bytes, neither in the manifest nor at their path; the others are unreadable.
    """

    vectors: Floats
    has: npt.NDArray[np.bool_]
    num_absent: int


def look(manifest: Manifest, rows: Labels, root: Path | None, model: Embedding | None, progress: Progress) -> Seen:
    """The vectors of rows.

    Args:
        manifest: whose rows.
        rows: their numbers in it, ascending; M of them.
        root: folder that paths start from, for rows without bytes.
        model: None for `noisyweb.perceptual`.
        progress: told how many are done.
    """
    num_absent = 0

    def there() -> Iterator[bytes | None]:
        nonlocal num_absent
        for data in _encoded(manifest, rows, root):
            num_absent += data is None
            yield data

    encoded = there()
    seen = np.zeros(len(rows), bool)
    parts: list[Floats] = []
    with pillow_in_bounds():
        if model is not None:
            for place, vector in enumerate(embed(model, encoded)):
                seen[place] = vector is not None
                parts += [] if vector is None else [vector[None]]
                progress("look at images", place + 1, len(rows))
        else:
            done = 0
            while batch := list(islice(encoded, _BATCH)):
                pictures = [_picture(data) for data in batch]
                seen[done : done + len(batch)] = [picture is not None for picture in pictures]
                parts.append(perceptual_features(picture for picture in pictures if picture is not None))
                done += len(batch)
                progress("look at images", done, len(rows))
    vectors = np.concatenate(parts) if parts else np.zeros((0, NUM_FEATURES), np.float32)
    return Seen(vectors, seen, num_absent)


def _encoded(manifest: Manifest, rows: Labels, root: Path | None) -> Iterator[bytes | None]:
    """The bytes of rows, in order; None where there are none."""
    start = 0
    for batch in manifest.image_batches():
        inside = rows[(rows >= start) & (rows < start + len(batch))] - start
        start += len(batch)
        for image in batch.take(inside).to_pylist() if len(inside) else ():
            data, path = (None, None) if image is None else (image["bytes"], image["path"])
            yield data if data is not None or path is None or root is None else _file(root, path)


def _file(root: Path, path: str) -> bytes | None:
    """A file below the folder; nothing that a path could lead to elsewhere."""
    try:
        target = (root / path).resolve()
        return target.read_bytes() if target.is_relative_to(root.resolve()) and target.is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def _picture(data: bytes | None) -> Image.Image | None:
    try:
        image = open_header(data or b"")
        if image.mode == "RGB":
            image.draft("RGB", (2 * _SIDE, 2 * _SIDE))  # large JPEGs smaller
        load(image)
        return image if image.mode == "RGB" else to_rgb(image)
    except (NotUsableError, *DAMAGE):
        return None
