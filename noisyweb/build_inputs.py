"""``_noisyweb.inputs.csv.gz``: every row that a build drew from, with the SHA-256 of each image that went into it.

The lock file has a digest of them; this list says which row it is if one is missing.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noisyweb.errors import CorruptFileError
from noisyweb.imageset import ImageSet
from noisyweb.lock import rows_digest
from noisyweb.remote_path import Place

INPUTS_NAME = "_noisyweb.inputs.csv.gz"
_COLUMNS = ("role", "name", "label", "image_id")
_DAMAGE = (OSError, EOFError, ValueError, csv.Error, zlib.error)


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
        quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(_COLUMNS)
        for role, images in sets.items():
            known = image_ids.get(role, {})
            labels = images.labels.tolist()
            for row, name in enumerate(images.names):
                # readers take a bare carriage return for the end of a line, and csv quotes it only when asked to
                to = quoting if "\r" in name else writer
                to.writerow((role, name, labels[row], known.get(row, "")))
        text.flush()
    return path


def read_inputs(folder: Path) -> dict[str, dict[str, InputRow]]:
    """What `write_inputs` wrote: rows by role and name.

    Raises:
        CorruptFileError: the file is missing or damaged.
    """
    found: dict[str, dict[str, InputRow]] = {}
    for role, name, label, image_id in _rows(folder / INPUTS_NAME):
        found.setdefault(role, {})[name] = InputRow(label, image_id)
    return found


def input_digests(folder: Place) -> dict[str, dict[str, Any]]:
    """`noisyweb.lock.input_digest` of each input that has rows, by role, worked out from the list.

    Raises:
        CorruptFileError: the file is missing or damaged.
    """
    path = folder / INPUTS_NAME
    found: dict[str, dict[str, Any]] = {}
    for role, rows in itertools.groupby(_rows(path), key=lambda row: row[0]):
        if role in found:
            raise _damaged(path, f"the rows of {role!r} are not together")
        found[role] = rows_digest((name, label) for _, name, label, _ in rows)
    return found


def _rows(path: Place) -> Iterator[tuple[str, str, int, str]]:
    try:
        with (
            path.open("rb") if isinstance(path, Path) else io.BufferedReader(path.open(), 8_000_000) as raw,
            gzip.open(raw, "rt", encoding="utf-8", errors="surrogatepass", newline="") as text,
        ):
            if text.readline().rstrip("\n") != ",".join(_COLUMNS):
                raise ValueError("its first line is not the column names")
            for role, name, label, image_id in csv.reader(text):
                yield role, name, int(label), image_id
    except _DAMAGE as error:
        raise _damaged(path, error) from error


def _damaged(path: Place, what: object) -> CorruptFileError:
    return CorruptFileError(
        f"{path}: missing or damaged ({what}); it lists the build's inputs, keep it beside the lock file"
    )
