"""CIFAR-10 photographs as manifests: symmetric noise, and the wrong labels that people gave (CIFAR-10N, "worst")."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.build import Recipe, build
from noisyweb.dataset import read_definition
from noisyweb.mixture import parse_mix

HUMAN = "human_worst"
DEFINITION = """name = "cifar10"
classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
[train]
format = "parquet"
path = "train.parquet"
human_labels = ["{human}"]
[validation]
format = "parquet"
path = "{test}"
"""


def manifests(data: Path, target: Path, noises: list[str], num_images: int) -> dict[str, Path]:
    """Build what is not there yet; folder by noise.

    Args:
        data: folder of CIFAR-10's ``train.parquet`` and ``test.parquet``, with CIFAR-10N's columns.
        target: where to build.
        noises: "human", or levels of symmetric noise such as "0.4".
        num_images: the first so many of the training images.
    """
    target.mkdir(parents=True, exist_ok=True)
    rows = pq.read_table(data / "train.parquet").slice(0, num_images)
    labels = np.asarray(rows["label"])
    if not (target / "train.parquet").exists():
        pq.write_table(rows, target / "train.parquet", row_group_size=2_000)
    definition = target / "cifar10.toml"
    definition.write_text(DEFINITION.format(human=HUMAN, test=(data / "test.parquet").resolve()))
    folders = {}
    for noise in noises:
        if noise == "human":
            level = Decimal(int((np.asarray(rows[HUMAN]) != labels).sum())) / num_images
            recipe = Recipe(parse_mix("human"), [level], balance="global")
        else:
            recipe = Recipe.of("blue", [Decimal(noise)])
        out = target / f"builds-{noise}"
        if not out.exists():
            list(build(read_definition(definition), recipe, out=out))
        (folders[noise],) = out.glob("cifar10/*_noise_nl_*")
    return folders


def human_level(data: Path, num_images: int) -> float:
    """Share of wrong labels among those that people gave."""
    table: pa.Table = pq.read_table(data / "train.parquet", columns=["label", HUMAN]).slice(0, num_images)
    return float((np.asarray(table[HUMAN]) != np.asarray(table["label"])).mean())
