"""A whole set of images as one tensor of bytes: decoded once, then kept on the device."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from noisyweb.errors import TrainingError
from noisyweb.progress import Progress, silent
from noisyweb.training.facts import LabelledImages
from noisyweb.training.memory import available_bytes

_CHUNK = 256

Square = npt.NDArray[np.uint8]


class Pixels(NamedTuple):
    """N labelled images on the device."""

    images: Tensor  # [N, 3, S, S] uint8, RGB, stored channels-last
    labels: Tensor  # [N] int64

    def to(self, device: torch.device) -> Pixels:
        """The same on another device."""
        return Pixels(self.images.to(device), self.labels.to(device))


def decode_all(images: LabelledImages, size: int, what: str, progress: Progress = silent) -> Pixels:
    """Decode every image to ``size`` x ``size`` pixels, in row order.

    The whole image is squeezed into the square, with Pillow's bilinear filter (which averages over all pixels
    when it shrinks); the same bytes give the same pixels whatever the number of cores.

    Args:
        images: the set.
        size: pixels.
        what: what to call the set in progress.
        progress: called as images are done.

    Raises:
        TrainingError: too many images for the memory.
        SourceError: an image that cannot be read or decoded.
    """
    num = len(images)
    _check_memory(num, size)
    out = torch.empty(num, size, size, 3, dtype=torch.uint8)
    array = out.numpy()

    def decode(row: int) -> None:
        array[row] = square(images.image(row), size)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # Pillow decodes outside the GIL
        for start in range(0, num, _CHUNK):
            rows = range(start, min(start + _CHUNK, num))
            for _ in pool.map(decode, rows):
                pass
            progress(f"decoding {what}", rows[-1] + 1, num)
    labels = torch.from_numpy(np.asarray(images.labels, dtype=np.int64).copy())
    return Pixels(out.permute(0, 3, 1, 2), labels)


def _check_memory(num: int, size: int) -> None:
    needed, available = num * size * size * 3, available_bytes()
    if needed > 0.8 * available:
        raise TrainingError(
            f"{num:,} images at {size} px need {needed / 1e9:.1f} GB, {available / 1e9:.1f} GB of memory are free; "
            f"take --data stream, a smaller --image-size, or a smaller set"
        )


def square(image: Image.Image, size: int) -> Square:
    """The whole image as ``size`` x ``size`` pixels, [S, S, 3]; see `decode_all`."""
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=None)
    return np.asarray(image)
