"""Consistency: do wrong images look like what their label says?

Each wrong image x with the given class c has a nearness d(x, c) (`noisyweb.profile.nearness`). With a the mean of right
images to their class (held out), b that of right images of other classes, and w that of wrong images,

    likeness = (w - b) / (a - b)      0: no nearer than images of other classes, 1: as near as right images
    nearer = P(wrong image is nearer to c than a right image of another class is), ties counted half

Where a is not clearly above b, the vectors cannot tell the classes apart, and nothing is said.

a and b are taken class by class and weighted as wrong images are. Blue noise gives right images of other classes, drawn
uniformly; so it is drawn from the held-out right images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noisyweb.draws import integers
from noisyweb.profile.interval import (
    FEWEST,
    REPEATS,
    Floats,
    Places,
    around,
    below,
    range_of,
    share_around,
    standard_error,
)
from noisyweb.profile.measure import Measure, unknown
from noisyweb.profile.nearness import Nearness
from noisyweb.profile.words import against_blue, share

_CLEARLY = 4
"""Standard errors by which right images must be nearer to their class, or a ratio by that means nothing."""


@dataclass(frozen=True)
class _Scored:
    """Wrong images with a class that can be judged, and the right ones.

    Attributes:
        near: what `Nearness` says.
        column: of the given class of each of the W wrong images, (W,).
        wrong: d(x, c) of these, (W,).
        weight: share of wrong images of each class, (K',).
        size: right images of each class, (K',).
    """

    near: Nearness
    column: Places
    wrong: Floats
    weight: Floats
    size: Places


def likeness(near: Nearness, label: Places, seed: int) -> tuple[Measure, Measure]:
    """The two measures.

    Args:
        near: of the images looked at.
        label: their given classes.
        seed: of the blue noise that it is compared with.
    """
    column = near.columns(label[near.wrong_at]) if len(near.classes) else near.wrong_at * 0 - 1
    use = column >= 0
    if not len(near.classes):
        why = "fewer than two classes have two right images, so there is nothing to compare with"
    elif use.sum() < FEWEST or len(near.own) < FEWEST:
        why = (
            f"{int(use.sum())} wrong and {len(near.own)} right images are of classes with two right images or more; "
            f"{FEWEST} of each are needed"
        )
    else:
        column = column[use]
        wrong = near.wrong[use, column]
        num_classes = len(near.classes)
        weight = np.bincount(column, minlength=num_classes) / len(column)
        scored = _Scored(near, column, wrong, weight, np.bincount(near.own, minlength=num_classes))
        return _measure(scored, seed)
    return unknown("likeness", why), unknown("nearer", why)


def _measure(scored: _Scored, seed: int) -> tuple[Measure, Measure]:
    near, column, size = scored.near, scored.column, scored.size
    rows, others = np.arange(len(near.own)), len(near.own) - size
    # Each right image's part of a, and its part of b over all classes but its own.
    to_own = near.right[rows, near.own] * (scored.weight / size)[near.own]
    per_class = scored.weight / others
    to_others = near.right @ per_class - near.right[rows, near.own] * per_class[near.own]
    a, b, w = to_own.sum(), to_others.sum(), scored.wrong.mean()
    strata = np.concatenate([column, len(size) + near.own])
    if a - b <= _CLEARLY * standard_error(to_own - to_others, near.own):
        why = (
            "right images are not clearly nearer to their own class than to others, so that there is no scale; give "
            "a model that can tell the classes apart with --embedding"
        )
        return unknown("likeness", why), unknown("nearer", why)
    value = (w - b) / (a - b)
    influence = np.concatenate([scored.wrong / len(column), -value * to_own - (1 - value) * to_others]) / (a - b)
    error = standard_error(influence, strata)
    placement, above = _placements(scored)
    nearer = float(placement.mean())
    nearer_error = standard_error(np.concatenate([placement / len(column), -above]), strata)
    blue, blue_nearer = _blue(scored, seed)
    at_chance, low, high = range_of((blue - b) / (a - b))
    interval = around(float(value), error)
    beside = against_blue(interval, (low, high))
    details: dict[str, float | str] = {"wrong": len(column), "right": len(near.own), "classes": len(size)}
    first = Measure(
        "likeness",
        float(value),
        *interval,
        at_chance,
        f"Wrong images come {share(value)} of the way from images of other classes (0%) to right images of the class "
        f"that they are labelled with (100%); {beside}.",
        reference_low=low,
        reference_high=high,
        details=details,
    )
    at_chance, low, high = range_of(blue_nearer)
    interval = share_around(nearer, nearer_error, len(column))
    second = Measure(
        "nearer",
        nearer,
        *interval,
        at_chance,
        f"A wrong image is nearer to its given class than a right image of another class is in {share(nearer)} of all "
        f"pairs; 50% would be chance, {against_blue(interval, (low, high))}.",
        reference_low=low,
        reference_high=high,
        details=details,
    )
    return first, second


def _placements(scored: _Scored) -> tuple[Floats, Floats]:
    """The share of other classes' right images that each wrong image is above; and of each right image, how much it
    takes from the mean: the share of wrong images below it, over the classes by weight."""
    near = scored.near
    placement, above = np.empty(len(scored.column)), np.zeros(len(near.own))
    for label in np.flatnonzero(scored.weight):
        mine, other = scored.column == label, near.own != label
        values = near.right[other, label]
        placement[mine] = below(scored.wrong[mine], values)
        above[other] += scored.weight[label] * below(values, scored.wrong[mine]) / len(values)
    return placement, above


def _blue(scored: _Scored, seed: int) -> tuple[Floats, Floats]:
    """Mean nearness and mean placement of as many images of other classes, drawn anew each time: `REPEATS` of each."""
    near, column = scored.near, scored.column
    by_class = np.argsort(near.own, kind="stable")
    before = np.concatenate([[0], np.cumsum(scored.size)])
    placements = np.empty_like(near.right)
    for label in range(len(scored.size)):
        placements[:, label] = below(near.right[:, label], near.right[near.own != label, label])
    means, places = np.empty(REPEATS), np.empty(REPEATS)
    keys = np.arange(len(column), dtype=np.uint64)
    for repeat in range(REPEATS):
        drawn = integers(keys, len(near.own) - scored.size[column], seed, "profile", "blue", repeat)
        drawn += np.where(drawn >= before[column], scored.size[column], 0)  # over its own class's images
        image = by_class[drawn]
        means[repeat] = near.right[image, column].mean()
        places[repeat] = placements[image, column].mean()
    return means, places
