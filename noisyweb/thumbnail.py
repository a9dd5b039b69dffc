"""Small copies of images, to be looked at."""

from __future__ import annotations

import io

from PIL import ExifTags, Image

from noisyweb.decode import DAMAGE, NotUsableError, load, open_header, to_rgb


def small_copy(data: bytes, side: int) -> tuple[bytes, tuple[int, int]] | None:
    """A JPEG of an encoded image, ``side`` pixels at most, and the image's own size; None for a damaged one."""
    try:
        image = open_header(data)
        width, height = image.size
        if image.format == "JPEG":
            image.draft(image.mode, (2 * side, 2 * side))  # twice as large as needed, so that nothing is lost
        load(image)
        if image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8):
            width, height = height, width
        picture = to_rgb(image)
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=78)
    except (NotUsableError, *DAMAGE):
        return None
    return out.getvalue(), (width, height)
