from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms

from noisyweb.decode import NotUsableError, decode, pillow_in_bounds, sniff
from noisyweb.reasons import FINAL
from tests.web import SVG, animation, photo, pixel_bomb


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def two_tone() -> Image.Image:
    """Left half red, right half blue, wider than high."""
    image = Image.new("RGB", (80, 40), "red")
    image.paste("blue", (40, 0, 80, 40))
    return image


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_plain_images_are_kept_byte_for_byte(kind: str) -> None:
    data = photo(1, kind=kind)
    image = decode(data)
    assert (image.data, image.width, image.height, image.format) == (data, 64, 64, kind.lower())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not-an-image"),
        (b"<!DOCTYPE html><p>404", "not-an-image"),
        (SVG, "svg"),
        (b"  <svg width='9'></svg>", "svg"),
        (photo(1, kind="BMP"), "other-format"),
        (photo(1, kind="TIFF"), "other-format"),
        (b"\0\0\0\x1cftypavif", "other-format"),
        (photo(1)[:-400], "truncated"),
        (photo(1, kind="PNG")[:-400], "truncated"),
        (photo(1, kind="PNG").replace(b"IDAT", b"IDAT\xff", 1), "truncated"),
        (b"\xff\xd8\xff\xe0", "truncated"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "truncated"),
        (photo(1, side=1), "too-small"),
        (photo(1, side=31), "too-small"),
        (pixel_bomb(), "pixel-bomb"),
    ],
)
def test_what_is_refused_and_why(data: bytes, reason: str) -> None:
    with pytest.raises(NotUsableError) as refusal:
        decode(data)
    assert refusal.value.reason == reason


def test_the_pixel_limit_is_ours_and_comes_before_decoding() -> None:
    data = photo(1, side=64)
    assert decode(data, max_pixels=64 * 64).width == 64
    with pytest.raises(NotUsableError, match="pixel-bomb"):
        decode(data, max_pixels=64 * 64 - 1)


def test_the_first_frame_of_an_animation() -> None:
    image = decode(animation())
    assert image.format == "png"
    assert (pixels(image.data) == (255, 0, 0)).all()


def test_rotation_is_applied_and_metadata_dropped() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned by 90 degrees clockwise
    exif[ExifTags.Base.Make] = "A camera"
    image = decode(encoded(two_tone(), "JPEG", exif=exif, quality=95))
    assert (image.width, image.height) == (40, 80)
    assert np.abs(pixels(image.data)[5, 20] - (255, 0, 0)).max() < 30  # what was left is above
    assert not Image.open(io.BytesIO(image.data)).getexif()


def test_a_position_is_dropped() -> None:
    exif = Image.Exif()
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    data = encoded(two_tone(), "JPEG", exif=exif, quality=95)
    assert b"GPS" in data or dict(Image.open(io.BytesIO(data)).getexif())
    image = decode(data)
    assert not dict(Image.open(io.BytesIO(image.data)).getexif())
    assert np.abs(pixels(image.data) - pixels(data)).max() < 40


def test_transparency_is_shown_on_white() -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert (pixels(decode(encoded(image, "PNG")).data) == 255).all()


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "1", "I;16", "LA"])
def test_every_colour_mode_becomes_rgb_or_grey(mode: str) -> None:
    image = Image.new(mode, (40, 40)) if mode == "I;16" else two_tone().convert(mode)
    decoded = decode(encoded(image, "JPEG" if mode == "CMYK" else "PNG"))
    assert Image.open(io.BytesIO(decoded.data)).mode in ("RGB", "L")


def test_16_bit_grey_keeps_its_tone() -> None:
    image = Image.fromarray(np.full((40, 40), 40_000, np.uint16))
    assert abs(int(pixels(decode(encoded(image, "PNG")).data)[0, 0, 0]) - 156) <= 1


def test_srgb_profiles_are_plain_and_damaged_ones_ignored() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = encoded(two_tone(), "JPEG", icc_profile=profile)
    assert decode(plain).data == plain
    damaged = encoded(two_tone(), "PNG", icc_profile=b"nonsense")
    assert (pixels(decode(damaged).data) == pixels(damaged)).all()


def test_reencoding_is_deterministic() -> None:
    assert decode(animation()).data == decode(animation()).data


def test_sniffing_looks_at_bytes_only() -> None:
    assert sniff(b"\xff\xd8\xff\xdb") == "JPEG"
    assert sniff(b"GIF87a") == "GIF"
    assert sniff(b"<html><svg></svg>") == ""


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF"]), st.data())
def test_damaged_bytes_give_an_image_or_a_reason_never_a_crash(kind: str, data: st.DataObject) -> None:
    image = bytearray(photo(3, kind=kind))
    for _ in range(data.draw(st.integers(1, 12))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    with pillow_in_bounds():
        try:
            outcome = decode(bytes(image[: data.draw(st.integers(0, len(image)))])).format
        except NotUsableError as refusal:
            outcome = refusal.reason
    assert outcome in {"jpeg", "png", "webp", *FINAL}


@pytest.mark.parametrize(
    ("data", "changes"),
    [
        (photo(1), ()),
        (animation(), ("first-frame", "8-bit")),
        (encoded(Image.new("P", (40, 40)), "GIF"), ("8-bit",)),
        (encoded(Image.new("RGBA", (40, 40)), "PNG"), ("flattened",)),
        (encoded(Image.new("CMYK", (40, 40)), "JPEG"), ("8-bit",)),
    ],
)
def test_what_was_changed_is_said(data: bytes, changes: tuple[str, ...]) -> None:
    image = decode(data)
    assert image.changes == changes
    assert (image.data == data) is (not changes)


@pytest.mark.parametrize(
    ("size", "wanted", "expected"),
    [
        ((400, 300), 100, (133, 100)),
        ((300, 400), 100, (100, 133)),
        ((64, 64), 100, (64, 64)),
        ((100, 500), 100, (100, 500)),
        ((3000, 40), 39, (2925, 39)),
    ],
)
def test_images_are_made_smaller_and_never_larger(
    size: tuple[int, int], wanted: int, expected: tuple[int, int]
) -> None:
    data = encoded(Image.linear_gradient("L").resize(size).convert("RGB"), "JPEG", quality=90)
    image = decode(data, image_size=wanted)
    assert (image.width, image.height) == expected == Image.open(io.BytesIO(image.data)).size
    assert image.changes == (("resized",) if expected != size else ())


def test_a_turned_image_is_made_smaller_upright() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = encoded(two_tone().resize((800, 400)), "JPEG", exif=exif)
    image = decode(data, image_size=100)
    assert (image.width, image.height, image.changes) == (100, 200, ("upright", "resized"))


def test_the_interpolation_is_bilinear_with_antialiasing() -> None:
    # A reference worked out from the definition (a triangle, stretched by the factor), not by Pillow.
    line = np.array([0, 0, 255, 0, 0, 255, 255, 255, 0, 255, 0, 0, 0, 255, 255, 0, 0, 255, 0, 255], float)
    factor, small = 2.0, []
    for n in range(10):
        center = (n + 0.5) * factor
        weights = np.array([max(0.0, 1 - abs((i + 0.5 - center) / factor)) for i in range(20)])
        small.append((weights * line).sum() / weights.sum())
    picture = np.repeat(np.repeat(line[None, :, None], 80, 0), 3, 2).astype(np.uint8)
    found = pixels(decode(encoded(Image.fromarray(picture), "PNG"), image_size=10, min_side=8).data)
    assert np.abs(found[20, :, 0] - np.array(small)).max() <= 1
