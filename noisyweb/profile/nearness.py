"""How near each image is to each class, by linear discriminants of right images that it was not among.

The discriminant score of class c for a vector x is s(x, c) = x'C^-1 m_c - m_c'C^-1 m_c / 2, with m_c the class's mean
and C the covariance within classes, shrunk towards a multiple of the identity (Friedman 1989). The nearness
d(x, c) = s(x, c) - mean of s(x, c') over the other classes c': how much nearer to c than to the others. So a picture
that is odd for every class (another camera, a logo) is near none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noisyweb.draws import bits
from noisyweb.profile.interval import Floats, Places

FOLDS = 5
SHRINKAGE = 0.3
"""Added to each variance, as a share of their mean."""


@dataclass(frozen=True)
class Nearness:
    """Of right and of wrong images; K' classes are those with two or more right images among those looked at.

    Attributes:
        classes: their labels, ascending, (K',).
        right: d of R right images by discriminants of the other folds, (R, K').
        own: the column of each one's class, (R,).
        right_at: which image each is, among those given, (R,).
        wrong: d of W wrong images, (W, K').
        wrong_at: which image each is, (W,).
    """

    classes: Places
    right: Floats
    own: Places
    right_at: Places
    wrong: Floats
    wrong_at: Places

    def columns(self, labels: Places) -> Places:
        """The columns of labels; -1 for a class that has none."""
        place = np.minimum(np.searchsorted(self.classes, labels), len(self.classes) - 1)
        return np.where(self.classes[place] == labels, place, -1)


def nearness(vectors: npt.NDArray[np.float32], label: Places, wrong: npt.NDArray[np.bool_], seed: int) -> Nearness:
    """Fit and score.

    Args:
        vectors: shape (S, D).
        label: the given class, (S,).
        wrong: whether that is wrong, (S,).
        seed: which images are in which fold.

    Returns:
        With no classes where fewer than two have two right images.
    """
    counts = np.bincount(label[~wrong])
    classes = np.flatnonzero(counts >= 2)
    right_at = np.flatnonzero(~wrong & np.isin(label, classes))
    wrong_at = np.flatnonzero(wrong)
    if len(classes) < 2:
        nothing = np.zeros((0, 0))
        return Nearness(classes[:0], nothing, classes[:0], right_at[:0], nothing, wrong_at[:0])
    own = np.searchsorted(classes, label[right_at])
    draw = bits(np.arange(len(label), dtype=np.uint64), seed, "profile", "fold")
    fold = _folds(own, draw[right_at])
    wrong_fold = _folds(label[wrong_at], draw[wrong_at])
    middle = vectors[right_at].mean(axis=0)
    right, other = (vectors[at].astype(np.float64) - middle for at in (right_at, wrong_at))
    near_right, near_wrong = np.empty((len(right), len(classes))), np.empty((len(other), len(classes)))
    for number in range(FOLDS):
        rest = fold != number
        weights, bias = _discriminants(right[rest], own[rest], len(classes))
        near_right[~rest] = right[~rest] @ weights - bias
        near_wrong[wrong_fold == number] = other[wrong_fold == number] @ weights - bias
    return Nearness(classes, _relative(near_right), own, right_at, _relative(near_wrong), wrong_at)


def _folds(group: Places, draw: npt.NDArray[np.uint64]) -> Places:
    """Each group dealt out over the folds in a drawn order, beginning at a fold of its own."""
    order = np.lexsort((draw, group))
    _, start, size = np.unique(group[order], return_index=True, return_counts=True)
    fold = np.empty(len(group), np.int64)
    fold[order] = np.arange(len(group)) - np.repeat(start, size)
    return (fold + group) % FOLDS


def _discriminants(vectors: Floats, own: Places, num_classes: int) -> tuple[Floats, Floats]:
    """Weights of shape (D, K) and biases of shape (K,)."""
    sizes = np.bincount(own, minlength=num_classes)
    sums = np.zeros((num_classes, vectors.shape[1]))
    np.add.at(sums, own, vectors)
    means = sums / np.maximum(sizes, 1)[:, None]
    rest = vectors - means[own]
    covariance = rest.T @ rest / max(len(rest) - num_classes, 1)
    ridge = SHRINKAGE * np.trace(covariance) / len(covariance) + 1e-9
    weights = np.linalg.solve(covariance + ridge * np.eye(len(covariance)), means.T)
    return weights, (means * weights.T).sum(axis=1) / 2


def _relative(scores: Floats) -> Floats:
    others = (scores.sum(axis=1, keepdims=True) - scores) / (scores.shape[1] - 1)
    return np.asarray(scores - others)
