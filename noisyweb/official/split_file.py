"""A split file: a line an image, its file name and class number with a space between; and one key for each image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from noisyweb.errors import CorruptFileError
from noisyweb.imageset import Labels

_SUFFIX = re.compile(r"\.(jpe?g|png|webp|gif)$", re.IGNORECASE)
_WNID = re.compile(r"(n\d{8})\d{8}")


def image_key(name: str) -> str:
    """One key for one image: its file name in small letters, without folders and without ``.jpg`` and the like.

    Split files say ``5922767e5677aef4.jpg`` where annotations say ``5922767e5677aef4``.
    """
    return _SUFFIX.sub("", re.split(r"[/\\]", name.strip())[-1]).lower()


def wnid_of(key: str) -> str | None:
    """The WordNet id in a Mini-ImageNet key (n01704323 of n0170432300000001); None for other keys."""
    found = _WNID.fullmatch(key)
    return found[1] if found else None


@dataclass(frozen=True)
class SplitFile:
    """One split, as its file has it.

    Attributes:
        path: the file.
        names: N image file names.
        labels: N class numbers.
    """

    path: Path
    names: tuple[str, ...]
    labels: Labels

    @cached_property
    def keys(self) -> list[str]:
        """`image_key` of each name."""
        return [image_key(name) for name in self.names]


def read_split(path: Path, num_classes: int) -> SplitFile:
    """Read a split file.

    Raises:
        CorruptFileError: a line is no image and class number, or a number is no class.
    """
    names: list[str] = []
    labels: list[int] = []
    for number, line in enumerate(lines(path), start=1):
        if not line.strip():
            continue
        *before, label = line.rsplit(maxsplit=1)  # one space as published; its other readers split at any
        name = before[0].strip() if before else ""
        if not name or not re.fullmatch(r"\d{1,9}", label, re.ASCII) or not name.isprintable():
            raise CorruptFileError(
                f"{path}: line {number} is {line[:60]!r}; expected an image file name, a space and a class number"
            )
        if int(label) >= num_classes:
            raise CorruptFileError(f"{path}: line {number}: class {label} is outside 0..{num_classes - 1}")
        names.append(name)
        labels.append(int(label))
    if not names:
        raise CorruptFileError(f"{path}: it is empty; expected a line for each image")
    return SplitFile(path, tuple(names), np.array(labels, np.int32))


def lines(path: Path) -> Sequence[str]:
    """The lines of a text file of the release.

    Raises:
        CorruptFileError: it cannot be read as text.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"{path}: cannot be read as text ({error}); fetch the release again") from error
