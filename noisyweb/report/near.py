"""Which images of the sets look alike: perceptual hashes of all of them, and the nearest other image of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from noisyweb.decode import pillow_in_bounds
from noisyweb.hamming_chunks import Hashes
from noisyweb.hashes import words
from noisyweb.phash import NUM_BITS, phash
from noisyweb.report.photos import draw_order, encoded, readable

if TYPE_CHECKING:
    from noisyweb.data import NoisyImages

MAX_IMAGES = 20_000
"""Training images that are hashed, and as many validation images; more are a sample."""
LIMIT_BYTES = 400_000_000

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Place:
    """Where an image is found: the first row that holds it."""

    images: NoisyImages
    row: int
    source: str

    @property
    def shows(self) -> str:
        """Its true class, or what it is given as where nobody knows that; hostile text."""
        names, true = self.images.class_names, int(self.images.true_labels[self.row])
        if true >= 0 or self.images.is_clean[self.row]:
            return str(names[true if true >= 0 else self.images.labels[self.row]])
        return f"given as {names[self.images.labels[self.row]]}"


@dataclass(frozen=True)
class Hashed:
    """Images with their hashes.

    Attributes:
        ids: N image ids, each once, in the order of the sets.
        hashes: shape (N, 4).
        places: of all images, hashed or not, by id.
        num_flat: images looked at that are too flat for a hash to mean anything.
        num_unreadable: images looked at that are damaged or have no bytes.
        num_looked_at: images looked at.
    """

    ids: Sequence[str]
    hashes: Hashes
    places: Mapping[str, Place]
    num_flat: int
    num_unreadable: int
    num_looked_at: int

    @property
    def is_sample(self) -> bool:
        """Whether some images were not looked at."""
        return self.num_looked_at < len(self.places)

    def of_source(self, is_clean: bool) -> Ints:
        """The images of the clean set, or all others: places in ``ids``."""
        found = [(self.places[image_id].source == "clean") == is_clean for image_id in self.ids]
        return np.flatnonzero(np.array(found, bool))


def hash_sets(sets: Sequence[tuple[NoisyImages, Sequence[str]]], seed: int) -> Hashed:
    """Hash the images of sets, each image once.

    Args:
        sets: with the source of each row.
        seed: of the sample, if they are too many.
    """
    places: dict[str, Place] = {}
    for images, sources in sets:
        for row, (image_id, source) in enumerate(zip(images.ids, sources, strict=True)):
            places.setdefault(image_id, Place(images, row, source))
    wanted = _wanted(places, seed)
    found: dict[str, bytes] = {}
    num_flat = num_unreadable = 0
    with pillow_in_bounds():
        for image_id, data in _bytes_of(wanted):
            one = None if data is None else phash(data)
            num_unreadable += one is None
            num_flat += one is not None and one[1]
            if one is not None and not one[1]:
                found[image_id] = one[0]
    ids = [image_id for image_id in places if image_id in found]
    hashes = words([found[image_id] for image_id in ids])
    return Hashed(ids, hashes, places, num_flat, num_unreadable, len(wanted))


def _wanted(places: Mapping[str, Place], seed: int) -> dict[str, Place]:
    """The images to look at, in the order of sets and rows."""
    rows: dict[int, Ints] = {}
    ids = []
    for image_id, place in places.items():
        allowed = rows.get(id(place.images))
        if allowed is None:
            allowed = rows[id(place.images)] = readable(place.images, LIMIT_BYTES)
        at = int(np.searchsorted(allowed, place.row))
        if at < len(allowed) and allowed[at] == place.row:
            ids.append(image_id)
    chosen = set(np.array(ids, object)[draw_order(ids, seed, "near")[:MAX_IMAGES]].tolist())
    return {image_id: places[image_id] for image_id in ids if image_id in chosen}


def _bytes_of(places: Mapping[str, Place]) -> Iterator[tuple[str, bytes | None]]:
    for image_id, place in places.items():
        [data] = encoded(place.images, [place.row])
        yield image_id, data


def nearest(left: Hashes, right: Hashes, *, is_same: bool = False, block: int = 512) -> tuple[Ints, Ints]:
    """The nearest of ``right`` for each of ``left``, by comparing each with each.

    Args:
        left: shape (N, 4).
        right: shape (M, 4), M at least 1, or 2 if ``is_same``.
        is_same: they are the same images; none is its own neighbour.
        block: of ``left`` compared at once.

    Returns:
        Distances in bits and places in ``right``, both of shape (N,); of several as near, the first.
    """
    distances, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, len(left), block):
        part = left[start : start + block]
        bits = np.zeros((len(part), len(right)), np.uint16)
        for word in range(left.shape[1]):
            bits += np.bitwise_count(part[:, word, None] ^ right[None, :, word])
        if is_same:
            bits[np.arange(len(part)), start + np.arange(len(part))] = NUM_BITS + 1
        best = bits.argmin(axis=1)
        distances.append(bits[np.arange(len(part)), best].astype(np.int64))
        places.append(best)
    return np.concatenate(distances), np.concatenate(places)


def closest_pairs(distances: Ints, places: Ints, count: int, *, is_same: bool = False) -> list[tuple[int, int, int]]:
    """The nearest pairs of those that `nearest` gives, no image twice: distance, place left, place right."""
    found: list[tuple[int, int, int]] = []
    used_left: set[int] = set()
    used_right: set[int] = used_left if is_same else set()
    for i in np.argsort(distances, kind="stable").tolist():
        j = int(places[i])
        if len(found) == count:
            break
        if i not in used_left and j not in used_right:
            found.append((int(distances[i]), i, j))
            used_left.add(i)
            used_right.add(j)
    return found
