"""Asymmetric noise: labels are flipped by a confusion matrix, or to a sibling in a class hierarchy.

Class-conditional noise with a transition matrix: Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a
Loss Correction Approach", CVPR 2017. Drawing each label from the matrix realises neither the level nor the matrix; here
the flips of each class are dealt out to the cells of its row by largest remainder, at every level.

The matrix says where labels go and how the classes compare: a class with twice the errors on average (1 less its
diagonal) gets twice the share. The level says how many there are in all.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from noisyweb.errors import SourceError
from noisyweb.imageset import Labels
from noisyweb.plan import Batch, BlendInput, Plan, Rows
from noisyweb.quota import Counts, class_order
from noisyweb.turns import drawn, turns

NOISE = "confusion"
SUMMARY = "labels flipped by a confusion matrix (--confusion) or within a class hierarchy (--hierarchy)"

_DIGITS = 9  # what floating point leaves of a share


def plan(source: BlendInput, seed: int) -> Plan:
    """Give each row a place in its class's order, and each place a label.

    Raises:
        SourceError: there is no matrix, or it never confuses anything.
    """
    if source.confusion is None:
        raise SourceError("asymmetric noise needs to know what is taken for what; give --confusion or --hierarchy")
    wrong = np.where(np.eye(len(source.confusion), dtype=bool), 0.0, source.confusion)
    errors = np.round(wrong.sum(axis=1), _DIGITS)
    if not errors.any():
        raise SourceError("asymmetric noise: the matrix confuses no class with another; give one with errors")
    sizes = source.class_sizes()
    capacity = np.where(errors > 0, sizes, 0)
    order = [_targets(row, int(size)) for row, size in zip(wrong, capacity, strict=True)]
    start = np.concatenate([[0], np.cumsum(capacity)])
    targets = np.concatenate([np.empty(0, np.int32), *order])

    def become(batch: Batch) -> tuple[Labels, Rows]:
        given = targets[start[batch.labels] + batch.turn]
        return given.astype(np.int32), np.full(len(batch.rows), -1, np.int64)

    rank = turns(source.labels, len(sizes), drawn(source.keys, seed, "asymmetric", "row")).rank()
    return Plan(rank, capacity, become, "images of classes that the matrix confuses", _weights(sizes, errors))


def _targets(row: npt.NDArray[np.float64], size: int) -> Labels:
    """The labels that the rows of a class are given, in order: every prefix has each one's share, rounded."""
    if size == 0:
        return np.empty(0, np.int32)
    share = np.round(row / row.sum() * size, _DIGITS)
    cells = np.floor(share).astype(np.int64)
    most_missing = np.argsort(-(share - cells), kind="stable")[: size - int(cells.sum())]
    cells[most_missing] += 1
    return class_order(cells, size)


def _weights(sizes: Counts, errors: npt.NDArray[np.float64]) -> Counts | None:
    """The classes' shares of all errors as whole numbers, exact where the rates have six decimals and N allows it."""
    if len(set(errors[sizes > 0].tolist())) == 1:
        return None
    num_rows, wrong = int(sizes.sum()), float((errors * sizes).sum())
    factor = 10 ** next(d for d in range(6, -1, -1) if num_rows * num_rows * 10**d < 2**60 or d == 0)
    if wrong * factor < num_rows:  # rare errors among very many rows
        factor = int(np.ceil(num_rows / wrong))
    weights = np.rint(errors * sizes * factor).astype(np.int64)
    return np.where((errors > 0) & (sizes > 0), np.maximum(weights, 1), 0)
