"""The report's pictures and where images come from: every image is counted once, and what is near is found."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageColor

from noisyweb.manifest import manifest_schema
from noisyweb.report import render
from noisyweb.report.inputs import open_inputs
from noisyweb.report.near import closest_pairs, nearest
from noisyweb.report.page import figures_of
from noisyweb.report.section import Figure, Fold, Section
from noisyweb.report.sections import agreement, duplicates, map, pictures, sources
from noisyweb.report.sections import funnel as funnel_section
from noisyweb.report.sheet import Strip, Tile, class_sheet, wrapped
from noisyweb.report.style import WRONG, drawing
from tests.conftest import paint
from tests.export_builds import Row, clean_row, red_rows, web_row, write_build, write_builds
from tests.toy_manifest import write_toy_manifest

HOSTILE = "<script>alert(1)</script> $x$ " + "long " * 60 + "\u202eabc"
PARTS = (pictures, duplicates, agreement, sources, funnel_section, map)


@pytest.fixture(autouse=True)
def in_style() -> Iterator[None]:
    with drawing():
        yield


def data_of(section: Section, name: str) -> pa.Table:
    [block] = [one for one in figures_of(section) if one.name == name]
    assert block.data is not None
    return block.data


def painted(folder: Path, numbers: range) -> list[Row]:
    """Rows of images with some structure, all different; the class is ``number % 3``."""
    rows = []
    for number in numbers:
        paint(folder / f"{number}.jpg", number, 53 * number)
        data = (folder / f"{number}.jpg").read_bytes()
        rows.append({**clean_row(number), "image_id": hashlib.sha256(data).hexdigest()})
        rows[-1]["image"] = {"bytes": data, "path": f"{number}.jpg"}
    return rows


def resized(row: Row) -> Row:
    """The same picture as another file."""
    image, out = Image.open(io.BytesIO(row["image"]["bytes"])), io.BytesIO()
    image.resize((80, 60)).save(out, "JPEG", quality=70)
    image_id = hashlib.sha256(out.getvalue()).hexdigest()
    return {**row, "image_id": image_id, "image": {"bytes": out.getvalue(), "path": "copy.jpg"}}


# -- contact sheets --------------------------------------------------------------------------------------


def test_sheets_show_each_label_right_and_wrong(tmp_path: Path) -> None:
    inputs = open_inputs(write_builds(tmp_path / "pets"))
    section = pictures.draw(inputs)
    names = [one.name for one in figures_of(section)]
    assert names == ["pictures-0000", "pictures-0001", "pictures-0002"]  # the last class has no image
    rows = [row for name in names for row in data_of(section, name).to_pylist()]
    expected = Counter()
    for one in inputs.examples:
        for row in one.manifest.rows.to_pylist():
            if not row["is_clean"] or one is inputs.examples[0]:
                expected[one.name, row["image_id"], inputs.class_names[row["label"]], row["is_clean"]] += 1
    assert Counter((row["set"], row["image_id"], row["class"], row["is_clean"]) for row in rows) == expected
    assert {row["creator"] for row in rows} == {None, "=HYPERLINK(1)", 'Ann, "B"\nCé'}


def test_many_classes_are_folded_and_told(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(12)]
    rows = [{**row, "label": n % 12, "true_label": n % 12} for n, row in enumerate(red_rows(48, 0))]
    rows += [{**web_row(n), "label": n} for n in range(12)]
    write_build(tmp_path, rows, "red", class_names=names)
    section = pictures.draw(open_inputs(tmp_path))
    *shown, fold = section.blocks
    assert isinstance(fold, Fold)
    assert len(shown) == pictures.OPEN_CLASSES
    assert len(fold.blocks) == 12 - len(shown)
    assert "of 3 yes, by" in fold.blocks[0].caption
    others = pictures.draw(open_inputs(tmp_path, seed=1)).blocks[:-1]
    assert [one.name for one in others] != [one.name for one in shown]


def test_the_page_stays_small_whatever_the_vocabulary(tmp_path: Path) -> None:
    rows = [{**row, "label": n, "true_label": n} for n, row in enumerate(red_rows(310, 0))]
    write_build(tmp_path, rows, "red", class_names=[f"{number}" for number in range(400)])
    fold = pictures.draw(open_inputs(tmp_path)).blocks[-1]
    assert (fold.summary, len(fold.blocks)) == ("300 of 306 other classes", 300)


def test_wrong_images_are_marked() -> None:
    picture = Image.new("RGB", (84, 63), "black")
    right, wrong = (class_sheet("z", [Strip("x", WRONG, [Tile(picture, ("y",), WRONG, one)])]) for one in (False, True))
    left, top, *end = ImageChops.difference(right, wrong).getbbox() or (0, 0, 0, 0)
    assert end[0] - left > 10 < end[1] - top
    assert wrong.getpixel((left, end[1] - 1)) == ImageColor.getrgb(WRONG)


@given(st.lists(st.text(max_size=60), max_size=4), st.integers(20, 300), st.integers(1, 5))
@settings(deadline=None, max_examples=50)
def test_words_are_wrapped_in_order(phrases: list[str], width: int, most: int) -> None:
    lines = wrapped(phrases, width, most)
    assert len(lines) <= most
    words = ["".join(c for c in word if c.isprintable()) for phrase in phrases for word in phrase.split()]
    whole = "".join(wrapped(phrases, width, 1000)).replace(" ", "")
    assert "".join("".join(words).split()) == "".join(whole.split())


# -- duplicates ------------------------------------------------------------------------------------------


def test_a_copy_in_the_validation_set_is_found(tmp_path: Path) -> None:
    rows = painted(tmp_path / "p", range(12))
    web = {**web_row(0), "image_id": rows[0]["image_id"], "image": rows[0]["image"]}
    write_build(tmp_path / "s", [web, *rows[1:]], "red")
    write_build(tmp_path / "s", [resized(rows[0]), resized(rows[5]), *painted(tmp_path / "p", range(50, 53))], None)
    section = duplicates.draw(open_inputs(tmp_path / "s"))
    assert "Of 1 web images, 1 is within 32 bits of one of 5 validation images" in section.lead
    assert "Of 11 clean training images, 1 is within" in section.lead
    first, second, *others = data_of(section, "duplicates-validation").to_pylist()
    assert {first["train_id"], second["train_id"]} == {rows[0]["image_id"], rows[5]["image_id"]}
    assert max(first["bits"], second["bits"]) <= 32 < min(row["bits"] for row in others)
    counts = data_of(section, "duplicates-distances").to_pylist()
    assert sum(row["images"] for row in counts if row["compared"] == "training and training") == 12


def test_the_same_bytes_are_told_whatever_they_look_like(tmp_path: Path) -> None:
    rows = red_rows(14, 6)  # of plain colour, or nearly
    write_build(tmp_path, [*rows, rows[0]], "red")
    write_build(tmp_path, rows[8:10], None)
    section = duplicates.draw(open_inputs(tmp_path))
    assert "2 training images are validation images, byte for byte" in section.lead
    assert any("has 1 such row" in block for block in section.blocks if isinstance(block, str))


@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=2, max_size=20), st.integers(1, 8))
@settings(deadline=None, max_examples=50)
def test_nearest_is_the_nearest(rows: list[list[int]], count: int) -> None:
    hashes = np.array(rows, np.uint64)

    def bits(i: int, j: int) -> int:
        return sum((a ^ b).bit_count() for a, b in zip(rows[i], rows[j], strict=True))

    distances, places = nearest(hashes, hashes, is_same=True, block=3)
    for i, (distance, j) in enumerate(zip(distances.tolist(), places.tolist(), strict=True)):
        assert i != j
        assert distance == bits(i, j) == min(bits(i, k) for k in range(len(rows)) if k != i)
    pairs = closest_pairs(distances, places, count, is_same=True)
    used = list(itertools.chain(*((i, j) for _, i, j in pairs)))
    assert len(pairs) <= count
    assert len(used) == len(set(used))
    assert pairs[0][0] == min(distances)


# -- the map ---------------------------------------------------------------------------------------------


def test_the_map_tells_apart_what_looks_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows: list[Row] = []
    for number in range(60):
        out = io.BytesIO()
        base = (200, 60, 60) if number % 2 else (40, 60, 200)
        pixels = np.clip(np.array(base) + rng.normal(0, 20, (24, 24, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(out, "PNG")
        row = clean_row(number) if number % 2 else web_row(number)
        digest = hashlib.sha256(out.getvalue()).hexdigest()
        rows.append({**row, "image_id": digest, "image": {"bytes": out.getvalue(), "path": "x"}})
    write_build(tmp_path, rows, "red", "0.5")
    section = map.draw(open_inputs(tmp_path))
    assert "red 50%: 100.0% and 0.0%, a difference of +100.0 points" in section.lead
    again = map.draw(open_inputs(tmp_path))
    assert data_of(again, "map-1") == data_of(section, "map-1")
    assert render.png(again.blocks[0].picture) == render.png(section.blocks[0].picture)
    points = data_of(section, "map-1").to_pylist()
    assert len({row["image_id"] for row in points}) == 60
    assert sum(not row["is_clean"] for row in points) == 30


# -- what is not there -----------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [pictures, duplicates, map])
def test_sets_of_paths_say_so(part: ModuleType, tmp_path: Path) -> None:
    folder = write_toy_manifest(tmp_path, with_bytes=False)
    section = part.draw(open_inputs(folder))
    assert "paths only" in section.missing
    assert not section.blocks


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ["bad", "empty", "one", "zero"])
def test_odd_sets_are_drawn(part: ModuleType, name: str, tmp_path: Path) -> None:
    junk = {"bytes": b"\xff\xd8\xff junk", "path": "x"}
    if name == "bad":
        write_build(tmp_path, [{**row, "image": junk} for row in red_rows(14, 6)], "red")
    elif name == "empty":
        info = {"dataset": "pets", "title": "t", "edition": "own", "split": "train", "kind": "red", "level": "0.4"}
        no_rows = manifest_schema(["ant"], info).empty_table()
        pq.write_table(no_rows, tmp_path / "train-00000-of-00001.parquet")
    elif name == "one":
        rows = [{**row, "label": 0, "true_label": row["true_label"] and 0} for row in red_rows(40, 16)]
        write_build(tmp_path, [*rows, {**rows[0], "image": junk, "creator": HOSTILE}], "red", class_names=[HOSTILE])
    else:
        write_build(tmp_path, red_rows(40, 0), "red", "0.0")
    section = part.draw(open_inputs(tmp_path))
    assert bool(section.missing) != bool(section.blocks or section.lead)
    for one in figures_of(section):
        assert not isinstance(one, Figure) or one.data is not None
        if isinstance(one, Figure):
            assert render.png(one.picture)
