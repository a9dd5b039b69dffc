"""Which ILSVRC2012 training image a Mini-ImageNet id means.

The number in ``n0153282900000005.jpg`` is not the number in an ILSVRC file name: there need not be an
``n01532829_5.JPEG``. It is the place of the file, counted from 1, among *all* training images of the class, sorted by
the number in their names as numbers. Sorted as text (as ``ls`` and ``sorted`` do) ``_10007`` comes before ``_18``, and
each id gives another, wrong image of the same class. Found in, and the same in all three:

- yaoyao-liu/mini-imagenet-tools, ``mini_imagenet_generator.py``: the last 4 digits less 1 index the numeric order;
- tensorflow/datasets, the builder ``controlled_noisy_web_labels``: the same, for these very ids, from the tars;
- open-mmlab/mmfewshot, ``classification/datasets/mini_imagenet.py``: the last 5 digits less 1, numeric order.

The authors' repository (twitter-research/meta-learning-lstm, issues 1 and 2) asks the question and has no answer.

**A missing file shifts all places after it, silently.** Numbers in ILSVRC names have gaps everywhere, so a gap says
nothing. What is found:

- a class with fewer files than a number that is asked for, or that the csv lists;
- a class with other than 732 to 1,300 files (Russakovsky et al., IJCV 2015, table 2): a subset, or a folder of the
  larger ImageNet, whose files have the same names;
- with the devkit (``ILSVRC2012_devkit_t12/data/meta.mat``) anywhere in the folder: any class whose number of files is
  not exactly the one that it states;
- files that are there twice, tars that are cut off.

What is not: without the devkit, a class that lacks files but still has as many as its largest number. A note names how
many classes have fewer than 1,300 files, and `noisyweb.clean_copies.mini_imagenet` can compare pixels where 84x84
images are there too. Never found is a file whose bytes were exchanged for another's. (A table of counts that can be
had, in google-research/meta-dataset, is not used: it has classes of more than 1,300.)

Some pass on only the 600 images of each class, under their ILSVRC names. With the csv files these are told apart by
their order alone; a note says so.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from noisyweb.clean_copies.mini_ids import MiniId
from noisyweb.clean_copies.places import Place
from noisyweb.clean_copies.ravi_csv import RaviCsv
from noisyweb.clean_copies.tars import members
from noisyweb.errors import SourceError

MIN_CLASS, MAX_CLASS = 732, 1300
_NAME = re.compile(r"(n[0-9]{8})_([0-9]{1,9})\.jpe?g", re.IGNORECASE)

Suffixed = list[tuple[int, Place]]


def parse_name(name: str) -> tuple[str, int] | None:
    """The wnid and number of an ILSVRC training image's file name; None if it is none."""
    found = _NAME.fullmatch(name)
    return (found[1].lower(), int(found[2])) if found else None


def in_tar(path: Path, wnid: str, within: Place | None = None) -> Suffixed:
    """A class's images in its tar.

    Raises:
        SourceError: a member belongs to another class, or is no image.
    """
    found: Suffixed = []
    for member in members(path, within):
        named = parse_name(member.name)
        if named is None or named[0] != wnid:
            raise SourceError(f"{path}: member {member.name!r} in the tar of {wnid}; expected {wnid}_<number>.JPEG")
        found.append((named[1], member.place))
    return found


def by_place(found: Iterable[tuple[int, Place]], where: str) -> list[Place]:
    """Images of one class in the order of their numbers; the k-th is the csv's number k + 1.

    Raises:
        SourceError: a number is there twice; ``where`` names the class.
    """
    ordered = sorted(found, key=lambda item: item[0])
    for (number, place), (following, other) in itertools.pairwise(ordered):
        if number == following:
            raise SourceError(
                f"{where}: number {number} is there twice ({place.path} and {other.path}); all places after it would "
                "be wrong: name a folder that holds each image once"
            )
    return [place for _, place in ordered]


class IlsvrcTrain:
    """The ILSVRC2012 training images of the 100 classes, as folders or tars.

    Args:
        layout: how messages call it.
        classes: lists a class's images when it is asked for: wnid -> function.
        listed: the csv files, if they are there.
        num_train: the devkit's number of images a class, if it is there.
    """

    def __init__(
        self,
        layout: str,
        classes: Mapping[str, Callable[[], Suffixed]],
        listed: RaviCsv | None,
        num_train: Mapping[str, int],
    ) -> None:
        self.layout = layout
        self._classes, self._listed, self._num_train = classes, listed, num_train
        self._known: dict[str, dict[int, Place]] = {}
        self._unsure: set[str] = set()
        self._by_rank: set[str] = set()

    def find(self, image: MiniId) -> Callable[[], bytes] | None:
        """How to read an image; None if its class is not there at all.

        Raises:
            SourceError: the class is there, but not all of it; see the module's docstring.
        """
        if image.wnid not in self._classes:
            return None
        if image.wnid not in self._known:
            self._known[image.wnid] = self._numbered(image.wnid)
        places = self._known[image.wnid]
        if image.number not in places:
            raise SourceError(
                f"{self.layout}, class {image.wnid}: {image} is not among its {len(places)} images; some are missing, "
                "which shifts the places of the others: restore the whole class"
            )
        return places[image.number].read

    def notes(self) -> list[str]:
        """What could not be made sure of the classes asked for so far."""
        notes = []
        if self._unsure:
            notes.append(
                f"{len(self._unsure)} classes of the {self.layout} have fewer than {MAX_CLASS} images; some do, but "
                "missing ones would shift the others unnoticed: put ILSVRC2012_devkit_t12/ beside them to have them "
                "counted"
            )
        if self._by_rank:
            notes.append(
                f"{len(self._by_rank)} classes of the {self.layout} hold just as many images as the csv files list; "
                "taken for those, in the order of their numbers"
            )
        return notes

    def _numbered(self, wnid: str) -> dict[int, Place]:
        where = f"{self.layout}, class {wnid}"
        ordered = by_place(self._classes[wnid](), where)
        numbers = sorted(self._listed.numbers.get(wnid, ())) if self._listed is not None else []
        if len(ordered) < MIN_CLASS and numbers and len(ordered) == len(numbers):
            self._by_rank.add(wnid)
            return dict(zip(numbers, ordered, strict=True))
        expected = self._num_train.get(wnid)
        if expected is not None and len(ordered) != expected:
            raise SourceError(
                f"{where}: {len(ordered)} images; the devkit says {expected}. Ids are places among all of them, so "
                "they would give wrong images: restore the whole class"
            )
        if not MIN_CLASS <= len(ordered) <= MAX_CLASS:
            raise SourceError(
                f"{where}: {len(ordered)} images; ILSVRC2012 has {MIN_CLASS} to {MAX_CLASS} a class. Ids are places "
                "among all of them, so they would give wrong images: name a complete ILSVRC2012 training set"
            )
        if numbers and numbers[-1] > len(ordered):
            raise SourceError(
                f"{where}: {len(ordered)} images, but the csv files list place {numbers[-1]}; some are missing, which "
                "shifts the others: restore the whole class"
            )
        if expected is None and len(ordered) < MAX_CLASS:
            self._unsure.add(wnid)
        return dict(enumerate(ordered, start=1))
