"""Images as Cloud Vision takes them: at most 16 and 10 MB of JSON a request, the bytes in base64.

Bytes go as they are stored wherever they fit. An image too large for a request of its own is sent smaller: at most
2,048 pixels a side, as JPEG; labels need far less (Google asks for 640 x 480). What is no image is not sent at all.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TypeVar

from noisyweb.decode import DAMAGE, NotUsableError, open_header, open_image, to_rgb

IMAGES_PER_REQUEST = 16
BYTES_PER_REQUEST = 10_000_000
"""Of JSON."""

SIDES = (2048, 1024, 512)
"""Pixels of the longer side, tried one after the other, where an image has to be made smaller."""

_AROUND_REQUEST, _AROUND_IMAGE = 64, 256  # bytes of JSON besides the base64, rounded up

T = TypeVar("T")


def json_bytes(num_bytes: int) -> int:
    """How much of a request's JSON an image of so many bytes takes, at the most."""
    return 4 * -(-num_bytes // 3) + _AROUND_IMAGE


MAX_IMAGE_BYTES = (BYTES_PER_REQUEST - _AROUND_REQUEST - _AROUND_IMAGE) // 4 * 3
"""The largest image that fits into a request."""


def batches(sized: Iterable[tuple[T, int]]) -> Iterator[list[T]]:
    """Group things into requests, in order, each as full as it gets.

    Args:
        sized: things and the sizes of their images in bytes, each at most `MAX_IMAGE_BYTES`.

    Yields:
        1 to `IMAGES_PER_REQUEST` things whose JSON is at most `BYTES_PER_REQUEST`.
    """
    batch: list[T] = []
    taken = _AROUND_REQUEST
    for thing, num_bytes in sized:
        assert num_bytes <= MAX_IMAGE_BYTES
        size = json_bytes(num_bytes)
        if batch and (len(batch) == IMAGES_PER_REQUEST or taken + size > BYTES_PER_REQUEST):
            yield batch
            batch, taken = [], _AROUND_REQUEST
        batch.append(thing)
        taken += size
    if batch:
        yield batch


def prepare(data: bytes) -> bytes:
    """The bytes to send for an image. Call it within `noisyweb.decode.pillow_in_bounds`.

    Raises:
        NotUsableError: it is no image, or one that cannot be made to fit; with the reason.
    """
    open_header(data)
    if len(data) <= MAX_IMAGE_BYTES:
        return data
    picture = open_image(data)
    try:
        picture = to_rgb(picture)
        for side in SIDES:
            picture.thumbnail((side, side))
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=90)
            if len(out.getvalue()) <= MAX_IMAGE_BYTES:
                return out.getvalue()
    except DAMAGE:
        raise NotUsableError("truncated") from None
    raise NotUsableError("too-large")
