"""What pictures look like: the vectors of `noisyweb.perceptual`."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from noisyweb.perceptual import BLOCKS, NUM_FEATURES, perceptual_features


def picture(paint: str, ground: str, shape: str, seed: int = 0, side: int = 96) -> Image.Image:
    """A disc or bars, where chance puts them."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (side, side), ground)
    pen = ImageDraw.Draw(image)
    shift = int(rng.integers(-4, 5))
    if shape == "disc":
        pen.ellipse((20 + shift, 20, 76 + shift, 76), paint)
    else:
        for place in range(10, side, 16):
            pen.rectangle((0, place + shift, side, place + shift + 7), paint)
    return image


def test_rows_are_of_length_one_and_blocks_count_alike() -> None:
    images = [picture("#c03030", "#e0e0e0", "disc", seed) for seed in range(130)]  # more than a batch
    rows = perceptual_features(iter(images))
    assert rows.shape == (130, NUM_FEATURES)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-6)
    for columns in BLOCKS.values():
        assert np.linalg.norm(rows[:, columns], axis=1) == pytest.approx(3**-0.5, abs=1e-6)
    assert sorted(place for columns in BLOCKS.values() for place in range(NUM_FEATURES)[columns]) == list(range(804))
    assert (rows == perceptual_features(images)).all()
    assert (rows[:3] == perceptual_features(images[:3])).all(), "a row hangs on the images beside it"


def test_each_block_sees_what_it_is_for() -> None:
    red, blue, bars = (
        perceptual_features([picture(paint, "#e0e0e0", shape)])[0]
        for paint, shape in (("#c03030", "disc"), ("#3030c0", "disc"), ("#c03030", "bars"))
    )
    edges, colours = BLOCKS["edges"], BLOCKS["colours"]
    assert red[edges] @ blue[edges] > 0.9 / 3 > red[edges] @ bars[edges]
    assert red[colours] @ bars[colours] > 0.9 / 3 > red[colours] @ blue[colours]


def test_copies_stay_near() -> None:
    image = picture("#c03030", "#e0e0e0", "disc")
    out = io.BytesIO()
    image.save(out, "JPEG", quality=60)
    copies = [image, Image.open(out), image.resize((48, 48)), picture("#3030c0", "#101010", "bars", 3)]
    rows = perceptual_features(copies)
    assert (rows[0] @ rows[1:3].T > 0.97).all()
    assert rows[0] @ rows[3] < 0.6


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_and_size(mode: str) -> None:
    plain = Image.new("RGB", (7, 300), "#808080")
    image = plain.convert("L").convert("I;16") if mode == "I;16" else plain.convert(mode)
    assert np.isfinite(perceptual_features([image, Image.new(mode, (1, 1))])).all()


def test_what_has_no_structure_is_its_colour_alone() -> None:
    row = perceptual_features([Image.new("RGB", (64, 64), "#336699")])[0]
    assert np.linalg.norm(row[BLOCKS["colours"]]) == pytest.approx(1.0)
    assert not row[BLOCKS["edges"]].any()
    assert perceptual_features([]).shape == (0, NUM_FEATURES)


def test_clear_is_seen_on_white() -> None:
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    white, seen = perceptual_features([Image.new("RGB", (64, 64), "white"), clear])
    assert (white == seen).all()
