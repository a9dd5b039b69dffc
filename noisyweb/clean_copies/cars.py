"""Stanford Cars as people have it.

- folders: ``cars_train/00001.jpg`` and ``cars_test/00001.jpg``, as torchvision's ``stanford_cars/`` and the devkit have
  them, or Kaggle's ``cars_train/cars_train/00001.jpg``
- class folders: ``train/<class>/00001.jpg`` and ``test/<class>/00001.jpg`` (Kaggle's ``car_data/``)
- tars: ``cars_train.tar`` and ``cars_test.tar``, which is what ``gunzip`` makes of the distributed ``.tgz``
- Parquet files with ``train`` and ``test`` in their names and columns ``image`` and ``label``

The devkit's annotations may lie anywhere beside them; without, class folders and Parquet still tell the classes.
``car_ims.tgz`` is refused: its images are numbered from 000001 to 016185 in another order, and no file says which of
them is which of ``cars_train`` and ``cars_test``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from noisyweb.clean_copies.folders import files_below
from noisyweb.clean_copies.matlab import car_labels
from noisyweb.clean_copies.places import Place
from noisyweb.clean_copies.tars import members
from noisyweb.drawn.vocabulary import cars
from noisyweb.errors import SourceError

SPLITS = ("train", "validation")
ANNOTATIONS = {
    "cars_train_annos.mat": "train",
    "cars_test_annos_withlabels.mat": "validation",
}
_DEPTH = 5
_IMAGE = re.compile(r"([0-9]{5})\.jpe?g", re.IGNORECASE)
_SPLIT_FOLDERS = {"cars_train": "train", "cars_test": "validation", "train": "train", "test": "validation"}


def car_number(image_id: str) -> int | None:
    """The number in an id such as ``00001.jpg``, with or without folder and ending; None if it is no id of Cars."""
    name = image_id.rpartition("/")[2]
    found = _IMAGE.fullmatch(name if "." in name else f"{name}.jpg")
    return int(found[1]) if found and int(found[1]) else None


@dataclass
class SplitImages:
    """Images of one split.

    Attributes:
        readers: number -> how to read the image.
        labels: number -> class, 0-based, where something tells.
        layout: what they lie in.
    """

    readers: dict[int, Callable[[], bytes]] = field(default_factory=dict)
    labels: dict[int, int] = field(default_factory=dict)
    layout: str = ""


@dataclass(frozen=True)
class StanfordCars:
    """A user's copy; see `noisyweb.clean_copies.CleanCopies`."""

    splits: Mapping[str, SplitImages]
    notes: Sequence[str] = ()

    @property
    def layout(self) -> str:
        """What was found, such as "folders"."""
        return ", ".join(dict.fromkeys(images.layout for images in self.splits.values() if images.layout))

    def missing(self, ids: Sequence[str], split: str) -> list[str]:
        """Those of the ids that the split does not hold."""
        readers = self.splits[split].readers
        return [image_id for image_id in ids if car_number(image_id) not in readers]

    def load(self, ids: Sequence[str], split: str) -> Iterator[bytes]:
        """Encoded bytes, in the order of the ids."""
        readers = self.splits[split].readers
        for image_id in ids:
            number = car_number(image_id)
            if number is None or number not in readers:
                raise SourceError(f"cars: {split} image {image_id!r} is not among the {self.layout}; put it there")
            yield readers[number]()

    def class_of(self, image_id: str, split: str) -> int | None:
        """The 0-based label; None where nothing tells."""
        number = car_number(image_id)
        return self.splits[split].labels.get(number) if number is not None else None


@dataclass
class _Found:
    images: dict[str, dict[int, Place]] = field(default_factory=lambda: {split: {} for split in SPLITS})
    class_folders: dict[str, dict[int, str]] = field(default_factory=lambda: {split: {} for split in SPLITS})
    tars: dict[str, Path] = field(default_factory=dict)
    annotations: dict[str, Path] = field(default_factory=dict)
    parquet: dict[str, list[Path]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    refused: list[Path] = field(default_factory=list)


def open_cars(path: Path) -> StanfordCars:
    """Find out what a folder or archive holds.

    Raises:
        SourceError: nothing there fits; the message names what was looked for.
    """
    found = _Found()
    for file in files_below(path, depth=_DEPTH, enter=lambda name: True):
        _note(found, path, file)
    stated = {
        split: {number: label for name, label in car_labels(file).items() if (number := car_number(name)) is not None}
        for split, file in found.annotations.items()
    }
    splits = {split: _split_images(found, split, stated.get(split, {})) for split in SPLITS}
    if not any(images.readers for images in splits.values()):
        hint = ""
        if found.refused:
            name = found.refused[0].name
            hint = (
                f"; {name} numbers the images in another order, so get cars_train.tgz and cars_test.tgz"
                if name.startswith("car_ims")
                else f"; unzip {name} first (gunzip), it need not be unpacked"
            )
        raise SourceError(
            f"no images of Stanford Cars in {path}{hint}; looked for cars_train/00001.jpg and cars_test/00001.jpg, "
            "train/<class>/00001.jpg, cars_train.tar and train-*.parquet; name the folder that holds them"
        )
    return StanfordCars(splits)


def _split_images(found: _Found, split: str, stated: Mapping[int, int]) -> SplitImages:
    if places := found.images[split]:
        by_class = found.class_folders[split]
        layout = "class folders" if by_class else "folders"
        labels = _labels_of_folders(by_class) | dict(stated)
        return SplitImages({number: place.read for number, place in places.items()}, labels, layout)
    if split in found.tars:
        named = ((car_number(member.name), member.place) for member in members(found.tars[split]))
        return SplitImages({number: place.read for number, place in named if number}, dict(stated), "tars")
    if found.parquet[split]:
        from noisyweb.clean_copies.cars_parquet import read_cars_parquet

        return read_cars_parquet(found.parquet[split], split, stated)
    return SplitImages()


def _labels_of_folders(folders: Mapping[int, str]) -> dict[int, int]:
    """Labels by the folders' names; file systems have no "/", so that Kaggle's folders have "-" in its place."""
    indices = {_plain(name): label for label, name in enumerate(cars().class_names)}
    return {number: indices[_plain(name)] for number, name in folders.items() if _plain(name) in indices}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _note(found: _Found, root: Path, file: Path) -> None:
    name = file.name
    if (number := car_number(name)) is not None and file.suffix:
        split, class_folder = _where(root, file)
        if split is not None:
            _add(found.images[split], number, file)
            if class_folder is not None:
                found.class_folders[split][number] = class_folder
    elif name in ("cars_train.tar", "cars_test.tar"):
        split = _SPLIT_FOLDERS[file.stem]
        if split in found.tars:
            raise SourceError(f"{name} is there twice: {found.tars[split]} and {file}; name the folder of one of them")
        found.tars[split] = file
    elif name in ANNOTATIONS:
        found.annotations.setdefault(ANNOTATIONS[name], file)
    elif file.suffix == ".parquet":
        words = re.split(r"[^a-z]+", file.relative_to(root).as_posix().lower() if file != root else name.lower())
        if "train" in words:
            found.parquet["train"].append(file)
        elif "test" in words or "validation" in words:
            found.parquet["validation"].append(file)
    elif re.fullmatch(r"(cars_train|cars_test|car_ims)\.(tgz|tar\.gz)|car_ims\.tar", name):
        found.refused.append(file)


def _where(root: Path, file: Path) -> tuple[str | None, str | None]:
    """The split and class folder of an image by the folders above it; the innermost split folder counts."""
    above = [root.name, *file.relative_to(root).parts[:-1]] if file != root else [file.parent.name]
    for depth, folder in enumerate(reversed(above)):
        if folder in _SPLIT_FOLDERS and depth < 2:
            return _SPLIT_FOLDERS[folder], above[-1] if depth == 1 else None
    return None, None


def _add(places: dict[int, Place], number: int, file: Path) -> None:
    known = places.setdefault(number, Place(file))
    if known.path != file and known.path.stat().st_size != file.stat().st_size:
        raise SourceError(f"{file.name} is there twice, and differs: {known.path} and {file}; name the folder of one")
