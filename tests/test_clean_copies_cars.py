"""Stanford Cars as people have it: folders, class folders, tars, Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.io import savemat

from noisyweb.clean_copies import open_copy
from noisyweb.clean_copies.matlab import car_labels
from noisyweb.dataset import read_definition
from noisyweb.drawn.vocabulary import cars
from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.schemas import IMAGE_TYPE
from tests.clean_fakes import tar_of

LABELS = {"train": [13, 2, 90], "validation": [180, 102]}
"""Of images 1, 2, ... of each split."""

FOLDERS = {"train": "cars_train", "validation": "cars_test"}
ANNOTATIONS = {"train": "cars_train_annos.mat", "validation": "cars_test_annos_withlabels.mat"}


def content(split: str, number: int) -> bytes:
    return f"{split} {number}".encode()


def write_annotations(path: Path, labels: Sequence[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.zeros(len(labels), dtype=[("class", "O"), ("fname", "O")])
    for i, label in enumerate(labels):
        rows[i] = (label + 1, f"{i + 1:05d}.jpg")
    savemat(path, {"annotations": rows})


def write_images(root: Path, place: Callable[[str, int, int], str]) -> None:
    for split, labels in LABELS.items():
        for number, label in enumerate(labels, start=1):
            file = root / place(split, number, label)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content(split, number))


def torchvision(root: Path) -> None:
    write_images(root, lambda split, number, label: f"stanford_cars/{FOLDERS[split]}/{number:05d}.jpg")
    write_annotations(root / "stanford_cars/devkit/cars_train_annos.mat", LABELS["train"])
    write_annotations(root / "stanford_cars/cars_test_annos_withlabels.mat", LABELS["validation"])


def bare_devkit(root: Path) -> None:
    write_images(root, lambda split, number, label: f"{FOLDERS[split]}/{number:05d}.jpg")
    for split, labels in LABELS.items():
        write_annotations(root / "devkit" / ANNOTATIONS[split], labels)


def nested(root: Path) -> None:
    write_images(root, lambda split, number, label: f"{FOLDERS[split]}/{FOLDERS[split]}/{number:05d}.jpg")
    for split, labels in LABELS.items():
        write_annotations(root / "car_devkit" / "devkit" / ANNOTATIONS[split], labels)


def class_folder(label: int) -> str:
    return cars().class_names[label].replace("/", "-")


def class_folders(root: Path) -> None:
    tops = {"train": "train", "validation": "test"}
    write_images(
        root, lambda split, number, label: f"car_data/car_data/{tops[split]}/{class_folder(label)}/{number:05d}.jpg"
    )


def tars(root: Path) -> None:
    for split, folder in FOLDERS.items():
        files = [(f"{folder}/{n:05d}.jpg", content(split, n)) for n in range(1, len(LABELS[split]) + 1)]
        (root / f"{folder}.tar").write_bytes(tar_of(files[::-1]))
        write_annotations(root / "devkit" / ANNOTATIONS[split], LABELS[split])


def parquet(root: Path, names: str | None = "{:05d}.jpg", order: Sequence[int] = (2, 1, 3)) -> None:
    """As the Hub has it: shards of a split, rows in an order of their own."""
    tops = {"train": "train", "validation": "test"}
    (root / "data").mkdir(parents=True)
    features = {"info": {"features": {"label": {"names": list(cars().class_names), "_type": "ClassLabel"}}}}
    for split, labels in LABELS.items():
        rows = [n for n in order if n <= len(labels)]
        for shard in range(2):
            some = rows[shard::2] if names else (rows[:2] if shard == 0 else rows[2:])
            images = [{"bytes": content(split, n), "path": names.format(n) if names else None} for n in some]
            table = pa.table(
                {"image": pa.array(images, IMAGE_TYPE), "label": pa.array([labels[n - 1] for n in some], "int64")}
            )
            file = root / "data" / f"{tops[split]}-{shard:05d}-of-00002.parquet"
            pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(features)}), file)


def parquet_without_names(root: Path) -> None:
    parquet(root, names=None, order=(1, 2, 3))
    for split, labels in LABELS.items():
        write_annotations(root / "devkit" / ANNOTATIONS[split], labels)


@pytest.mark.parametrize(
    ("write", "layout"),
    [
        (torchvision, "folders"),
        (bare_devkit, "folders"),
        (nested, "folders"),
        (class_folders, "class folders"),
        (tars, "tars"),
        (parquet, "Parquet files"),
        (parquet_without_names, "Parquet files"),
    ],
)
def test_ids_count_from_one_in_both_splits(tmp_path: Path, write: Callable[[Path], None], layout: str) -> None:
    write(tmp_path)
    copy = open_copy("cars", tmp_path)
    assert copy.layout == layout
    for split, labels in LABELS.items():
        ids = [f"{number:05d}.jpg" for number in range(len(labels), 0, -1)]
        assert copy.missing([*ids, "00009.jpg", "5922767e5677aef4.jpg", "000001.jpg", "00000.jpg"], split) == [
            *("00009.jpg", "5922767e5677aef4.jpg", "000001.jpg", "00000.jpg")
        ]
        assert list(copy.load(ids, split)) == [content(split, int(each[:5])) for each in ids]
        assert [copy.class_of(each, split) for each in ids] == labels[::-1]
        assert copy.missing(["00001", f"{FOLDERS[split]}/00001.JPEG"], split) == []
    assert copy.class_of("00009.jpg", "train") is None
    with pytest.raises(SourceError, match=rf"cars: train image '00009\.jpg' is not among the {layout}; put it there"):
        list(copy.load(["00009.jpg"], "train"))


def test_the_folder_of_one_split_may_be_named_itself(tmp_path: Path) -> None:
    bare_devkit(tmp_path)
    copy = open_copy("cars", tmp_path / "cars_test")
    assert copy.missing(["00001.jpg"], "validation") == []
    assert copy.missing(["00001.jpg"], "train") == ["00001.jpg"]
    assert copy.class_of("00001.jpg", "validation") is None, "there are no annotations in it"
    tars(tmp_path)
    assert open_copy("cars", tmp_path / "cars_train.tar").missing(["00002.jpg"], "train") == []


def test_parquet_files_that_do_not_tell_which_row_is_which(tmp_path: Path) -> None:
    parquet(tmp_path / "a", names=None)
    with pytest.raises(SourceError, match=r"nothing tells which train image is which.*put the devkit beside the files"):
        open_copy("cars", tmp_path / "a")
    for split, labels in LABELS.items():
        write_annotations(tmp_path / "a" / "devkit" / ANNOTATIONS[split], labels)
    with pytest.raises(SourceError, match=r"and the labels do not follow the devkit's order"):
        open_copy("cars", tmp_path / "a")
    parquet(tmp_path / "b", names="{:06d}.jpg", order=(1, 2, 3))
    with pytest.raises(SourceError, match=r"the first is called '000001\.jpg', not '00001\.jpg'"):
        open_copy("cars", tmp_path / "b")


def test_archives_that_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "cars_train.tgz").write_bytes(b"")
    with pytest.raises(
        SourceError, match=r"unzip cars_train\.tgz first \(gunzip\), it need not be unpacked; looked for"
    ):
        open_copy("cars", tmp_path)
    (tmp_path / "cars_train.tgz").rename(tmp_path / "car_ims.tgz")
    with pytest.raises(SourceError, match=r"car_ims\.tgz numbers the images in another order, so get cars_train\.tgz"):
        open_copy("cars", tmp_path)


def test_what_is_there_twice(tmp_path: Path) -> None:
    bare_devkit(tmp_path)
    nested(tmp_path)
    assert open_copy("cars", tmp_path).layout == "folders", "copies of the same size are taken for the same"
    (tmp_path / "cars_train" / "cars_train" / "00002.jpg").write_bytes(b"another car")
    with pytest.raises(SourceError, match=r"00002\.jpg is there twice, and differs"):
        open_copy("cars", tmp_path)


def test_annotations_without_classes(tmp_path: Path) -> None:
    bare_devkit(tmp_path)
    savemat(tmp_path / "devkit" / "cars_train_annos.mat", {"annotations": np.zeros(2, dtype=[("fname", "O")])})
    with pytest.raises(CorruptFileError, match=r"cars_train_annos\.mat: not the devkit's annotations"):
        open_copy("cars", tmp_path)


@pytest.mark.parametrize("write", [nested, class_folders, tars, parquet])
def test_a_definition_takes_images_in_any_layout(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "images") if write is parquet else [(tmp_path / "images").mkdir(), write(tmp_path / "images")]
    devkit = tmp_path / "kit"
    for split, labels in LABELS.items():
        write_annotations(devkit / ANNOTATIONS[split], labels)
    savemat(devkit / "cars_meta.mat", {"class_names": np.array(cars().class_names, dtype=object)})
    toml = tmp_path / "cars.toml"
    toml.write_text(
        "".join(f'[{role}]\nformat = "stanford-cars"\ndevkit = "kit"\nimages = "images"\n' for role in LABELS)
    )
    dataset = read_definition(toml)
    for split, images in (("train", dataset.train()), ("validation", dataset.validation())):
        assert images is not None
        assert images.labels.tolist() == LABELS[split]
        assert images.names[0] == f"{FOLDERS[split]}/00001.jpg"
        assert list(images.load([1, 0])) == [content(split, 2), content(split, 1)]
    write_annotations(devkit / ANNOTATIONS["train"], [*LABELS["train"], 5])
    with pytest.raises(SourceError, match=r"1 of 4 images are not among the .*, the first being 00004\.jpg"):
        read_definition(toml).train()


@pytest.mark.shared
def test_the_real_devkit(shared_data: Path, tmp_path: Path) -> None:
    annotations = shared_data / "stanford_cars" / "devkit" / "cars_train_annos.mat"
    labels = car_labels(annotations)
    assert len(labels) == 8144
    (tmp_path / "devkit").symlink_to(annotations.parent)
    (tmp_path / "cars_train").mkdir()
    there = [*list(labels)[::40], "08144.jpg"]
    for name in there:
        (tmp_path / "cars_train" / name).write_bytes(name.encode())
    copy = open_copy("cars", tmp_path)
    assert copy.missing(list(labels), "train") == [name for name in labels if name not in there]
    assert [copy.class_of(name, "train") for name in labels] == list(labels.values())
    assert next(copy.load(["08144.jpg"], "train")) == b"08144.jpg"
    folders = [class_folder(k) for k in range(196)]
    (tmp_path / "car_data").mkdir()
    for number, folder in enumerate(folders, start=1):
        (tmp_path / "car_data" / "test" / folder).mkdir(parents=True)
        (tmp_path / "car_data" / "test" / folder / f"{number:05d}.jpg").write_bytes(b"x")
    copy = open_copy("cars", tmp_path / "car_data")
    assert [copy.class_of(f"{n:05d}", "validation") for n in range(1, 197)] == list(range(196)), "no two names alike"
