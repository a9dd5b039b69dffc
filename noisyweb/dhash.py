"""The difference hash, the cheap option: 256 bits, each whether a pixel is brighter than the one to its left.

It is `imagehash.dhash` with hash_size 16: the image in grey at 17 x 16. Bit for bit the same, except for large JPEGs,
which are decoded smaller (`noisyweb.decode.draft_grey`). It finds fewer copies than `noisyweb.phash`.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from noisyweb.decode import NotUsableError
from noisyweb.reduced import open_reduced, to_grey

FLAT_STEP = 1.0
"""Grey levels: where the median step from pixel to pixel is smaller, bits are rounding (0.4 levels) or all alike."""


def dhash(data: bytes) -> tuple[bytes, bool] | None:
    """Hash encoded image bytes.

    Returns:
        32 bytes, most significant bit first, row by row, and whether the image is flat; None if the bytes
        cannot be decoded.
    """
    try:
        return dhash_of(*open_reduced(data))
    except NotUsableError:
        return None


def dhash_of(image: Image.Image, is_draft: bool) -> tuple[bytes, bool]:
    """Hash a decoded image; see `noisyweb.phash.phash_of`."""
    grey = np.asarray(to_grey(image).resize((17, 16), Image.Resampling.LANCZOS)).astype(np.int16)
    steps = np.diff(grey, axis=1)
    return np.packbits(steps > 0).tobytes(), float(np.median(np.abs(steps))) < FLAT_STEP
