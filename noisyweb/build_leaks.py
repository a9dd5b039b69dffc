"""No build with a leak: web images that are to be used are no copies of clean ones, or nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from noisyweb.decode import pillow_in_bounds
from noisyweb.dedup import DEFAULT_RADIUS
from noisyweb.dedup_clean import loader
from noisyweb.described import Described
from noisyweb.errors import LeakError
from noisyweb.hashes import describe_now
from noisyweb.image_ids import digest_of, ids_of, unique
from noisyweb.imageset import ImageSet
from noisyweb.leaks import find_leaks
from noisyweb.manifest import image_id
from noisyweb.progress import Progress
from noisyweb.stages import ByViews

LeakCheck = dict[str, Any]
"""``radius`` in bits of 256, and whether ``views`` were compared: what `noisyweb.verify` looks for anew."""

DRAWN_CHECK: LeakCheck = {"radius": DEFAULT_RADIUS, "views": False}
"""Of the drawn edition: its images are made of the same few shapes, so that only hashes tell copies from others."""


def refuse_leaks(
    pool: ImageSet, used: npt.NDArray[np.int64], clean: Mapping[str, ImageSet], progress: Progress
) -> LeakCheck:
    """Make certain that no web image is a copy of a clean one.

    A crawled pool has been compared by `noisyweb dedup`: that it was with these very clean images, and with all that
    was crawled, is checked. Any other pool is compared here, from the pixels.

    Args:
        pool: the web images.
        used: rows of the pool that are to be used.
        clean: train and, if there is one, validation.
        progress: told how far it is.

    Returns:
        What has been looked for, for the lock file.

    Raises:
        LeakError: there is a leak, or nobody has looked for one.
    """
    if pool.compared is not None:
        for split, images in clean.items():
            ids = [image_id(data) for data in images.load(range(len(images))) if data is not None]
            if ids and pool.compared.against.get(split) != digest_of(unique([ids_of(ids)])):
                raise LeakError(
                    f"the pool's images were not all compared with these {split} images, so that some may be copies of "
                    "them; run `noisyweb dedup --dataset ...` on the workspace and build again"
                )
        return {"radius": pool.compared.radius, "views": pool.compared.views}
    with pillow_in_bounds():
        web, places = _described(pool, used.tolist(), "pool", progress)
        for split, images in clean.items():
            there, rows = _described(images, range(len(images)), split, progress)
            found = find_leaks(web, there, DEFAULT_RADIUS, [ByViews(DEFAULT_RADIUS)], progress)
            if found:
                first = min(found, key=lambda image_id: places[image_id])
                other, match = found[first].image_id, found[first].match
                raise LeakError(
                    f"image {pool.names[places[first]]!r} is a copy of {split} image "
                    f"{images.names[rows[other]]!r} ({match.kind}, {match.distance} of 256 bits; {len(found):,} such): "
                    "take these images out of the pool and build again"
                )
    return {"radius": DEFAULT_RADIUS, "views": True}


def _described(
    images: ImageSet, rows: Sequence[int], what: str, progress: Progress
) -> tuple[Described, dict[str, int]]:
    """What is known of some rows of a set, and where each image id stands in it."""
    places: dict[str, int] = {}

    def read() -> Iterator[tuple[str, bytes]]:
        for row, data in zip(rows, images.load(rows), strict=True):
            if data is not None:
                found = image_id(data)
                places.setdefault(found, row)
                yield found, data

    what = f"hash {what}"
    load = loader(images, places)
    found = describe_now(read(), load, with_views=True, what=what, num_images=len(rows), progress=progress)
    return found, places
