"""Decoding for hashing: everything that hashes images sees them the same way, large JPEGs smaller and in grey."""

from __future__ import annotations

from PIL import Image

from noisyweb.decode import DAMAGE, NotUsableError, draft_grey, load, open_header, to_rgb


def open_reduced(data: bytes) -> tuple[Image.Image, bool]:
    """Open an image for hashing and read all of it; large JPEGs smaller and in grey (`draft_grey`), told by the flag.

    Raises:
        NotUsableError: it is none, too large or damaged.
    """
    image = open_header(data)
    is_draft = draft_grey(image)
    load(image)
    return image, is_draft


def to_grey(image: Image.Image) -> Image.Image:
    """A decoded picture in grey, on white where it is transparent.

    Raises:
        NotUsableError: it is damaged in a way that only shows now.
    """
    try:
        return (image if image.mode in ("RGB", "L") else to_rgb(image)).convert("L")
    except DAMAGE:
        raise NotUsableError("truncated") from None
