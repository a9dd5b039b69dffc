"""Faces and views: what small pictures and hashes of parts say of an image and of its copies."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from noisyweb.copies import VIEW_RADIUS
from noisyweb.faces import SIDE, border_box, coloured_faces, faces, faces_of
from noisyweb.views import MIDDLE, NUM_TARGETS, PROBES, STRIPPED, WHOLE, WINDOWS, targets, views
from tests.web import photo


def picture(number: int = 1, size: tuple[int, int] = (300, 220)) -> Image.Image:
    return Image.open(io.BytesIO(photo(number, 300, quality=95))).convert("RGB").resize(size)


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def nearest(
    probe_of: Image.Image, target_of: Image.Image, among: tuple[int, ...] = (WHOLE, MIDDLE, STRIPPED)
) -> tuple[int, int, int]:
    """Distance in bits, probe view and target view of the two nearest views of one family."""
    ours, theirs = views(faces_of(probe_of.convert("L"))), views(faces_of(target_of.convert("L")))
    families = [target.family for target in targets(1.0)]
    return min(
        (int(np.bitwise_count(a ^ b)), i, j)
        for i, a in enumerate(ours.probes)
        for j, b in enumerate(theirs.targets)
        if PROBES[i % len(PROBES)].family == families[j % NUM_TARGETS] in among
    )


@settings(max_examples=60, deadline=None)
@given(
    edges=st.tuples(*[st.integers(0, 60)] * 4),
    size=st.tuples(st.integers(80, 200), st.integers(80, 200)),
    tone=st.sampled_from([0, 90, 255]),
)
@example(edges=(0, 0, 0, 0), size=(80, 80), tone=0)
def test_plain_borders_are_found_to_the_pixel(
    edges: tuple[int, int, int, int], size: tuple[int, int], tone: int
) -> None:
    left, top, right, bottom = edges
    inner = np.random.default_rng(0).integers(0, 2, size[::-1], dtype=np.uint8) * 200 + 20
    whole = np.full((size[1] + top + bottom, size[0] + left + right), tone, np.uint8)
    whole[top : top + size[1], left : left + size[0]] = inner
    kept = [size[0] >= max(8, 0.3 * whole.shape[1]), size[1] >= max(8, 0.3 * whole.shape[0])]
    box = border_box(whole)
    assert all(kept)  # what follows holds for these sizes
    assert box == (left, top, left + size[0], top + size[1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (64, 64)])
def test_a_plain_picture_keeps_all_of_itself(shape: tuple[int, int]) -> None:
    assert border_box(np.full(shape, 7, np.uint8)) == (0, 0, shape[1], shape[0])


def test_an_image_with_borders_has_two_faces() -> None:
    [whole] = faces(png(picture())) or []
    assert (whole.grey.shape, whole.is_trimmed, round(whole.aspect, 3)) == ((SIDE, SIDE), False, round(300 / 220, 3))
    padded = ImageOps.expand(picture(), (30, 22), "white")
    first, second = faces(png(padded)) or []
    assert (first.is_trimmed, second.is_trimmed) == (False, True)
    assert second.box == (30 / 360, 22 / 264, 300 / 360, 220 / 264)
    assert np.abs(second.grey.astype(int) - whole.grey.astype(int)).max() <= 1
    assert whole.chroma is None
    [coloured] = coloured_faces(png(picture())) or []
    assert coloured.chroma is not None
    assert coloured.chroma.shape == (2, 32, 32)
    assert faces(b"nonsense") is coloured_faces(b"nonsense") is None


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "I;16", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (1, 90), (50, 60)])
def test_every_image_that_can_be_decoded_has_views(mode: str, size: tuple[int, int]) -> None:
    image = picture(size=size).convert("L").convert("I;16") if mode == "I;16" else picture(size=size).convert(mode)
    out = io.BytesIO()
    image.save(out, "JPEG" if mode == "CMYK" else "PNG")
    found = faces(out.getvalue())
    assert found is not None
    seen = views(found)
    assert (len(seen.probes), len(seen.targets)) == (len(PROBES) * len(found), NUM_TARGETS * len(found))


def test_a_view_says_which_part_it_is() -> None:
    windows = [(y, x, size) for size, starts in WINDOWS.items() for y in starts for x in starts]
    whole = picture(3, (400, 400))
    for number in (0, 3, 9, 17, 30, 44, 66):
        y, x, size = windows[number]
        part = whole.crop((round(400 * x), round(400 * y), round(400 * (x + size)), round(400 * (y + size))))
        distance, probe, target = nearest(part, whole)
        assert (distance <= 2, PROBES[probe].is_mirrored, PROBES[probe].family) == (True, False, WHOLE)
        affine = targets(1.0)[target].affine
        assert affine.offset == pytest.approx((x, y), abs=0.026)
        assert affine.area == pytest.approx(size * size, abs=0.11)


def test_a_mirrored_image_is_like_the_mirrored_probe() -> None:
    distance, probe, _ = nearest(ImageOps.mirror(picture()), picture())
    assert (distance <= 1, PROBES[probe].is_mirrored) == (True, True)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_quarter_turns_are_among_the_targets(turn: int) -> None:
    turned = picture().rotate(turn, expand=True)
    distance, probe, target = nearest(turned, picture())
    assert (distance <= 2, PROBES[probe].is_mirrored) == (True, False)
    affine = targets(1.0)[target].affine
    corner = np.asarray(turned.convert("L").resize((64, 64)))[8, 8]
    x, y = affine.apply(np.array(8.5 / 64), np.array(8.5 / 64))
    here = np.asarray(picture().convert("L").resize((64, 64)))[int(y * 64), int(x * 64)]
    assert abs(int(corner) - int(here)) < 30  # the target's map leads to the same spot


@pytest.mark.parametrize("degrees", [-10, -4, -2, 2, 4, 10])
def test_small_rotations_are_among_the_targets(degrees: int) -> None:
    rotated = picture().rotate(degrees, Image.Resampling.BICUBIC)
    distance, _, target = nearest(rotated, picture(), (MIDDLE,))
    assert distance <= VIEW_RADIUS
    assert targets(300 / 220)[target].affine.angle(300 / 220) == pytest.approx(
        degrees, abs=0.1 if abs(degrees) < 10 else 2.1
    )


def test_different_pictures_have_no_view_in_common() -> None:
    assert min(nearest(picture(a), picture(b))[0] for a in range(4) for b in range(a)) > 10
