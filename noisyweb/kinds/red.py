"""Red noise: a clean image is replaced by a web image of the same class name that annotators judged wrong.

Class sizes stay as they are. Jiang, Huang, Liu and Yang, "Beyond Synthetic Noise: Deep Learning on Controlled
Noisy Labels", ICML 2020, section 3.
"""

from __future__ import annotations

import numpy as np

from noisyweb.blend import BlendInput, Plan, ranks
from noisyweb.draws import bits
from noisyweb.errors import ShortageError

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
    rank = ranks(source.labels, bits(source.keys, seed, "red", "row"))
    pool_order = np.lexsort((bits(source.pool_keys, seed, "red", "pool"), source.pool_labels))
    capacity = np.bincount(source.pool_labels, minlength=num_classes).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(capacity)[:-1]])
    served = rank < capacity[source.labels]
    pool_row = np.full(len(rank), -1, np.int64)
    pool_row[served] = pool_order[start[source.labels[served]] + rank[served]]
    return Plan(rank, capacity, source.labels, pool_row, "wrong web images in the pool")
