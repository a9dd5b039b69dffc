"""Blue noise: the label of a clean image is flipped, uniformly, to one of the other classes.

The symmetric noise of Jiang et al., "Beyond Synthetic Noise", ICML 2020. The right class is never drawn, so the
realised level is the level asked for (drawing from all K classes would realise only (K - 1) / K of it).
"""

from __future__ import annotations

import numpy as np

from noisyweb.draws import integers
from noisyweb.errors import SourceError
from noisyweb.imageset import Labels
from noisyweb.plan import Batch, BlendInput, Plan, Rows
from noisyweb.turns import drawn, turns

NOISE = "symmetric"
SUMMARY = "labels flipped uniformly to one of the other classes"


def plan(source: BlendInput, seed: int) -> Plan:
    """Give each row a place in its class's order and another class.

    Raises:
        SourceError: there is only one class.
    """
    num_classes = len(source.class_names)
    if num_classes < 2:
        raise SourceError(f"blue noise needs at least 2 classes to flip between; this data set has {num_classes}")

    def become(batch: Batch) -> tuple[Labels, Rows]:
        step = 1 + integers(batch.keys, num_classes - 1, seed, "blue", "class")
        return ((batch.labels + step) % num_classes).astype(np.int32), np.full(len(batch.rows), -1, np.int64)

    rank = turns(source.labels, num_classes, drawn(source.keys, seed, "blue", "row")).rank()
    return Plan(rank, source.class_sizes(), become, "images")
