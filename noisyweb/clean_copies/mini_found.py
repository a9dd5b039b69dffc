"""What of Mini-ImageNet lies in a user's folder: one walk, which reads names only."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from noisyweb.clean_copies.folders import files_below
from noisyweb.clean_copies.ilsvrc import Suffixed, in_tar, parse_name
from noisyweb.clean_copies.mini_ids import MiniId, class_names, parse_id
from noisyweb.clean_copies.pixels84 import is_pickle
from noisyweb.clean_copies.places import Place
from noisyweb.clean_copies.ravi_csv import NAMES
from noisyweb.clean_copies.renamed import add_once
from noisyweb.clean_copies.tars import members
from noisyweb.errors import SourceError

_WNID = re.compile(r"n[0-9]{8}")
_DEPTH = 7
"""Kaggle's ImageNet has its images at ILSVRC/Data/CLS-LOC/train/<wnid>."""


@dataclass
class MiniFound:
    """Files by what their names say.

    Attributes:
        ilsvrc: ILSVRC training images by class.
        class_tars: ``<wnid>.tar`` by class.
        train_tar: ``ILSVRC2012_img_train.tar``.
        renamed: images named by csv ids.
        validation: images of the ILSVRC2012 validation set.
        validation_wnids: their classes, where they lie in folders by class.
        validation_tar: ``ILSVRC2012_img_val.tar``.
        pickles, csv_files, devkit: as their names say.
    """

    ilsvrc: dict[str, Suffixed] = field(default_factory=dict)
    class_tars: dict[str, Path] = field(default_factory=dict)
    train_tar: Path | None = None
    renamed: dict[MiniId, Place] = field(default_factory=dict)
    validation: dict[MiniId, Place] = field(default_factory=dict)
    validation_wnids: dict[MiniId, str] = field(default_factory=dict)
    validation_tar: Path | None = None
    pickles: list[Path] = field(default_factory=list)
    csv_files: list[Path] = field(default_factory=list)
    devkit: Path | None = None

    def classes(self) -> dict[str, Callable[[], Suffixed]]:
        """How to list each class's ILSVRC images: from its folder, else its tar, else the tar of tars.

        Raises:
            CorruptFileError: the tar of tars is damaged.
        """
        found: dict[str, Callable[[], Suffixed]] = {}
        if self.train_tar is not None:
            for member in members(self.train_tar):
                wnid = member.name.removesuffix(".tar")
                if wnid in class_names():
                    found[wnid] = partial(in_tar, self.train_tar, wnid, member.place)
        found |= {wnid: partial(in_tar, path, wnid) for wnid, path in self.class_tars.items()}
        return found | {wnid: partial(list, images) for wnid, images in self.ilsvrc.items()}

    def ilsvrc_layout(self) -> str:
        """What the ILSVRC training images lie in; empty if there are none."""
        if self.ilsvrc:
            return "ILSVRC2012 training images"
        if self.class_tars:
            return "ILSVRC2012 training tars"
        return "ILSVRC2012_img_train.tar" if self.train_tar is not None else ""

    def validation_images(self) -> tuple[str, dict[MiniId, Place]]:
        """What the validation images lie in, and where; empty if there are none.

        Raises:
            CorruptFileError: the tar is damaged.
        """
        if self.validation or self.validation_tar is None:
            return ("ILSVRC2012 validation images" if self.validation else ""), self.validation
        named = ((parse_id(member.name), member.place) for member in members(self.validation_tar))
        return "ILSVRC2012_img_val.tar", {image: place for image, place in named if image is not None}


def look_for_mini_imagenet(root: Path) -> MiniFound:
    """Go through a folder, or look at one archive.

    Raises:
        SourceError: it cannot be read, or an image is there twice and differs.
    """
    found = MiniFound()

    def enter(name: str) -> bool:
        return _WNID.fullmatch(name) is None or name in class_names()

    for path in files_below(root, depth=_DEPTH, enter=enter):
        _note(found, path)
    return found


def _note(found: MiniFound, path: Path) -> None:
    name = path.name
    if (image := parse_id(name)) is not None and path.suffix:
        if image.wnid in class_names():
            add_once(found.renamed, image, path)
        elif not image.wnid:
            add_once(found.validation, image, path)
            if _WNID.fullmatch(path.parent.name):
                found.validation_wnids[image] = path.parent.name
    elif (named := parse_name(name)) is not None:
        if named[0] in class_names():
            found.ilsvrc.setdefault(named[0], []).append((named[1], Place(path)))
    elif name == "ILSVRC2012_img_train.tar":
        found.train_tar = _only(found.train_tar, path)
    elif name == "ILSVRC2012_img_val.tar":
        found.validation_tar = _only(found.validation_tar, path)
    elif path.suffix == ".tar" and path.stem in class_names():
        found.class_tars[path.stem] = _only(found.class_tars.get(path.stem), path)
    elif name in NAMES:
        found.csv_files.append(path)
    elif is_pickle(name):
        found.pickles.append(path)
    elif name == "meta.mat":
        found.devkit = _only(found.devkit, path)


def _only(known: Path | None, path: Path) -> Path:
    if known is not None:
        raise SourceError(f"{path.name} is there twice: {known} and {path}; name the folder of one of them")
    return path
