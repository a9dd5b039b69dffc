"""The release's annotations: every web image, its URL, its class name, and whether annotators call that right.

``{"data": [[{"image/uri": .., "image/id": .., "image/class/label": 7, "image/class/label/is_clean": 0}], ..]}``
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noisyweb.errors import CorruptFileError
from noisyweb.official.json_stream import images
from noisyweb.official.split_file import image_key


@dataclass(frozen=True)
class Annotated:
    """One web image under one class.

    Attributes:
        key: of the image (`noisyweb.official.split_file.image_key`).
        url: where it was.
        label: the class number that it was found under.
        is_clean: whether annotators say that it shows that class.
    """

    key: str
    url: str
    label: int
    is_clean: bool


@dataclass(frozen=True)
class Annotations:
    """All of a data set's web images.

    Attributes:
        path: the file.
        of: what is said of each key, once for each class that it was found under.
    """

    path: Path
    of: Mapping[str, tuple[Annotated, ...]]

    def find(self, key: str, label: int) -> Annotated | None:
        """What is said of an image under a class; of another class if nothing is said under that one."""
        found = self.of.get(key)
        if not found:
            return None
        return next((each for each in found if each.label == label), found[0])

    def __iter__(self) -> Iterator[Annotated]:
        return (each for found in self.of.values() for each in found)


def read_annotations(path: Path, num_classes: int) -> Annotations:
    """Read a file of annotations.

    Raises:
        CorruptFileError: it is not of that form, a field is missing or of another type, a class is none, or an image is
            called both right and wrong for one class.
    """
    of: dict[str, tuple[Annotated, ...]] = {}
    number = 0
    try:
        for row in images(path):
            number += 1
            one = _annotated(row, num_classes)
            known = of.get(one.key, ())
            same = next((each for each in known if each.label == one.label), None)
            if same is None:
                of[one.key] = (*known, one)
            elif same.is_clean != one.is_clean:
                raise ValueError(f"image {one.key!r} is both right and wrong for class {one.label}")
    except (ValueError, OSError, RecursionError) as error:
        where = f"image {number}: " if number else ""
        raise CorruptFileError(
            f"{path}: not the release's annotations ({where}{' '.join(str(error).split())}); fetch the release again"
        ) from error
    if not of:
        raise CorruptFileError(f"{path}: it has no images; fetch the release again")
    return Annotations(path, of)


def _annotated(row: Mapping[str, Any], num_classes: int) -> Annotated:
    key, url = row.get("image/id"), row.get("image/uri")
    label, is_clean = row.get("image/class/label"), row.get("image/class/label/is_clean")
    if not isinstance(key, str) or not image_key(key):
        raise ValueError(f'"image/id" is {key!r}; expected text')
    if not isinstance(url, str):
        raise ValueError(f'"image/uri" is {repr(url)[:40]}; expected text')
    "".join((key, url)).encode()  # lone surrogates could not be written anywhere
    if type(label) is not int or not 0 <= label < num_classes:
        raise ValueError(f'"image/class/label" is {repr(label)[:40]}; expected 0..{num_classes - 1}')
    if is_clean not in (0, 1):  # True and False are, too
        raise ValueError(f'"image/class/label/is_clean" is {repr(is_clean)[:40]}; expected 0 or 1')
    return Annotated(image_key(key), url, label, bool(is_clean))
