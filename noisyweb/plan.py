"""What a kind of noise is given, and what it decides: one plan for all levels.

Columns of N rows may be arrays or anything that gives an array for a slice (a memory map, or values worked out when
asked for), so that rows need not fit into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from noisyweb.draws import Keys
from noisyweb.imageset import ImageSet, Labels
from noisyweb.quota import Counts

Rows = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]

CHUNK = 1 << 20
"""Rows that are worked on at a time."""


class Column(Protocol):
    """Values of N rows, by slices."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Any: ...


def chunks(num_rows: int, size: int = CHUNK) -> list[slice]:
    """Slices that cover all rows."""
    return [slice(start, min(start + size, num_rows)) for start in range(0, num_rows, size)]


def class_sizes(labels: Column, num_classes: int) -> Counts:
    """Rows per class, shape (K,)."""
    sizes = np.zeros(num_classes, np.int64)
    for part in chunks(len(labels)):
        sizes += np.bincount(labels[part], minlength=num_classes)
    return sizes


@dataclass(frozen=True)
class BlendInput:
    """What a kind may look at.

    Attributes:
        labels: true labels of the N training rows, int32.
        keys: the rows' keys for random draws, uint64.
        class_names: the K classes.
        pool_labels, pool_keys: the class under which each of M pool images is wrong, and its key.
        human_labels: the labels that A annotators gave, shape (N, A), -1 for none; None if there are none.
        other_keys: keys of the images of another data set, none of which shows a class of this one.
        confusion: how often a row of class i is given label j, shape (K, K), rows sum to 1; None if nobody said.
        pixels: gives all rows' images as RGB of side x side pixels, uint8, shape (N, side, side, 3); None: no images.
    """

    labels: Column
    keys: Column
    class_names: Sequence[str]
    pool_labels: Column = field(default_factory=lambda: np.empty(0, np.int32))
    pool_keys: Column = field(default_factory=lambda: np.empty(0, np.uint64))
    human_labels: Labels | None = None
    other_keys: Column = field(default_factory=lambda: np.empty(0, np.uint64))
    confusion: npt.NDArray[np.float64] | None = None
    pixels: Callable[[int], Pixels] | None = None

    @classmethod
    def of(
        cls,
        train: ImageSet,
        pool: ImageSet | None,
        other: ImageSet | None = None,
        confusion: npt.NDArray[np.float64] | None = None,
        pixels: Callable[[int], Pixels] | None = None,
    ) -> BlendInput:
        """The labels of a clean train set, a pool, and images of another data set."""
        return cls(
            train.labels,
            train.keys(),
            train.class_names,
            pool.labels if pool else np.empty(0, np.int32),
            pool.keys() if pool else np.empty(0, np.uint64),
            train.human_labels,
            other.keys() if other else np.empty(0, np.uint64),
            confusion,
            pixels,
        )

    def class_sizes(self) -> Counts:
        """Training rows per class, shape (K,)."""
        return class_sizes(self.labels, len(self.class_names))

    def all_labels(self) -> Labels:
        """The labels as one array; for kinds that hold something of each row anyway."""
        whole: Labels = np.asarray(self.labels[:])
        return whole

    def all_keys(self) -> Keys:
        """The keys as one array."""
        whole: Keys = np.asarray(self.keys[:])
        return whole


@dataclass(frozen=True)
class Batch:
    """B rows that turn wrong.

    Attributes:
        rows: which they are.
        labels: their true labels.
        keys: their keys.
        turn: how many rows of their class have turned wrong before them.
    """

    rows: Rows
    labels: Labels
    keys: Keys
    turn: Rows


Become = Callable[[Batch], tuple[Labels, Rows]]
"""What rows become: the labels that they are given, and the images that stand in for theirs, -1 for none; (B,) each.

Stand-ins are numbered from the pool's first image to its last, and on through the other data set's.
"""


@dataclass(frozen=True)
class Plan:
    """A kind's decisions for every level at once.

    Attributes:
        rank: place of each row in its class's order of turning wrong, 0 first; whole numbers, shape (N,).
        capacity: how many rows of each class can be wrong at all; shape (K,).
        become: see `Become`; asked only of rows with ``rank < capacity``; in a mixture, of any that fit.
        made_of: what capacity counts, for messages ("wrong web images in the pool").
        weights: shares of the classes in all wrong rows, as whole numbers, shape (K,); None: their sizes, which makes
            all classes equally wrong.
        component: which of several kinds each row is of once it is wrong, int8, shape (N,); None: there is one.
        fits: which rows can turn wrong in this way at all, bool, shape (N,); None: any.
    """

    rank: npt.NDArray[np.integer[Any]]
    capacity: Counts
    become: Become
    made_of: str
    weights: Counts | None = None
    component: npt.NDArray[np.int8] | None = None
    fits: npt.NDArray[np.bool_] | None = None
