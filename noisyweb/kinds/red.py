"""Red noise: a clean image is replaced by a web image of the same class name that annotators judged wrong.

Class sizes stay as they are. Jiang, Huang, Liu and Yang, "Beyond Synthetic Noise: Deep Learning on Controlled
Noisy Labels", ICML 2020, section 3.
"""

from __future__ import annotations

import numpy as np

from noisyweb.errors import ShortageError
from noisyweb.imageset import Labels
from noisyweb.plan import Batch, BlendInput, Plan, Rows
from noisyweb.turns import drawn, turns

NOISE = "web"
SUMMARY = "web images that annotators judged wrong, in place of clean ones"


def plan(source: BlendInput, seed: int) -> Plan:
    """Pair the rows of each class, in random order, with its pool images, in random order.

    Raises:
        ShortageError: there is no pool at all.
    """
    if not len(source.pool_labels):
        raise ShortageError(
            "red noise needs a pool of wrong web images and this data set has none; add a [pool] section to its "
            "definition or give --workspace, or take --kind blue"
        )
    num_classes = len(source.class_names)
    rank = turns(source.labels, num_classes, drawn(source.keys, seed, "red", "row")).rank()
    pool = turns(source.pool_labels, num_classes, drawn(source.pool_keys, seed, "red", "pool"))

    def become(batch: Batch) -> tuple[Labels, Rows]:
        return batch.labels, pool.order[pool.start[batch.labels] + batch.turn].astype(np.int64)

    return Plan(rank, np.diff(pool.start), become, "wrong web images in the pool")
