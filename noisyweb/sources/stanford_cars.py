"""The Stanford Cars devkit (Krause et al. 2013): annotations in ``.mat`` files, images optional.

Options:
    devkit: the folder with ``cars_meta.mat`` and ``cars_train_annos.mat``; for validation also
        ``cars_test_annos_withlabels.mat``, in it or beside it.
    images: the folder that holds the images, in any layout of `noisyweb.clean_copies.cars` (such as ``cars_train/`` and
        ``cars_test/``). Left out, manifests carry paths only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from noisyweb.clean_copies.cars import open_cars
from noisyweb.clean_copies.matlab import car_labels, load_variable
from noisyweb.dataset import Section
from noisyweb.errors import SourceError
from noisyweb.imageset import ImageSet
from noisyweb.sources.imagefolder import read_image_file

_ANNOTATIONS = {
    "train": ("cars_train_annos.mat", "cars_train"),
    "validation": ("cars_test_annos_withlabels.mat", "cars_test"),
}


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
    for path in (devkit / "cars_meta.mat", annotations):
        if not path.is_file():
            raise SourceError(f"{section.where}: {path} does not exist; mend 'devkit'")
    classes = [str(name) for name in np.atleast_1d(load_variable(devkit / "cars_meta.mat", "class_names"))]
    stated = car_labels(annotations)
    labels = np.array(list(stated.values()), np.int32)
    if len(labels) and (labels.min() < 0 or labels.max() >= len(classes)):
        raise SourceError(f"{annotations}: it has class {labels.max() + 1}; cars_meta.mat names {len(classes)}")
    paths = [f"{folder}/{name}" for name in stated]
    load = _loader(section, folder, paths)
    return ImageSet(paths, labels, classes, load, paths, prefix="stanford-cars")


def _loader(section: Section, folder: str, paths: Sequence[str]) -> Callable[[Sequence[int]], Iterator[bytes | None]]:
    images = section.path("images") if "images" in section.options else None
    if images is None:
        return lambda indices: (None for _ in indices)
    # the usual layout is not searched: its files are where their paths say
    if (images / folder).is_dir() and not (images / folder / folder).is_dir():
        return lambda indices: (read_image_file(images / paths[index]) for index in indices)
    if not images.exists():
        raise SourceError(
            f"{section.where}: image folder {images} does not exist; mend 'images', "
            "or leave it out for a manifest of paths"
        )
    copy = open_cars(images)
    if missing := copy.missing(paths, section.role):
        raise SourceError(
            f"{section.where}: {len(missing)} of {len(paths)} images are not among the {copy.layout} in {images}, the "
            f"first being {Path(missing[0]).name}; put them there, or leave 'images' out for a manifest of paths"
        )
    return lambda indices: copy.load([paths[index] for index in indices], section.role)
