"""Manifests as torch data sets, as Hugging Face data sets and as pandas frames."""

from __future__ import annotations

import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from noisyweb.build import Recipe, build
from noisyweb.data import NoisyImages, validation_folder
from noisyweb.dataset import load_dataset
from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.manifest import image_id, open_manifest
from tests.conftest import CLASSES, make_tiny_set
from tests.test_build import build_tiny

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data")
    sizes = (300, 280, 310)  # more than one row group
    build_tiny(make_tiny_set(place / "set", sizes, pool=310), place / "out", leak_check=False)  # painted much alike
    return place / "out/tiny/red_noise_nl_0.4"


def test_items_are_the_rows(folder: Path) -> None:
    data = NoisyImages(folder)
    assert isinstance(data, torch.utils.data.Dataset)
    manifest = open_manifest(folder)
    assert len(data) == 890 == len(data.ids)
    assert tuple(data.class_names) == CLASSES
    assert data.info == {
        "dataset": "tiny", "title": "Tiny test set", "edition": "own", "split": "train", "kind": "red", "level": 0.4,
        "seed": 0,
    }  # fmt: skip
    assert (~data.is_clean).sum() == 356
    order = np.random.default_rng(0).permutation(len(data))
    pixels = {i: data.encoded(int(i)) for i in order}
    for i, (encoded, _) in enumerate(manifest.images()):
        image, label = data[i]
        assert encoded is not None
        held = pixels[i]
        assert held is not None
        assert bytes(held) == encoded
        assert image_id(encoded) == data.ids[i]
        assert label == manifest.rows["label"][i].as_py()
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")))
    assert data[-1][1] == data[len(data) - 1][1]
    with pytest.raises(IndexError):
        data[len(data)]


def test_true_labels_are_unknown_for_web_images(folder: Path) -> None:
    data = NoisyImages(folder)
    assert (data.true_labels[data.is_clean] == data.labels[data.is_clean]).all()
    assert (data.true_labels[~data.is_clean] == -1).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_gives_every_row_once(folder: Path, workers: int) -> None:
    data = NoisyImages(folder, transform=lambda image: torch.tensor(image.size))
    data.encoded(3)  # forked workers inherit files that are open already
    loader = torch.utils.data.DataLoader(data, batch_size=64, num_workers=workers, shuffle=True)
    labels = torch.cat([labels for _, labels in loader])
    assert torch.bincount(labels).tolist() == [300, 280, 310]


@pytest.mark.parametrize("cache_bytes", [1, 2_000_000_000])
def test_threads_may_share_it(folder: Path, cache_bytes: int) -> None:
    """An open Parquet file that two threads read at once never answers."""
    expected = [image_id(data or b"") for data, _ in open_manifest(folder).images()]
    rows = np.random.default_rng(0).permutation(890).tolist()
    for _ in range(5):
        data = NoisyImages(folder, cache_bytes=cache_bytes)
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda row, data=data: image_id(bytes(data.encoded(row) or b"")), rows))
        assert found == [expected[row] for row in rows]


def test_a_small_cache_changes_nothing_but_speed(folder: Path) -> None:
    whole, small = NoisyImages(folder), NoisyImages(folder, cache_bytes=1)
    for i in (0, 889, 1, 600, 400, 0):
        assert bytes(whole.encoded(i) or b"") == bytes(small.encoded(i) or b"x")
    assert small._images._held < whole._images._held


def test_a_copy_sent_to_a_worker_holds_no_pixels(folder: Path) -> None:
    data = NoisyImages(folder)
    size = len(pickle.dumps(data))
    for i in range(len(data)):
        data.encoded(i)
    assert len(pickle.dumps(data)) == size


def test_the_validation_set_beside_it(folder: Path) -> None:
    beside = validation_folder(folder)
    assert beside is not None
    assert len(NoisyImages(beside)) == 12
    assert validation_folder(folder.parent.parent) is None


def test_rows_with_a_path_only(tmp_path: Path) -> None:
    from tests.conftest import paint
    from tests.test_dataset import devkit_toml, write_devkit

    write_devkit(tmp_path / "devkit")
    (built,) = build(load_dataset(str(devkit_toml(tmp_path))), Recipe.of("blue", [Decimal(0)]), out=tmp_path / "out")
    with pytest.raises(SourceError, match=r"row 0 carries only the path 'cars_train/00001.jpg'; give root="):
        NoisyImages(built.folder)[0]
    for n in range(3):
        paint(tmp_path / f"images/cars_train/0000{n + 1}.jpg", n, 90)
    data = NoisyImages(built.folder, root=tmp_path / "images")
    assert [data[i][0].size for i in range(3)] == [(40, 30)] * 3


def test_bytes_that_are_no_image(tmp_path: Path) -> None:
    tiny = make_tiny_set(tmp_path / "set")
    (tiny.toml.parent / "train/ant/000.jpg").write_bytes(b"\xff\xd8\xff and no JPEG")
    _, built = build_tiny(tiny, tmp_path / "out", "blue", "0")
    with pytest.raises(CorruptFileError, match=r"row 0 .* is no image"):
        NoisyImages(built.folder)[0]


def test_a_folder_that_is_no_manifest(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        NoisyImages(tmp_path / "none")
    with pytest.raises(SourceError, match=r"holds no manifest .*; did you mean .*clean_validation"):
        NoisyImages(folder.parent)


@pytest.mark.filterwarnings("ignore")
def test_hugging_face_sees_images_and_class_labels(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path))
    assert isinstance(loaded.features["label"], datasets.ClassLabel)
    assert loaded.features["label"].names == list(CLASSES)
    assert isinstance(loaded.features["image"], datasets.Image)
    data = NoisyImages(folder)
    assert loaded["image_id"][:] == data.ids
    assert loaded[5]["image"].size == (40, 30)
    assert loaded[5]["label"] == data.labels[5]
    assert loaded.features["true_label"].names == list(CLASSES)
    validation = datasets.load_dataset(str(folder.parent / "clean_validation"), cache_dir=str(tmp_path))
    assert list(validation) == ["validation"]
    both = datasets.load_dataset(str(folder.parent), "red_noise_nl_0.4", cache_dir=str(tmp_path))
    assert {name: len(split) for name, split in both.items()} == {"train": 890, "validation": 12}


def test_pandas_reads_it(folder: Path) -> None:
    frame = pd.read_parquet(folder)
    assert len(frame) == 890
    assert frame.is_clean.mean() == pytest.approx(0.6)
    assert frame[~frame.is_clean].true_label.isna().all()
