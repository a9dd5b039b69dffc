"""The images of a set as the report looks at them: of very large sets a part, in row order, made small."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from noisyweb.draws import bits, row_keys
from noisyweb.thumbnail import small_copy

if TYPE_CHECKING:
    from noisyweb.data import NoisyImages

LIMIT_BYTES = 1_000_000_000
"""What is read of one set; larger ones are shown by a part of their row groups."""

NO_PIXELS = (
    "No image of these sets can be read: they hold paths only, or damaged bytes (`noisyweb verify` tells). `noisyweb "
    "build` writes images where it has them: of an official data set after `noisyweb fetch NAME --clean DIR --web "
    "WORKSPACE`."
)

Rows = npt.NDArray[np.int64]


def readable(images: NoisyImages, limit_bytes: int = LIMIT_BYTES) -> Rows:
    """The rows that may be read, ascending: all, or those of some row groups spread evenly over a large set."""
    groups = images.row_groups
    total = sum(size for _, size in groups)
    if total <= limit_bytes:
        return np.arange(len(images))
    count = max(1, len(groups) * limit_bytes // total)
    chosen = np.unique(np.linspace(0, len(groups) - 1, count).round().astype(int))
    return np.concatenate([np.asarray(groups[place][0], np.int64) for place in chosen])


def encoded(images: NoisyImages, rows: Iterable[int]) -> Iterator[bytes | None]:
    """The encoded bytes of rows, best in ascending order; None for one that carries a path only."""
    for row in rows:
        data = images.encoded(int(row))
        yield None if data is None else bytes(data)


def draw_order(ids: Sequence[str], seed: int, purpose: str) -> Rows:
    """Rows in the order of their draws: images have the same place in all sets that hold them."""
    return np.argsort(bits(row_keys(ids), seed, "report", purpose), kind="stable")


def thumbnail(data: bytes | None, side: int) -> Image.Image | None:
    """An image that just fits into ``side`` x ``side`` pixels; None for a damaged one."""
    found = small_copy(data, 2 * side) if data is not None else None
    if found is None:
        return None
    image = Image.open(io.BytesIO(found[0]))
    scale = side / max(image.size)
    width, height = (max(1, round(scale * length)) for length in image.size)
    return image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
