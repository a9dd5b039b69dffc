"""The user's own copies of clean images, which nobody may hand on: Stanford Cars and Mini-ImageNet as people have them.

The official release names clean images by id and holds none. A copy gives the bytes behind an id::

    open_copy(dataset, path) -> CleanCopies      # "cars" or "mini-imagenet"; the layout is found out by looking

Nothing is unpacked to the disk: images in tars and pickles are read at their place in the file. Bytes are handed on as
they are; only the pickles, which hold bare pixels, are encoded (PNG, lossless).

- **cars** (`noisyweb.clean_copies.cars`): ids such as ``00001.jpg``. Train ids lie in ``cars_train``, validation ids in
  ``cars_test``; both count from 00001, so an id means nothing without its split.
- **mini-imagenet** (`noisyweb.clean_copies.mini_imagenet`): ids such as ``n0170432300000001.jpg``, the wnid and a
  number that is *not* the one in the ILSVRC file's name; see `noisyweb.clean_copies.ilsvrc` for what it is. Validation
  ids are file names of the ILSVRC2012 validation set (``ILSVRC2012_val_00000293.jpg``), which Mini-ImageNet has nothing
  of: the builder ``controlled_noisy_web_labels`` of tensorflow/datasets looks them up there. Ids of either form are
  found in either split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from noisyweb.errors import SourceError, UnknownNameError

DATASETS = ("cars", "mini-imagenet")


class CleanCopies(Protocol):
    """Clean images by the release's own ids; ``split`` is "train" or "validation" everywhere."""

    @property
    def layout(self) -> str:
        """What was found, for messages and the lock file; no paths."""

    @property
    def notes(self) -> Sequence[str]:
        """What a user should know of the images found so far, one line each; complete after `missing`."""

    def missing(self, ids: Sequence[str], split: str) -> list[str]:
        """Those of the ids that the copy does not hold, in their order.

        Raises:
            SourceError: the copy is there, but cannot be trusted to give the right images.
        """

    def load(self, ids: Sequence[str], split: str) -> Iterator[bytes]:
        """Encoded bytes of the images asked for, in that order, one at a time.

        Raises:
            SourceError: an image is missing or cannot be read.
        """

    def class_of(self, image_id: str, split: str) -> str | int | None:
        """The class as this copy knows it: a 0-based label for cars, a wnid for mini-imagenet; None: it does not."""


def open_copy(dataset: str, path: Path) -> CleanCopies:
    """Open a user's copy of a data set's clean images.

    Args:
        dataset: one of `DATASETS`.
        path: the folder that holds it, or a single archive.

    Raises:
        UnknownNameError: no such data set.
        SourceError: nothing there fits; the message names what was looked for.
    """
    if dataset not in DATASETS:
        raise UnknownNameError("data set with clean copies", dataset, DATASETS)
    if not path.exists():
        raise SourceError(f"clean images of {dataset}: {path} does not exist; name the folder that holds them")
    if dataset == "cars":
        from noisyweb.clean_copies.cars import open_cars

        return open_cars(path)
    from noisyweb.clean_copies.mini_imagenet import open_mini_imagenet

    return open_mini_imagenet(path)
