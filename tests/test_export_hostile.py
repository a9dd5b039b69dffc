"""Exports of what nobody wants: names that are paths, ids that are paths, rows without images, damaged files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noisyweb.errors import CorruptFileError, NoisywebError, SourceError
from noisyweb.export import export_builds, open_builds
from noisyweb.lock import LOCK_NAME
from tests.export_builds import Row, clean_row, red_rows, rows_of, web_row, write_build, write_builds
from tests.test_export import FORMATS

PIXELS = ("cnwl", "imagefolder", "pls", "webdataset")
NAMES = (
    ("a/b", "a_b", "a b", "../../a"),
    ("..", ".", "", "/etc/passwd"),
    ("x" * 5000, "x" * 5001, "😀\u202e", "\n\n"),
    ("con", "a\0b", "a\r\nb", "-rf"),
)


def export(place: Path, to: str, target: Path) -> list[str]:
    target.mkdir(parents=True)
    return export_builds(open_builds(place), to, target)


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("to", FORMATS)
def test_class_names_stay_names(to: str, names: tuple[str, ...], tmp_path: Path) -> None:
    rows = [{**clean_row(n), "label": n % 4} for n in range(8)]
    write_build(tmp_path / "b", rows, "red", class_names=names)
    write_build(tmp_path / "b", rows[:4], None, class_names=names)
    before = tree(tmp_path)
    export(tmp_path / "b", to, tmp_path / "in/x")
    assert [path for path in tree(tmp_path) if not path.startswith("in")] == before
    for listing in [*(tmp_path / "in/x").rglob("class*.txt")]:
        assert len(listing.read_bytes().decode().split("\n")) == 5
    if to == "imagefolder":
        folders = sorted((tmp_path / "in/x/train").iterdir())
        assert [path.name[:2] for path in folders] == ["0_", "1_", "2_", "3_"]
        assert [len(list(path.iterdir())) for path in folders] == [2, 2, 2, 2]
    if to in ("hf", "croissant"):
        described = json.loads((tmp_path / "in/x/croissant.json").read_text())
        classes = next(found for found in described["recordSet"] if found["@id"] == "classes")
        assert [item["classes/name"] for item in classes["data"]] == list(names)


@pytest.mark.parametrize("to", FORMATS)
def test_rows_without_images(to: str, tmp_path: Path) -> None:
    def without_image(row: Row) -> Row:
        path = f"cars_train/{row['image_id'][:5]}.jpg"
        return {**row, "image": {"bytes": None, "path": path}, "image_id": f"stanford-cars:{path}"}

    root = write_builds(tmp_path / "b", without_image)
    if to in PIXELS:
        found = re.escape("row 0 carries only the path 'cars_train/") + ".*" + f"and {to} needs the image; build with"
        with pytest.raises(SourceError, match=found):
            export(root, to, tmp_path / "x")
    else:
        export(root, to, tmp_path / "x")
        expected = [row["image_id"] for row in rows_of(root / "red_noise_nl_0.4")]
        if to == "csv":
            text = (tmp_path / "x/red_noise_nl_0.4/labels.csv").read_text()
            assert all(name in text for name in expected)
        else:
            folder = tmp_path / "x" / ("red_40" if to == "hf" else "red_noise_nl_0.4")
            assert [row["image_id"] for row in rows_of(folder)] == expected


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib and pandas, through mlcroissant
def test_croissant_of_rows_without_images_and_odd_folders(tmp_path: Path) -> None:
    from noisyweb.croissant import CROISSANT_NAME, croissant

    mlcroissant = pytest.importorskip("mlcroissant")
    root = tmp_path / "pets"
    rows = [{**row, "image": {"bytes": None, "path": "x.jpg"}} for row in red_rows(5, 2)]
    write_build(root, rows, "red", folder="my [best] build #1")
    write_build(root, rows, "red", folder=".hidden")
    described = croissant(root)
    assert described == croissant(root)
    assert str(tmp_path) not in json.dumps(described)
    assert described["name"] == "pets"
    (root / CROISSANT_NAME).write_text(json.dumps(described))
    loaded = mlcroissant.Dataset(root / CROISSANT_NAME)
    sets = [found["@id"] for found in described["recordSet"]]
    assert sets == ["classes", "my%20%5Bbest%5D%20build%20%231"]
    records = list(loaded.records(sets[1]))
    assert [record[f"{sets[1]}/label"] for record in records] == [row["label"] for row in rows]
    assert {record[f"{sets[1]}/image"] for record in records} == {None}


@pytest.mark.parametrize("to", PIXELS)
@pytest.mark.parametrize("data", [b"", b"<svg>", b"RIFF1234AVI ", b"#!/bin/sh"])
def test_bytes_that_are_no_image(to: str, data: bytes, tmp_path: Path) -> None:
    rows = [clean_row(0), {**clean_row(1), "image": {"bytes": data, "path": "x.jpg"}}]
    place = write_build(tmp_path / "b", rows, "red")
    with pytest.raises(
        SourceError, match=r"row 1: its bytes begin with .*; expected a JPEG, PNG, WebP, GIF, BMP or TIFF"
    ):
        export(place, to, tmp_path / "x")


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("locked", [True, False])
def test_a_damaged_file(to: str, locked: bool, tmp_path: Path) -> None:
    root = write_builds(tmp_path / "b")
    file = sorted((root / "red_noise_nl_0.4").glob("*.parquet"))[1]
    pages = pq.read_metadata(file).row_group(0).column(1)
    assert pages.path_in_schema == "image.bytes"
    data = bytearray(file.read_bytes())
    data[pages.data_page_offset + pages.total_compressed_size // 2] ^= 255
    file.write_bytes(data)
    if not locked:
        (file.parent / LOCK_NAME).unlink()
    if to == "csv":
        export(root, to, tmp_path / "x")  # it does not read the images
    else:
        with pytest.raises(CorruptFileError, match=r"train-00001-of-.*damaged"):
            export(root, to, tmp_path / "x")
    file.write_bytes(b"PAR1")
    with pytest.raises(CorruptFileError, match=r"train-00001-of-.*damaged"):
        export(root, to, tmp_path / "y")


@pytest.mark.parametrize("to", FORMATS)
def test_builds_without_lock_files(to: str, tmp_path: Path) -> None:
    write_build(tmp_path / "b", red_rows(9, 3), "red", locked=False)
    write_build(tmp_path / "b", [clean_row(50)], None, locked=False)
    export(tmp_path / "b", to, tmp_path / "x")
    card = (tmp_path / "x/README.md").read_text()
    assert re.search(r"\| (red_noise_nl_0\.4|red_40) \| 9 \| 3 \| 33\.3333% \| web 3 \| 7 \|", card)


@pytest.mark.parametrize("to", FORMATS)
def test_no_rows(to: str, tmp_path: Path) -> None:
    place = write_build(tmp_path / "b", [], "red", locked=False)
    with pytest.raises(SourceError, match="holds no manifest"):
        export(place, to, tmp_path / "x")


def test_what_is_no_folder_of_builds(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nothing: no such folder"):
        open_builds(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="empty: it holds no manifest"):
        open_builds(tmp_path / "empty")
    root = write_builds(tmp_path / "builds/pets")
    with pytest.raises(SourceError, match=r"builds: it holds data sets, not builds; did you mean .*builds/pets\?"):
        open_builds(tmp_path / "builds")
    write_build(root, [clean_row(1)], "blue", "0.1", class_names=("a", "b", "c"))
    with pytest.raises(SourceError, match=r"it has another class names than .*; an export holds one data set"):
        open_builds(root)
    other = write_builds(tmp_path / "builds/others")
    write_build(other, [clean_row(1)], "blue", "0.1", dataset="cats")
    with pytest.raises(SourceError, match="it has another dataset than"):
        open_builds(other)
    two = write_builds(tmp_path / "builds/two")
    write_build(two, [clean_row(1)], None, folder="another_validation")
    with pytest.raises(SourceError, match="it holds 2 validation sets; expected one"):
        open_builds(two)


def test_a_validation_set_of_other_classes_beside_a_manifest(tmp_path: Path) -> None:
    place = write_build(tmp_path / "b", [clean_row(1)], "red")
    write_build(tmp_path / "b", [clean_row(1)], None, class_names=("a", "b", "c"))
    with pytest.raises(SourceError, match=r"clean_validation: it has another class names than"):
        open_builds(place)


def test_names_of_configurations(tmp_path: Path) -> None:
    rows = [clean_row(0), web_row(1)]
    for kind, level, folder in (
        ("red", "0.4", None),
        ("red", "0.40", "again"),
        ("open-set", "0.025", None),
        ("1", "1", None),
        ("../x", "0.0", "odd name"),
        ("a", "0.025", None),
        ("red0.7-blue0.3", "0.4", None),
        ("a_2", "0.05", None),
    ):
        write_build(tmp_path / "b", rows, kind, level, folder=folder or f"{kind}_noise_nl_{level}")
    builds = open_builds(tmp_path / "b")
    assert builds.config_names() == {
        "red_noise_nl_0.4": "red_noise_nl_0.4",
        "again": "again",
        "open-set_noise_nl_0.025": "open-set_2_5",
        "1_noise_nl_1": "1_100",
        "odd name": "_x_0",
        "a_noise_nl_0.025": "a_noise_nl_0.025",
        "red0.7-blue0.3_noise_nl_0.4": "red0_7-blue0_3_40",
        "a_2_noise_nl_0.05": "a_2_noise_nl_0.05",
    }
    with pytest.raises(SourceError, match=r"it is not the only red_noise_nl_0\.4 here"):
        builds.split_names()
    import datasets

    export(tmp_path / "b", "hf", tmp_path / "x")
    found = datasets.get_dataset_config_names(str(tmp_path / "x"))
    assert sorted(found) == sorted(builds.config_names().values())


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/hostname", "gone.csv", "..", ""])
def test_lock_files_that_list_what_is_not_theirs(name: str, tmp_path: Path) -> None:
    place = write_build(tmp_path / "b", [clean_row(0)], "red")
    (tmp_path / "b/outside.txt").write_text("secret")
    content = json.loads((place / LOCK_NAME).read_text())
    content["files"][name] = content["files"]["train-00000-of-00001.parquet"]
    (place / LOCK_NAME).write_text(json.dumps(content))
    with pytest.raises(CorruptFileError, match=r"lists '.*', which is no file there"):
        export(place, "hf", tmp_path / "x")
    assert not list((tmp_path / "x").rglob("outside.txt"))


@pytest.mark.parametrize("to", FORMATS)
def test_text_that_is_not_utf8(to: str, tmp_path: Path) -> None:
    place = write_build(tmp_path / "b", [web_row(0)], "red", locked=False)
    (file,) = place.glob("*.parquet")
    table = pq.read_table(file)
    broken = pa.array([b"\xff\xfe"]).view(pa.string())
    pq.write_table(table.set_column(table.schema.names.index("creator"), "creator", broken), file)
    with pytest.raises(CorruptFileError, match="text that is not UTF-8"):
        export(place, to, tmp_path / "x")


def test_every_refusal_is_one_line(tmp_path: Path) -> None:
    folder = write_build(tmp_path / "b", [{**clean_row(0), "image": {"bytes": None, "path": "a\nb"}}], "red")
    for to in PIXELS:
        with pytest.raises(NoisywebError) as refused:
            export(folder, to, tmp_path / to)
        assert "\n" not in str(refused.value)
