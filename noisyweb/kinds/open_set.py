"""Open-set noise: a clean image is replaced by one of another data set, which shows none of the classes.

Wang et al., "Iterative Learning with Open-set Noisy Labels", CVPR 2018. The other data set's own labels play no part.
"""

from __future__ import annotations

import numpy as np

from noisyweb.draws import bits
from noisyweb.errors import ShortageError
from noisyweb.imageset import Labels
from noisyweb.plan import Batch, BlendInput, Plan, Rows
from noisyweb.quota import wrong_per_class
from noisyweb.turns import drawn, turns

NOISE = "open-set"
SUMMARY = "images of another data set (--open-set, or [other] in the definition), in place of clean ones"


def plan(source: BlendInput, seed: int) -> Plan:
    """Give each class its share of the other images, in random order.

    Raises:
        ShortageError: there are no other images.
    """
    num_others = len(source.other_keys)
    if not num_others:
        raise ShortageError(
            "open-set noise needs images of another data set; name its definition with --open-set, or add an [other] "
            "section to this one's"
        )
    sizes = source.class_sizes()
    share = wrong_per_class(sizes, min(num_others, int(sizes.sum())))
    start = np.cumsum(share) - share
    order = np.argsort(bits(source.other_keys[:], seed, "open-set", "image"), kind="stable")
    first = len(source.pool_labels)

    def become(batch: Batch) -> tuple[Labels, Rows]:
        return batch.labels, first + order[start[batch.labels] + batch.turn]

    rank = turns(source.labels, len(sizes), drawn(source.keys, seed, "open-set", "row")).rank()
    return Plan(rank, share, become, "images of the other data set")
