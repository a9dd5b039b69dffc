"""The Stanford Cars devkit (Krause et al. 2013): annotations in ``.mat`` files, images optional.

Options:
    devkit: the folder with ``cars_meta.mat`` and ``cars_train_annos.mat``; for validation also
        ``cars_test_annos_withlabels.mat``, in it or beside it.
    images: the folder that holds ``cars_train/`` and ``cars_test/``. Left out, manifests carry paths only.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from noisyweb.dataset import Section
from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.imageset import ImageSet
from noisyweb.sources.imagefolder import read_image_file

_ANNOTATIONS = {
    "train": ("cars_train_annos.mat", "cars_train"),
    "validation": ("cars_test_annos_withlabels.mat", "cars_test"),
}

_UNREADABLE = (
    *(ValueError, KeyError, TypeError, NotImplementedError, OSError, EOFError),
    *(OverflowError, UnboundLocalError, MemoryError, zlib.error, struct.error),
)
"""What scipy's reader raises on damaged files."""


def read(section: Section) -> ImageSet:
    """Read one split of the devkit; labels are 0-based here, 1-based in the files.

    Raises:
        SourceError: a file or folder is missing, or the devkit has no such split.
        CorruptFileError: a ``.mat`` file is damaged.
    """
    section.only("devkit", "images")
    if section.role not in _ANNOTATIONS:
        raise SourceError(f"{section.where}: the devkit has no {section.role}; use format 'workspace' or 'parquet'")
    devkit = section.path("devkit")
    file, folder = _ANNOTATIONS[section.role]
    annotations = devkit / file if (devkit / file).exists() else devkit.parent / file
    classes = [str(name) for name in np.atleast_1d(_load(section, devkit / "cars_meta.mat", "class_names"))]
    rows = np.atleast_1d(_load(section, annotations, "annotations"))
    try:
        labels = np.array([_whole(row["class"]) - 1 for row in rows], np.int32)
        paths = [f"{folder}/{Path(str(row['fname'])).name}" for row in rows]
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise CorruptFileError(f"{annotations}: not the devkit's annotations ({error})") from error
    if len(labels) and (labels.min() < 0 or labels.max() >= len(classes)):
        raise SourceError(f"{annotations}: it has class {labels.max() + 1}; cars_meta.mat names {len(classes)}")
    images = section.path("images") if "images" in section.options else None
    if images is not None and not (images / folder).is_dir():
        raise SourceError(
            f"{section.where}: image folder {images / folder} does not exist; mend 'images', "
            "or leave it out for a manifest of paths"
        )

    def load(indices: Sequence[int]) -> Iterator[bytes | None]:
        for index in indices:
            yield read_image_file(images / paths[index]) if images is not None else None

    return ImageSet(paths, labels, classes, load, paths, prefix="stanford-cars")


def _whole(value: Any) -> int:
    if int(value) != value:
        raise ValueError(f"class {value}")
    return int(value)


def _load(section: Section, path: Path, variable: str) -> Any:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        raise SourceError(f"{section.where}: {path} does not exist; mend 'devkit'")
    try:
        return loadmat(path, variable_names=[variable], squeeze_me=True)[variable]
    except (*_UNREADABLE, MatReadError) as error:
        raise CorruptFileError(f"{path}: not a devkit file with {variable!r} ({error})") from error
