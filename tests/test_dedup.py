from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from noisyweb.copies import VIEW_RADIUS, Index, candidates
from noisyweb.dedup import DEFAULT_RADIUS, dedup
from noisyweb.dedup_groups import Given, nearest_kept
from noisyweb.dedup_order import KEEP, best_first
from noisyweb.dedup_record import read_record
from noisyweb.errors import CorruptFileError, SourceError, UnknownNameError
from noisyweb.faces import faces
from noisyweb.hamming_chunks import Hashes
from noisyweb.hashes import known_hashes
from noisyweb.image_ids import Texts, ids_of, unique
from noisyweb.imageset import ImageSet
from noisyweb.phash import phash
from noisyweb.proof import Match, Prover
from noisyweb.stages import CLOSE_GUESSES, CLOSE_RADIUS
from noisyweb.views import views
from noisyweb.workspace import Workspace
from tests.web import photo


def smaller(data: bytes, factor: float = 0.6, quality: int = 60) -> bytes:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    out = io.BytesIO()
    image.resize((round(image.width * factor), round(image.height * factor))).save(out, "JPEG", quality=quality)
    return out.getvalue()


def plain(tone: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (80, 80), tone).save(out, "PNG")
    return out.getvalue()


def workspace(folder: Path | str, images: Sequence[tuple[str, int, bytes]]) -> Workspace:
    """A workspace in which these (url, label, bytes) have been fetched."""
    place = Workspace(folder, create=True)
    place.set_class_names(["ant", "bee"])
    with place.journal("images") as journal, place.journal("candidates") as candidates:
        for rank, (url, label, data) in enumerate(images):
            width, height = Image.open(io.BytesIO(data)).size
            row = {
                "url": url,
                "label": label,
                "status": "ok",
                "retry": False,
                "attempts": 1,
                "image_id": place.put(data),
            }
            journal.add({**row, "num_bytes": len(data), "width": width, "height": height, "format": "jpeg"})
            candidates.add({"url": url, "label": label, "provider": "folder", "query": "q", "rank": rank})
    return place


def clean(*images: bytes | None) -> ImageSet:
    labels = np.zeros(len(images), np.int32)
    names = [f"clean {n}" for n in range(len(images))]
    return ImageSet(names, labels, ["ant", "bee"], lambda rows: (images[row] for row in rows), names, "train")


def dropped(place: Workspace) -> dict[tuple[bytes, int], dict[str, Any]]:
    return {(place.get(row["image_id"]), row["label"]): row for row in place.read("duplicates").to_pylist()}


def test_copies_go_the_largest_stays(tmp_path: Path) -> None:
    large, small, tiny, other = photo(1, 200), smaller(photo(1, 200)), smaller(photo(1, 200), 0.3, 40), photo(2)
    place = workspace(tmp_path, [("a", 0, small), ("b", 0, large), ("c", 0, tiny), ("d", 0, other)])
    report = dedup(place)
    found = dropped(place)
    assert set(found) == {(small, 0), (tiny, 0)}
    for row in found.values():
        assert place.get(row["kept_id"]) == large
        assert (row["kind"], row["against"], row["kept_label"]) == ("near", "web", 0)
        assert 0 <= row["distance"] <= DEFAULT_RADIUS
    assert (report.num_questions, report.count("web", "near"), report.num_kept) == (4, 2, 2)
    assert "fetched 4, different bytes 4, kept 2 (radius 32 of 256 bits)" in report.lines()


def test_the_same_bytes_twice_in_a_class_are_one_image(tmp_path: Path) -> None:
    report = dedup(workspace(tmp_path, [("a", 0, photo(1)), ("b", 0, photo(1))]))
    assert (report.num_fetched, report.num_questions, report.num_kept) == (2, 1, 1)


def test_the_same_bytes_in_two_classes_stay_where_they_rank_best(tmp_path: Path) -> None:
    images = [("a", 1, photo(1)), ("b", 1, photo(2)), ("c", 0, photo(2)), ("d", 0, photo(1))]
    place = workspace(tmp_path, images)
    assert dedup(place).count("web", "exact") == 2
    assert set(dropped(place)) == {(photo(1), 0), (photo(2), 0)}
    assert {(row["kind"], row["distance"], row["kept_label"]) for row in dropped(place).values()} == {("exact", 0, 1)}


def test_near_copies_across_classes(tmp_path: Path) -> None:
    place = workspace(tmp_path, [("a", 1, photo(1, 200)), ("b", 0, smaller(photo(1, 200)))])
    dedup(place)
    [row] = dropped(place).values()
    assert (row["label"], row["kept_label"], row["kind"]) == (0, 1, "near")


def test_leaks_by_bytes_and_by_look(tmp_path: Path) -> None:
    train, validation = photo(1, 200), photo(2, 200)
    web = [("a", 0, train), ("b", 0, smaller(train)), ("c", 1, smaller(validation)), ("d", 0, photo(3))]
    place = workspace(tmp_path, web)
    report = dedup(place, clean(photo(9), train), clean(validation))
    found = dropped(place)
    assert {key: (row["kind"], row["against"], row["kept_label"]) for key, row in found.items()} == {
        (train, 0): ("exact", "train", None),
        (smaller(train), 0): ("near", "train", None),
        (smaller(validation), 1): ("near", "validation", None),
    }
    assert (report.num_train, report.num_validation, report.num_kept) == (2, 1, 1)


def test_a_leak_is_dropped_though_it_is_the_largest_copy(tmp_path: Path) -> None:
    large = photo(1, 300)
    place = workspace(tmp_path, [("a", 0, large), ("b", 0, smaller(large))])
    dedup(place, clean(smaller(large, 0.5)))
    assert {row["against"] for row in dropped(place).values()} == {"train"}
    assert len(dropped(place)) == 2


def test_leaks_found_before_stay_when_no_clean_set_is_given(tmp_path: Path) -> None:
    place = workspace(tmp_path, [("a", 0, photo(1)), ("b", 0, photo(2))])
    dedup(place, clean(photo(1)), clean(photo(2)))
    assert dedup(place).num_kept == 0
    assert dedup(place, validation=clean(photo(5))).num_kept == 1  # the validation set was looked at anew
    assert {row["against"] for row in dropped(place).values()} == {"train"}


def test_flat_images_are_matched_by_their_bytes_only(tmp_path: Path) -> None:
    place = workspace(tmp_path, [("a", 0, plain(10)), ("b", 0, plain(200)), ("c", 1, plain(10))])
    report = dedup(place, clean(plain(99)), clean(plain(200)))
    assert (report.num_flat, report.count("web", "near"), report.num_train) == (2, 0, 0)
    assert (report.count("web", "exact"), report.num_validation) == (1, 1)


def test_a_damaged_or_missing_file_is_a_row_and_the_rest_goes_on(tmp_path: Path) -> None:
    place = workspace(tmp_path, [("a", 0, photo(1)), ("b", 0, photo(2)), ("c", 0, photo(3))])
    ids = {row["url"]: row["image_id"] for row in place.read("images").to_pylist()}
    place.path(ids["a"]).write_bytes(b"damaged")
    place.path(ids["b"]).unlink()
    assert dedup(place).count("web", "unreadable") == 2
    assert {row["image_id"]: row["kind"] for row in place.read("duplicates").to_pylist()} == {
        ids["a"]: "unreadable",
        ids["b"]: "unreadable",
    }


def test_nothing_is_hashed_twice_and_the_same_again_gives_the_same(tmp_path: Path) -> None:
    place = workspace(tmp_path, [("a", 0, photo(1)), ("b", 0, smaller(photo(1))), ("c", 0, photo(3))])
    told: list[tuple[str, int]] = []
    clean_set = clean(photo(3), photo(4))
    dedup(place, clean_set, progress=lambda what, done, total: told.append((what, done)))
    assert ("hash", 2) in told
    first = [(place.folder / f"{name}.parquet").read_bytes() for name in ("hashes", "duplicates")]
    told.clear()
    dedup(place, clean_set, progress=lambda what, done, total: told.append((what, done)))
    assert "hash" not in {what for what, _ in told}
    assert [(place.folder / f"{name}.parquet").read_bytes() for name in ("hashes", "duplicates")] == first
    assert set(known_hashes(place)) == {*place.read("images")["image_id"].to_pylist(), *map(_id, (photo(3), photo(4)))}


def _id(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest(*ids: str) -> str:
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def test_clean_images_without_bytes_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="clean validation image 'clean 0' has no bytes"):
        dedup(workspace(tmp_path, []), validation=clean(None))


@pytest.mark.parametrize("radius", [-1, 257])
def test_a_radius_out_of_range(tmp_path: Path, radius: int) -> None:
    with pytest.raises(SourceError, match="expected 0 to 256 bits"):
        dedup(workspace(tmp_path, []), radius=radius)


def test_an_empty_workspace(tmp_path: Path) -> None:
    assert dedup(workspace(tmp_path, [])).num_kept == 0


def listed(given: Given) -> dict[int, tuple[int, int]]:
    """By row: the distance, and the kept row."""
    rows, kept, distances = (column.tolist() for column in given)
    return dict(zip(rows, zip(distances, kept, strict=True), strict=True))


def naive_groups(hashes: Hashes, radius: int) -> dict[int, tuple[int, int]]:
    given: dict[int, tuple[int, int]] = {}
    for row in range(len(hashes)):
        far = [(int(np.bitwise_count(hashes[row] ^ hashes[other]).sum()), other) for other in range(row)]
        if found := [(distance, other) for distance, other in far if other not in given and distance <= radius]:
            given[row] = min(found)
    return given


@pytest.mark.parametrize("radius", [0, 8, 30, 60, 256])
def test_groups_are_those_of_the_definition_across_blocks(radius: int) -> None:
    generator = np.random.default_rng(radius)
    centres = generator.integers(0, 2**63, (12, 4), dtype=np.uint64)
    flips = generator.random((400, 256)) < 0.06
    noise = np.packbits(flips, axis=1).view(np.uint64)
    hashes = centres[generator.integers(0, 12, 400)] ^ noise
    assert listed(nearest_kept(hashes, radius, first_block=64)) == naive_groups(hashes, radius)


PICTURES = [photo(n, side) for n in range(3) for side in (40, 48, 96)] + [plain(n) for n in (0, 255)]


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, len(PICTURES) - 1), st.integers(0, 1)), max_size=12), st.integers(0, 140))
def test_groups_never_chain(
    tmp_path_factory: pytest.TempPathFactory, chosen: list[tuple[int, int]], radius: int
) -> None:
    images = [(f"u{n}", label, PICTURES[which]) for n, (which, label) in enumerate(chosen)]
    place = workspace(tmp_path_factory.mktemp("w"), images)
    dedup(place, radius=radius, views=False, processes=0)
    hashes = {_id(data): phash(data) for data in PICTURES}

    def far(a: str, b: str) -> int:
        left, right = hashes[a], hashes[b]
        assert left is not None
        assert right is not None
        return (int.from_bytes(left[0], "big") ^ int.from_bytes(right[0], "big")).bit_count()

    rows = place.read("duplicates").to_pylist()
    gone = {(row["image_id"], row["label"]) for row in rows}
    kept = {(_id(data), label) for _, label, data in images} - gone
    for row in rows:
        assert (row["kept_id"], row["kept_label"]) in kept
        assert row["distance"] == far(row["image_id"], row["kept_id"]) <= radius
    ids = [image_id for image_id, _ in kept]
    assert len(set(ids)) == len(ids)
    textured = [image_id for image_id in ids if not hashes[image_id][1]]  # type: ignore[index]
    assert all(far(a, b) > radius for n, a in enumerate(textured) for b in textured[:n])


# -- reworked copies -------------------------------------------------------------------------------------


def large(number: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    return Image.open(io.BytesIO(photo(number, 320, quality=95))).convert("RGB").resize(size)


def jpeg(image: Image.Image, quality: int = 88) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def part(image: Image.Image) -> Image.Image:
    return image.crop((18, 4, image.width - 6, image.height - 14))


def test_reworked_copies_go_each_with_its_kind(tmp_path: Path) -> None:
    original = large(1)
    copies = {
        "crop": jpeg(part(original)),
        "mirror": jpeg(ImageOps.mirror(original).resize((280, 210))),
        "rotate": jpeg(original.rotate(3, Image.Resampling.BICUBIC), 70),
        "pad": jpeg(ImageOps.expand(original.resize((200, 150)), 20, "white")),
        "near": jpeg(original.resize((160, 120))),
    }
    images = [(f"http://x/{name}", 0, data) for name, data in copies.items()]
    place = workspace(tmp_path, [("http://x/o", 1, jpeg(original, 95)), ("http://x/other", 0, jpeg(large(2))), *images])
    report = dedup(place)
    found = dropped(place)
    assert {data: row["kind"] for (data, _), row in found.items()} == {data: kind for kind, data in copies.items()}
    for row in found.values():
        assert (place.get(row["kept_id"]), row["kept_label"], row["against"]) == (jpeg(original, 95), 1, "web")
        assert 0 <= row["distance"] <= DEFAULT_RADIUS
        assert (row["agreement"] is None) is (row["kind"] == "near")
        assert row["agreement"] is None or 0.5 <= row["agreement"] <= 1
    assert report.num_kept == 2
    assert "near copies 1, cropped 1, padded 1, mirrored 1, rotated 1" in report.lines()[1]
    assert dedup(place, views=False).num_dropped == {("web", "near"): 1}


def test_reworked_leaks_either_way(tmp_path: Path) -> None:
    train, validation = large(1), large(2)
    web = [
        ("a", 0, jpeg(part(train))),
        ("b", 0, jpeg(ImageOps.mirror(validation))),
        ("c", 1, jpeg(large(3))),  # of which the clean image is a part
        ("d", 0, jpeg(large(4))),
    ]
    place = workspace(tmp_path, web)
    report = dedup(place, clean(jpeg(train, 95), jpeg(part(large(3)))), clean(jpeg(validation, 95)))
    assert {data: (row["kind"], row["against"]) for (data, _), row in dropped(place).items()} == {
        web[0][2]: ("crop", "train"),
        web[1][2]: ("mirror", "validation"),
        web[2][2]: ("crop", "train"),
    }
    assert (report.num_train, report.num_validation, report.num_kept) == (2, 1, 1)


def test_train_images_that_are_validation_images_are_told_and_nothing_is_dropped(tmp_path: Path) -> None:
    place = workspace(tmp_path, [("a", 0, jpeg(large(9)))])
    train = clean(jpeg(large(1)), jpeg(part(large(2))), jpeg(large(3)), jpeg(large(3)))
    report = dedup(place, train, clean(jpeg(large(2), 95), jpeg(large(3)), jpeg(large(4))))
    assert (report.num_clean_leaks, report.num_kept) == (2, 1)
    rows = {row["train_name"]: row for row in place.read("clean_duplicates").to_pylist()}
    assert {name: (row["validation_name"], row["kind"]) for name, row in rows.items()} == {
        "clean 1": ("clean 0", "crop"),
        "clean 2": ("clean 1", "exact"),
    }
    assert "2 clean train images are also validation images" in report.lines()[-1]


def test_what_a_dropped_image_stood_for_goes_to_the_one_in_its_place_or_stays(tmp_path: Path) -> None:
    whole, crop = large(1, (400, 300)), part(large(1, (400, 300)))
    half = crop.resize((crop.width // 2, crop.height // 2))
    place = workspace(tmp_path, [("k", 0, jpeg(whole)), ("r", 0, jpeg(crop)), ("x", 0, jpeg(half))])
    dedup(place)
    rows = dropped(place)
    assert set(rows) == {(jpeg(crop), 0), (jpeg(half), 0)}
    assert {(place.get(row["kept_id"]), row["kind"]) for row in rows.values()} == {(jpeg(whole), "crop")}


SCENES = [large(n) for n in range(3)]
CHANGES = [
    lambda image: image,
    part,
    ImageOps.mirror,
    lambda image: image.resize((150, 112)),
    lambda image: part(part(image)),
    lambda image: ImageOps.expand(part(image), 15, "black"),
    lambda image: image.rotate(2, Image.Resampling.BICUBIC),
]
REWORKED = [(scene, jpeg(change(image))) for scene, image in enumerate(SCENES) for change in CHANGES]  # type: ignore[no-untyped-call]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, len(REWORKED) - 1), min_size=1, max_size=10, unique=True), st.sampled_from(sorted(KEEP)))
def test_every_dropped_image_is_itself_a_copy_of_the_one_that_stays(
    tmp_path_factory: pytest.TempPathFactory, chosen: list[int], keep: str
) -> None:
    images = [(f"u{n}", 0, REWORKED[which][1]) for n, which in enumerate(chosen)]
    place = workspace(tmp_path_factory.mktemp("w"), images)
    dedup(place, keep=keep, processes=0)
    scene = {_id(data): scene for scene, data in REWORKED}
    ids = unique([ids_of(place.read("images")["image_id"])])
    order = list(Texts(ids[best_first(place, ids, keep).images]))
    rows = place.read("duplicates").to_pylist()
    gone = {row["image_id"] for row in rows}
    for row in rows:
        assert row["kept_id"] not in gone
        assert scene[row["kept_id"]] == scene[row["image_id"]]
        assert order.index(row["kept_id"]) < order.index(row["image_id"])
        pair = [place.get(row[name]) for name in ("kept_id", "image_id")]
        hashes = [int.from_bytes((phash(data) or (b"", False))[0], "big") for data in pair]
        if row["kind"] == "near" and row["agreement"] is None:
            assert row["distance"] == (hashes[0] ^ hashes[1]).bit_count() <= DEFAULT_RADIUS
        else:
            assert prove_pair(*pair, CLOSE_RADIUS, CLOSE_GUESSES) is not None
    left = [image_id for image_id in order if image_id not in gone]
    for n, one in enumerate(left):  # and no two that stay are copies
        assert all(scene[one] != scene[two] or prove_pair(place.get(one), place.get(two)) is None for two in left[:n])


def prove_pair(first: bytes, second: bytes, radius: int = VIEW_RADIUS, most: int = 1) -> Match | None:
    images = {"a": first, "b": second}
    index = Index.of([views(faces(data) or []) for data in images.values()])
    guesses = candidates(index, None, radius, most).get((0, 1), [])
    return Prover(DEFAULT_RADIUS).prove_all([("a", "b", guesses)], lambda ids: [images[one] for one in ids])[0]


# -- what stays, and what is odd -------------------------------------------------------------------------


def test_the_keep_policies(tmp_path: Path) -> None:
    big, small = photo(1, 300), smaller(photo(1, 300))
    place = workspace(tmp_path, [("small", 0, small), ("big", 0, big)])  # ranks 0 and 1
    with place.journal("candidates") as journal:
        for url, rank, license_name in (("small", 0, "by-nc-nd"), ("big", 1, "cc0")):
            row = {"url": url, "label": 0, "provider": "folder", "query": "q", "rank": rank}
            journal.add({**row, "license": license_name})

    def stays(keep: str) -> bytes:
        dedup(place, keep=keep)
        [row] = place.read("duplicates").to_pylist()
        return place.get(row["kept_id"])

    assert (stays("largest"), stays("first"), stays("license")) == (big, small, big)
    with pytest.raises(UnknownNameError, match="unknown keep policy 'best'"):
        dedup(place, keep="best")
    with pytest.raises(UnknownNameError, match="unknown hash 'ahash'; did you mean 'phash'"):
        dedup(place, method="ahash")


def test_the_difference_hash_finds_plain_copies(tmp_path: Path) -> None:
    place = workspace(tmp_path, [("a", 0, photo(1, 200)), ("b", 0, smaller(photo(1, 200))), ("c", 0, photo(2))])
    assert dedup(place, method="dhash", views=False).num_dropped == {("web", "near"): 1}
    assert place.read("dhashes").num_rows == 3
    assert place.read("hashes").num_rows == place.read("views").num_rows == 0


def test_odd_images_are_rows_with_a_reason_and_the_rest_goes_on(tmp_path: Path) -> None:
    place = workspace(tmp_path / "w", [("good", 0, jpeg(large(1))), ("copy", 0, jpeg(part(large(1))))])

    def png(image: Image.Image) -> bytes:
        out = io.BytesIO()
        image.save(out, "PNG")
        return out.getvalue()

    noise = np.random.default_rng(0).integers(0, 2**16, (70, 90)).astype(np.uint16)
    cmyk, grey16 = io.BytesIO(), Image.fromarray(noise)
    large(2).convert("CMYK").save(cmyk, "JPEG")
    odd = {
        "empty": b"",
        "truncated": jpeg(large(3))[:-3000],
        "pixel": png(Image.new("RGB", (1, 1), "red")),
        "grey16": png(grey16),
        "cmyk": cmyk.getvalue(),
        "no image": b"<html>not found</html>",
    }
    with place.journal("images") as journal:
        for name, data in odd.items():
            row = {"url": name, "label": 0, "status": "ok", "retry": False, "attempts": 1, "image_id": place.put(data)}
            journal.add({**row, "num_bytes": len(data), "width": 1, "height": 1, "format": "jpeg"})
        journal.add({**row, "url": "missing", "image_id": "ab" * 32, "num_bytes": 9, "width": 1, "height": 1})
    report = dedup(place)
    kinds = {row["image_id"]: row["kind"] for row in place.read("duplicates").to_pylist()}
    unreadable = {_id(odd[name]) for name in ("empty", "truncated", "no image")} | {"ab" * 32}
    assert kinds == {**dict.fromkeys(unreadable, "unreadable"), _id(jpeg(part(large(1)))): "crop"}
    assert (report.count("web", "unreadable"), report.num_flat, report.num_kept) == (4, 1, 4)


def test_the_record_tells_what_was_compared(tmp_path: Path) -> None:
    place = workspace(tmp_path, [("a", 0, photo(1))])
    assert read_record(place.folder) is None
    dedup(place, clean(photo(2), photo(3)), radius=20, dataset="pets.toml")
    record = read_record(place.folder)
    assert record is not None
    assert (record.radius, record.method, record.views, record.dataset) == (20, "phash", True, "pets.toml")
    assert record.against == {"train": _digest(_id(photo(3)), _id(photo(2)))}
    assert record.images == _digest(_id(photo(1)))
    for text in (
        "{",
        "[]",
        '{"radius": "1"}',
        '{"views": 1}',
        '{"images": 5}',
        '{"against": {"train": 5}}',
        '{"no": 1}',
    ):
        (place.folder / "dedup.json").write_text(text)
        with pytest.raises(CorruptFileError, match=r"dedup.json: damaged .* run `noisyweb dedup` again"):
            read_record(place.folder)


def test_many_pairs_in_a_block_do_not_fill_the_memory() -> None:
    generator = np.random.default_rng(0)
    centre = generator.integers(0, 2**63, (1, 4), dtype=np.uint64)
    flips = np.packbits(generator.random((3000, 256)) < 0.02, axis=1).view(np.uint64)
    hashes = centre ^ flips  # nearly all of 4.5 million pairs are within the radius
    found = nearest_kept(hashes, 32, first_block=2048, max_pairs=1000)
    assert listed(found) == listed(nearest_kept(hashes, 32, first_block=3000))
    assert len(found[0]) > 2990


def test_borders_do_not_make_an_image_the_largest(tmp_path: Path) -> None:
    original = jpeg(large(1))
    padded = jpeg(ImageOps.expand(large(1), 60, "white"))
    place = workspace(tmp_path, [("padded", 0, padded), ("original", 0, original)])
    dedup(place)
    assert {data: place.get(row["kept_id"]) for (data, _), row in dropped(place).items()} == {padded: original}


def test_two_copies_of_one_image_that_goes_are_compared_with_each_other(tmp_path: Path) -> None:
    """A rotated copy that is larger stays; a crop is a copy of the original, and must not stay with it."""
    original = large(3, (360, 270))
    rotated = jpeg(original.rotate(4, Image.Resampling.BICUBIC).resize((480, 360), Image.Resampling.BICUBIC))
    crop = jpeg(original.crop((18, 20, 345, 260)))
    place = workspace(tmp_path, [("r", 0, rotated), ("o", 0, jpeg(original)), ("c", 0, crop)])
    dedup(place)
    assert {data: place.get(row["kept_id"]) for (data, _), row in dropped(place).items()} == {
        jpeg(original): rotated,
        crop: rotated,
    }
