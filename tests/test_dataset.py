"""Data-set definitions and the sources that read what they describe."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noisyweb.dataset import known_datasets, load_dataset, read_definition
from noisyweb.errors import CorruptFileError, DefinitionError, SourceError, UnknownNameError
from noisyweb.schemas import IMAGE_TYPE
from tests.conftest import CLASSES, TinySet


def test_a_definition_gives_labelled_images(tiny: TinySet) -> None:
    dataset = load_dataset(str(tiny.toml))
    train, validation, pool = dataset.train(), dataset.validation(), dataset.pool()
    assert validation is not None
    assert pool is not None
    assert (dataset.name, dataset.title, tuple(dataset.class_names)) == ("tiny", "Tiny test set", CLASSES)
    assert train.class_sizes().tolist() == list(tiny.sizes)
    assert validation.class_sizes().tolist() == [4, 4, 4]
    assert next(train.load([3])) == (tiny.toml.parent / "train" / train.names[3]).read_bytes()


def test_classes_may_be_left_to_the_folders(tiny: TinySet) -> None:
    text = tiny.toml.read_text().replace('classes = ["ant", "bee", "cat\'s eye"]\n', "")
    tiny.toml.write_text(text)
    assert tuple(read_definition(tiny.toml).class_names) == CLASSES


@pytest.mark.parametrize(
    ("file", "text"), [("c.txt", "ant\nbee\ncat's eye\n"), ("c.csv", "class_name,n\nant,1\nbee,2\ncat's eye,3\n")]
)
def test_classes_may_be_a_file(tiny: TinySet, file: str, text: str) -> None:
    (tiny.toml.parent / file).write_text(text)
    tiny.toml.write_text(tiny.toml.read_text().replace('["ant", "bee", "cat\'s eye"]', f'"{file}"'))
    assert tuple(read_definition(tiny.toml).class_names) == CLASSES


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("name =", "nmae ="), r"unknown key 'nmae'; known: classes"),
        (('name = "tiny"', 'name = "../up"'), r"name = '../up'; expected letters"),
        (("[train]", "[train]\ncolour = 1"), r"unknown key 'colour' for format 'imagefolder'; known: path"),
        (
            ('"imagefolder"\npath = "train"', '"imagefolders"\npath = "train"'),
            r"unknown format 'imagefolders'; did you mean 'imagefolder'",
        ),
        (('path = "train"', 'path = "trian"'), r"does not exist; mend 'path'"),
        (('path = "train"', "path = 7"), r"path = 7 is not a str"),
        (('path = "train"', 'path = "a\\u0000b"'), r"is not a path"),
        (('path = "train"', ""), r"'path' is missing"),
        (('format = "imagefolder"\npath = "train"', 'path = "train"'), r"'format' is missing; expected one of"),
        (('"bee"', '"wasp"'), r"differ from the class names: folder 'bee' is no class \(1 unknown, 1 missing\)"),
        (('"bee"', '"ant"'), r"class 'ant' is listed twice"),
        (('["ant", "bee", "cat\'s eye"]', '"classes.txt"'), r"classes.txt: no such file"),
        (("[train]", "[train"), r"not valid TOML"),
        (('["ant", "bee", "cat\'s eye"]', "[]"), r"classes is empty"),
        (('title = "Tiny test set"', "edition = [1]"), r"edition = \[1\] is not a str"),
        (('name = "tiny"', f'name = "{"x" * 300}"'), r"100 at most"),
        (('[train]\nformat = "imagefolder"\npath = "train"\n', ""), r"no \[train\] section"),
    ],
)
def test_a_definition_that_cannot_be_used(tiny: TinySet, change: tuple[str, str], words: str) -> None:
    text = tiny.toml.read_text()
    assert change[0] in text
    tiny.toml.write_text(text.replace(*change))
    with pytest.raises((DefinitionError, SourceError, UnknownNameError), match=words):
        read_definition(tiny.toml).train()


def test_names_of_data_sets() -> None:
    assert "cars" in known_datasets()
    with pytest.raises(UnknownNameError, match=r"unknown data set 'carz'; did you mean 'cars'\? known: cars"):
        load_dataset("carz")
    with pytest.raises(DefinitionError, match=r"none\.toml: no such file"):
        load_dataset("none.toml")


def test_what_looks_like_an_image_file_must_be_one(tiny: TinySet) -> None:
    folder = tiny.toml.parent / "train" / "bee"
    (folder / "link.jpg").symlink_to("nowhere")
    with pytest.raises(SourceError, match=r"link\.jpg: not a file"):
        load_dataset(str(tiny.toml)).train()
    (folder / "link.jpg").unlink()
    (folder / "folder.jpg").mkdir()
    with pytest.raises(SourceError, match=r"folder\.jpg: not a file"):
        load_dataset(str(tiny.toml)).train()
    (folder / "folder.jpg").rmdir()
    Path(os.fsdecode(bytes(folder) + b"/\xff\xfe.jpg")).write_bytes(b"x")
    with pytest.raises(SourceError, match=r"its name is not readable text"):
        load_dataset(str(tiny.toml)).train()


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([None, {"bytes": b"x", "path": None}], r"image row 0 has neither bytes nor path"),
        ([{"bytes": b"x", "path": "a"}, {"bytes": None, "path": None}], r"image row 1 has neither bytes nor path"),
        (
            [{"bytes": 5, "path": "a"}, {"bytes": 6, "path": "b"}],
            r"is struct<bytes: int64.*; expected a struct of bytes",
        ),
        (["a", "b"], r"is string; expected a struct of bytes and path, or binary"),
    ],
)
def test_images_that_are_none(tmp_path: Path, images: list[object], words: str) -> None:
    table = pa.table({"image": pa.array(images), "label": pa.array([0, 1])})
    if pa.types.is_struct(table["image"].type) and not pa.types.is_integer(table["image"].type.field("bytes").type):
        table = table.set_column(0, "image", table["image"].cast(IMAGE_TYPE))
    pq.write_table(table, tmp_path / "0.parquet")
    with pytest.raises(SourceError, match=words):
        read_definition(define(tmp_path)).train()


def test_an_empty_image_is_named(tiny: TinySet) -> None:
    (tiny.toml.parent / "train" / "bee" / "000.jpg").write_bytes(b"")
    train = load_dataset(str(tiny.toml)).train()
    with pytest.raises(SourceError, match=r"bee/000\.jpg: the file is empty"):
        list(train.load(range(len(train))))


# -- Parquet ------------------------------------------------------------------------------------------------


def write_parquet(
    path: Path, labels: pa.Array, names: list[str] | None = None, paths: bool = True, **more: object
) -> None:
    images = [{"bytes": f"bytes {i}".encode(), "path": f"{i}.jpg" if paths else None} for i in range(len(labels))]
    table = pa.table({"image": pa.array(images, IMAGE_TYPE), "label": labels, **more})
    if names:
        features = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, path, row_group_size=4)


def define(folder: Path, classes: str = '["a", "b"]', extra: str = "") -> Path:
    toml = folder / "set.toml"
    toml.write_text(
        f'{f"classes = {classes}" if classes else ""}\n[train]\nformat = "parquet"\npath = "*.parquet"\n{extra}'
    )
    return toml


def test_parquet_files_are_read_in_any_order(tmp_path: Path) -> None:
    write_parquet(tmp_path / "0.parquet", pa.array([0, 1, 1, 0, 1, 0, 1]))
    train = read_definition(define(tmp_path)).train()
    assert train.labels.tolist() == [0, 1, 1, 0, 1, 0, 1]
    assert list(train.load([6, 0, 5, 5])) == [b"bytes 6", b"bytes 0", b"bytes 5", b"bytes 5"]


def test_parquet_rows_without_paths_are_named_by_their_bytes(tmp_path: Path) -> None:
    from noisyweb.manifest import image_id

    write_parquet(tmp_path / "0.parquet", pa.array([0, 1, 1]), paths=False)
    assert read_definition(define(tmp_path)).train().names == [image_id(f"bytes {i}".encode()) for i in range(3)]


def test_parquet_labels_may_be_names_and_classes_may_come_from_the_schema(tmp_path: Path) -> None:
    write_parquet(tmp_path / "0.parquet", pa.array(["b", "a", "b"]))
    assert read_definition(define(tmp_path)).train().labels.tolist() == [1, 0, 1]
    write_parquet(tmp_path / "0.parquet", pa.array([1, 0]), names=["x", "y"])
    assert list(read_definition(define(tmp_path, classes="")).class_names) == ["x", "y"]


def test_human_labels(tmp_path: Path) -> None:
    write_parquet(tmp_path / "0.parquet", pa.array([0, 1]), h1=pa.array([1, 1]), h2=pa.array([0, None], pa.int8()))
    train = read_definition(define(tmp_path, extra='human_labels = ["h1", "h2"]')).train()
    assert train.human_labels is not None
    assert train.human_labels.tolist() == [[1, 0], [1, -1]]


@pytest.mark.parametrize(
    ("labels", "names", "extra", "words"),
    [
        (pa.array([0, 2]), None, "", r"row 1: label 2 is outside 0\.\.1, the 2 classes declared; 1 rows are"),
        (pa.array([0, -1]), None, "", r"label -1 is outside"),
        (pa.array([0, None]), None, "", r"1 empty labels"),
        (pa.array(["a", "z"]), None, "", r"holds 'z', which is no class"),
        (pa.array([0.5, 1.0]), None, "", r"is double; expected class indices or names"),
        (pa.array([0, 1]), ["a", "c"], "", r"class names differ from the definition's: class 1 is 'c', expected 'b'"),
        (pa.array([0, 1]), None, 'label = "y"', r"no column 'y'; found image, label"),
        (pa.array([0, 1]), None, 'human_labels = ["h"]', r"no column 'h'"),
    ],
)
def test_parquet_that_does_not_fit(
    tmp_path: Path, labels: pa.Array, names: list[str] | None, extra: str, words: str
) -> None:
    write_parquet(tmp_path / "0.parquet", labels, names)
    with pytest.raises(SourceError, match=words):
        read_definition(define(tmp_path, extra=extra)).train()


def test_damaged_parquet_is_called_damaged(tmp_path: Path) -> None:
    write_parquet(tmp_path / "0.parquet", pa.array([0, 1]))
    whole = (tmp_path / "0.parquet").read_bytes()
    for damaged in (whole[:-20], b"", b"PAR1" + whole[10:]):
        (tmp_path / "0.parquet").write_bytes(damaged)
        with pytest.raises(CorruptFileError, match=r"0\.parquet: damaged or not Parquet"):
            list(read_definition(define(tmp_path)).train().load([0]))


# -- Stanford Cars devkit -----------------------------------------------------------------------------------


def write_devkit(folder: Path) -> Path:
    from scipy.io import savemat

    folder.mkdir()
    savemat(folder / "cars_meta.mat", {"class_names": np.array(["Fast Car 2012", "Slow Car 1999"], dtype=object)})
    rows = np.zeros(3, dtype=[("class", "O"), ("fname", "O")])
    for i, k in enumerate((2, 1, 2)):
        rows[i] = (k, f"{i + 1:05d}.jpg")
    savemat(folder / "cars_train_annos.mat", {"annotations": rows})
    return folder


def devkit_toml(folder: Path, extra: str = "") -> Path:
    toml = folder / "cars.toml"
    toml.write_text(f'[train]\nformat = "stanford-cars"\ndevkit = "devkit"\n{extra}')
    return toml


def test_devkit_with_and_without_images(tmp_path: Path) -> None:
    write_devkit(tmp_path / "devkit")
    train = read_definition(devkit_toml(tmp_path)).train()
    assert list(train.class_names) == ["Fast Car 2012", "Slow Car 1999"]
    assert train.labels.tolist() == [1, 0, 1]
    assert list(train.load([0])) == [None]
    (tmp_path / "images" / "cars_train").mkdir(parents=True)
    (tmp_path / "images" / "cars_train" / "00002.jpg").write_bytes(b"an image")
    train = read_definition(devkit_toml(tmp_path, 'images = "images"')).train()
    assert list(train.load([1])) == [b"an image"]
    with pytest.raises(SourceError, match=r"00001\.jpg: cannot be read"):
        list(train.load([0]))


def test_a_devkit_that_is_not_there_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cars_meta\.mat does not exist; mend 'devkit'"):
        read_definition(devkit_toml(tmp_path)).train()
    devkit = write_devkit(tmp_path / "devkit")
    with pytest.raises(SourceError, match=r"image folder .* does not exist"):
        read_definition(devkit_toml(tmp_path, 'images = "nowhere"')).train()
    for damage in (b"", b"not a mat file at all" * 20, (devkit / "cars_train_annos.mat").read_bytes()[:200]):
        (devkit / "cars_train_annos.mat").write_bytes(damage)
        with pytest.raises(CorruptFileError, match="not a devkit file"):
            read_definition(devkit_toml(tmp_path)).train()
