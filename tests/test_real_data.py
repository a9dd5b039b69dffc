"""The real Stanford Cars devkit, and CIFAR-10 photographs with three real human votes each."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from noisyweb.build import Recipe, build
from noisyweb.dataset import load_dataset, read_definition
from noisyweb.errors import ShortageError
from noisyweb.manifest import open_manifest
from noisyweb.verify import verify

CIFAR = """name = "cifar10n"
classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
[train]
format = "parquet"
path = "{folder}/train.parquet"
human_labels = ["human_1", "human_2", "human_3"]
[validation]
format = "parquet"
path = "{folder}/test.parquet"
"""


@pytest.mark.shared
def test_stanford_cars_devkit_blue(shared_data: Path, tmp_path: Path) -> None:
    toml = tmp_path / "real-cars.toml"
    toml.write_text(f'[train]\nformat = "stanford-cars"\ndevkit = "{shared_data}/stanford_cars/devkit"\n')
    (built,) = build(read_definition(toml), Recipe.of("blue", [Decimal("0.4")]), out=tmp_path / "out")
    assert (built.num_rows, built.num_wrong, built.with_bytes) == (8144, 3258, 0)
    verify(built.folder)
    drawn = load_dataset("cars")
    real = open_manifest(built.folder)
    assert real.class_names == list(drawn.class_names), "the bundled names are the real ones"
    true = real.rows["true_label"].to_numpy()
    assert np.bincount(true).tolist() == drawn.train().class_sizes().tolist(), "and so are the class sizes"


@pytest.mark.shared
def test_cifar10n_human(shared_data: Path, tmp_path: Path) -> None:
    toml = tmp_path / "cifar10n.toml"
    toml.write_text(CIFAR.format(folder=shared_data / "cifar10"))
    dataset = read_definition(toml)
    levels = [Decimal("0.1"), Decimal("0.2"), Decimal("0.25")]
    validation, *builds = build(dataset, Recipe.of("human", levels), out=tmp_path / "out")
    assert validation.num_rows == 10_000
    source = pq.read_table(shared_data / "cifar10/train.parquet")
    votes = np.stack([source[f"human_{i}"].to_numpy() for i in (1, 2, 3)], axis=1)
    truth = source["label"].to_numpy()
    for level, built in zip(levels, builds, strict=True):
        assert built.num_wrong == int(level * 50_000)
        rows = open_manifest(built.folder).rows
        label, clean = rows["label"].to_numpy(), rows["is_clean"].to_numpy()
        assert (rows["true_label"].to_numpy() == truth).all()
        assert (label[clean] == truth[clean]).all()
        assert ((votes == label[:, None]).any(1) & (label != truth))[~clean].all(), "annotators gave these labels"
        assert np.bincount(truth[~clean]).tolist() == [int(level * 5_000)] * 10
        assert (rows["votes_yes"].to_numpy() == (votes == label[:, None]).sum(1)).all()
    with pytest.raises(
        ShortageError, match=r"1 of 10 classes: 'horse' has 1392 and needs 1500; 108 are missing.* at most 0\.278"
    ):
        next(build(dataset, Recipe.of("human", [Decimal("0.3")]), out=tmp_path / "more"))
    assert not (tmp_path / "more").exists()


@pytest.mark.shared
def test_cifar10_images_stand_by_their_labels(shared_data: Path, tmp_path: Path) -> None:
    """Colour alone tells frogs from ships: images and labels have not slipped against each other."""
    toml = tmp_path / "cifar10n.toml"
    toml.write_text(CIFAR.format(folder=shared_data / "cifar10").split("[validation]")[0])
    (built,) = build(read_definition(toml), Recipe.of("human", [Decimal(0)]), out=tmp_path / "out")
    manifest = open_manifest(built.folder)
    labels = manifest.rows["label"].to_numpy()
    blue = []
    for number, (data, path) in enumerate(manifest.images()):
        assert path == f"{number:05d}.jpg"
        assert data is not None
        if number < 4000:
            red, _, of_blue = np.asarray(Image.open(io.BytesIO(data)), np.float32).mean((0, 1))
            blue.append(of_blue - red)
    shown = np.array(blue)
    assert shown[labels[:4000] == 8].mean() > shown[labels[:4000] == 6].mean() + 15
