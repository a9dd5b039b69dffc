"""Registration and proof: copies are proven from the pixels, and what only looks alike is not."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageOps

from noisyweb.affine import rotation, sample, window
from noisyweb.copies import Guess, Index, candidates
from noisyweb.faces import coloured_faces, faces
from noisyweb.proof import Match, Prover
from noisyweb.register import LEVELS, agreement, register
from noisyweb.views import NUM_TARGETS, PROBES, views
from tests.web import photo


def picture(number: int = 1, size: tuple[int, int] = (300, 220)) -> Image.Image:
    return Image.open(io.BytesIO(photo(number, 300, quality=95))).convert("RGB").resize(size)


def jpeg(image: Image.Image, quality: int = 85) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def match(first: bytes, second: bytes, radius: int = 32) -> Match | None:
    """What is found of two images, as dedup does it."""
    images = {"a": first, "b": second}
    ours, theirs = (Index.of([views(faces(data) or [])]) for data in (first, second))
    guesses = candidates(ours, theirs).get((0, 0), [])
    [found] = Prover(radius).prove_all([("a", "b", guesses)], lambda ids: [images[one] for one in ids])
    return found


@settings(max_examples=25, deadline=None)
@given(
    size=st.floats(0.82, 0.98),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    degrees=st.floats(-2, 2),
    off=st.tuples(st.floats(-0.02, 0.02), st.floats(-0.02, 0.02)),
)
def test_registration_finds_the_map_from_a_guess_near_it(
    size: float, x: float, y: float, degrees: float, off: tuple[float, float]
) -> None:
    original = np.asarray(picture(2, (128, 128)).convert("L")).astype(np.float32)
    left, top = x * (1 - size), y * (1 - size)
    true = window(left, size, top, size)
    turn = rotation(degrees, 1.0)
    line = (np.arange(128) + 0.5) / 128
    u, v = true.apply(*turn.apply(*np.meshgrid(line, line)))
    copy = 0.7 * sample(original, u, v) + 40  # less contrast, brighter
    guess = window(left + off[0], size, top + off[1], size)
    fitted = guess
    for level in range(len(LEVELS)):
        found = register(copy, original, fitted, level)
        assert found is not None
        fitted = found
    ends = np.array([0.1, 0.9, 0.5]), np.array([0.2, 0.3, 0.9])
    assert np.stack(fitted.apply(*ends)) == pytest.approx(np.stack(true.apply(*turn.apply(*ends))), abs=0.006)
    assert agreement(copy, original, fitted) > 0.9


def _with_banner(image: Image.Image) -> Image.Image:
    copy = image.copy()
    ImageDraw.Draw(copy).rectangle((0, round(image.height * 0.9), image.width, image.height), fill="red")
    return copy


def _part(image: Image.Image) -> Image.Image:
    return image.crop((20, 5, image.width - 4, image.height - 12))


COPIES: list[tuple[str, Callable[[Image.Image], Image.Image], set[str]]] = [
    ("resized", lambda image: image.resize((150, 110)), {"near"}),
    ("grey", lambda image: ImageOps.grayscale(image).convert("RGB"), {"near"}),
    ("mirrored", ImageOps.mirror, {"mirror"}),
    ("cropped", _part, {"crop"}),
    ("padded", lambda image: ImageOps.expand(image, 40, "black"), {"pad"}),
    ("rotated", lambda image: image.rotate(3, Image.Resampling.BICUBIC), {"rotate"}),
    ("turned", lambda image: image.rotate(90, expand=True), {"rotate"}),
    ("banner", _with_banner, {"near", "crop", "pad"}),
    ("mirrored and cropped", lambda image: ImageOps.mirror(_part(image)), {"mirror"}),
    ("padded and mirrored", lambda image: ImageOps.expand(ImageOps.mirror(image), 25, "white"), {"mirror"}),
]


@pytest.mark.parametrize(("change", "kinds"), [row[1:] for row in COPIES], ids=[row[0] for row in COPIES])
@pytest.mark.parametrize("number", [1, 5])
def test_copies_are_proven_either_way(
    change: Callable[[Image.Image], Image.Image], kinds: set[str], number: int
) -> None:
    original, copy = jpeg(picture(number)), jpeg(change(picture(number)), 70)
    for found in (match(copy, original), match(original, copy)):
        assert found is not None
        assert found.kind in kinds
        assert 0 <= found.distance <= 32
        assert found.agreement is not None
        assert 0.5 <= found.agreement <= 1


def test_the_radius_counts_after_registration_too() -> None:
    original, copy = jpeg(picture()), jpeg(picture().rotate(4, Image.Resampling.BICUBIC), 40)
    found = match(copy, original)
    assert found is not None
    assert found.distance > 0
    assert match(copy, original, radius=found.distance) == found
    assert match(copy, original, radius=found.distance - 1) is None


def test_other_pictures_are_no_copies() -> None:
    images = [jpeg(picture(number)) for number in range(8)]
    assert not any(match(a, b) for n, a in enumerate(images) for b in images[:n])


def test_the_same_picture_in_another_colour_is_no_copy() -> None:
    grey = picture(4).convert("L")
    red, blue = (jpeg(ImageOps.colorize(grey, "black", "white", mid)) for mid in ("#c03030", "#3030c0"))
    assert match(red, red) is not None
    assert match(red, jpeg(grey.convert("RGB"))) is not None  # a grey copy has no colour to differ in
    assert match(red, blue) is None


def test_what_cannot_be_loaded_is_no_copy() -> None:
    guesses = candidates(*(Index.of([views(coloured_faces(jpeg(picture())) or [])]) for _ in range(2)))[0, 0]
    for bad in (None, b"", b"nonsense"):
        assert Prover(32).prove_all([("a", "b", guesses)], lambda ids, bad=bad: [bad for _ in ids]) == [None]  # type: ignore[misc]


def test_a_face_that_is_not_there_is_no_copy() -> None:
    data = jpeg(picture())
    for probe, target in ((len(PROBES), 0), (0, NUM_TARGETS)):
        question = ("a", "b", [Guess(True, probe, target, 0)])
        assert Prover(32).prove_all([question], lambda ids: [data for _ in ids]) == [None]


def test_few_faces_are_held_however_many_images_there_are() -> None:
    images = {f"{n}": jpeg(picture(n % 3)) for n in range(12)}
    index = Index.of([views(faces(data) or []) for data in images.values()])
    pairs = candidates(index, None)
    asked: list[str] = []

    def load(ids: Sequence[str]) -> list[bytes]:
        asked.extend(ids)
        return [images[one] for one in ids]

    prover = Prover(32, max_faces=4)
    proofs = prover.prove_all([(f"{i}", f"{j}", guesses) for (i, j), guesses in pairs.items()], load)
    assert {(i, j) for (i, j), proof in zip(pairs, proofs, strict=True) if proof} == {
        (i, j) for j in range(12) for i in range(j) if i % 3 == j % 3
    }
    assert len(prover._faces) <= 4
    before = len(asked)
    prover.prove_all([(f"{i}", f"{j}", guesses) for (i, j), guesses in pairs.items()], load)
    assert len(asked) == before  # verdicts are kept
