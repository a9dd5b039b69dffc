"""Whether two files show the same picture at different resolutions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from noisyweb.decode import NotUsableError, open_image, pillow_in_bounds
from noisyweb.errors import SourceError

SIDE = 16
ALIKE = 0.93
"""Least correlation of two pictures of one photograph. Measured: a photograph and its 84x84 JPEG (quality 72; squeezed
or its middle square; 450 pairs of web photographs) have 0.99 or more; two photographs of one class (1,500 pairs of
CIFAR-10's test images) have 0.43 in the median, 0.85 at most."""


@dataclass(frozen=True)
class CrossCheck:
    """What came of comparing pictures in pairs.

    Attributes:
        num_compared: pairs.
        differing: ids of pairs that do not show the same.
    """

    num_compared: int
    differing: tuple[str, ...]


def compare(pairs: Iterable[tuple[str, Callable[[], bytes], Callable[[], bytes]]]) -> CrossCheck:
    """Compare pictures in pairs.

    Args:
        pairs: an id, how to read the original, how to read the small one.

    Raises:
        SourceError: a file cannot be read or is no image.
    """
    num_compared, differing = 0, []
    with pillow_in_bounds():
        for image_id, original, small in pairs:
            num_compared += 1
            if correlation(_opened(image_id, original()), _opened(image_id, small())) < ALIKE:
                differing.append(image_id)
    return CrossCheck(num_compared, tuple(differing))


def correlation(original: Image.Image, small: Image.Image) -> float:
    """How alike two pictures are, -1 to 1: Pearson's correlation of their grey values at 16x16.

    The small one may be the original squeezed into a square (most 84x84 sets) or its middle square; the better counts.
    """
    left = (original.width - original.height) / 2
    middle = (max(0, left), max(0, -left), original.width - max(0, left), original.height - max(0, -left))
    theirs = _grey(small, None)
    return max(_pearson(_grey(original, box), theirs) for box in (None, middle))


def _grey(image: Image.Image, box: tuple[float, float, float, float] | None) -> npt.NDArray[np.float64]:
    smaller = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX, box)
    return np.asarray(smaller, np.float64).ravel()


def _pearson(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else float(not a.any() and not b.any())


def _opened(image_id: str, data: bytes) -> Image.Image:
    try:
        return open_image(data)
    except NotUsableError as error:
        raise SourceError(f"image {image_id}: cannot be shown ({error.reason}); put it back") from error
