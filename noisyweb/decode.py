"""From bytes of unknown worth to an image worth keeping, or the reason why not.

What is stored is the original, byte for byte, wherever it already is a plain picture: a JPEG, PNG or WebP with
one frame, 8-bit RGB or grey, no rotation or position in its EXIF, and no colour profile but sRGB. That keeps
image ids comparable with anyone else's copy of the file, and loses nothing. Everything else is changed to what
it shows (first frame, turned upright, sRGB, on white where transparent, no metadata) and encoded anew: JPEG and
WebP as JPEG of quality 95 without chroma subsampling, PNG and GIF as PNG.
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from PIL import (
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

FORMATS: Mapping[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}
"""The formats that are read; the sniffed one is opened by its own class, so that no other is ever tried."""

DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)
"""What Pillow raises for damaged files; it has no one class for it."""

_OTHER_FORMATS = (b"BM", b"II*\0", b"MM\0*", b"\xff\x0a", b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP", b"8BPS", b"\0\0\1\0")


@dataclass(frozen=True)
class Decoded:
    """One image worth keeping.

    Attributes:
        data: the encoded bytes to store.
        width, height: pixels, upright.
        format: of ``data``: jpeg, png or webp.
    """

    data: bytes
    width: int
    height: int
    format: str


class NotUsableError(Exception):
    """The bytes give no image; ``reason`` is one of `noisyweb.reasons.FINAL`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@contextlib.contextmanager
def pillow_in_bounds() -> Iterator[None]:
    """Make Pillow's size warning an error and keep its remarks on damaged metadata off the terminal.

    For the main thread, around all decoding: Python's warning filters belong to the whole process.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def sniff(data: bytes) -> str:
    """What bytes are by their first ones: a name of `FORMATS`, "svg", "other" or "" for no image."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(_OTHER_FORMATS) or data[4:8] == b"ftyp":
        return "other"
    head = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return "svg" if head.startswith((b"<svg", b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in head else ""


def open_image(data: bytes, *, max_pixels: int = 50_000_000) -> Image.Image:
    """Open an image of a known format and read all its pixels.

    Args:
        data: encoded bytes.
        max_pixels: width x height beyond which nothing is decoded.

    Raises:
        NotUsableError: it is not one, too large, or damaged.
    """
    found = sniff(data)
    if found not in FORMATS:
        raise NotUsableError({"svg": "svg", "other": "other-format"}.get(found, "not-an-image"))
    try:
        image = FORMATS[found](io.BytesIO(data))  # reads the header only
        if image.width * image.height > max_pixels:
            raise NotUsableError("pixel-bomb")
        image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise NotUsableError("pixel-bomb") from None
    except DAMAGE:
        raise NotUsableError("truncated") from None
    return image


def decode(data: bytes, *, min_side: int = 32, max_pixels: int = 50_000_000) -> Decoded:
    """Check fetched bytes and give what is to be stored; see the module's docstring.

    Args:
        data: the bytes as fetched.
        min_side: pixels that both sides must have.
        max_pixels: width x height beyond which nothing is decoded.

    Raises:
        NotUsableError: with the reason: svg, other-format, not-an-image, pixel-bomb, truncated or too-small.
    """
    image = open_image(data, max_pixels=max_pixels)
    name = str(image.format)
    if min(image.size) < min_side:
        raise NotUsableError("too-small")
    if _is_plain(image):
        return Decoded(data, image.width, image.height, name.lower())
    try:
        upright = to_rgb(image)
        out = io.BytesIO()
        if name in ("JPEG", "WEBP"):
            upright.save(out, "JPEG", quality=95, subsampling=0)
            name = "JPEG"
        else:
            upright.save(out, "PNG")
            name = "PNG"
    except DAMAGE:
        raise NotUsableError("truncated") from None
    return Decoded(out.getvalue(), upright.width, upright.height, name.lower())


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture as people see it: upright, sRGB, on white where it is transparent; no metadata."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        upright = upright.point(lambda value: value / 256).convert("L")
    profile = image.info.get("icc_profile")
    if profile and not _is_srgb(profile) and upright.mode in ("RGB", "L", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(upright, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            upright = converted or upright
        except (ImageCms.PyCMSError, OSError):
            pass  # a damaged profile, or one for another colour space: the colours are taken as they are
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        above = upright.convert("RGBA")
        white = Image.new("RGBA", above.size, "white")
        upright = Image.alpha_composite(white, above)
    plain = Image.new("RGB", upright.size)
    plain.paste(upright.convert("RGB"))
    return plain


def _is_plain(image: Image.Image) -> bool:
    if image.format == "GIF" or image.mode not in ("RGB", "L") or "transparency" in image.info:
        return False
    if getattr(image, "n_frames", 1) > 1:
        return False
    profile = image.info.get("icc_profile")
    if profile and not _is_srgb(profile):
        return False
    metadata = image.info.get("xmp", b"")
    if b"GPS" in (metadata.encode() if isinstance(metadata, str) else metadata):
        return False
    try:
        exif = image.getexif()
        return exif.get(ExifTags.Base.Orientation, 1) == 1 and not exif.get_ifd(ExifTags.IFD.GPSInfo)
    except DAMAGE:
        return False


def _is_srgb(profile: bytes) -> bool:
    return b"sRGB" in profile or b"s\0R\0G\0B" in profile
