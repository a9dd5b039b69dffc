"""Human noise: a clean image gets a wrong label that an annotator really gave it.

CIFAR-10N (Wei et al., "Learning with Noisy Labels Revisited", ICLR 2022) gives three such labels an image. Only
images that somebody mislabelled can turn wrong; where several annotators were wrong, one of them is drawn.
"""

from __future__ import annotations

import numpy as np

from noisyweb.blend import BlendInput, Plan, ranks
from noisyweb.draws import bits, integers
from noisyweb.errors import SourceError

NOISE = "human"
SUMMARY = "wrong labels that annotators really gave"


def plan(source: BlendInput, seed: int) -> Plan:
    """Order the mislabelled rows of each class and draw one wrong label for each.

    Raises:
        SourceError: the data set has no human labels.
    """
    if source.human_labels is None:
        raise SourceError(
            "human noise needs the labels that annotators gave and this data set has none; "
            'add human_labels = ["column", ...] to its [train] section (format "parquet")'
        )
    wrong = (source.human_labels != source.labels[:, None]) & (source.human_labels >= 0)
    num_wrong = wrong.sum(axis=1)
    eligible = num_wrong > 0
    chosen = integers(source.keys, np.maximum(num_wrong, 1), seed, "human", "annotator")
    column = np.argmax(np.cumsum(wrong, axis=1) == (chosen + 1)[:, None], axis=1)
    given = np.where(eligible, source.human_labels[np.arange(len(column)), column], source.labels)
    rank = ranks(source.labels, bits(source.keys, seed, "human", "row"), last=~eligible)
    capacity = np.bincount(source.labels[eligible], minlength=len(source.class_names)).astype(np.int64)
    made_of = "images that an annotator mislabelled"
    return Plan(rank, capacity, given.astype(np.int32), np.full(len(rank), -1, np.int64), made_of)
