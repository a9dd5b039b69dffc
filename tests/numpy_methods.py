"""The training methods' formulas once more, in NumPy and float64, from the papers: what `test_methods` compares with.

Shapes: B batch, K classes, M images of a mixed batch, N training rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def softmax(logits: Array) -> Array:
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


def cross_entropy(logits: Array, targets: Array) -> Array:
    """Of soft targets [B, K]; [B]."""
    highest = logits.max(1, keepdims=True)
    log_p = logits - highest - np.log(np.exp(logits - highest).sum(1, keepdims=True))
    return np.asarray(-(targets * log_p).sum(1))


def one_hot(labels: Ints, num_classes: int) -> Array:
    return np.eye(num_classes)[labels]


def smoothed(labels: Ints, num_classes: int, smoothing: float) -> Array:
    """Szegedy et al. 2016, section 7: ``(1 - s) y + s / K``."""
    return (1 - smoothing) * one_hot(labels, num_classes) + smoothing / num_classes


def bootstrapping(logits: Array, labels: Ints, targets: str, beta: float) -> Array:
    """Reed et al. 2015, equations 6 (soft) and 7 (hard); [B]."""
    q = softmax(logits)
    own = q if targets == "soft" else one_hot(q.argmax(1), q.shape[1])
    return cross_entropy(logits, beta * one_hot(labels, q.shape[1]) + (1 - beta) * own)


def generalised_cross_entropy(logits: Array, labels: Ints, q: float) -> Array:
    """Zhang and Sabuncu 2018, equation 6; [B]."""
    p = softmax(logits)[np.arange(len(labels)), labels]
    return np.asarray((1 - p**q) / q)


def elr_gradient(logits: Array, labels: Ints, targets: Array, weight: float) -> Array:
    """Liu et al. 2020, lemma 2: of each example's loss by its logits, ``p - y + lambda g``, [B, K]."""
    p = softmax(logits)
    inner = (targets * p).sum(1)
    g = np.empty_like(p)
    for b in range(len(p)):
        for c in range(p.shape[1]):
            g[b, c] = (
                p[b, c] / (1 - inner[b]) * sum((targets[b, k] - targets[b, c]) * p[b, k] for k in range(p.shape[1]))
            )
    return p - one_hot(labels, p.shape[1]) + weight * g


def co_teaching(logits: Sequence[Array], labels: Ints, num_kept: int) -> tuple[float, list[set[int]]]:
    """Han et al. 2018, algorithm 1: the sum of both losses, and the rows that each network *chose*."""
    losses = [cross_entropy(z, one_hot(labels, z.shape[1])) for z in logits]
    chosen = [set(np.argsort(loss, kind="stable")[:num_kept].tolist()) for loss in losses]
    total = sum(np.mean([losses[mine][b] for b in chosen[1 - mine]]) for mine in (0, 1))
    return float(total), chosen


def sharpened(p: Array, temperature: float) -> Array:
    powered = p ** (1 / temperature)
    return np.asarray(powered / powered.sum(1, keepdims=True))


def dividemix_targets(
    views: Sequence[Sequence[Array]], labels: Ints, right: Array, threshold: float, temperature: float
) -> list[Array]:
    """Li et al. 2020, algorithm 1, lines 12 to 19: each network's targets [B, K].

    Args:
        views: of each network, its logits [B, K] for each augmentation.
        labels: [B].
        right: [2, B], each network's chance that a label is right.
        threshold: above it, the label is used.
        temperature: of the sharpening.
    """
    p = [(softmax(view[0]) + softmax(view[1])) / 2 for view in views]
    found = []
    for number in (0, 1):
        target = np.empty_like(p[0])
        for b, label in enumerate(labels):
            w = right[number, b]
            if w > threshold:
                told = w * np.eye(p[0].shape[1])[label] + (1 - w) * p[number][b]
            else:
                told = (p[0][b] + p[1][b]) / 2
            target[b] = sharpened(told[None], temperature)[0]
        found.append(target)
    return found


def mixmatch(logits: Array, targets: Array, believed: npt.NDArray[np.bool_], unlabeled_weight: float) -> float:
    """Li et al. 2020, equations 9 to 12, from mixed logits and targets [M, K]."""
    p = softmax(logits)
    labelled = cross_entropy(logits[believed], targets[believed]).mean() if believed.any() else 0.0
    unlabelled = ((p[~believed] - targets[~believed]) ** 2).mean() if (~believed).any() else 0.0
    prior = np.full(p.shape[1], 1 / p.shape[1])
    even = (prior * np.log(prior / p.mean(0))).sum()
    return float(labelled + unlabeled_weight * unlabelled + even)
