"""A few classes of the drawn cars as a data set of one's own: Parquet files and a definition."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.dataset import load_dataset
from noisyweb.schemas import IMAGE_TYPE


def write_subset(folder: Path, class_names: Sequence[str], name: str, workspace: str) -> Path:
    """Draw the clean images of some classes and describe them; the pool is a workspace.

    Args:
        folder: an existing folder; ``train.parquet``, ``validation.parquet`` and ``<name>.toml`` go there.
        class_names: classes of the drawn vocabulary; labels are indices into this list.
        name: of the data set.
        workspace: path of the workspace from ``folder``.

    Returns:
        The path of the definition.
    """
    drawn = load_dataset("cars")
    wanted = {list(drawn.class_names).index(name): label for label, name in enumerate(class_names)}
    for split, images in (("train", drawn.train()), ("validation", drawn.validation())):
        assert images is not None, "the drawn cars have both splits"
        rows = [row for row in range(len(images)) if int(images.labels[row]) in wanted]
        encoded = [
            {"bytes": data, "path": images.paths[row]} for row, data in zip(rows, images.load(rows), strict=True)
        ]
        labels = np.array([wanted[int(images.labels[row])] for row in rows], np.int64)
        table = pa.table({"image": pa.array(encoded, IMAGE_TYPE), "label": labels})
        pq.write_table(table, folder / f"{split}.parquet")
    classes = "".join(f"{line}\n" for line in class_names)
    (folder / "classes.txt").write_text(classes, encoding="utf-8")
    definition = folder / f"{name}.toml"
    definition.write_text(
        f"""name = "{name}"
title = "{len(class_names)} classes of the drawn cars"
edition = "drawn"
classes = "classes.txt"

[train]
format = "parquet"
path = "train.parquet"

[validation]
format = "parquet"
path = "validation.parquet"

[pool]
format = "workspace"
workspace = "{workspace}"
""",
        encoding="utf-8",
    )
    return definition
