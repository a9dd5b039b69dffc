"""Mini-ImageNet as people have it.

- ILSVRC2012 training images: ``<wnid>/<wnid>_<n>.JPEG`` or all in one folder; ``<wnid>.tar``;
  ``ILSVRC2012_img_train.tar``
- images named by id: ``n0153282900000005.jpg``, in one folder or by class, of any size; PNG too
- 84x84 pickles and the csv files: ``mini-imagenet-cache-*.pkl``, ``miniImageNet_category_split_*.pickle``
- ILSVRC2012 validation images: ``ILSVRC2012_val_00000293.JPEG``, in one folder or by class; ``ILSVRC2012_img_val.tar``

The last are for the release's clean validation set and go with any of the others. Of the others the first that is there
is used, and only that: the resolutions differ. ``train.csv``, ``val.csv`` and ``test.csv`` (Ravi and Larochelle, ICLR
2017) may lie anywhere in the folder; so may ``ILSVRC2012_devkit_t12/``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from noisyweb.clean_copies.alike import CrossCheck, compare
from noisyweb.clean_copies.ilsvrc import IlsvrcTrain
from noisyweb.clean_copies.matlab import IlsvrcDevkit, read_ilsvrc_devkit
from noisyweb.clean_copies.mini_found import MiniFound, look_for_mini_imagenet
from noisyweb.clean_copies.mini_ids import MiniId, class_names, parse_id
from noisyweb.clean_copies.pixels84 import Pickles
from noisyweb.clean_copies.ravi_csv import RaviCsv, read_ravi_csv
from noisyweb.clean_copies.renamed import NamedById
from noisyweb.errors import SourceError


class Holder(Protocol):
    """Images of one layout."""

    layout: str

    def find(self, image: MiniId) -> Callable[[], bytes] | None:
        """How to read an image; None if it is not there."""

    def notes(self) -> list[str]:
        """What a user should know of those asked for so far."""


@dataclass(frozen=True)
class MiniImageNet:
    """A user's copy; see `noisyweb.clean_copies.CleanCopies`.

    Attributes:
        holders: all layouts of the csv's images that are there; the first is used.
        validation: the ILSVRC2012 validation images.
        listed: the csv files, if they are there.
        validation_wnids: classes of validation images, where folders or the devkit tell.
    """

    holders: Sequence[Holder]
    validation: NamedById
    listed: RaviCsv | None
    validation_wnids: dict[MiniId, str]

    @property
    def layout(self) -> str:
        """What is used, such as "84x84 pickles, ILSVRC2012 validation images"."""
        used = [holder.layout for holder in (*self.holders[:1], self.validation) if holder.layout]
        return ", ".join(used)

    @property
    def notes(self) -> Sequence[str]:
        """What could not be made sure of."""
        notes = [note for holder in self.holders[:1] for note in holder.notes()]
        if len(self.holders) > 1:
            others = " and ".join(holder.layout for holder in self.holders[1:])
            notes.append(f"the {self.holders[0].layout} are used, not the {others}, which are there too")
        return notes

    def ids(self) -> list[str]:
        """The csv's images that the copy knows of: those that the csv files list, else those named by id; sorted.

        Raises:
            SourceError: neither is there: ILSVRC names do not tell which 600 of a class belong to it.
        """
        if self.listed is not None:
            known = [MiniId(wnid, number) for wnid, numbers in self.listed.numbers.items() for number in numbers]
        elif self.holders and isinstance(self.holders[0], NamedById):
            known = list(self.holders[0].places)
        else:
            raise SourceError(
                f"mini-imagenet: the {self.layout} do not tell which images belong to it; put train.csv, val.csv and "
                "test.csv of Ravi and Larochelle beside them"
            )
        return [str(image) for image in sorted(known) if image.wnid in class_names()]

    def missing(self, ids: Sequence[str], split: str) -> list[str]:
        """Those of the ids that are not there; ``split`` does not matter, since the id's form tells."""
        return [image_id for image_id in ids if self._find(image_id) is None]

    def load(self, ids: Sequence[str], split: str) -> Iterator[bytes]:
        """Encoded bytes, in the order of the ids."""
        for image_id in ids:
            read = self._find(image_id)
            if read is None:
                raise SourceError(f"mini-imagenet: image {image_id!r} is not among the {self.layout}; put it there")
            yield read()

    def class_of(self, image_id: str, split: str) -> str | None:
        """The wnid; None for no id of Mini-ImageNet, and for a validation image whose class nothing tells."""
        image = parse_id(image_id)
        if image is None:
            return None
        return (image.wnid if image.wnid in class_names() else None) if image.wnid else self.validation_wnids.get(image)

    def cross_check(self, per_class: int = 3) -> CrossCheck:
        """Compare pictures of the layout used with those of the others that are there.

        A shift of places shows first at the largest number of a class, so that this one is compared, the smallest, and
        others evenly between them.

        Args:
            per_class: pairs of pictures a class and layout.

        Raises:
            SourceError: there is but one layout, or an image cannot be read.
        """
        if len(self.holders) < 2:
            raise SourceError(
                f"mini-imagenet: only the {self.layout} are there; put 84x84 images beside them to compare"
            )
        pairs = []
        for other in self.holders[1:]:
            by_class: dict[str, list[MiniId]] = {}
            for image in (found for known in self.ids() if (found := parse_id(known)) and other.find(found)):
                by_class.setdefault(image.wnid, []).append(image)
            for images in by_class.values():
                last = len(images) - 1
                for at in sorted({round(last * step / max(1, per_class - 1)) for step in range(per_class)}):
                    ours, theirs = self.holders[0].find(images[at]), other.find(images[at])
                    if ours is not None and theirs is not None:
                        pairs.append((str(images[at]), ours, theirs))
        return compare(pairs)

    def _find(self, image_id: str) -> Callable[[], bytes] | None:
        image = parse_id(image_id)
        if image is None or (image.wnid and image.wnid not in class_names()):
            return None
        if not image.wnid:
            return self.validation.find(image)
        return self.holders[0].find(image) if self.holders else None


def open_mini_imagenet(path: Path) -> MiniImageNet:
    """Find out what a folder or archive holds.

    Raises:
        SourceError: nothing there fits; the message names what was looked for.
    """
    found = look_for_mini_imagenet(path)
    listed = read_ravi_csv(found.csv_files)
    devkit = read_ilsvrc_devkit(found.devkit) if found.devkit is not None else IlsvrcDevkit({}, [])
    holders = list(_holders(found, listed, devkit))
    layout, images = found.validation_images()
    if not holders and not images:
        needs = "; there are pickles, which need train.csv, val.csv and test.csv beside them" if found.pickles else ""
        raise SourceError(
            f"no images of Mini-ImageNet in {path}{needs}; looked for ILSVRC2012 images (<wnid>/<wnid>_<n>.JPEG, "
            "<wnid>.tar, ILSVRC2012_img_train.tar, ILSVRC2012_val_<n>.JPEG), images named by id "
            "(n0153282900000005.jpg), and mini-imagenet-cache-*.pkl with the csv files; name the folder that holds them"
        )
    stated = {MiniId("", number): wnid for number, wnid in enumerate(devkit.validation, start=1)}
    return MiniImageNet(holders, NamedById(layout, images), listed, stated | found.validation_wnids)


def _holders(found: MiniFound, listed: RaviCsv | None, devkit: IlsvrcDevkit) -> Iterator[Holder]:
    if layout := found.ilsvrc_layout():
        yield IlsvrcTrain(layout, found.classes(), listed, devkit.num_train)
    if found.renamed:
        yield NamedById("images named by id", found.renamed)
    if found.pickles and listed is not None:
        yield Pickles(found.pickles, listed)
