"""Blend: which rows are wrong at a level, and what stands in them. Labels only, no pixels.

A kind of noise makes one `Plan` for all levels: the order in which the rows of each class turn wrong, and what
each row turns into. A level takes the first rows of that order (`noisyweb.quota` says how many of each class),
so levels are nested and each is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from noisyweb import plugins
from noisyweb.draws import Keys
from noisyweb.errors import ShortageError
from noisyweb.imageset import ImageSet, Labels
from noisyweb.levels import level_text, num_wrong
from noisyweb.quota import class_order

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BlendInput:
    """What a kind may look at.

    Attributes:
        labels: true labels of the N training rows, shape (N,).
        keys: the rows' keys for random draws, shape (N,).
        class_names: the K classes.
        pool_labels, pool_keys: the class under which each of M pool images is wrong, and its key; shape (M,).
        human_labels: the labels that A annotators gave, shape (N, A), -1 for none; None if there are none.
    """

    labels: Labels
    keys: Keys
    class_names: Sequence[str]
    pool_labels: Labels
    pool_keys: Keys
    human_labels: Labels | None = None

    @classmethod
    def of(cls, train: ImageSet, pool: ImageSet | None) -> BlendInput:
        """The labels of a clean train set and a pool."""
        return cls(
            train.labels,
            train.keys(),
            train.class_names,
            pool.labels if pool else np.empty(0, np.int32),
            pool.keys() if pool else np.empty(0, np.uint64),
            train.human_labels,
        )

    def class_sizes(self) -> Rows:
        """Training rows per class, shape (K,)."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)


@dataclass(frozen=True)
class Plan:
    """A kind's decisions for every level at once.

    Attributes:
        rank: place of each row in its class's order of turning wrong, 0 first; shape (N,).
        capacity: how many rows of each class can be wrong at all; shape (K,).
        given: the label of each row once it is wrong; shape (N,).
        pool_row: the pool image that stands in for each row once it is wrong, -1 for none; shape (N,).
        made_of: what capacity counts, for messages ("wrong web images in the pool").
    """

    rank: Rows
    capacity: Rows
    given: Labels
    pool_row: Rows
    made_of: str


@dataclass(frozen=True)
class Blend:
    """One level: a label and an image for each of the N rows.

    Attributes:
        level: the level asked for.
        labels: what the trainer sees, shape (N,).
        is_wrong: which rows are wrong, shape (N,).
        pool_row: the pool image in place of the row's own, -1 for its own; shape (N,).
    """

    level: Decimal
    labels: Labels
    is_wrong: npt.NDArray[np.bool_]
    pool_row: Rows


def ranks(labels: Labels, priority: npt.NDArray[np.uint64], last: npt.NDArray[np.bool_] | None = None) -> Rows:
    """Each row's place in its class when rows are sorted by priority; rows marked ``last`` come after the others.

    All arguments and the result have shape (N,).
    """
    order = np.lexsort((priority, labels) if last is None else (priority, last, labels))
    starts = np.searchsorted(labels[order], labels[order], side="left")
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels)) - starts
    return rank


def blend_levels(kind: str, source: BlendInput, levels: Sequence[Decimal], seed: int) -> Iterator[Blend]:
    """Blend one kind at several levels.

    Every level has exactly ``num_wrong(level, N)`` wrong rows, each class floor or ceil of ``level * size_k``.
    All levels are checked before the first is given.

    Args:
        kind: a plug-in of `noisyweb.kinds`.
        source: the labels.
        levels: in [0, 1], in any order.
        seed: same inputs and seed, same blends.

    Raises:
        UnknownNameError: no such kind.
        ShortageError: too few wrong labels for a level; says which class has how many and needs how many.
    """
    plan: Plan = plugins.load("noisyweb.kinds", "kind", kind).plan(source, seed)
    sizes = source.class_sizes()
    totals = [num_wrong(level, len(source.labels)) for level in levels]
    order = class_order(sizes, max(totals, default=0))
    counts = [np.bincount(order[:total], minlength=len(sizes)) for total in totals]
    for level, count in zip(levels, counts, strict=True):
        _check_capacity(kind, level, count, plan, source, order)
    for level, count in zip(levels, counts, strict=True):
        wrong = plan.rank < count[source.labels]
        yield Blend(
            level,
            np.where(wrong, plan.given, source.labels).astype(np.int32),
            wrong,
            np.where(wrong, plan.pool_row, -1),
        )


def _check_capacity(
    kind: str, level: Decimal, need: Rows, plan: Plan, source: BlendInput, order: npt.NDArray[np.int32]
) -> None:
    short = np.flatnonzero(need > plan.capacity)
    if not len(short):
        return
    worst = short[np.argsort((plan.capacity - need)[short], kind="stable")]
    named = ", ".join(f"{source.class_names[k]!r} has {plan.capacity[k]} and needs {need[k]}" for k in worst[:3])
    more = f" and {len(short) - 3} more" if len(short) > 3 else ""
    reachable = _largest_total(plan.capacity, order) / len(source.labels)
    raise ShortageError(
        f"{kind} noise at {level_text(level)}: too few {plan.made_of} for {len(short)} of "
        f"{len(source.class_names)} classes: {named}{more}. Ask for at most {int(reachable * 1000) / 1000:g}, "
        "or add more of them"
    )


def _largest_total(capacity: Rows, order: npt.NDArray[np.int32]) -> int:
    """How long a prefix of the order every class can serve."""
    place = ranks(order, np.arange(len(order), dtype=np.uint64))
    too_many = place >= capacity[order]
    return int(np.argmax(too_many)) if too_many.any() else len(order)
