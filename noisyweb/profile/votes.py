"""Instance dependence by votes: how much of an answer hangs on the image, and how much on its class alone?

A vote on image i of class c is yes with probability p_i. The variance of a vote is the sum of three parts,

    p (1 - p) = classes: Var(p_c) + images: E Var(p_i | c) + people: E p_i (1 - p_i)

with p the mean of all. The measure is the share of the images. Blue noise has none: each image of a class is as likely
to be wrong as any other. All parts are estimated without bias from pairs of votes: on one image, on two images of one
class, on any two. So the noise of few votes an image is no part of it.

Where annotators were asked again whenever the first n disagreed, all numbers are those of the first n votes, expected
given what is known (Rao-Blackwell), since more votes on split images would look like split images.

It takes verdicts on right and wrong images: a pool of images that were voted wrong is chosen by the very votes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.special import comb

from noisyweb.draws import uniforms
from noisyweb.profile.interval import FEWEST, Floats, Places, range_of, share_around, standard_error
from noisyweb.profile.measure import Measure, unknown
from noisyweb.profile.words import against_blue, share

_REPEATS = 100


@dataclass(frozen=True)
class Ballots:
    """Votes on N images, two or more each.

    Attributes:
        label: the class asked about, (N,).
        yes, total: votes, (N,).
        first: how many were asked at first, if more were asked where these disagreed; 0: not so.
    """

    label: Places
    yes: Places
    total: Places
    first: int

    @classmethod
    def of(cls, label: Places, yes: Places, total: Places) -> Ballots:
        """Leave out images with fewer than two votes, and see how they were asked."""
        use = total >= 2
        label, yes, total = label[use], yes[use], total[use]
        least = int(total.min()) if len(total) else 0
        unanimous = (yes == 0) | (yes == total)
        asked_again = bool((total > least).any() and unanimous[total == least].all())
        return cls(label, yes, total, least if asked_again else 0)

    def one(self) -> Floats:
        """Unbiased for p_i."""
        return self._first(1, self.yes / self.total)

    def two(self) -> Floats:
        """Unbiased for p_i squared."""
        return self._first(2, self.yes * (self.yes - 1) / (self.total * (self.total - 1)))

    def _first(self, count: int, plain: Floats) -> Floats:
        """The chance that the first votes were all yes, given the numbers in the end."""
        if not self.first:
            return plain
        n, y, more = self.total, self.yes, self.total - self.first
        stopped = comb(more, y - self.first) + comb(more, y)  # orders of votes that would have ended at the first few
        orders = comb(n, y) - stopped
        good = comb(n - count, y - count) - comb(more, y - self.first)
        again = (more > 0) & (orders > 0)  # else there were answers of a third sort
        return np.where(again, good / np.where(again, orders, 1), plain)


def votes(verdicts: pa.Table | None, num_voted: int, what: str, seed: int) -> Measure:
    """The measure.

    Args:
        verdicts: a table of `noisyweb.schemas.VERDICTS`, on right and on wrong images; None: there is none.
        num_voted: rows of the manifest that have votes.
        what: where the verdicts are from, for the sentence.
        seed: of the blue noise that it is compared with.
    """
    if verdicts is None:
        why = "no row has votes"
        if num_voted:
            why = (
                f"the {num_voted:,} rows with votes were chosen by these votes; it takes the verdicts on all images, "
                "right and wrong: name their workspace with --workspace"
            )
        return unknown("votes", why)
    label, yes, total = (
        np.asarray(verdicts[name].to_numpy(), np.int64) for name in ("label", "votes_yes", "votes_total")
    )
    ballots = Ballots.of(label, yes, total)
    places, size = np.unique(ballots.label, return_counts=True)
    if (size >= 2).sum() < 1 or len(ballots.label) < FEWEST:
        return unknown("votes", f"{len(ballots.label)} images have two votes or more; {FEWEST} of one class are needed")
    keep = np.isin(ballots.label, places[size >= 2])
    ballots = Ballots(ballots.label[keep], ballots.yes[keep], ballots.total[keep], ballots.first)
    parts = variance_parts(ballots)
    if parts is None:
        return unknown("votes", f"all votes on the {len(ballots.label):,} images are the same")
    value, classes, error = parts
    interval = share_around(value, error, len(ballots.label))
    drawn = [variance_parts(dealt(ballots, seed, repeat)) for repeat in range(_REPEATS)]
    at_chance, low, high = range_of(np.array([0.0 if found is None else found[0] for found in drawn]))
    value = min(max(value, 0.0), 1.0)
    return Measure(
        "votes",
        value,
        *interval,
        at_chance,
        f"{share(value)} of the variance of a vote hangs on the image, {share(max(classes, 0.0))} on its class; "
        f"{against_blue(interval, (low, high))}. Measured on {what}: {len(ballots.label):,} images with two votes or "
        "more, right and wrong.",
        reference_low=low,
        reference_high=high,
        details={
            "images": len(ballots.label),
            "classes": len(np.unique(ballots.label)),
            "share_of_images": value,
            "share_of_classes": classes,
            "share_of_people": 1 - value - classes,
            "first_votes": ballots.first,
            "of": what,
        },
    )


def variance_parts(ballots: Ballots) -> tuple[float, float, float] | None:
    """The shares of images and of classes in the variance of a vote, not cut at 0 or 1, and the former's standard
    error; None where all votes are the same. Each class has two images or more."""
    one, two = ballots.one(), ballots.two()
    _, place, size = np.unique(ballots.label, return_inverse=True, return_counts=True)
    weight, count = size / len(one), len(one)
    mean = np.bincount(place, one) / size
    spread = np.bincount(place, (one - mean[place]) ** 2) / (size - 1)
    p, p_images = float(one.mean()), float(two.mean())
    p_classes = float((weight * (mean**2 - spread / size)).sum())
    p_all = p**2 - float((weight**2 * spread / size).sum())
    whole = p - p_all
    if whole <= 1e-12:
        return None
    share_images, share_classes = (p_images - p_classes) / whole, (p_classes - p_all) / whole
    influence = (two - 2 * mean[place] * one - share_images * (one - 2 * p * one)) / (count * whole)
    return share_images, share_classes, standard_error(influence, place)


def dealt(ballots: Ballots, seed: int, repeat: int) -> Ballots:
    """The same questions with votes that hang on the class alone, asked again as these were."""
    _, place, size = np.unique(ballots.label, return_inverse=True, return_counts=True)
    rate = np.bincount(place, ballots.one())[place] / size[place]
    most = int(ballots.total.max())
    keys = np.arange(len(place) * most, dtype=np.uint64)
    answers = uniforms(keys, seed, "profile", "votes", repeat).reshape(-1, most) < rate[:, None]
    total = ballots.total
    if ballots.first:
        yes = answers[:, : ballots.first].sum(axis=1)
        total = np.where((yes > 0) & (yes < ballots.first), most, ballots.first)
    answers &= np.arange(most) < total[:, None]
    return Ballots(ballots.label, answers.sum(axis=1), total, ballots.first)
