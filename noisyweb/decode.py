"""From bytes of unknown worth to an image worth keeping, or the reason why not.

What is stored is the original, byte for byte, wherever it already is a plain picture: a JPEG, PNG or WebP with
one frame, 8-bit RGB or grey, no rotation or position in its EXIF, and no colour profile but sRGB. That keeps
image ids comparable with anyone else's copy of the file, and loses nothing. Everything else is changed to what
it shows (first frame, turned upright, sRGB, on white where transparent, no metadata) and encoded anew: JPEG and
WebP as JPEG of quality 95 without chroma subsampling, PNG and GIF as PNG. The same goes for images that are to be
made smaller: the shorter side as asked, bilinear with antialiasing (torchvision's Resize), never larger than they
were; these JPEGs have the usual 4:2:0 chroma.
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

MAX_PIXELS = 50_000_000
DRAFT_SIDE = 96

_OTHER_FORMATS = (b"BM", b"II*\0", b"MM\0*", b"\xff\x0a", b"\0\0\0\x0cJXL ", b"\0\0\0\x0cjP", b"8BPS", b"\0\0\1\0")


@dataclass(frozen=True)
class Decoded:
    """One image worth keeping.

    Attributes:
        data: the encoded bytes to store.
        width, height: pixels, upright.
        format: of ``data``: jpeg, png or webp.
        changes: how it differs from the bytes as they came: first-frame, upright, srgb, flattened (onto white),
            8-bit, no-position, no-metadata, resized, re-encoded; none: ``data`` are those bytes.
        hashable: the decoded picture, as `noisyweb.phash.phash_of` takes it, where ``data`` is as it came.
        is_draft: whether that was decoded smaller (`draft_grey`).
    """

    data: bytes
    width: int
    height: int
    format: str
    changes: tuple[str, ...] = ()
    hashable: Image.Image | None = None
    is_draft: bool = False


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


def open_image(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open an image of a known format and read all its pixels.

    Args:
        data: encoded bytes.
        max_pixels: width x height beyond which nothing is decoded.

    Raises:
        NotUsableError: it is not one, too large, or damaged.
    """
    image = open_header(data, max_pixels=max_pixels)
    load(image)
    return image


def open_header(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open an image of a known format; no pixel is read yet. Else as `open_image`."""
    found = sniff(data)
    if found not in FORMATS:
        raise NotUsableError({"svg": "svg", "other": "other-format"}.get(found, "not-an-image"))
    try:
        image = FORMATS[found](io.BytesIO(data))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise NotUsableError("pixel-bomb") from None
    except DAMAGE:
        raise NotUsableError("truncated") from None
    if image.width * image.height > max_pixels:
        raise NotUsableError("pixel-bomb")
    return image


def load(image: Image.Image) -> None:
    """Read all pixels of an opened image.

    Raises:
        NotUsableError: it is too large or damaged.
    """
    try:
        image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise NotUsableError("pixel-bomb") from None
    except DAMAGE:
        raise NotUsableError("truncated") from None


def draft_grey(image: Image.Image) -> bool:
    """Have a large JPEG decoded in grey at a half, a quarter or an eighth of its size, both sides 96 or more.

    All of the file is read all the same, so that damage is found as in full. Returns whether it will be.
    """
    if image.format != "JPEG" or image.mode != "RGB" or min(image.size) < 2 * DRAFT_SIDE:
        return False
    image.draft("L", (DRAFT_SIDE, DRAFT_SIDE))
    return True


def decode(data: bytes, *, min_side: int = 32, max_pixels: int = MAX_PIXELS, image_size: int | None = None) -> Decoded:
    """Check fetched bytes and give what is to be stored; see the module's docstring.

    Args:
        data: the bytes as fetched.
        min_side: pixels that both sides must have.
        max_pixels: width x height beyond which nothing is decoded.
        image_size: pixels of the shorter side to which larger images are reduced; None: as they are.

    Raises:
        NotUsableError: with the reason: svg, other-format, not-an-image, pixel-bomb, truncated or too-small.
    """
    image = open_header(data, max_pixels=max_pixels)
    name, (width, height) = str(image.format), image.size
    if min(width, height) < min_side:
        raise NotUsableError("too-small")
    if name != "JPEG":
        load(image)  # before its metadata is asked for: Pillow reads a PNG's pixels for that, and forgets errors
    changes = _changes(image)
    is_larger = image_size is not None and min(width, height) > image_size
    if not changes and not is_larger:
        is_draft = draft_grey(image)
        load(image)
        return Decoded(data, width, height, name.lower(), (), image, is_draft)
    if is_larger and image_size is not None and not changes:
        scale = 2 * image_size / min(width, height)  # still twice as large as needed, so that nothing is lost
        image.draft("RGB", (int(width * scale), int(height * scale)))
    load(image)
    try:
        picture = to_rgb(image) if changes else image
        if is_larger and image_size is not None:
            changes.append("resized")
            ratio = image_size / min(width, height)
            size = tuple(max(1, round(side * ratio)) for side in _upright_size(image, (width, height)))
            picture = picture.resize((size[0], size[1]), Image.Resampling.BILINEAR)
        out = io.BytesIO()
        if name in ("JPEG", "WEBP"):
            name = "JPEG"
            picture.save(out, "JPEG", quality=95, subsampling="4:2:0" if is_larger else "4:4:4")
        else:
            name = "PNG"
            picture.save(out, "PNG")
    except DAMAGE:
        raise NotUsableError("truncated") from None
    return Decoded(out.getvalue(), picture.width, picture.height, name.lower(), tuple(changes))


def _upright_size(image: Image.Image, size: tuple[int, int]) -> tuple[int, int]:
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return (size[1], size[0]) if turned else size


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


def _changes(image: Image.Image) -> list[str]:
    """What has to be done to an opened image before it is a plain picture; header and metadata only."""
    changes = []
    try:
        if getattr(image, "is_animated", False):
            changes.append("first-frame")
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            changes.append("flattened")
        elif image.mode not in ("RGB", "L"):
            changes.append("8-bit")
        profile = image.info.get("icc_profile")
        if profile and not _is_srgb(profile):
            changes.append("srgb")
        exif = image.getexif()
        if exif.get(ExifTags.Base.Orientation, 1) != 1:
            changes.append("upright")
        metadata = image.info.get("xmp", b"")
        if exif.get_ifd(ExifTags.IFD.GPSInfo) or b"GPS" in (
            metadata.encode() if isinstance(metadata, str) else metadata
        ):
            changes.append("no-position")
    except DAMAGE:
        changes.append("no-metadata")  # too damaged to tell what is in it
    if image.format == "GIF" and not changes:
        changes.append("re-encoded")
    return changes


def _is_srgb(profile: bytes) -> bool:
    return b"sRGB" in profile or b"s\0R\0G\0B" in profile
