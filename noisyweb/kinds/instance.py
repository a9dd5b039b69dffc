"""Instance-dependent noise: what a label becomes depends on the picture.

Xia et al., "Part-dependent Label Noise: Towards Instance-dependent Label Noise", NeurIPS 2020, Algorithm 2, as its
authors' release has it: each row has a flip rate q from a normal distribution around the level (standard deviation 0.1,
within [0, 1]), each class y a random matrix W_y of features x classes, and the label is drawn from the softmax of x W_y
over the other classes. Here

- rows turn wrong in the order of the level at which the row's own draw u first falls below its rate q, so that a level
  is a prefix and exact, and
- the features x are the image's pixels at 32 x 32, as the paper's are on CIFAR, less grey. Pixels and weights are whole
  numbers, so that sums are exact and the same on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from noisyweb.draws import uniforms
from noisyweb.errors import SourceError
from noisyweb.imageset import Labels
from noisyweb.plan import Batch, BlendInput, Pixels, Plan, Rows
from noisyweb.turns import turns

NOISE = "instance"
SUMMARY = "labels flipped by a random function of the picture (Xia et al. 2020)"

SIDE = 32
SPREAD = 0.1
"""Standard deviation of the rows' flip rates."""

_GREY, _PIXEL_UNIT, _WEIGHT_UNIT = 128, 64, 256
_BATCH = 4096


def plan(source: BlendInput, seed: int) -> Plan:
    """Order the rows by the level at which they turn, and draw each one's label.

    Raises:
        SourceError: there is only one class, or there are no images.
    """
    from scipy.special import ndtri

    num_classes = len(source.class_names)
    if num_classes < 2:
        raise SourceError(f"instance noise needs at least 2 classes to flip between; this data set has {num_classes}")
    if source.pixels is None:
        raise SourceError(
            "instance noise depends on the pictures, and this data set has only paths; give it its images"
        )
    pixels, labels, keys = source.pixels(SIDE), source.all_labels(), source.all_keys()
    given = _given(pixels, labels, uniforms(keys, seed, "instance", "label"), num_classes, seed)

    def level(part: slice) -> npt.NDArray[np.float64]:
        """u < q = level + 0.1 z, at first."""
        z = ndtri(np.clip(uniforms(keys[part], seed, "instance", "rate"), 1e-12, None))
        turning: npt.NDArray[np.float64] = uniforms(keys[part], seed, "instance", "row") - SPREAD * z
        return turning

    def become(batch: Batch) -> tuple[Labels, Rows]:
        return given[batch.rows], np.full(len(batch.rows), -1, np.int64)

    return Plan(turns(labels, num_classes, level).rank(), source.class_sizes(), become, "images")


def _given(pixels: Pixels, labels: Labels, draw: npt.NDArray[np.float64], num_classes: int, seed: int) -> Labels:
    """A label for each row from the softmax of its features times its class's matrix, its own class left out."""
    given = np.empty(len(labels), np.int32)
    for label in range(num_classes):
        own = np.flatnonzero(labels == label)
        if not len(own):
            continue
        weights = _weights(pixels[0].size, num_classes, label, seed)
        for start in range(0, len(own), _BATCH):
            rows = own[start : start + _BATCH]
            features = pixels[rows].reshape(len(rows), -1).astype(np.float64) - _GREY
            scores = features @ weights / (_PIXEL_UNIT * _WEIGHT_UNIT)
            scores[:, label] = -np.inf
            chance = np.exp(scores - scores.max(axis=1, keepdims=True))
            reached = np.cumsum(chance, axis=1)
            given[rows] = np.argmax(reached > (draw[rows] * reached[:, -1])[:, None], axis=1)
    return given


def _weights(num_features: int, num_classes: int, label: int, seed: int) -> npt.NDArray[np.float64]:
    """A class's matrix: standard normal numbers in units of 1/256, as whole numbers; (num_features, num_classes)."""
    from scipy.special import ndtri

    cells = np.arange(num_features * num_classes, dtype=np.uint64)
    normal = ndtri(np.clip(uniforms(cells, seed, "instance", "weights", label), 1e-12, None))
    weights: npt.NDArray[np.float64] = np.rint(normal * _WEIGHT_UNIT).reshape(num_features, num_classes)
    return weights
