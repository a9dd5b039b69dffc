"""What is known of a training set before training: the ground on which options are chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from noisyweb.errors import TrainingError


class LabelledImages(Protocol):
    """What training needs of a manifest; `noisyweb.data.NoisyImages` has it."""

    class_names: list[str]
    labels: npt.NDArray[np.int32]
    is_clean: npt.NDArray[np.bool_]
    true_labels: npt.NDArray[np.int32]
    ids: list[str]
    info: Mapping[str, Any]
    root: Path | None

    @property
    def row_groups(self) -> list[tuple[range, int]]: ...

    def __len__(self) -> int: ...

    def encoded(self, row: int) -> bytes | memoryview | None: ...

    def image(self, row: int) -> Image.Image: ...


@dataclass(frozen=True)
class Facts:
    """A training set in a few numbers.

    Attributes:
        dataset, edition, kind: as the manifest says.
        level: share of wrong labels, 0..1, as the manifest says.
        num_classes, num_images: sizes.
        num_validation: clean validation images; 0 if there are none.
        image_px: median over a sample of the shorter side, in pixels.
        digest: SHA-256 (hex) over classes, ids and labels: equal digests mean the same training set.
    """

    dataset: str
    edition: str
    kind: str
    level: float
    num_classes: int
    num_images: int
    num_validation: int
    image_px: int
    digest: str


def facts_of(images: LabelledImages, num_validation: int, where: str) -> Facts:
    """Look at a training set.

    Raises:
        TrainingError: it is empty, or its rows hold no image bytes.
        SourceError: an image cannot be read.
    """
    if len(images) == 0:
        raise TrainingError(f"{where}: the manifest has no rows; build it again")
    info = images.info
    return Facts(
        dataset=str(info.get("dataset") or "unnamed"),
        edition=str(info.get("edition") or "unknown"),
        kind=str(info.get("kind") or "unknown"),
        level=float(info["level"]) if info.get("level") is not None else float(np.mean(~images.is_clean)),
        num_classes=len(images.class_names),
        num_images=len(images),
        num_validation=num_validation,
        image_px=_median_side(images, where),
        digest=digest_of(images.class_names, images.ids, images.labels),
    )


def _sample(images: LabelledImages, most: int = 64, most_groups: int = 8) -> list[int]:
    """Rows from all over the set but from few row groups, each of which may have to be fetched."""
    groups = [rows for rows, _ in images.row_groups if rows]
    if len(groups) <= most_groups:
        return _spread(range(len(images)), most)
    chosen = [groups[place] for place in _spread(range(len(groups)), most_groups)]
    return [row for rows in chosen for row in _spread(rows, most // most_groups)]


def _spread(places: range, most: int) -> list[int]:
    return [int(place) for place in np.unique(np.linspace(places[0], places[-1], most).astype(int))]


def _median_side(images: LabelledImages, where: str) -> int:
    sides = []
    for row in _sample(images):
        if images.root is None and images.encoded(row) is None:
            raise TrainingError(
                f"{where}: row {row} ({images.ids[row]}) has no image bytes, only a path; training needs the images: "
                "name their folder with --root, or build the manifest with them at hand"
            )
        sides.append(min(images.image(row).size))
    return int(np.median(sides))


def digest_of(class_names: Sequence[str], ids: Sequence[str], labels: npt.NDArray[np.int32]) -> str:
    """SHA-256 (hex) over classes, ids and labels: what makes a training set that one."""
    digest = hashlib.sha256("\0".join(class_names).encode())
    digest.update("\0".join(ids).encode("utf-8", "surrogatepass"))
    digest.update(np.ascontiguousarray(labels, dtype="<i4").tobytes())
    return digest.hexdigest()
