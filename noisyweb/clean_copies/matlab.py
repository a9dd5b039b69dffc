"""The ``.mat`` files that come with Stanford Cars and with ILSVRC2012."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noisyweb.errors import CorruptFileError

_UNREADABLE = (
    *(ValueError, KeyError, TypeError, NotImplementedError, OSError, EOFError),
    *(OverflowError, UnboundLocalError, MemoryError, zlib.error, struct.error),
)
"""What scipy's reader raises on damaged files."""


def load_variable(path: Path, variable: str) -> Any:
    """One variable of a ``.mat`` file.

    Raises:
        CorruptFileError: the file is damaged or has no such variable.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return loadmat(path, variable_names=[variable], squeeze_me=True)[variable]
    except (*_UNREADABLE, MatReadError) as error:
        raise CorruptFileError(f"{path}: not a devkit file with {variable!r} ({error})") from error


def car_labels(path: Path) -> dict[str, int]:
    """Labels of a split of Stanford Cars, in the file's order: file name -> class, 0-based (1-based in the file).

    Raises:
        CorruptFileError: it is not the devkit's annotations, or they carry no classes.
    """
    rows = np.atleast_1d(load_variable(path, "annotations"))
    try:
        labels = {Path(str(row["fname"])).name: whole(row["class"]) - 1 for row in rows}
        if len(labels) < len(rows):
            raise ValueError(f"{len(rows) - len(labels)} files are there twice")
        return labels
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise CorruptFileError(f"{path}: not the devkit's annotations ({error})") from error


def whole(value: Any) -> int:
    """A number that must be whole.

    Raises:
        ValueError: it is not.
    """
    if int(value) != value:
        raise ValueError(f"class {value}")
    return int(value)


@dataclass(frozen=True)
class IlsvrcDevkit:
    """What the ILSVRC2012 devkit says.

    Attributes:
        num_train: training images of each class: wnid -> number.
        validation: classes of the validation images, in their numbers' order: wnids.
    """

    num_train: dict[str, int]
    validation: list[str]


def read_ilsvrc_devkit(meta: Path) -> IlsvrcDevkit:
    """Read ``meta.mat`` and, beside it, ``ILSVRC2012_validation_ground_truth.txt``.

    Raises:
        CorruptFileError: they are damaged.
    """
    synsets = np.atleast_1d(load_variable(meta, "synsets"))
    truth = meta.parent / "ILSVRC2012_validation_ground_truth.txt"
    try:
        wnids = {whole(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
        # inner nodes of the hierarchy have no images of their own
        num_train = {str(row["WNID"]): n for row in synsets if (n := whole(row["num_train_images"]))}
        lines = truth.read_text(encoding="ascii").split() if truth.is_file() else []
        return IlsvrcDevkit(num_train, [wnids[int(line)] for line in lines])
    except (ValueError, KeyError, TypeError, IndexError, OSError, OverflowError) as error:
        raise CorruptFileError(f"{meta}: not the ILSVRC2012 devkit ({error!r}); restore it or move it away") from error
