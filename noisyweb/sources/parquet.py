"""Images in Parquet files in the Hugging Face layout: ``image`` (struct of bytes and path) and ``label``.

Options:
    path: a file, a folder of ``*.parquet`` files, or a pattern; a path or an fsspec URL such as s3://bucket/folder.
    image, label: column names (default "image", "label"). Labels are class indices or class names.
    human_labels: columns with the labels that annotators gave, for the kind ``human``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from noisyweb.dataset import Section
from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.imageset import ImageSet, Labels
from noisyweb.remote_path import Place, is_url, open_parquet, place_of


def read(section: Section) -> ImageSet:
    """Read Parquet files; labels now, pixels when asked for, one row group at a time.

    Raises:
        SourceError: files or columns are missing, or labels do not fit the classes.
        CorruptFileError: a file is damaged.
    """
    section.only("path", "image", "label", "human_labels")
    image_column, label_column = section.get("image", str, "image"), section.get("label", str, "label")
    human_columns = section.get("human_labels", list, [])
    groups = _RowGroups(_files(section), image_column)
    columns = groups.read_columns([label_column, *human_columns])
    classes = list(section.class_names) or groups.class_names(label_column)
    if not classes:
        raise SourceError(f"{section.where}: the files carry no class names; add classes = [...] to the definition")
    labels = _class_indices(section, label_column, columns[label_column], classes)
    human = [_class_indices(section, name, columns[name], classes, missing=-1) for name in human_columns]
    paths, names = groups.paths_and_names()
    return ImageSet(
        names,
        labels,
        groups.class_names(label_column) or classes,
        groups.load,
        paths,
        prefix=section.role,
        human_labels=np.stack(human, axis=1) if human else None,
    )


def _files(section: Section) -> list[Place]:
    named = section.get("path", str)
    path = place_of(named) if is_url(named) else section.path("path")
    if path.is_file():
        return [path]
    files: list[Place] = sorted(path.glob("*.parquet")) if path.is_dir() else sorted(path.parent.glob(path.name))
    if not files:
        raise SourceError(f"{section.where}: no Parquet file at {path}; mend 'path'")
    return files


class _RowGroups:
    """Random access to the rows of several Parquet files, keeping one decoded row group of images."""

    def __init__(self, files: Sequence[Place], image_column: str) -> None:
        self._image = image_column
        self._files = [_open(file) for file in files]
        self._groups = [(f, g) for f, file in enumerate(self._files) for g in range(file.num_row_groups)]
        sizes = [self._files[f].metadata.row_group(g).num_rows for f, g in self._groups]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self._paths_of = files

    def read_columns(self, names: Sequence[str]) -> pa.Table:
        """Whole columns, image pixels excluded."""
        for path, file in zip(self._paths_of, self._files, strict=True):
            for name in (*names, self._image):
                if name not in file.schema_arrow.names:
                    raise SourceError(
                        f"{path}: it has no column {name!r}; found {', '.join(file.schema_arrow.names)}; "
                        "name the right one in the definition"
                    )
        return pa.concat_tables([_guarded(p, f, names) for p, f in zip(self._paths_of, self._files, strict=True)])

    def class_names(self, label_column: str) -> list[str]:
        """Class names as Hugging Face keeps them in the schema metadata; empty if there are none."""
        metadata = self._files[0].schema_arrow.metadata or {}
        try:
            features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
            return [str(name) for name in features[label_column]["names"]]
        except (KeyError, TypeError, ValueError):
            return []

    def paths_and_names(self) -> tuple[list[str], list[str]]:
        """Each row's path, and a name that survives reordering: its path, or its SHA-256 without one.

        Raises:
            SourceError: a row has neither bytes nor path.
        """
        paths: list[str | None] = []
        for group in range(len(self._groups)):
            paths.extend(self._column(group)[1])
        if None not in paths and len(set(paths)) == len(paths):
            whole = [str(path) for path in paths]
            return whole, whole
        names = []
        for row, data in enumerate(self.load(range(len(paths)))):
            if data is None and paths[row] is None:
                raise SourceError(f"{self._paths_of[0].parent}: image row {row} has neither bytes nor path; remove it")
            names.append(hashlib.sha256(data).hexdigest() if data is not None else str(paths[row]))
        return [path or name for path, name in zip(paths, names, strict=True)], names

    def load(self, indices: Sequence[int]) -> Iterator[bytes | None]:
        """Encoded bytes of the rows asked for, in that order."""
        current, values = -1, None
        for index in indices:
            group = int(np.searchsorted(self._starts, index, side="right")) - 1
            if group != current:
                current, values = group, self._column(group)[0]
            yield values[index - int(self._starts[group])].as_py() if values is not None else None

    def _column(self, group: int) -> tuple[pa.Array | None, list[str | None]]:
        f, g = self._groups[group]
        try:
            column = self._files[f].read_row_group(g, columns=[self._image]).column(0).combine_chunks()
        except (pa.ArrowException, OSError) as error:
            raise _corrupt(self._paths_of[f], error) from error
        if pa.types.is_struct(column.type):
            fields = {field.name: field.type for field in column.type}
            if _is_bytes(fields.get("bytes", pa.binary())) and pa.types.is_string(fields.get("path", pa.string())):
                # flatten, unlike field, makes the parts of an empty row empty
                parts = dict(zip(fields, column.flatten(), strict=True))
                return parts.get("bytes"), parts["path"].to_pylist() if "path" in parts else [None] * len(column)
        elif _is_bytes(column.type):
            return column, [None] * len(column)
        raise SourceError(
            f"{self._paths_of[f]}: column {self._image!r} is {column.type}; "
            "expected a struct of bytes and path, or binary"
        )


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _open(path: Place) -> pq.ParquetFile:
    try:
        return open_parquet(path)
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(path, error) from error


def _guarded(path: Place, file: pq.ParquetFile, columns: Sequence[str]) -> pa.Table:
    try:
        return file.read(columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(path, error) from error


def _corrupt(path: Place, error: Exception) -> CorruptFileError:
    return CorruptFileError(f"{path}: damaged or not Parquet ({str(error).splitlines()[0]}); restore it from a copy")


def _class_indices(
    section: Section, name: str, column: pa.ChunkedArray, classes: Sequence[str], missing: int | None = None
) -> Labels:
    """Labels as indices; class names are looked up, indices are checked against the vocabulary."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        found = pc.index_in(column, pa.array(classes, column.type))
        unknown = pc.filter(column, pc.and_(pc.is_null(found), pc.is_valid(column)))
        if len(unknown):
            raise SourceError(
                f"{section.where}: column {name!r} holds {unknown[0].as_py()!r}, which is no class; "
                f"expected one of {len(classes)} class names such as {classes[0]!r}"
            )
        column = found
    elif not pa.types.is_integer(column.type):
        raise SourceError(f"{section.where}: column {name!r} is {column.type}; expected class indices or names")
    if column.null_count:
        if missing is None:
            raise SourceError(f"{section.where}: column {name!r} has {column.null_count} empty labels; expected none")
        column = pc.fill_null(column, missing)
    values: npt.NDArray[np.int64] = column.to_numpy().astype(np.int64)
    low = 0 if missing is None else missing
    wrong = np.flatnonzero((values < low) | (values >= len(classes)))
    if len(wrong):
        raise SourceError(
            f"{section.where}: column {name!r}, row {wrong[0]}: label {values[wrong[0]]} is outside "
            f"0..{len(classes) - 1}, the {len(classes)} classes declared; {len(wrong)} rows are; mend 'classes'"
        )
    return values.astype(np.int32)
