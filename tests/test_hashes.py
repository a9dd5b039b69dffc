from __future__ import annotations

import io
from pathlib import Path

import imagehash
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from noisyweb.decode import decode
from noisyweb.described import Described, Looks
from noisyweb.dhash import dhash
from noisyweb.faces import faces
from noisyweb.hamming import neighbours
from noisyweb.hashes import describe_new, known_hashes, known_looks, undescribed, words
from noisyweb.image_ids import Texts, ids_of, unique
from noisyweb.packed_views import HeldViews, PackedViews, StoredViews
from noisyweb.phash import phash, phash_of
from noisyweb.schemas import VIEWS
from noisyweb.views import NUM_TARGETS, PROBES, Views, views
from noisyweb.workspace import Workspace
from tests.web import photo


def bits(value: bytes) -> list[bool]:
    return [bit == "1" for byte in value for bit in f"{byte:08b}"]


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("side", [40, 64, 65, 300])
def test_the_hash_is_imagehash_s_bit_for_bit(number: int, side: int) -> None:
    data = photo(number, side)
    found = phash(data)
    assert found is not None
    theirs = imagehash.phash(Image.open(io.BytesIO(data)), hash_size=16)
    assert bits(found[0]) == theirs.hash.ravel().tolist()
    assert found[1] is False


@pytest.mark.shared
def test_the_hash_of_real_photographs_and_their_copies(shared_data: Path) -> None:
    files = sorted((shared_data / "photos").glob("*.jpg"))[::6]
    originals, copies, moved = [], [], []
    for file in files:
        image = Image.open(file).convert("RGB")
        originals.append(phash(file.read_bytes()))
        out = io.BytesIO()
        image.resize((image.width // 2, image.height // 2)).save(out, "JPEG", quality=40)
        copies.append(phash(out.getvalue()))
        theirs = imagehash.phash(image, hash_size=16).hash.ravel().tolist()
        assert originals[-1] is not None
        moved.append(sum(a != b for a, b in zip(bits(originals[-1][0]), theirs, strict=True)))
    # Large JPEGs are decoded smaller: a few bits move, and copies are found all the same.
    assert max(moved) < 16
    assert np.mean(moved) < 4
    assert not any(found[1] for found in originals if found)
    found = list(neighbours(words([h[0] for h in originals if h]), words([h[0] for h in copies if h]), 32))
    pairs = [pair for rows, columns, _ in found for pair in zip(rows.tolist(), columns.tolist(), strict=True)]
    assert pairs == [(n, n) for n in range(len(files))]


def test_large_jpegs_are_hashed_alike_wherever_they_are_decoded() -> None:
    data = photo(3, 700)
    decoded = decode(data)
    assert decoded.hashable is not None
    assert phash_of(decoded.hashable, decoded.is_draft) == phash(data)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(2, 20_000), side=st.sampled_from([300, 520, 1100]), progressive=st.booleans())
def test_damage_is_found_in_a_reduced_decode_as_in_a_full_one(cut: int, side: int, progressive: bool) -> None:
    whole = photo(2, side, progressive=progressive)
    data = whole[: -min(cut, len(whole) - 2)]
    try:
        Image.open(io.BytesIO(data)).load()
        is_whole = True
    except OSError:
        is_whole = False
    assert (phash(data) is not None) is is_whole


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (80, 80), "white"),
        Image.new("L", (64, 64), 17),
        Image.linear_gradient("L").resize((90, 90)),
        Image.effect_noise((64, 64), 0.2),
    ],
)
def test_images_with_too_little_structure_are_flat(image: Image.Image) -> None:
    found = phash(encoded(image))
    assert found is not None
    assert found[1] is True


def test_structure_is_seen_at_low_contrast() -> None:
    image = Image.open(io.BytesIO(photo(1))).point(lambda value: 120 + (value - 120) // 10)
    assert phash(encoded(image)) is not None
    assert phash(encoded(image))[1] is False  # type: ignore[index]


@pytest.mark.parametrize("data", [b"", b"nonsense", photo(1)[:-400]])
def test_what_cannot_be_decoded_has_no_hash(data: bytes) -> None:
    assert phash(data) is None


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "LA", "RGBA"])
def test_every_colour_mode_is_hashed(mode: str) -> None:
    image = Image.open(io.BytesIO(photo(1))).convert(mode)
    assert phash(encoded(image, "JPEG" if mode == "CMYK" else "PNG")) is not None


@pytest.mark.parametrize("side", [40, 300, 700])
def test_the_difference_hash_is_imagehash_s(side: int) -> None:
    data = photo(4, side)
    found = dhash(data)
    assert found is not None
    theirs = imagehash.dhash(Image.open(io.BytesIO(data)), hash_size=16).hash.ravel().tolist()
    moved = sum(a != b for a, b in zip(bits(found[0]), theirs, strict=True))
    assert moved == 0 if side < 256 else moved < 8
    assert found[1] is False


@pytest.mark.parametrize("data", [b"", b"nonsense", photo(1)[:-400]])
def test_what_cannot_be_decoded_has_no_difference_hash(data: bytes) -> None:
    assert dhash(data) is None


def test_plain_images_are_flat_for_the_difference_hash_too() -> None:
    assert dhash(encoded(Image.new("RGB", (80, 80), "white"))) == (bytes(32), True)


def name(letter: str) -> str:
    """An image id."""
    return letter * 64


def test_hashes_and_views_are_kept_in_the_workspace(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    flat = encoded(Image.new("RGB", (50, 50)))
    given = [("a", photo(1)), ("b", b"nonsense"), ("c", None), ("d", flat), ("a", b"")]
    images = [(name(letter), data) for letter, data in given]
    describe_new(place, images, "phash", with_views=True, processes=2)
    known = known_hashes(place)
    assert known[name("a")] == phash(photo(1))
    assert known[name("b")] == known[name("c")] == (None, False)
    assert known[name("d")][1] is True
    mine = views(faces(photo(1)) or [])
    assert seen(place) == {name("a"): (mine.probes.tolist(), mine.targets.tolist())}
    # What is known is not worked out again, whatever comes under its id; the other hash is a table of its own.
    describe_new(place, [(name("a"), b"nonsense")], "phash", with_views=True, processes=0)
    assert known_hashes(place) == known
    # Views of another version are worked out anew.
    rows = [row | {"targets": (row["targets"] or b"12345678")[8:]} for row in place.read("views").to_pylist()]
    place.write("views", pa.Table.from_pylist(rows, schema=VIEWS))
    assert seen(place) == {}
    ids = ids_of([name(letter) for letter in "abcd"])
    assert undescribed(place, ids, "phash", True).tolist() == ids[:1].tolist()
    assert not len(undescribed(place, ids, "phash", False))
    assert len(undescribed(place, ids, "dhash", False)) == 4
    describe_new(place, [(name("a"), photo(1))], "phash", with_views=True, processes=0)
    assert seen(place) == {name("a"): (mine.probes.tolist(), mine.targets.tolist())}
    assert len(place.read("views")) == 4
    describe_new(place, [(name("a"), photo(1))], "dhash", with_views=False, processes=0)
    assert known_hashes(place, "dhash") == {name("a"): dhash(photo(1))}


def seen(place: Workspace) -> dict[str, tuple[list[int], list[int]]]:
    """The views of a workspace, of images that have any."""
    ids = unique([ids_of(place.read("hashes")["image_id"])])
    known = known_looks(place, ids, "phash", with_views=True)
    assert known.looks.views is not None
    found = known.looks.views.blocks(np.arange(len(ids))[::-1], 1)
    return {
        Texts(ids)[len(ids) - 1 - places[0]]: (packed.probes.tolist(), packed.targets.tolist())
        for places, packed in found
    }


@settings(deadline=None, max_examples=30)
@given(
    stored=st.lists(st.tuples(st.integers(0, 40), st.integers(-1, 3)), max_size=40, unique_by=lambda row: row[0]),
    asked=st.lists(st.integers(0, 40), max_size=40, unique=True),
    size=st.integers(1, 50),
    seed=st.integers(0, 99),
)
def test_views_come_from_the_table_as_from_memory(
    tmp_path_factory: pytest.TempPathFactory, stored: list[tuple[int, int]], asked: list[int], size: int, seed: int
) -> None:
    """Of 0 to 3 faces, in blocks of any size; -1 stands for those of another version, which do not count."""
    draws = np.random.default_rng(seed)
    place = Workspace(tmp_path_factory.mktemp("w"))
    ids = ids_of([f"{number:064x}" for number in range(41)])
    all_views: list[Views | None] = [None] * len(ids)
    rows = []
    for number, num_faces in stored:
        words = [draws.integers(0, 2**64, abs(num_faces) * each, np.uint64) for each in (len(PROBES), NUM_TARGETS)]
        if num_faces > 0:
            all_views[number] = Views(*words)
        probes, targets = (word[: len(word) - (num_faces < 0)].tobytes() if num_faces else None for word in words)
        rows.append({"image_id": f"{number:064x}", "probes": probes, "targets": targets})
    place.write("views", pa.Table.from_pylist(rows, schema=VIEWS))
    sides = StoredViews(place, ids), HeldViews(PackedViews.of(all_views))
    asked_rows = np.array(asked, np.int64)
    found = []
    for side in sides:
        blocks = list(side.blocks(asked_rows, size))
        assert [len(places) for places, _ in blocks[:-1]] == [size] * (len(blocks) - 1)
        found.append({})
        for places, packed in blocks:
            for row, at in enumerate(places.tolist()):
                one = packed.take(np.array([row]))
                found[-1][at] = (one.probes.tolist(), one.targets.tolist())
    expected = {
        at: (one.probes.tolist(), one.targets.tolist())
        for at, row in enumerate(asked)
        if (one := all_views[row]) is not None
    }
    assert found == [expected, expected]
    looks = Looks(ids, np.zeros((41, 4), np.uint64), np.ones(41, bool), sides[0], lambda texts: iter(()))
    few = Described(looks, asked_rows).held()
    assert few.ids.tolist() == ids[asked_rows].tolist()
    places, packed = few.packed_views()
    assert {
        at: (one.probes.tolist(), one.targets.tolist())
        for row, at in enumerate(places.tolist())
        for one in [packed.take(np.array([row]))]
    } == expected
