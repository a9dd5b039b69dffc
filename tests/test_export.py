"""Exports, each loaded again by the tool that it is for: encoded images and labels are those of the manifest."""

from __future__ import annotations

import csv
import gc
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from noisyweb.export import Options, export_builds, open_builds
from noisyweb.exporters.webdataset import _Shards
from noisyweb.lock import LOCK_NAME
from noisyweb.manifest import LABEL_COLUMNS
from tests.export_builds import CLASSES, clean_row, rows_of, write_build, write_builds

FORMATS = ("cnwl", "croissant", "csv", "hf", "imagefolder", "pls", "webdataset")
BUILDS = {"red_0.4": "red_noise_nl_0.4", "red_0.025": "red_noise_nl_0.025", "blue_0.4": "blue_noise_nl_0.4"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_builds(tmp_path_factory.mktemp("builds") / "pets")


def export(place: Path, to: str, target: Path, options: Options | None = None) -> list[str]:
    target.mkdir(parents=True)
    return export_builds(open_builds(place), to, target, options)


@pytest.fixture(scope="module")
def exported(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All builds in every format."""
    place = tmp_path_factory.mktemp("exported")
    for to in FORMATS:
        export(root, to, place / to, Options(shard_bytes=20_480))
    return {to: place / to for to in FORMATS}


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("to", FORMATS)
def test_the_same_builds_give_the_same_bytes_wherever_they_lie(to: str, root: Path, tmp_path: Path) -> None:
    import shutil

    moved = Path(shutil.copytree(root, tmp_path / "elsewhere" / "pets"))
    told = [export(place, to, tmp_path / name) for place, name in ((root, "once"), (moved, "again"))]
    once = files_of(tmp_path / "once")
    assert once == files_of(tmp_path / "again")
    assert told[0] == told[1]
    assert not any(str(tmp_path).encode() in data for data in once.values())
    assert {"README.md", "ATTRIBUTION.md"} <= set(once)
    assert b"by 3, by-sa 3. Credits: ATTRIBUTION.md" in once["README.md"]
    assert b"https://example.org/5\n" in once["ATTRIBUTION.md"]


def test_hugging_face(exported: dict[str, Path], root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    for config, folder in {"red_40": "red_0.4", "red_2_5": "red_0.025", "blue_40": "blue_0.4"}.items():
        loaded = datasets.load_dataset(str(exported["hf"]), config, cache_dir=str(tmp_path))
        assert set(loaded) == {"train", "validation"}
        for split, build in (("train", BUILDS[folder]), ("validation", "clean_validation")):
            expected = rows_of(root / build)
            assert loaded[split].features["label"].names == list(CLASSES)
            raw = loaded[split].cast_column("image", datasets.Image(decode=False))
            assert [row["image"]["bytes"] for row in raw] == [row["bytes"] for row in expected]
            for column in LABEL_COLUMNS:
                assert list(raw[column]) == [row[column] for row in expected]
        assert isinstance(loaded["train"][0]["image"], Image.Image)
    assert datasets.get_dataset_config_names(str(exported["hf"])) == ["blue_40", "red_2_5", "red_40"]


def test_a_hugging_face_folder_can_be_verified(exported: dict[str, Path]) -> None:
    from noisyweb.lock import locked_folders, read_lock

    folders = locked_folders(exported["hf"])
    assert [folder.name for folder in folders] == ["blue_40", "clean_validation", "red_2_5", "red_40"]
    for folder in folders:
        for name, file in read_lock(folder)["files"].items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == file["sha256"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib and pandas, through mlcroissant
@pytest.mark.parametrize("to", ["hf", "croissant"])
def test_croissant(to: str, exported: dict[str, Path], root: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    path = exported[to] / "croissant.json"
    described = json.loads(path.read_text())
    loaded = mlcroissant.Dataset(path)
    assert loaded.metadata.conforms_to[0] == "http://mlcommons.org/croissant/1.1"
    assert list(loaded.records("classes")) == [
        {"classes/label": label, "classes/name": name} for label, name in enumerate(CLASSES)
    ]
    names = {"red_40": "red_0.4", "red_2_5": "red_0.025", "blue_40": "blue_0.4"}
    sets = {name: BUILDS[short] for name, short in names.items()} if to == "hf" else {f: f for f in BUILDS.values()}
    sets["clean_validation"] = "clean_validation"
    assert {found["@id"] for found in described["recordSet"]} == {"classes", *sets}
    for record_set, folder in sets.items():
        records = list(loaded.records(record_set))
        expected = rows_of(root / folder)
        assert len(records) == len(expected) >= 5
        for record, row in zip(records, expected, strict=True):
            for column in LABEL_COLUMNS:
                value = record[f"{record_set}/{column}"]
                assert (value.decode() if isinstance(value, bytes) else value) == row[column], column
            shown = Image.open(io.BytesIO(row["bytes"]))
            assert record[f"{record_set}/image"].tobytes() == shown.tobytes()
    objects = [file for file in described["distribution"] if file["@type"] == "cr:FileObject"]
    assert len(objects) == len(list(exported[to].rglob("*.parquet"))) > 4  # several shards each
    for file in objects:
        data = (exported[to] / file["contentUrl"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(data).hexdigest()
        assert file["contentSize"] == f"{len(data)} B"
    assert described["license"] == [f"https://creativecommons.org/licenses/{name}/2.0/" for name in ("by-sa", "by")]
    assert "Jiang" in described["citeAs"]
    assert described["rai:annotationsPerItem"] == "3 to 4"
    assert "kind red, level 0.4, seed 7: 6 of 14 (web 6)" in described["rai:dataManipulationProtocol"]


def test_mlcroissant_validates(exported: dict[str, Path]) -> None:
    import subprocess
    import sys

    pytest.importorskip("mlcroissant")
    program = Path(sys.executable).parent / "mlcroissant"
    path = exported["croissant"] / "croissant.json"
    done = subprocess.run([program, "validate", "--jsonld", path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower()
    found = [line for line in done.stderr.splitlines() if line.strip().startswith("-")]
    assert [line.split('"')[1].rpartition("/")[2] for line in found] == ["datePublished", "version"]


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_webdataset(exported: dict[str, Path], root: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    target = exported["webdataset"]
    for config, split, build in (
        ("red_40", "train", "red_noise_nl_0.4"),
        ("red_2_5", "train", "red_noise_nl_0.025"),
        ("blue_40", "train", "blue_noise_nl_0.4"),
        ("clean_validation", "validation", "clean_validation"),
    ):
        sizes = json.loads((target / config / "sizes.json").read_text())
        shards = sorted((target / config).glob("*.tar"))
        assert [shard.name for shard in shards] == [f"{split}-{i:06d}.tar" for i in range(len(shards))] == list(sizes)
        samples = list(webdataset.WebDataset([str(shard) for shard in shards], shardshuffle=False))
        expected = rows_of(root / build)
        assert len(samples) == len(expected) == sum(sizes.values())
        keys = [sample["__key__"] for sample in samples]
        assert keys == sorted(keys)
        assert not any(set("./\\") & set(key) for key in keys)
        for sample, row in zip(samples, expected, strict=True):
            suffix = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}[str(Image.open(io.BytesIO(row["bytes"])).format)]
            assert sample[suffix] == row.pop("bytes")
            assert int(sample["cls"]) == row["label"]
            assert json.loads(sample["json"]) == row
    assert len(list((target / "red_40").glob("*.tar"))) > 1
    decoded = next(iter(webdataset.WebDataset(str(shards[0]), shardshuffle=False).decode("pil").to_tuple("jpg", "cls")))
    assert decoded[0].size == (12, 9)
    assert isinstance(decoded[1], int)
    assert (target / "classes.txt").read_text().splitlines() == list(CLASSES)
    gc.collect()  # webdataset leaves shards open


@given(
    sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=30),
    shard_bytes=st.sampled_from([1, 10_240, 12_288, 20_480, 10**6]),
)
def test_shards_hold_what_they_may(
    sizes: list[int], shard_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    with _Shards(folder, "train", shard_bytes) as shards:
        for number, size in enumerate(sizes):
            shards.add([(f"{number:04d}.jpg", bytes(size)), (f"{number:04d}.cls", b"1")])
    found = []
    for path in sorted(folder.iterdir()):
        with tarfile.open(path) as tar:
            names = tar.getnames()
            assert {(entry.mtime, entry.uid, entry.gid, entry.mode) for entry in tar} == {(0, 0, 0, 0o644)}
        assert shards.sizes[path.name] == len(names) // 2 > 0
        assert path.stat().st_size <= shard_bytes or len(names) == 2
        found += names
    assert found == [f"{number:04d}.{suffix}" for number in range(len(sizes)) for suffix in ("jpg", "cls")]


def find_image_folder() -> Any:
    """torchvision's ImageFolder, also where its operators were built for another torch: it needs none of them."""
    torch = pytest.importorskip("torch")
    try:
        from torchvision.datasets import ImageFolder
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        from torchvision.datasets import ImageFolder
    return ImageFolder


def test_image_folder_with_torchvision(exported: dict[str, Path], root: Path) -> None:
    image_folder = find_image_folder()
    places = [(f"{folder}/train", folder) for folder in BUILDS.values()]
    for place, build in [*places, ("validation", "clean_validation")]:
        folder = exported["imagefolder"] / place
        with pytest.raises(FileNotFoundError, match="3_none_of_these"):
            image_folder(folder)
        loaded = image_folder(folder, allow_empty=True)
        assert loaded.classes == ["0_ant", "1_bee_wasp", "2_.._cat_s_", "3_none_of_these"]
        by_row = sorted(loaded.samples, key=lambda sample: Path(sample[0]).name)
        expected = rows_of(root / build)
        assert [label for _, label in by_row] == [row["label"] for row in expected]
        assert [Path(path).read_bytes() for path, _ in by_row] == [row["bytes"] for row in expected]


def test_image_folder_tells_of_empty_classes_and_gifs(root: Path, tmp_path: Path) -> None:
    told = export(root / "red_noise_nl_0.4", "imagefolder", tmp_path / "one")
    assert told[0].startswith("red_noise_nl_0.4: 1 of 4 classes have no image; open it with ImageFolder(..., allow_e")
    assert {path.name for path in (tmp_path / "one").iterdir()} == {
        "train",
        "validation",
        "README.md",
        "ATTRIBUTION.md",
    }
    write_build(tmp_path / "b", [clean_row(n, "GIF") for n in range(3)], "red", class_names=["a", "b", "c"])
    told = export(tmp_path / "b", "imagefolder", tmp_path / "gif")
    assert told == [
        "red_noise_nl_0.4: 3 images are GIF, which ImageFolder passes over unless it is given is_valid_file=..."
    ]
    assert len(list((tmp_path / "gif").rglob("*.gif"))) == 3


def test_image_folder_with_datasets(root: Path, tmp_path: Path) -> None:
    import datasets

    export(root / "blue_noise_nl_0.4", "imagefolder", tmp_path / "folder")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "folder"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 14, "validation": 5}
    assert loaded["train"].features["label"].names == [
        "0_ant",
        "1_bee_wasp",
        "2_.._cat_s_",
    ]  # it passes over empty ones


@pytest.mark.parametrize("build", [*BUILDS.values(), "clean_validation"])
def test_labels_with_pandas_duckdb_and_numpy(build: str, exported: dict[str, Path], root: Path) -> None:
    import pandas as pd

    folder = exported["csv"] / build
    expected = rows_of(root / build)
    frame = pd.read_csv(folder / "labels.csv", keep_default_na=False, na_values=[""], quotechar='"')
    assert list(frame.columns) == LABEL_COLUMNS
    assert frame["image_id"].tolist() == [row["image_id"] for row in expected]
    assert frame["label"].tolist() == [row["label"] for row in expected]
    assert frame["is_clean"].tolist() == [row["is_clean"] for row in expected]
    arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("given_labels", "true_labels")}
    for array, column in zip(arrays.values(), ("label", "true_label"), strict=True):
        assert array.dtype == np.int64
        assert array.tolist() == [-1 if row[column] is None else row[column] for row in expected]
    is_clean = np.load(folder / "is_clean.npy", allow_pickle=False)
    assert is_clean.dtype == np.bool_
    assert is_clean.tolist() == [row["is_clean"] for row in expected]
    duckdb = pytest.importorskip("duckdb")
    query = f"select label, true_label, is_clean from read_csv('{folder}/labels.csv')"
    assert duckdb.sql(query).fetchall() == [(row["label"], row["true_label"], row["is_clean"]) for row in expected]
    parquet = f"select image.bytes, label from read_parquet('{exported['hf']}/red_40/*.parquet')"
    red = rows_of(root / BUILDS["red_0.4"])
    assert duckdb.sql(parquet).fetchall() == [(row["bytes"], row["label"]) for row in red]


def test_labels_with_cleanlab(exported: dict[str, Path]) -> None:
    """What cleanlab finds wrong with a model that knows the right labels is what is wrong."""
    filters = pytest.importorskip("cleanlab.filter")
    folder = exported["csv"] / "blue_noise_nl_0.4"
    given, true = (np.load(folder / f"{name}_labels.npy", allow_pickle=False) for name in ("given", "true"))
    probabilities = np.full((len(true), 3), 0.05)
    probabilities[np.arange(len(true)), true] = 0.9
    found = filters.find_label_issues(given, probabilities, filter_by="predicted_neq_given", n_jobs=1)
    assert found.tolist() == (~np.load(folder / "is_clean.npy")).tolist()


def test_a_spreadsheet_runs_nothing(exported: dict[str, Path]) -> None:
    with (exported["csv"] / "red_noise_nl_0.4/labels.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert {row["creator"] for row in rows} == {"'=HYPERLINK(1)", 'Ann, "B"\nCé', ""}
    assert {row["attribution"] for row in rows} == {"'@somebody | <b>", ""}
    assert not any(value[:1] in set("=+-@\t\r\n") for row in rows for value in row.values() if value)


def test_the_folder_that_one_stands_in(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "red_noise_nl_0.4")
    export(Path(), "hf", tmp_path / "one")
    export(Path(".."), "hf", tmp_path / "all")
    assert (tmp_path / "one/red_40/train-00000-of-00004.parquet").exists()
    assert sorted(path.name for path in (tmp_path / "all").glob("*_*")) == [
        *("blue_40", "clean_validation", "red_2_5", "red_40")
    ]


def test_one_manifest_takes_the_validation_set_beside_it_along(root: Path, tmp_path: Path) -> None:
    places: dict[str, tuple[str, ...]] = {
        "cnwl": ("pets/split/red_noise_nl_0.4", "pets/split/clean_validation"),
        "croissant": (f"red_noise_nl_0.4/{LOCK_NAME}", f"clean_validation/{LOCK_NAME}"),
        "csv": ("labels.csv", "clean_validation/labels.csv"),
        "hf": (f"red_40/{LOCK_NAME}", f"clean_validation/{LOCK_NAME}"),
        "imagefolder": ("train/0_ant", "validation/0_ant"),
        "pls": ("training/red_noise_nl_0.4/0", "validation/0"),
        "webdataset": ("train-000000.tar", "validation-000000.tar"),
    }
    assert set(places) == set(FORMATS)
    for to, found in places.items():
        export(root / "red_noise_nl_0.4", to, tmp_path / to)
        assert all((tmp_path / to / place).exists() for place in found), to
    sizes: Any = json.loads((tmp_path / "webdataset/sizes.json").read_text())
    assert sizes == {"train-000000.tar": 14, "validation-000000.tar": 5}
    export(root / "clean_validation", "csv", tmp_path / "alone")
    assert len((tmp_path / "alone/labels.csv").read_text().splitlines()) == 6
