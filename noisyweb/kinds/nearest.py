"""Feature-dependent noise: the pictures that look most like another class turn wrong first, and into that class.

Noise near the border between classes ("boundary-consistent": Menon, van Rooyen and Natarajan, "Learning from Binary
Labels with Instance-Dependent Noise", Machine Learning 107, 2018), with the plainest features that tell classes
apart: pixels at 8 x 8, whitened by the covariance within classes as Fisher's linear discriminant does (without that a
few classes near the middle get most labels). A picture looks like a class as far as it is near the class's mean, its
own class's without itself.

Whitened features are rounded to whole numbers, so that the sums after them are exact and the same on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from noisyweb.errors import SourceError
from noisyweb.imageset import Labels
from noisyweb.plan import Batch, BlendInput, Pixels, Plan, Rows, chunks
from noisyweb.turns import turns

NOISE = "instance"
SUMMARY = "the pictures that look most like another class get its label"

SIDE = 8
RIDGE = 0.01
"""Added to the covariance, as a share of its mean variance: few pictures leave it all but singular."""

_UNIT = 1024  # whole numbers that a standard deviation is told in
_BATCH = 4096


def plan(source: BlendInput, seed: int) -> Plan:
    """Order the rows of each class by how much nearer they are to another class; the seed plays no part.

    Raises:
        SourceError: fewer than two classes have images, or there are no images.
    """
    if source.pixels is None:
        raise SourceError("nearest noise depends on the pictures, and this data set has only paths; give it its images")
    sizes = source.class_sizes()
    if np.count_nonzero(sizes) < 2:
        raise SourceError("nearest noise needs at least 2 classes with images to mistake for each other")
    labels = source.all_labels()
    given, margin = _nearest(source.pixels(SIDE), labels, sizes)

    def become(batch: Batch) -> tuple[Labels, Rows]:
        return given[batch.rows], np.full(len(batch.rows), -1, np.int64)

    return Plan(turns(labels, len(sizes), lambda part: margin[part]).rank(), sizes, become, "images")


def _nearest(pixels: Pixels, labels: Labels, sizes: npt.NDArray[np.int64]) -> tuple[Labels, npt.NDArray[np.float64]]:
    """The nearest other class of each row, and how much farther it is than the row's own, squared; (N,) each."""
    features = _whitened(pixels.reshape(len(pixels), -1), labels, sizes)
    sums = _sums(features, labels, len(sizes))
    sums_squared = (sums**2).sum(axis=1)
    number = np.maximum(sizes, 1)
    given, margin = np.empty(len(labels), np.int32), np.empty(len(labels))
    for part in chunks(len(labels), _BATCH):
        x, own = features[part].astype(np.float64), labels[part]
        here = np.arange(len(x))
        along, squared = x @ sums.T, (x**2).sum(axis=1)
        distance = squared[:, None] - 2 * along / number + sums_squared / number**2
        distance[:, sizes == 0] = np.inf
        distance[here, own] = np.inf
        nearest = distance.argmin(axis=1)
        rest = np.maximum(sizes[own] - 1, 1)  # the others of its own class
        rest_squared = sums_squared[own] - 2 * along[here, own] + squared
        to_own = squared - 2 * (along[here, own] - squared) / rest + rest_squared / rest**2
        given[part] = nearest
        margin[part] = distance[here, nearest] - np.where(sizes[own] > 1, to_own, 0.0)
    return given, margin


def _whitened(pixels: Pixels, labels: Labels, sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Pixels in units in which classes spread alike in every direction, as whole numbers; (N, D) both."""
    means = _sums(pixels, labels, len(sizes)) / np.maximum(sizes, 1)[:, None]
    covariance = np.zeros((pixels.shape[1], pixels.shape[1]))
    for part in chunks(len(labels), _BATCH):
        off = pixels[part] - means[labels[part]]
        covariance += off.T @ off
    covariance /= len(labels)
    ridge = RIDGE * np.trace(covariance) / len(covariance) + 1.0  # at least a grey level
    to_white = np.linalg.inv(np.linalg.cholesky(covariance + ridge * np.eye(len(covariance)))).T
    features = np.empty(pixels.shape, np.int32)
    for part in chunks(len(labels), _BATCH):
        features[part] = np.rint((pixels[part] - 128.0) @ to_white * _UNIT)
    return features


def _sums(values: npt.NDArray[np.integer[Any]], labels: Labels, num_classes: int) -> npt.NDArray[np.float64]:
    """Of each class, shape (K, D)."""
    sums = np.zeros((num_classes, values.shape[1]))
    for part in chunks(len(labels), _BATCH):
        np.add.at(sums, labels[part], values[part].astype(np.float64))
    return sums
