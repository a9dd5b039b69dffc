"""The two folder layouts of noisy-label code, read as that code reads them; the readers here are written anew."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisyweb.export import export_builds, open_builds
from noisyweb.exporters._layout import FileNames
from noisyweb.manifest import Manifest, open_manifest
from tests.export_builds import CLASSES, Row, clean_row, rows_of, web_row, write_build, write_builds


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_builds(tmp_path_factory.mktemp("builds") / "mini")


def export(place: Path, to: str, target: Path) -> Path:
    target.mkdir(parents=True)
    export_builds(open_builds(place), to, target)
    return target


def by_lines(root: Path, split: str) -> list[tuple[bytes, int]]:
    """As PropMix and InstanceGM do: the label of a file is looked up by its path, two words a line."""
    labels: dict[str, int] = {}
    paths = []
    for line in (root / "split" / split).read_text().splitlines():
        name, label = line.split()
        path = f"validation/{int(label)}/{name}" if split == "clean_validation" else f"all_images/{name}"
        paths.append(path)
        labels[path] = int(label)
    return [((root / path).read_bytes(), labels[path]) for path in paths]


def by_folders(root: Path, split: str, annotations: Path, num_classes: int) -> list[tuple[bytes, int, bool]]:
    """As PLS does: folders by number, file names in order; what does not begin with n is looked up."""
    items = json.loads(annotations.read_text())["data"]
    verdicts = {item[0]["image/id"]: bool(item[0]["image/class/label/is_clean"]) for item in items}
    found = []
    for label in range(num_classes):
        for path in sorted((root / split / str(label)).iterdir()):
            is_clean = path.name[0] == "n" or verdicts[path.name.replace(".jpg", "")]
            found.append((path.read_bytes(), label, is_clean))
    return found


def test_cnwl_by_split_files(root: Path, tmp_path: Path) -> None:
    target = export(root, "cnwl", tmp_path / "x")
    for split in ("red_noise_nl_0.4", "red_noise_nl_0.025", "blue_noise_nl_0.4", "clean_validation"):
        expected = [(row["bytes"], row["label"]) for row in rows_of(root / split)]
        assert by_lines(target / "pets", split) == expected
    assert (target / "pets/class_names.txt").read_text().splitlines() == list(CLASSES)
    distinct = {row["image_id"] for folder in root.glob("*_noise_*") for row in rows_of(folder)}
    assert len(list((target / "pets/all_images").iterdir())) == len(distinct)  # each once


def test_cnwl_annotations(root: Path, tmp_path: Path) -> None:
    target = export(root, "cnwl", tmp_path / "x")
    content = json.loads((target / "pets-annotations.json").read_text())
    assert {key: content[key] for key in ("name", "version")} == {"name": "pets", "version": "1.0"}
    assert all(len(item) == 1 for item in content["data"])
    web = [row for row in rows_of(root / "red_noise_nl_0.4") if row["source"] == "web"]
    expected = [
        {
            "image/uri": row["url"],
            "image/id": row["image_id"][:16],
            "image/class/label": row["label"],
            "image/class/label/is_clean": 0,
        }
        for row in sorted(web, key=lambda row: row["image_id"])
    ]
    assert [item[0] for item in content["data"]] == expected
    names = {path.name for path in (target / "pets/all_images").iterdir()}
    assert {f"{item['image/id']}.jpg" for item in expected} < names
    assert all(re.fullmatch(r"n?[0-9a-f]{16}\.jpg", name) for name in names)


def test_pls_by_class_folders(root: Path, tmp_path: Path) -> None:
    target = export(root, "pls", tmp_path / "x")
    annotations = target / "pets-annotations.json"
    for split in ("red_noise_nl_0.4", "red_noise_nl_0.025"):
        found = by_folders(target, f"training/{split}", annotations, len(CLASSES))
        rows = rows_of(root / split)
        assert sorted(found) == sorted((row["bytes"], row["label"], row["is_clean"]) for row in rows)
    blue = by_folders(target, "training/blue_noise_nl_0.4", annotations, len(CLASSES))
    assert sorted(f[:2] for f in blue) == sorted(
        (row["bytes"], row["label"]) for row in rows_of(root / "blue_noise_nl_0.4")
    )
    found = by_folders(target, "validation", annotations, len(CLASSES))
    assert sorted(f[:2] for f in found) == sorted(
        (row["bytes"], row["label"]) for row in rows_of(root / "clean_validation")
    )
    for split in ("red_noise_nl_0.4", "blue_noise_nl_0.4"):  # as FaMUS does: a split file and a folder
        lines = [line.strip().split(" ") for line in (target / "split" / split).read_text().splitlines()]
        images = [(target / "training" / split / label / name).read_bytes() for name, label in lines]
        assert images == [row["bytes"] for row in rows_of(root / split)]
        assert [int(label) for _, label in lines] == [row["label"] for row in rows_of(root / split)]
    assert len((target / "split/clean_validation").read_text().splitlines()) == 5
    assert list((target / "training/red_noise_nl_0.4/3").iterdir()) == []  # there, though no image is in it


def test_web_images_that_are_right(tmp_path: Path) -> None:
    """The official sets have web images that annotators called right: the field says so."""
    rows = [web_row(0), {**web_row(1), "is_clean": True, "true_label": 1, "noise": "none"}]
    folder = write_build(tmp_path / "b", rows, "red")
    target = export(folder, "pls", tmp_path / "x")
    found = by_folders(target, "training/red_noise_nl_0.4", target / "pets-annotations.json", len(CLASSES))
    assert [(label, is_clean) for _, label, is_clean in found] == [(0, False), (1, True)]


@pytest.mark.parametrize("to", ["cnwl", "pls"])
def test_one_image_in_two_rows(to: str, tmp_path: Path) -> None:
    """With two labels in one split it needs two names: readers look a label up by the name."""
    web = web_row(0)
    rows = [clean_row(0), {**clean_row(0), "label": 1}, clean_row(0), web, {**web, "label": 2}]
    folder = write_build(tmp_path / "b", rows, "blue")
    target = export(folder, to, tmp_path / "x")
    labels = [row["label"] for row in rows]
    expected = [(row["image"]["bytes"], label) for row, label in zip(rows, labels, strict=True)]
    if to == "cnwl":
        assert by_lines(target / "pets", "blue_noise_nl_0.4") == expected
    else:
        found = by_folders(target, "training/blue_noise_nl_0.4", target / "pets-annotations.json", len(CLASSES))
        assert sorted(item[:2] for item in found) == sorted(expected)
        assert sum(not is_clean for *_, is_clean in found) == 2


def test_the_official_edition_keeps_its_names(tmp_path: Path) -> None:
    def official(row: Row, path: str) -> Row:
        return {**row, "image": {**row["image"], "path": path}}

    rows = [
        official(clean_row(0), "n0170432300000001.jpg"),
        official(web_row(1), "mini/5922767e5677aef4.jpg"),
        official(clean_row(2), "n0170432300000001.jpg"),  # another image of the same name
        official(clean_row(3), "../../n1.jpg"),
        official(clean_row(4), "a b.jpg"),
    ]
    folder = write_build(tmp_path / "b", rows, "red", dataset="mini-imagenet", edition="official")
    validation = [official(clean_row(9), "n0170432300000001.jpg")]  # the names of this set are its own
    write_build(tmp_path / "b", validation, None, dataset="mini-imagenet", edition="official")
    target = export(folder, "cnwl", tmp_path / "x")
    names = [line.split()[0] for line in (target / "mini-imagenet/split/red_noise_nl_0.4").read_text().splitlines()]
    hashed = [f"n{row['image_id'][:16]}.jpg" for row in rows]
    assert names == ["n0170432300000001.jpg", "5922767e5677aef4.jpg", hashed[2], "n1.jpg", hashed[4]]
    assert by_lines(target / "mini-imagenet", "red_noise_nl_0.4") == [(r["image"]["bytes"], r["label"]) for r in rows]
    assert by_lines(target / "mini-imagenet", "clean_validation") == [(validation[0]["image"]["bytes"], 0)]
    ids = [item[0]["image/id"] for item in json.loads((target / "mini-imagenet-annotations.json").read_text())["data"]]
    assert ids == ["5922767e5677aef4"]


def test_cars_are_called_as_in_the_release(tmp_path: Path) -> None:
    folder = write_build(tmp_path / "b", [clean_row(0)], "red", "0.0", dataset="cars")
    target = export(folder, "cnwl", tmp_path / "x")
    assert (target / "stanford_cars/split/red_noise_nl_0.0").exists()
    assert (target / "stanford-cars-annotations.json").exists()


IDS = st.text("0an./_-é\0", max_size=20)
ROWS = st.lists(st.tuples(IDS, st.booleans(), st.sampled_from(["n1.jpg", "00aa.JPG", "../x.jpg", "a b.jpg", ""])))


@given(splits=st.lists(ROWS, min_size=1, max_size=3), edition=st.sampled_from(["own", "official"]))
def test_a_name_is_one_image_and_stands_once_in_a_split(
    splits: list[list[tuple[str, bool, str]]], edition: str, build_of_edition: dict[str, Manifest]
) -> None:
    names = FileNames()
    images: dict[str, str] = {}
    for rows in splits:
        split = names.split(build_of_edition[edition])
        found = [
            split.name({"image_id": image_id, "source": "web" if web else "clean", "path": path})
            for image_id, web, path in rows
        ]
        assert len(set(found)) == len(found)
        for name, (image_id, web, _) in zip(found, rows, strict=True):
            assert re.fullmatch(r"[A-Za-z0-9-]+(_[0-9]+)?\.jpg", name)
            assert images.setdefault(name, image_id) == image_id
            assert edition == "official" or name.startswith("n") != web


@pytest.fixture(scope="module")
def build_of_edition(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Manifest]:
    place = tmp_path_factory.mktemp("editions")
    return {e: open_manifest(write_build(place / e, [clean_row(0)], "red", edition=e)) for e in ("own", "official")}


@pytest.mark.parametrize("to", ["cnwl", "pls"])
def test_ids_that_begin_alike_or_are_hostile(to: str, tmp_path: Path) -> None:
    ids = [f"{'0' * 16}{n:048d}" for n in range(3)] + [
        "../../../x",
        "../../..-x",
        "a/b\0c",
        "a_b",
        "a",
        "a",
        "",
        "é" * 300,
    ]
    rows: list[Any] = [{**clean_row(n), "image_id": name} for n, name in enumerate(ids)]
    rows += [{**web_row(n), "image_id": name} for n, name in enumerate(ids)]
    rows[8]["image"] = rows[7]["image"]  # one id is one image
    rows[len(ids) + 8]["image"] = rows[len(ids) + 7]["image"]
    folder = write_build(tmp_path / "b", rows, "red")
    before = sorted(tmp_path.rglob("*"))
    target = export(folder, to, tmp_path / "in" / "x")
    outside = [path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "in")]
    assert sorted(outside) == before
    expected = [(row["image"]["bytes"], row["label"]) for row in rows]
    if to == "cnwl":
        assert by_lines(target / "pets", "red_noise_nl_0.4") == expected
    else:
        found = by_folders(target, "training/red_noise_nl_0.4", target / "pets-annotations.json", len(CLASSES))
        assert sorted(item[:2] for item in found) == sorted(expected)
