"""A small release of the official form: both sets, ten levels, red and blue, annotations, and faults to be planted."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from noisyweb.blend import blend_levels
from noisyweb.draws import bits, integers, row_keys
from noisyweb.levels import PAPER_LEVELS, level_text
from noisyweb.plan import BlendInput

FAULTS = ("unresolved", "wrong-level", "own-class", "is-clean-ignored", "shifted", "repeated", "out-of-range", "leak")
"""What can be planted; see `make_release`."""


@dataclass(frozen=True)
class Release:
    """Where a release is.

    Attributes:
        folder: ``dataset_no_images``.
        web_url: what the URLs of web images begin with.
    """

    folder: Path
    web_url: str

    def zip(self, target: Path) -> Path:
        """The release as it is published."""
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(self.folder.rglob("*")):
                if path.is_file():
                    archive.write(path, Path("dataset_no_images") / path.relative_to(self.folder))
        return target


def make_release(
    folder: Path,
    *,
    sets: Sequence[str] = ("cars", "mini-imagenet"),
    num_classes: int = 4,
    per_class: int = 20,
    pool: int = 24,
    faults: Collection[str] = (),
    web_url: str = "https://web.invalid/",
) -> Release:
    """Write a release.

    Args:
        folder: becomes ``dataset_no_images``.
        sets: which of its data sets.
        num_classes: of each.
        per_class: clean training images a class; a quarter as many again are the validation set.
        pool: wrong web images a class; half as many again are right ones.
        faults: of `FAULTS`. unresolved: every tenth web id of the red splits is none of the annotations'; wrong-level:
            blue 0.4 flips as 0.24 would; own-class: blue draws from all classes; is-clean-ignored: all annotations say
            wrong; shifted: labels of red and blue 0.0 stand one line too low; repeated: a row is there twice;
            out-of-range: a class number is none; leak: a training image of red 0.2 is a validation image.
        web_url: what the URLs of web images begin with.
    """
    unknown = set(faults) - set(FAULTS)
    assert not unknown, unknown
    for dataset in sets:
        _make_set(folder, dataset, num_classes, per_class, pool, faults, web_url)
    return Release(folder, web_url)


WNIDS = ("n01704323", "n04515003", "n02101006", "n03062245", "n04509417", "n03854065", "n02110063", "n03998194")


def clean_names(dataset: str, labels: np.ndarray, split: str) -> list[str]:
    """File names of clean images as the release has them."""
    names, seen = [], dict.fromkeys(range(len(labels)), 0)
    for number, label in enumerate(labels.tolist(), start=1):
        seen[label] += 1
        if dataset == "cars":
            names.append(f"{number:05d}.jpg")
        elif split == "train":
            wnid = WNIDS[label] if label < len(WNIDS) else f"n{90_000_000 + label}"
            names.append(f"{wnid}{seen[label] + 7:08d}.jpg")
        else:
            names.append(f"ILSVRC2012_val_{number:08d}.jpg")
    return names


def _make_set(
    folder: Path, dataset: str, num_classes: int, per_class: int, pool: int, faults: Collection[str], web_url: str
) -> None:
    place = folder / {"cars": "stanford_cars", "mini-imagenet": "mini-imagenet"}[dataset]
    (place / "split").mkdir(parents=True)
    classes = [f"{dataset} class {k}" for k in range(num_classes)]
    (place / "class_name.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    labels = np.repeat(np.arange(num_classes), per_class).astype(np.int32)
    names = clean_names(dataset, labels, "train")
    ids = [f"{int(key):016x}" for key in bits(row_keys(f"{dataset}/{n}" for n in range(num_classes * pool)), 0, "id")]
    pool_labels = np.repeat(np.arange(num_classes), pool).astype(np.int32)
    right = [
        f"{int(key):016x}" for key in bits(row_keys(f"{dataset}/r{n}" for n in range(num_classes * pool // 2)), 0, "id")
    ]
    annotated = [(name, label, 0) for name, label in zip(ids, pool_labels.tolist(), strict=True)]
    annotated += [(name, n % num_classes, int("is-clean-ignored" not in faults)) for n, name in enumerate(right)]
    data = [
        [
            {
                "image/uri": f"{web_url}{name}.jpg",
                "image/id": name,
                "image/class/label": label,
                "image/class/label/is_clean": is_clean,
            }
        ]
        for name, label, is_clean in annotated
    ]
    about = {"name": dataset, "version": "1.0", "data": data}
    file = {"cars": "stanford-cars-annotations.json", "mini-imagenet": "mini-imagenet-annotations.json"}[dataset]
    (folder / file).write_text(json.dumps(about), encoding="utf-8")
    source = BlendInput(labels, row_keys(names), classes, pool_labels, row_keys(ids))
    validation_labels = np.repeat(np.arange(num_classes), max(per_class // 4, 1)).astype(np.int32)
    validation = clean_names(dataset, validation_labels, "validation")
    for kind in ("red", "blue"):
        for blend in blend_levels(kind, source, PAPER_LEVELS, 0):
            rows = [
                ids[web] if web >= 0 else name[:-4] for name, web in zip(names, blend.pool_row.tolist(), strict=True)
            ]
            given = blend.labels
            level = level_text(blend.level)
            if kind == "blue" and level == "0.4" and "wrong-level" in faults:
                (lower,) = blend_levels("blue", source, [Decimal("0.24")], 0)
                given = lower.labels
            if kind == "blue" and "own-class" in faults:
                drawn = integers(row_keys(names), num_classes, 3, "own").astype(np.int32)
                given = np.where(blend.is_wrong, drawn, labels).astype(np.int32)
            lines = [f"{row}.jpg {label}" for row, label in zip(rows, given.tolist(), strict=True)]
            if kind == "red" and "unresolved" in faults:
                wrong = np.flatnonzero(blend.is_wrong)[::10].tolist()
                lines = [f"{'f' * 14}{n:02x}.jpg {given[n]}" if n in wrong else line for n, line in enumerate(lines)]
            if level == "0.0" and "shifted" in faults:
                lines = [f"{row}.jpg {given[n - 1]}" for n, row in enumerate(rows)]
            if kind == "red" and level == "0.2":
                if "repeated" in faults:
                    lines.append(lines[-1])
                if "leak" in faults:
                    lines[0] = f"{validation[0]} {given[0]}"
                if "out-of-range" in faults:
                    lines[1] = f"{rows[1]}.jpg {num_classes}"
            (place / "split" / f"{kind}_noise_nl_{level}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = [f"{name} {label}" for name, label in zip(validation, validation_labels.tolist(), strict=True)]
    (place / "split" / "clean_validation").write_text("\n".join(lines) + "\n", encoding="utf-8")
