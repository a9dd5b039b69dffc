"""The perceptual hash: 256-bit pHash. Light to import: worker processes use it alone.

It is `imagehash.phash` with hash_size 16: the image in grey at 64 x 64, its two-dimensional DCT, the 16 x 16 lowest
frequencies, each above or below their median. Bit for bit the same, except for JPEGs with both sides of 192 pixels or
more: these are decoded in grey at a half, a quarter or an eighth of their size, and resized and transformed by one
product of matrices, without rounding between. That is several times faster and moves 3.0 bits on average, 14 at most
(297 photographs; a test holds it below 16). 256 bits, since 64 are too few for a web pool: among 212,588 random 64-bit
hashes, 226 pairs lie within 10 bits by chance.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from noisyweb.decode import NotUsableError
from noisyweb.reduced import open_reduced, to_grey

NUM_BITS = 256
SIDE = 64
FLAT_SPREAD = 150.0
"""Below this spread of the DCT coefficients an image is flat; see `is_flat`."""

_STEPS = np.arange(SIDE)
_DCT = 2 * np.cos(np.pi * (2 * _STEPS[None, :] + 1) * np.arange(16)[:, None] / (2 * SIDE))
"""The 16 lowest rows of the unnormalised DCT-II of 64 values, shape (16, 64)."""


def phash(data: bytes) -> tuple[bytes, bool] | None:
    """Hash encoded image bytes.

    Returns:
        32 bytes, most significant bit first, row by row, and whether the image is flat; None if the bytes
        cannot be decoded.
    """
    try:
        return phash_of(*open_reduced(data))
    except NotUsableError:
        return None


def phash_of(image: Image.Image, is_draft: bool) -> tuple[bytes, bool]:
    """Hash a decoded image.

    Args:
        image: decoded, a large JPEG smaller than it is.
        is_draft: whether it was (`noisyweb.decode.draft_grey`).

    Raises:
        NotUsableError: it is damaged in a way that only shows now.
    """
    if is_draft:
        pixels = np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width).astype(np.float32)
        low = np.asarray(_resized_dct(pixels.shape[0]) @ pixels @ _resized_dct(pixels.shape[1]).T)
    else:
        low = _low_frequencies(np.asarray(to_grey(image).resize((SIDE, SIDE), Image.Resampling.LANCZOS)))
    return np.packbits(low > _median(low)).tobytes(), _spread(low) < FLAT_SPREAD


@lru_cache(maxsize=512)
def _resized_dct(size: int) -> npt.NDArray[np.float32]:
    """The 16 lowest frequencies of ``size`` pixels resized to 64 by Lanczos: one matrix, shape (16, size)."""
    return np.ascontiguousarray((_DCT @ lanczos(size, SIDE)).astype(np.float32))


def lanczos(size: int, to: int, start: float = 0.0, length: float = 1.0) -> npt.NDArray[np.float64]:
    """The matrix that resizes a window of ``size`` values to ``to``, shape (to, size); rows sum to 1.

    It is Pillow's filter (Lanczos of three lobes, widened when shrinking), without rounding to 8 bits.

    Args:
        size: values there are.
        to: values wanted.
        start, length: the window as shares of ``size``; values beside it are used where the filter reaches.
    """
    step = length * size / to
    centres = start * size + (np.arange(to) + 0.5) * step
    at = (np.arange(size) + 0.5 - centres[:, None]) / max(step, 1.0)
    weights = np.where(np.abs(at) < 3, np.sinc(at) * np.sinc(at / 3), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def distance_of(left: npt.NDArray[np.floating], right: npt.NDArray[np.floating]) -> int:
    """Bits of 256 by which the hashes of two grey pictures of shape (64, 64) differ."""
    hashes = [low > _median(low) for low in (_DCT @ left @ _DCT.T, _DCT @ right @ _DCT.T)]
    return int((hashes[0] != hashes[1]).sum())


def is_flat(grey: npt.NDArray[np.uint8]) -> bool:
    """Whether an image has too little structure to be told from others like it.

    A bit says on which side of the median a coefficient lies. Rounding to 8 bits alone moves a coefficient by
    37 (1 / sqrt(12) grey levels x 128, the gain of this DCT), so where the median distance from the median is
    under four times that, bits are chance, or all alike. Plain cards have 0, smooth gradients and soft blobs
    up to 100 or 300, photographs 3,000 and more, the same at a twentieth of their contrast 145 and more.

    Args:
        grey: shape (64, 64).
    """
    return _spread(_low_frequencies(grey)) < FLAT_SPREAD


def _low_frequencies(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    return np.asarray(_DCT @ grey.astype(np.float64) @ _DCT.T)


def _spread(low: npt.NDArray[np.floating]) -> float:
    return _median(np.abs(low - _median(low)))


def _median(values: npt.NDArray[np.floating]) -> float:
    """`numpy.median` of an even number of values, the same to the bit and seven times as fast."""
    ordered = np.sort(values, axis=None)
    middle = ordered.size // 2
    return float((ordered[middle - 1] + ordered[middle]) / 2)
