"""A split of the release as rows: which image, the label that it is given, and whether that is right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from noisyweb.clean_copies import CleanCopies
from noisyweb.errors import ShortageError, SourceError
from noisyweb.imageset import ImageSet, Labels
from noisyweb.official.annotations import Annotated, Annotations, read_annotations
from noisyweb.official.refill import Substitution, stand_ins
from noisyweb.official.release import ReleaseSet, open_set
from noisyweb.official.split_file import SplitFile, wnid_of
from noisyweb.official.web_images import WebImages, web_images
from noisyweb.workspace import Workspace

NOISE_NAMES = ("none", "web", "symmetric")
_WEB_KEY = re.compile(r"[0-9a-f]{16}")
_SHOWN = 3


@dataclass(frozen=True)
class OfficialSplit:
    """One split.

    Attributes:
        clean: N rows in the order of the split file; those that are web images are only placeholders here.
        web: the M web images in it, stand-ins for dead ones included; None: there are none.
        labels: what the split file gives each row, shape (N,).
        is_wrong: shape (N,): of a web image what the annotations say, of a clean one whether it is given another class.
        web_row: the web image of each row, -1 for a clean image; shape (N,).
        noise: indices into `NOISE_NAMES`, shape (N,).
        substitutions: stand-ins, in the order of the rows.
        notes: what a user should know.
    """

    clean: ImageSet
    web: ImageSet | None
    labels: Labels
    is_wrong: npt.NDArray[np.bool_]
    web_row: npt.NDArray[np.int64]
    noise: npt.NDArray[np.int8]
    substitutions: tuple[Substitution, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class OfficialEdition:
    """A data set of the release, with the user's clean images and the crawled web images, if there are any.

    Attributes:
        release: class names, splits.
        copies: the user's clean images; None: clean rows carry a path only.
        workspace: a crawl of the annotations' URLs; None: web rows carry a path only.
    """

    release: ReleaseSet
    copies: CleanCopies | None = None
    workspace: Workspace | None = None

    @classmethod
    def open(cls, folder: Path, dataset: str, copies: CleanCopies | None, web: Path | None) -> OfficialEdition:
        """Open a release.

        Raises:
            SourceError: it does not hold the data set, or the workspace is none.
        """
        return cls(open_set(folder, dataset), copies, Workspace(web) if web is not None else None)

    @cached_property
    def annotations(self) -> Annotations:
        """Of all web images."""
        return read_annotations(self.release.annotations, len(self.release.class_names))

    @cached_property
    def web(self) -> WebImages:
        """What became of them."""
        return web_images(self.release, self.annotations, self.workspace)

    def split(self, kind: str, level: Decimal) -> OfficialSplit:
        """A training split.

        Raises:
            SourceError: there is none, or it has images that nobody knows, or clean ones that the copy lacks.
            ShortageError: web images are dead and there are too few to stand in for them.
        """
        file = self.release.split(kind, level)
        true = self._true_classes(file)
        rows = [self.annotations.find(key, label) for key, label in zip(file.keys, file.labels.tolist(), strict=True)]
        self._refuse_unknown(file, [k for k, one in zip(file.keys, rows, strict=True) if one is None and k not in true])
        given, substitutions = self._refilled(rows)
        own = [label if one is not None else true[key] for key, label, one in _rows(file, given)]
        is_clean = [
            one.is_clean and one.label == label if one is not None else true[key] == label
            for key, label, one in _rows(file, given)
        ]
        web = [one for one in given if one is not None]
        web_row = np.full(len(given), -1, np.int64)
        web_row[[row for row, one in enumerate(given) if one is not None]] = np.arange(len(web))
        is_wrong = ~np.array(is_clean, bool)
        return OfficialSplit(
            clean=self._clean_set(
                file, own, "train", [key for key, one in zip(file.keys, given, strict=True) if not one]
            ),
            web=self.web.image_set(web, self.release.class_names) if web else None,
            labels=file.labels,
            is_wrong=is_wrong,
            web_row=web_row,
            noise=np.where(is_wrong, np.where(web_row >= 0, 1, 2), 0).astype(np.int8),
            substitutions=substitutions,
            notes=self._notes(file, rows, substitutions),
        )

    def validation(self) -> OfficialSplit:
        """The clean validation split, shared by all levels.

        Raises:
            SourceError: there is none, or clean images are missing.
        """
        file = self.release.validation()
        none = np.zeros(len(file.names), bool)
        return OfficialSplit(
            clean=self._clean_set(file, file.labels.tolist(), "validation", file.keys),
            web=None,
            labels=file.labels,
            is_wrong=none,
            web_row=np.full(len(none), -1, np.int64),
            noise=none.astype(np.int8),
        )

    def _true_classes(self, file: SplitFile) -> dict[str, int]:
        """The class of every clean image of a split, as far as anybody knows."""
        known, by_wnid = self.release.true_classes, self.release.wnid_classes
        found: dict[str, int] = {}
        for key, name in zip(file.keys, file.names, strict=True):
            label = known.get(key, by_wnid.get(wnid_of(key) or ""))
            if label is None and self.copies is not None and key not in self.annotations.of:
                told = self.copies.class_of(name, "train")
                label = by_wnid.get(told) if isinstance(told, str) else told
            if label is not None:
                found[key] = label
        return found

    def _refuse_unknown(self, file: SplitFile, unknown: Sequence[str]) -> None:
        if not unknown:
            return
        web = sum(_WEB_KEY.fullmatch(key) is not None for key in unknown)
        raise SourceError(
            f"{file.path}: {len(unknown):,} of its {len(file.names):,} images are neither in the annotations nor known "
            f"clean images ({web:,} look like web images): {', '.join(unknown[:_SHOWN])}; look at it with "
            f"`noisyweb audit {file.path}`"
        )

    def _refilled(self, rows: Sequence[Annotated | None]) -> tuple[list[Annotated | None], tuple[Substitution, ...]]:
        """Stand-ins in the place of dead web images.

        Raises:
            ShortageError: there are too few.
        """
        dead = [one for one in rows if one is not None and self.web.is_dead(one)]
        if not dead:
            return list(rows), ()
        by = stand_ins(self.release, self.annotations, self.web)
        lacking = Counter(one.label for one in dead if (one.key, one.label) not in by)
        if lacking:
            spares = Counter(one.label for one in by.values())
            worst = ", ".join(
                f"{self.release.class_names[label]!r} lacks {count} (has {spares[label]} stand-ins)"
                for label, count in lacking.most_common(_SHOWN)
            )
            raise ShortageError(
                f"{len(dead):,} web images of the split are dead and {lacking.total():,} have no stand-in, in "
                f"{len(lacking)} classes: {worst}; crawl the annotations' URLs again, also with --archive"
            )
        given = [by[one.key, one.label] if one is not None and self.web.is_dead(one) else one for one in rows]
        substitutions = tuple(
            Substitution(one.key, self.web.fate(one), new.key, one.label, one.is_clean)
            for one, new in zip(rows, given, strict=True)
            if one is not None and new is not None and new is not one
        )
        return given, substitutions

    def _clean_set(self, file: SplitFile, labels: Sequence[int], split: str, wanted: Sequence[str]) -> ImageSet:
        """The rows of a split file as an image set; clean ones have bytes where there is a copy."""
        copies, names, needed = self.copies, file.names, set(wanted)
        notes: tuple[str, ...] = ()
        if copies is not None:
            asked = [name for name, key in zip(names, file.keys, strict=True) if key in needed]
            missing = copies.missing(asked, split)
            if missing:
                raise SourceError(
                    f"{file.path.name}: {len(missing):,} of {len(asked):,} clean images are not in your copy "
                    f"({copies.layout}): {', '.join(missing[:_SHOWN])}; complete it, or build with paths only"
                )
            notes = tuple(copies.notes)

        def load(rows: Sequence[int]) -> Iterator[bytes | None]:
            if copies is None:
                return iter([None] * len(rows))
            return copies.load([names[row] for row in rows], split)

        return ImageSet(
            names=names,
            labels=np.array(labels, np.int32),
            class_names=list(self.release.class_names),
            load=load,
            paths=names,
            prefix=f"cnwl:{self.release.dataset}/{split}",  # both splits of Cars count from 00001.jpg
            notes=notes,
        )

    def _notes(
        self, file: SplitFile, rows: Sequence[Annotated | None], substitutions: Sequence[Substitution]
    ) -> tuple[str, ...]:
        notes = []
        if substitutions:
            notes.append(f"{len(substitutions):,} dead web images have stand-ins, listed in the lock file")
        twice = sum(count - 1 for count in Counter(file.keys).values() if count > 1)
        if twice:
            notes.append(f"{twice:,} rows of the official split file are there twice")
        disputed = sum(one is None and key in self.release.disputed for key, one in zip(file.keys, rows, strict=True))
        if disputed:
            notes.append(f"{disputed:,} clean images have two classes in the splits without noise; red 0.0 is believed")
        others = sum(
            one is not None and one.label != label for one, label in zip(rows, file.labels.tolist(), strict=True)
        )
        if others:
            notes.append(
                f"{others:,} web images are annotated for another class than the split file gives; taken as wrong"
            )
        right = sum(one is not None and one.is_clean for one in rows)
        if right:
            notes.append(f"{right:,} web images of the split are right by the annotations")
        return tuple(notes)


def _rows(file: SplitFile, given: Sequence[Annotated | None]) -> Iterator[tuple[str, int, Annotated | None]]:
    return zip(file.keys, file.labels.tolist(), given, strict=True)
