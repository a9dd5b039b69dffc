"""The pictures of an image set, small and in colour: what instance-dependent kinds of noise look at."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from noisyweb.decode import DAMAGE, NotUsableError, load, open_header, pillow_in_bounds, to_rgb
from noisyweb.errors import CorruptFileError
from noisyweb.imageset import ImageSet
from noisyweb.plan import Pixels
from noisyweb.progress import Progress


def small_pictures(images: ImageSet, progress: Progress) -> Callable[[int], Pixels]:
    """A function that gives all images of a set as RGB of side x side pixels, uint8, shape (N, side, side, 3).

    Images are squeezed to a square by averaging (Pillow's reducing box filter). What was asked for once is kept.

    Raises (when it is called):
        CorruptFileError: an image cannot be decoded, or a row has none.
    """

    @functools.cache
    def pictures(side: int) -> Pixels:
        from PIL import Image

        found = np.empty((len(images), side, side, 3), np.uint8)
        with pillow_in_bounds():
            for row, data in enumerate(images.load(range(len(images)))):
                try:
                    if data is None:
                        raise CorruptFileError(
                            f"image {images.names[row]!r}: only its path is known; this kind of noise needs pictures"
                        )
                    image = open_header(data)
                    load(image)
                    small = to_rgb(image).resize((side, side), Image.Resampling.BOX)
                except (NotUsableError, *DAMAGE) as error:
                    raise CorruptFileError(
                        f"image {images.names[row]!r}: cannot be decoded ({error}); remove it or put it back"
                    ) from error
                found[row] = np.asarray(small)
                if row % 500 == 499 or row + 1 == len(images):
                    progress("look at images", row + 1, len(images))
        return found

    return pictures
