"""Manifests: one Parquet row per training image, in the columns of `noisyweb.schemas.MANIFEST`.

The schema metadata carry the class names twice: under ``noisyweb`` (with data set, edition, kind, level, seed)
and under ``huggingface``, so that ``datasets.load_dataset`` gives images and class labels.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.remote_path import Place, RemotePath, open_parquet, place_of
from noisyweb.schemas import MANIFEST

P = TypeVar("P", bound=Path | RemotePath)

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""What Pillow may try on the bytes of a row, and nothing else."""

ROWS_PER_GROUP = 500
GROUP_BYTES = 64_000_000
SHARD_BYTES = 500_000_000

DATASET_NAME = r"[A-Za-z0-9][\w.-]{0,99}"

LABEL_COLUMNS = [name for name in MANIFEST.names if name != "image"]


def manifest_schema(class_names: Sequence[str], info: Mapping[str, Any]) -> pa.Schema:
    """The manifest schema with its metadata.

    Args:
        class_names: the vocabulary.
        info: what the manifest is: dataset, edition, kind, level, seed, split.
    """
    features: dict[str, Any] = {}
    for column in MANIFEST:
        if column.name == "image":
            features["image"] = {"_type": "Image"}
        elif column.name in ("label", "true_label"):
            features[column.name] = {"names": list(class_names), "_type": "ClassLabel"}
        else:
            features[column.name] = {"dtype": str(column.type), "_type": "Value"}
    metadata = {
        "huggingface": json.dumps({"info": {"features": features}}, ensure_ascii=False),
        "noisyweb": json.dumps({**info, "class_names": list(class_names)}, ensure_ascii=False),
    }
    return MANIFEST.with_metadata(metadata)


def write_shards(
    folder: Path, stem: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch], shard_bytes: int = SHARD_BYTES
) -> list[Path]:
    """Write batches as ``<stem>-NNNNN-of-NNNNN.parquet``; return the files in order.

    Everything is compressed with zstd: small JPEGs share their headers, so that 32-pixel images shrink to a
    third. Pages carry checksums, so that damage shows when a row is read.

    Args:
        folder: an existing folder.
        stem: first part of the file names: the split's name.
        schema: of `manifest_schema`.
        batches: rows in order, one row group each.
        shard_bytes: a new file is begun once one holds this many bytes of images.
    """
    parts: list[Path] = []
    writer: pq.ParquetWriter | None = None
    held = 0
    try:
        for batch in batches:
            if writer is None or held >= shard_bytes:
                if writer is not None:
                    writer.close()
                parts.append(folder / f".{stem}-{len(parts):05d}.parquet")
                writer = pq.ParquetWriter(parts[-1], schema, **_writer_options(schema))
                held = 0
            writer.write_batch(batch)
            held += batch.column("image").nbytes
    finally:
        if writer is not None:
            writer.close()
    final = [folder / f"{stem}-{i:05d}-of-{len(parts):05d}.parquet" for i in range(len(parts))]
    for part, name in zip(parts, final, strict=True):
        part.rename(name)
    return final


def _writer_options(schema: pa.Schema) -> dict[str, Any]:
    return {
        "compression": "zstd",
        "use_dictionary": ["noise", "source", "license", "license_url", "creator"],
        "write_statistics": [column.name for column in schema if column.name != "image"],
        "write_page_checksum": True,
    }


@dataclass(frozen=True)
class Manifest:
    """A manifest folder opened for reading; pixels are read when asked for.

    Attributes:
        folder: where it is: a `Path`, or a `RemotePath` of a URL.
        files: its Parquet files in row order.
    """

    folder: Place
    files: tuple[Place, ...]

    @cached_property
    def info(self) -> dict[str, Any]:
        """What the manifest is: dataset, edition, kind, level, seed, split, class_names."""
        metadata = self._open(self.files[0]).schema_arrow.metadata or {}
        try:
            return _checked_info(json.loads(metadata[b"noisyweb"]))
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise SourceError(
                f"{self.files[0]}: not a noisyweb manifest (the 'noisyweb' metadata of its schema: {error!r})"
            ) from error

    @property
    def class_names(self) -> list[str]:
        """The vocabulary; labels are indices into it."""
        return list(self.info["class_names"])

    @cached_property
    def rows(self) -> pa.Table:
        """All columns but the images, all rows.

        Raises:
            SourceError: the columns are not those of a manifest.
            CorruptFileError: a file is damaged, a value is missing, or a label is no class.
        """
        rows = pa.concat_tables([self._guard(file, LABEL_COLUMNS) for file in self.files]).combine_chunks()
        _check_values(self.folder, rows, len(self.class_names))
        return rows

    def schema(self, file: Place) -> pa.Schema:
        """The schema of one file."""
        return self._open(file).schema_arrow

    def image_batches(self) -> Iterator[pa.StructArray]:
        """The image column, one row group at a time, in row order."""
        for file in self.files:
            opened = self._open(file)
            for group in range(opened.num_row_groups):
                try:
                    yield opened.read_row_group(group, columns=["image"]).column(0).combine_chunks()
                except (pa.ArrowException, OSError) as error:
                    raise _corrupt(file, error) from error

    def images(self) -> Iterator[tuple[bytes | None, str | None]]:
        """Encoded bytes and path of every row, in order."""
        for batch in self.image_batches():
            for data, path in zip(batch.field("bytes"), batch.field("path"), strict=True):
                yield data.as_py(), path.as_py()

    def _open(self, file: Place, pre_buffer: bool = False) -> pq.ParquetFile:
        try:
            return open_parquet(file, pre_buffer)
        except (pa.ArrowException, OSError) as error:
            raise _corrupt(file, error) from error

    def _guard(self, file: Place, columns: list[str]) -> pa.Table:
        opened = self._open(file, pre_buffer=True)
        types = dict(zip(opened.schema_arrow.names, opened.schema_arrow.types, strict=True))
        for column in MANIFEST:
            if types.get(column.name) != column.type:
                found = types.get(column.name, "missing")
                raise SourceError(f"{file}: not a noisyweb manifest: {column.name} is {found}, expected {column.type}")
        try:
            return opened.read(columns=columns)
        except (pa.ArrowException, OSError) as error:
            raise _corrupt(file, error) from error


def open_manifest(folder: str | Place) -> Manifest:
    """Open a manifest folder, such as ``builds/cars/red_noise_nl_0.4`` or ``s3://bucket/builds/cars/red_noise_nl_0.4``.

    Raises:
        SourceError: there is no such folder, it holds no manifest, or (at a URL) only some of its files.
        RemoteError: the store behind the URL refuses or does not answer.
    """
    folder = place_of(folder)
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; expected a manifest, such as builds/cars/red_noise_nl_0.4")
    files: list[Place] = sorted(folder.glob("*-of-*.parquet"))
    if isinstance(folder, RemotePath) and files:
        _check_whole(folder, [file.name for file in files])
    if not files:
        inner = sorted(path.parent.name for path in folder.glob("*/*-of-*.parquet"))
        hint = f"; did you mean {folder / inner[0]}?" if inner else "; build one with `noisyweb build`"
        raise SourceError(f"{folder}: it holds no manifest (no *-NNNNN-of-NNNNN.parquet){hint}")
    return Manifest(folder, tuple(files))


def manifest_folders(folder: P) -> list[P]:
    """The folders directly below one that hold a manifest, sorted, but for hidden ones: those are half-written."""
    found: set[Any] = {file.parent for file in folder.glob("*/*-of-*.parquet") if not file.parent.name.startswith(".")}
    return sorted(found)


def _check_whole(folder: RemotePath, names: Sequence[str]) -> None:
    """Refuse a half upload; on a disk a build appears by one rename.

    Raises:
        SourceError: a file is missing.
    """
    for number, name in enumerate(names):
        stem, _, count = name.removesuffix(".parquet").rpartition("-of-")
        if not count.isdecimal() or int(count) != len(names) or not stem.endswith(f"-{number:05d}"):
            raise SourceError(f"{folder}: {len(names)} Parquet files up to {names[-1]}, some missing; upload it again")


def _checked_info(info: Any) -> dict[str, Any]:
    """Refuse metadata that nobody could work with.

    Raises:
        KeyError, TypeError, ValueError: something is missing, of another type or out of range.
    """
    strings = ["dataset", "title", "edition", "split"]
    if info["split"] == "train":
        strings += ["kind", "level"]
        if not 0 <= float(info["level"]) <= 1:
            raise ValueError(f"level {info['level']}")
    for key in strings:
        if not isinstance(info[key], str):
            raise TypeError(f"{key} is not text")
    if not re.fullmatch(DATASET_NAME, info["dataset"]):
        raise ValueError(f"dataset {info['dataset']!r}")
    names = info["class_names"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError("class_names is not a list of names")
    "".join(names).encode()  # lone surrogates could not be written anywhere
    return dict(info)


def _check_values(folder: Place, rows: pa.Table, num_classes: int) -> None:
    for name in ("image_id", "label", "is_clean", "noise", "source"):
        if rows.column(name).null_count:
            row = rows.column(name).is_null().to_pylist().index(True)
            raise CorruptFileError(f"{folder}: row {row}: {name} is missing; build it again")
    for name in ("label", "true_label"):
        values = rows.column(name).fill_null(0).to_numpy()
        broken = (values < 0) | (values >= num_classes)
        if broken.any():
            raise CorruptFileError(
                f"{folder}: row {int(broken.argmax())}: {name} outside 0..{num_classes - 1} "
                f"({int(broken.sum()):,} such rows); build it again"
            )


def image_id(data: bytes) -> str:
    """The id of an image: SHA-256 of its encoded bytes, hex."""
    return hashlib.sha256(data).hexdigest()


def _corrupt(file: Place, error: Exception) -> CorruptFileError:
    return CorruptFileError(f"{file}: damaged or not Parquet ({str(error).splitlines()[0]}); build it again")
