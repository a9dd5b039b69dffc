"""``_noisyweb.inputs.csv.gz``: every row that a build drew from, with the SHA-256 of each image that went into it.

The lock file has a digest of them; this list says which row it is if one is missing.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from noisyweb.errors import CorruptFileError
from noisyweb.imageset import ImageSet

INPUTS_NAME = "_noisyweb.inputs.csv.gz"
_COLUMNS = ("role", "name", "label", "image_id")


@dataclass(frozen=True)
class InputRow:
    """One row of one input; ``image_id`` is empty where the build did not need its image, or it has no bytes."""

    label: int
    image_id: str


def write_inputs(folder: Path, sets: Mapping[str, ImageSet], image_ids: Mapping[str, Mapping[int, str]]) -> Path:
    """Write the list.

    Args:
        folder: the build.
        sets: what it drew from, by role (train, validation, pool, other).
        image_ids: by role: the SHA-256 of rows whose bytes are in the build.
    """
    path = folder / INPUTS_NAME
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        text = io.TextIOWrapper(packed, encoding="utf-8", errors="surrogatepass", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for role, images in sets.items():
            known = image_ids.get(role, {})
            labels = images.labels.tolist()
            writer.writerows((role, name, labels[row], known.get(row, "")) for row, name in enumerate(images.names))
        text.flush()
    return path


def read_inputs(folder: Path) -> dict[str, dict[str, InputRow]]:
    """What `write_inputs` wrote: rows by role and name.

    Raises:
        CorruptFileError: the file is missing or damaged.
    """
    path = folder / INPUTS_NAME
    found: dict[str, dict[str, InputRow]] = {}
    try:
        for role, name, label, image_id in _rows(path):
            found.setdefault(role, {})[name] = InputRow(int(label), image_id)
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise CorruptFileError(
            f"{path}: missing or damaged ({error}); it lists the build's inputs, keep it beside the lock file"
        ) from error
    return found


def _rows(path: Path) -> Iterator[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8", errors="surrogatepass", newline="") as text:
        if text.readline().rstrip("\n") != ",".join(_COLUMNS):
            raise ValueError("its first line is not the column names")
        yield from csv.reader(text)
