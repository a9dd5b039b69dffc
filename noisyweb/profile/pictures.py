"""Instance dependence without votes: among images of one true class, are some likelier to be mislabelled?

The typicality of an image is its nearness to its true class (`noisyweb.profile.nearness`). Within each true class,

    pictures = P(a mislabelled image is less typical than a rightly labelled one), ties counted half

weighted by mislabelled images. Where the picture does not matter to whether the label is wrong (blue, pair and
confusion noise) it is 0.5. What an image looks like under its wrong label does not count.

Only flipped labels can be looked at so: an image that stands in for another comes from elsewhere, and would be known by
that. The range of blue noise: verdicts shuffled within each true class.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from noisyweb.draws import uniforms
from noisyweb.profile.interval import FEWEST, REPEATS, Floats, Places, below, range_of, share_around, standard_error
from noisyweb.profile.measure import Measure, unknown
from noisyweb.profile.nearness import Nearness
from noisyweb.profile.words import against_blue, share


def pictures(near: Nearness, true: Places, is_own: npt.NDArray[np.bool_], seed: int) -> Measure:
    """The measure.

    Args:
        near: of the images looked at.
        true: their right classes, -1 where not known.
        is_own: whether each is of the clean set.
        seed: of the shuffles.
    """
    name = "pictures"
    if not len(near.classes):
        return unknown(name, "fewer than two classes have two right images, so nobody can say what is typical")
    flipped = is_own[near.wrong_at] & (true[near.wrong_at] >= 0)
    column = np.where(flipped, near.columns(true[near.wrong_at]), -1)
    use, right = column >= 0, is_own[near.right_at]
    if use.sum() < FEWEST:
        found = f"{int(use.sum())} wrong rows are clean images of a known class; {FEWEST} are needed"
        if len(near.wrong_at) and not is_own[near.wrong_at].any():
            found = "all wrong rows hold images from elsewhere, which stand in for clean ones and are not flipped"
        return unknown(name, found)
    score = np.concatenate([near.wrong[use, column[use]], near.right[right, near.own[right]]])
    place = np.concatenate([column[use], near.own[right]])
    wrong = np.arange(len(score)) < use.sum()
    both = np.isin(place, np.intersect1d(place[wrong], place[~wrong]))
    score, place, wrong = -score[both], place[both], wrong[both]
    if wrong.sum() < FEWEST:
        return unknown(name, f"{int(wrong.sum())} wrong rows are of classes with right images; {FEWEST} are needed")
    value, influence = _area(score, place, wrong)
    interval = share_around(value, standard_error(influence, 2 * place + wrong), int(wrong.sum()))
    at_chance, low, high = range_of(_shuffled(score, place, wrong, seed))
    return Measure(
        name,
        value,
        *interval,
        at_chance,
        f"Of two images of the same true class, one mislabelled and one not, the mislabelled one is the less typical "
        f"in {share(value)} of all pairs; {against_blue(interval, (low, high))}.",
        reference_low=low,
        reference_high=high,
        details={"wrong": int(wrong.sum()), "right": int((~wrong).sum()), "classes": len(np.unique(place))},
    )


def _area(score: Floats, place: Places, wrong: npt.NDArray[np.bool_]) -> tuple[float, Floats]:
    """The mean over wrong images of the share of their class's right ones that they are above; images' influences."""
    influence, total = np.empty(len(score)), wrong.sum()
    for label in np.unique(place):
        bad, good = np.flatnonzero((place == label) & wrong), np.flatnonzero((place == label) & ~wrong)
        influence[bad] = below(score[bad], score[good]) / total
        influence[good] = -below(score[good], score[bad]) * len(bad) / len(good) / total
    return float(influence[wrong].sum()), influence


def _shuffled(score: Floats, place: Places, wrong: npt.NDArray[np.bool_], seed: int) -> Floats:
    """The same with verdicts shuffled within classes: `REPEATS` times."""
    total, found = wrong.sum(), np.zeros(REPEATS)
    for label in np.unique(place):
        mine = np.flatnonzero(place == label)
        count = int(wrong[mine].sum())
        rank = below(score[mine], score[mine]) * len(mine) + 0.5  # mid-ranks from 1
        keys = np.arange(REPEATS * len(mine), dtype=np.uint64)
        draw = uniforms(keys, seed, "profile", "shuffle", int(label)).reshape(REPEATS, -1)
        sums = rank[np.argpartition(draw, count - 1, axis=1)[:, :count]].sum(axis=1)
        found += (sums - count * (count + 1) / 2) / (len(mine) - count) / total
    return found
