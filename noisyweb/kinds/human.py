"""Human noise: a clean image gets a wrong label that an annotator really gave it.

CIFAR-10N (Wei et al., "Learning with Noisy Labels Revisited", ICLR 2022) gives three such labels an image. Only
images that somebody mislabelled can turn wrong; where several annotators were wrong, one of them is drawn.
"""

from __future__ import annotations

import numpy as np

from noisyweb.draws import integers
from noisyweb.errors import SourceError
from noisyweb.imageset import Labels
from noisyweb.plan import Batch, BlendInput, Plan, Rows
from noisyweb.turns import drawn, turns

NOISE = "human"
SUMMARY = "wrong labels that annotators really gave"


def plan(source: BlendInput, seed: int) -> Plan:
    """Order the mislabelled rows of each class and draw one wrong label for each.

    Raises:
        SourceError: the data set has no human labels.
    """
    human = source.human_labels
    if human is None:
        raise SourceError(
            "human noise needs the labels that annotators gave and this data set has none; "
            'add human_labels = ["column", ...] to its [train] section (format "parquet")'
        )
    labels = source.all_labels()
    is_wrong = (human != labels[:, None]) & (human >= 0)
    eligible = is_wrong.any(axis=1)

    def become(batch: Batch) -> tuple[Labels, Rows]:
        wrong = is_wrong[batch.rows]
        chosen = integers(batch.keys, np.maximum(wrong.sum(axis=1), 1), seed, "human", "annotator")
        column = np.argmax(np.cumsum(wrong, axis=1) == (chosen + 1)[:, None], axis=1)
        return human[batch.rows, column].astype(np.int32), np.full(len(batch.rows), -1, np.int64)

    num_classes = len(source.class_names)
    rank = turns(labels, num_classes, drawn(source.keys, seed, "human", "row"), last=~eligible).rank()
    capacity = np.bincount(labels[eligible], minlength=num_classes).astype(np.int64)
    return Plan(rank, capacity, become, "images that an annotator mislabelled", fits=eligible)
