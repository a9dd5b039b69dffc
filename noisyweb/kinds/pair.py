"""Pair flip: the label of a clean image becomes the next class, the last one's the first.

Han et al., "Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels", NeurIPS 2018. With more
than half of a class flipped, most of what stands under a label is its neighbour.
"""

from __future__ import annotations

import numpy as np

from noisyweb.errors import SourceError
from noisyweb.imageset import Labels
from noisyweb.plan import Batch, BlendInput, Plan, Rows
from noisyweb.turns import drawn, turns

NOISE = "pair"
SUMMARY = "labels flipped to the next class"


def plan(source: BlendInput, seed: int) -> Plan:
    """Give each row a place in its class's order.

    Raises:
        SourceError: there is only one class.
    """
    num_classes = len(source.class_names)
    if num_classes < 2:
        raise SourceError(f"pair noise needs at least 2 classes to flip between; this data set has {num_classes}")

    def become(batch: Batch) -> tuple[Labels, Rows]:
        return ((batch.labels + 1) % num_classes).astype(np.int32), np.full(len(batch.rows), -1, np.int64)

    rank = turns(source.labels, num_classes, drawn(source.keys, seed, "pair", "row")).rank()
    return Plan(rank, source.class_sizes(), become, "images")
