"""The release's folder: class names and split files of Mini-ImageNet and Stanford Cars.

    dataset_no_images/
      mini-imagenet-annotations.json    stanford-cars-annotations.json
      mini-imagenet/  class_name.txt    split/{red,blue}_noise_nl_{0.0,0.05,...}  split/clean_validation
      stanford_cars/  class_name.txt    split/...

Its page, its readers and its copies spell folders and files differently (``class_names.txt``, ``stanford-cars``): all
are taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.levels import level_text, parse_level
from noisyweb.official.split_file import SplitFile, lines, read_split, wnid_of

DATASETS = {
    "cars": ("stanford_cars", "stanford-cars", "cars"),
    "mini-imagenet": ("mini-imagenet", "mini_imagenet", "miniimagenet"),
}
"""The data sets of the release, and how their folders and annotations may be called."""

VALIDATION = "clean_validation"
_CLASS_FILES = ("class_name.txt", "class_names.txt")
_SPLIT = re.compile(r"([a-z][a-z0-9.-]*)_noise_nl_(\d+(?:\.\d+)?)(?:\.txt)?")
MAX_CLASSES = 100_000


@dataclass(frozen=True)
class ReleaseSet:
    """One data set of the release.

    Attributes:
        dataset: cars or mini-imagenet.
        folder: where its class names and splits are.
        annotations: the file of its web images.
        class_names: in the order of the class numbers.
        splits: training splits by kind and level.
    """

    dataset: str
    folder: Path
    annotations: Path
    class_names: tuple[str, ...]
    splits: Mapping[tuple[str, Decimal], Path]

    def split(self, kind: str, level: Decimal) -> SplitFile:
        """A training split.

        Raises:
            SourceError: the release has none of that kind and level.
            CorruptFileError: the file is damaged.
        """
        path = self.splits.get((kind, level))
        if path is None:
            kinds = sorted({known for known, _ in self.splits})
            levels = ", ".join(level_text(each) for known, each in sorted(self.splits) if known == kind)
            found = f"{kind} at {levels}" if levels else f"kinds {', '.join(kinds) or 'none'}"
            raise SourceError(
                f"{self.folder.name}: the official release has no {kind} split at {level_text(level)}; it has {found}"
            )
        return read_split(path, len(self.class_names))

    def validation(self) -> SplitFile:
        """The clean validation split.

        Raises:
            SourceError: there is none.
        """
        found = [self.folder / "split" / name for name in (VALIDATION, f"{VALIDATION}.txt")]
        path = next((path for path in found if path.is_file()), None)
        if path is None:
            raise SourceError(f"{self.folder / 'split'}: it has no {VALIDATION}; fetch the release again")
        return read_split(path, len(self.class_names))

    @cached_property
    def true_classes(self) -> dict[str, int]:
        """The class of every clean image that a split without noise lists, by key; red's, if red and blue differ."""
        return {key: labels[-1] for key, labels in self._without_noise.items()}

    @cached_property
    def disputed(self) -> frozenset[str]:
        """Clean images, by key, to which the splits without noise give different classes."""
        return frozenset(key for key, labels in self._without_noise.items() if len(set(labels)) > 1)

    @cached_property
    def _without_noise(self) -> dict[str, list[int]]:
        """The classes of each image in the splits at level 0, red last."""
        found: dict[str, list[int]] = {}
        for (_, level), path in sorted(self.splits.items()):
            if level == 0:
                split = read_split(path, len(self.class_names))
                for key, label in zip(split.keys, split.labels.tolist(), strict=True):
                    found.setdefault(key, []).append(label)
        return found

    @cached_property
    def red_rows(self) -> dict[tuple[str, int], Decimal]:
        """Every key and class in a red split, and the lowest level that has it; in the order of the levels."""
        found: dict[tuple[str, int], Decimal] = {}
        for (kind, level), path in sorted(self.splits.items()):
            if kind == "red":
                split = read_split(path, len(self.class_names))
                for row in zip(split.keys, split.labels.tolist(), strict=True):
                    found.setdefault(row, level)
        return found

    @cached_property
    def wnid_classes(self) -> dict[str, int]:
        """The class of each WordNet id of Mini-ImageNet: that of most images without noise which bear it."""
        counts: dict[str, dict[int, int]] = {}
        for key, label in self.true_classes.items():
            wnid = wnid_of(key)
            if wnid is not None:
                of_wnid = counts.setdefault(wnid, {})
                of_wnid[label] = of_wnid.get(label, 0) + 1
        return {wnid: max(sorted(found), key=found.__getitem__) for wnid, found in counts.items()}


def open_release(folder: Path) -> dict[str, ReleaseSet]:
    """The data sets of a release, by name.

    Args:
        folder: ``dataset_no_images``, or the one that holds it.

    Raises:
        SourceError: it is none, or a part of a set is missing.
        CorruptFileError: class names cannot be read.
    """
    found: dict[str, ReleaseSet] = {}
    for root in (folder, folder / "dataset_no_images"):
        for dataset, names in DATASETS.items():
            place = next((root / name for name in names if (root / name / "split").is_dir()), None)
            if place is not None and dataset not in found:
                found[dataset] = _open_set(dataset, root, place)
    if not found:
        raise SourceError(
            f"{folder}: not the official release; expected mini-imagenet/split or stanford_cars/split in it, "
            "as dataset_no_images.zip has them"
        )
    return found


def open_set(folder: Path, dataset: str) -> ReleaseSet:
    """One data set of a release.

    Raises:
        SourceError: the release does not hold it.
    """
    found = open_release(folder)
    if dataset not in found:
        raise SourceError(f"{folder}: the release there has no {dataset}, only {', '.join(found)}; fetch it again")
    return found[dataset]


def open_layout(place: Path) -> ReleaseSet:
    """A folder of the release's layout, whatever its data set is called: one set of a release, or of an export.

    Raises:
        SourceError: it is none.
        CorruptFileError: class names cannot be read.
    """
    if not (place / "split").is_dir():
        raise SourceError(f"{place}: it has no folder `split`; expected one set of a release")
    dataset = next((dataset for dataset, names in DATASETS.items() if place.name in names), place.name)
    return _open_set(dataset, place.parent, place)


def _open_set(dataset: str, root: Path, place: Path) -> ReleaseSet:
    names = dict.fromkeys((*DATASETS.get(dataset, ()), place.name))
    spellings = [f"{name}{mark}annotations.json" for name in names for mark in ("-", "_")]
    annotations = next((root / name for name in spellings if (root / name).is_file()), None)
    if annotations is None:
        raise SourceError(f"{root}: the release lacks the annotations of {dataset}; expected {spellings[0]}")
    splits = {}
    for path in sorted((place / "split").iterdir()):
        match = _SPLIT.fullmatch(path.name)
        if match and path.is_file():
            splits[match[1], parse_level(match[2])] = path
    if not splits:
        raise SourceError(f"{place / 'split'}: no split file in it; expected such as red_noise_nl_0.4")
    return ReleaseSet(dataset, place, annotations, _class_names(place), splits)


def _class_names(place: Path) -> tuple[str, ...]:
    path = next((place / name for name in _CLASS_FILES if (place / name).is_file()), None)
    if path is None:
        raise SourceError(f"{place}: it lacks its class names; expected {' or '.join(_CLASS_FILES)}")
    names = [line.strip() for line in lines(path)]
    while names and not names[-1]:
        names.pop()
    if not names or len(names) > MAX_CLASSES or not all(name and name.isprintable() for name in names):
        raise CorruptFileError(f"{path}: {len(names)} class names, some empty or unprintable; expected one a line")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise CorruptFileError(f"{path}: class {twice!r} is there twice; labels would not say which")
    return tuple(names)
