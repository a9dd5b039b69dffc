"""Stanford Cars in Parquet files, as on the Hugging Face Hub: columns ``image`` (bytes and path) and ``label``.

The release asks for a file by its name, and Parquet files need not keep names. A split is read if every row's path is
the devkit's name (``00001.jpg``); or, without such names, if the devkit's annotations are there too and the labels of
all rows agree with them one by one, which no other order does by chance. Else nobody can tell which row is which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from noisyweb.clean_copies.cars import SplitImages, car_number
from noisyweb.dataset import Section
from noisyweb.drawn.vocabulary import cars
from noisyweb.errors import SourceError
from noisyweb.imageset import ImageSet


def read_cars_parquet(files: Sequence[Path], split: str, stated: Mapping[int, int]) -> SplitImages:
    """Read one split.

    Args:
        files: its Parquet files.
        split: "train" or "validation".
        stated: labels by number, from the devkit; empty without it.

    Raises:
        SourceError: rows cannot be told apart; see above.
        CorruptFileError: a file is damaged.
    """
    sets = [_read(file, split) for file in sorted(files)]
    labels = [int(label) for images in sets for label in images.labels]
    numbers = [car_number(path) for images in sets for path in images.paths]
    if None in numbers or len(set(numbers)) < len(numbers):
        in_order = [stated[number] for number in sorted(stated)]
        if not stated or labels != in_order:
            found = next((path for images in sets for path in images.paths), "none")
            raise SourceError(
                f"{files[0]}: nothing tells which {split} image is which; the first is called {found!r}, "
                "not '00001.jpg', and the labels do not follow the devkit's order; put the devkit beside the files, or "
                "take another copy"
            )
        numbers = [*sorted(stated)]
    readers: dict[int, Callable[[], bytes]] = {}
    known: dict[int, int] = {}
    row = 0
    for images in sets:
        for inner in range(len(images)):
            number = numbers[row]
            if number is not None:
                readers[number] = partial(_load, images, inner)
                known[number] = labels[row]
            row += 1
    return SplitImages(readers, known | dict(stated), "Parquet files")


def _read(file: Path, split: str) -> ImageSet:
    from noisyweb.sources.parquet import read

    options = {"path": str(file.absolute())}
    return read(Section(split, "parquet", options, file.parent, cars().class_names, str(file)))


def _load(images: ImageSet, row: int) -> bytes:
    data = next(images.load([row]))
    if data is None:
        raise SourceError(f"image {images.paths[row]}: the Parquet file has its path only; take a copy with the pixels")
    return data
