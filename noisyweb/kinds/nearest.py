"""Feature-dependent noise: the pictures that look most like another class turn wrong first, and into that class.

Noise near the border between classes ("boundary-consistent": Menon, van Rooyen and Natarajan, "Learning from Binary
Labels with Instance-Dependent Corruption", Machine Learning 107, 2018), with the plainest features there are: pixels at
16 x 16, and a picture's distance to the mean picture of each class, its own class's without itself. Sums are of whole
numbers, and so the same on every machine.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from noisyweb.errors import SourceError
from noisyweb.imageset import Labels
from noisyweb.plan import Batch, BlendInput, Pixels, Plan, Rows, chunks
from noisyweb.turns import turns

NOISE = "instance"
SUMMARY = "the pictures that look most like another class get its label"

SIDE = 16
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
    num_classes = len(sizes)
    sums = np.zeros((num_classes, pixels[0].size))
    for part in chunks(len(labels), _BATCH):
        np.add.at(sums, labels[part], pixels[part].reshape(part.stop - part.start, -1).astype(np.float64))
    means_squared = (sums**2).sum(axis=1) / np.maximum(sizes, 1) ** 2
    given, margin = np.empty(len(labels), np.int32), np.empty(len(labels))
    for part in chunks(len(labels), _BATCH):
        x, own = pixels[part].reshape(part.stop - part.start, -1).astype(np.float64), labels[part]
        here = np.arange(len(x))
        along = x @ sums.T  # exact: whole numbers
        squared = (x**2).sum(axis=1)
        distance = squared[:, None] - 2 * along / np.maximum(sizes, 1) + means_squared
        distance[:, sizes == 0] = np.inf
        distance[here, own] = np.inf
        nearest = distance.argmin(axis=1)
        rest = np.maximum(sizes[own] - 1, 1)  # the others of its own class
        own_sums = (sums**2).sum(axis=1)[own] - 2 * along[here, own] + squared
        own_distance = squared - 2 * (along[here, own] - squared) / rest + own_sums / rest**2
        own_distance = np.where(sizes[own] > 1, own_distance, 0.0)
        given[part], margin[part] = nearest, distance[here, nearest] - own_distance
    return given, margin
