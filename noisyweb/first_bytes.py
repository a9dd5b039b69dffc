"""Whether bytes are a picture, by the first of them: no build holds others, and no export gets others to write."""

from __future__ import annotations

_SUFFIXES = (
    ((b"\xff\xd8\xff",), ".jpg"),
    ((b"\x89PNG\r\n\x1a\n",), ".png"),
    ((b"GIF87a", b"GIF89a"), ".gif"),
    ((b"BM",), ".bmp"),
    # as Pillow has them: with the version in the other byte order, too, and BigTIFF
    ((b"II*\0", b"MM\0*", b"MM*\0", b"II\0*", b"MM\0+", b"II+\0"), ".tif"),
)
"""First bytes of `noisyweb.manifest.IMAGE_FORMATS`, but for WebP's, and the usual suffix."""


def image_suffix(data: bytes) -> str | None:
    """The usual suffix of an image of these bytes, whatever its name says; None if they are no image."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    return next((suffix for first, suffix in _SUFFIXES if data.startswith(first)), None)


def no_image(data: bytes) -> str:
    """What is to be said of bytes that are no image: what was found and what was expected."""
    return f"its bytes begin with {data[:8]!r}; expected a JPEG, PNG, WebP, GIF, BMP or TIFF image"
