"""Images and text of a manifest, row by row, as formats made of single files need them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from noisyweb.errors import SourceError
from noisyweb.first_bytes import image_suffix, no_image
from noisyweb.manifest import LABEL_COLUMNS, Manifest
from noisyweb.progress import Progress
from noisyweb.remote_path import Place

_ROWS_AT_ONCE = 1000


def encoded_rows(manifest: Manifest, to: str, progress: Progress) -> Iterator[tuple[dict[str, Any], bytes, str]]:
    """Every row with its image: its columns, among them ``path``; the encoded bytes; the suffix of their type.

    Args:
        manifest: what to read; a row group of images is in memory at a time.
        to: the format that asks, for messages.
        progress: told how many rows are done.

    Raises:
        SourceError: a row has no image, or its bytes are none.
        CorruptFileError: a file is damaged.
    """
    images = manifest.images()
    for number, row in enumerate(_rows(manifest)):
        data, row["path"] = next(images)
        yield with_image(manifest.folder, number, row, data, to)
        if (number + 1) % _ROWS_AT_ONCE == 0 or number + 1 == manifest.rows.num_rows:
            progress(manifest.folder.name, number + 1, manifest.rows.num_rows)


def with_image(
    folder: Place, number: int, row: dict[str, Any], data: bytes | None, to: str
) -> tuple[dict[str, Any], bytes, str]:
    """A row, its image and the suffix of that one's type.

    Raises:
        SourceError: the row has no image, or its bytes are none.
    """
    if data is None:
        raise SourceError(
            f"{folder}: row {number} carries only the path {row['path']!r}, and {to} needs the image; "
            "build with images, or export to hf, croissant or csv"
        )
    suffix = image_suffix(data)
    if suffix is None:
        raise SourceError(f"{folder}: row {number}: {no_image(data)}")
    return row, data, suffix


def _rows(manifest: Manifest) -> Iterator[dict[str, Any]]:
    for batch in manifest.rows.select(LABEL_COLUMNS).to_batches(max_chunksize=_ROWS_AT_ONCE):
        yield from batch.to_pylist()


def file_part(text: str, max_chars: int = 100) -> str:
    """A text as a part of a file name: letters without accents, digits, ``_``, ``.`` and ``-`` only."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)[:max_chars]


def class_folders(class_names: tuple[str, ...]) -> list[str]:
    """One folder name a class, ``007_Audi_TT``: they sort in the order of the labels, and no two are the same."""
    width = len(str(max(len(class_names) - 1, 0)))
    return [f"{label:0{width}d}_{file_part(name)}" for label, name in enumerate(class_names)]


def class_lines(class_names: tuple[str, ...]) -> str:
    """The text of a file of class names, a line each; line breaks inside a name become spaces."""
    return "".join(f"{' '.join(name.split())}\n" for name in class_names)
