"""Two files of labels, those that were given and the true ones, to be audited.

CSV and Parquet (a column of ids if there is one, and a column of labels), split lines (``<id> <label>``), JSON (a list
of labels, or an object of id to label) and NumPy arrays. Labels are class numbers or names.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.audit.rows import UNKNOWN, AuditInput, AuditSet, Finding, Labels, some, wrong_by_labels
from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.official.split_file import image_key

ID_COLUMNS = ("image_id", "id", "name", "file", "filename", "file_name", "path", "image", "url")
LABEL_COLUMNS = ("given_label", "noisy_label", "label", "class", "class_name", "class_id", "target", "y", "true_label")
SUFFIXES = (".csv", ".txt", ".json", ".npy", ".parquet")


@dataclass(frozen=True)
class LabelFile:
    """A file of N labels; ``ids`` is None where it has none."""

    path: Path
    ids: Sequence[str] | None
    labels: Sequence[int | str]


def read_labels(given: Path, truth: Path, asked: Decimal | None = None, classes: Path | None = None) -> AuditInput:
    """Compare given labels with true ones.

    Rows are matched by id; by position only where neither file has ids, which is said. A true label that is no class
    is not known.

    Args:
        given: what a trainer sees.
        truth: what is right.
        asked: the level that it was made for, if that is known.
        classes: class names, one a line; left out: the labels that there are.

    Raises:
        SourceError: a file cannot be read as labels, or they do not go together.
    """
    ours, theirs = _read(given), _read(truth)
    if (ours.ids is None) != (theirs.ids is None):
        bare, other = (given, truth) if ours.ids is None else (truth, given)
        raise SourceError(f"{bare}: it has no ids and {other} has; rows cannot be matched, give ids to both or to none")
    names = _class_names(ours, theirs, classes)
    number = {name: place for place, name in enumerate(names)}
    given_labels, true_of = _numbers(ours, number), _numbers(theirs, number)
    true_of = np.where((true_of < 0) | (true_of >= len(names)), UNKNOWN, true_of)
    findings: list[Finding] = []
    lacking = int((true_of == UNKNOWN).sum())
    if lacking:
        message = f"{lacking:,} of {len(true_of):,} true labels are no class; taken as not known"
        findings.append(Finding("truth", "warning", truth.name, message, lacking))
    if ours.ids is None or theirs.ids is None:
        if len(ours.labels) != len(theirs.labels):
            raise SourceError(
                f"{given} has {len(ours.labels):,} labels and {truth} has {len(theirs.labels):,}; without ids they are "
                "matched by position and must be as many"
            )
        message = (
            "neither file has ids: rows are matched by position alone, and if one was sorted or filtered otherwise, "
            "every number here is wrong; add a column of ids to both"
        )
        findings.append(Finding("correspondence", "warning", given.name, message, len(ours.labels)))
        unresolved: list[str] = []
        true, ids = true_of, [f"row {row}" for row in range(len(true_of))]
    else:
        ids = list(ours.ids)
        true, unresolved, odd = _match(given, truth, ids, list(theirs.ids), true_of)
        findings += odd
    one = AuditSet(given.name, ids, given_labels, true, wrong_by_labels(given_labels, true), None, asked, unresolved)
    return AuditInput(f"{given.name} against {truth.name}", names, [one], None, tuple(findings))


def _match(
    given: Path, truth: Path, ours: list[str], theirs: list[str], true_of: Labels
) -> tuple[Labels, list[str], list[Finding]]:
    """The true label of each of our ids; ids that have none; and what is odd about the ids."""
    by_id: dict[str, int] = {}
    torn: dict[str, None] = {}
    for each, label in zip(theirs, true_of.tolist(), strict=True):
        if by_id.setdefault(each, label) != label:
            torn[each] = None
    true = np.array([by_id.get(each, UNKNOWN) for each in ours], np.int64)
    unresolved = [each for each in ours if each not in by_id]
    found = []
    if torn:
        message = f"{len(torn):,} ids have two true labels, the first is taken; keep the right one of each"
        found.append(Finding("truth", "fault", truth.name, message, len(torn), some(list(torn))))
    if unresolved:
        keys = {image_key(each) for each in by_id}
        alike = sum(image_key(each) in keys for each in unresolved)
        if alike:
            message = (
                f"{alike:,} ids of {given.name} would be in {truth.name} without folders and endings; spell them alike"
            )
            found.append(Finding("ids", "note", given.name, message, alike, some([unresolved[0], theirs[0]])))
    unused = len(by_id.keys() - set(ours))
    if unused:
        message = f"{unused:,} of {len(by_id):,} ids of {truth.name} are not in it; the two may be of different sets"
        found.append(Finding("ids", "warning", given.name, message, unused))
    return true, unresolved, found


def _class_names(ours: LabelFile, theirs: LabelFile, classes: Path | None) -> list[str]:
    if classes is not None:
        try:
            names = [line.strip() for line in classes.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"{classes}: cannot be read as class names, one a line ({error})") from error
        return names
    for file in (ours, theirs):
        if len({isinstance(value, int) for value in file.labels}) > 1:
            raise SourceError(f"{file.path}: some labels are numbers and some are names; expected one or the other")
    if isinstance(ours.labels[0], int) != isinstance(theirs.labels[0], int) and classes is None:
        raise SourceError(
            f"{ours.path} has labels such as {ours.labels[0]!r}, {theirs.path} such as {theirs.labels[0]!r}; expected "
            "numbers in both or names in both, or the class names with --classes"
        )
    values = {*ours.labels, *theirs.labels}
    if all(isinstance(value, int) for value in values):
        highest = max((int(value) for value in theirs.labels), default=-1)  # what is beyond the true ones is no class
        return [str(place) for place in range(min(highest, 1_000_000) + 1)]
    return sorted({str(value) for value in theirs.labels})


def _numbers(file: LabelFile, number: Mapping[str, int]) -> np.ndarray:
    """Labels as numbers; names that are no class get the first number beyond."""
    beyond = len(number)
    return np.array([value if isinstance(value, int) else number.get(value, beyond) for value in file.labels], np.int64)


def _read(path: Path) -> LabelFile:
    readers = {".csv": _csv, ".txt": _lines, ".json": _json, ".npy": _npy, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower(), _lines)
    try:
        found = reader(path)
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file; expected labels as {', '.join(SUFFIXES)}") from None
    except (
        ValueError,
        OSError,
        KeyError,
        EOFError,
        OverflowError,
        RecursionError,
        csv.Error,
        pa.ArrowException,
    ) as error:
        said = " ".join(str(error).split())[:200]
        raise CorruptFileError(f"{path}: cannot be read as labels ({said})") from error
    if not len(found.labels):
        raise SourceError(f"{path}: it has no labels; expected one a row")
    return found


def _label(value: Any) -> int | str:
    """A class number, or a class name."""
    if isinstance(value, bool) or value is None:
        raise ValueError(f"label {value!r}; expected a class number or name in every row")
    if isinstance(value, int | np.integer):
        return int(value) if -(2**62) < int(value) < 2**62 else str(value)
    text = str(value).strip()
    if not text:
        raise ValueError("an empty label")
    return int(text) if text.lstrip("-").isascii() and text.lstrip("-").isdigit() and len(text) < 18 else text


def _column(path: Path, names: Sequence[str], wanted: Sequence[str], what: str) -> str | None:
    found = next((name for name in wanted if name in names), None)
    if found is None and what == "label":
        raise ValueError(f"no column of labels; expected one of {', '.join(wanted)}, found {', '.join(names[:10])}")
    return found


def _csv(path: Path) -> LabelFile:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle)
        columns = next(reader, [])
        own, label = _column(path, columns, ID_COLUMNS, "id"), _column(path, columns, LABEL_COLUMNS, "label")
        rows = [row for row in reader if row]
    at, last = columns.index(str(label)), columns.index(own) if own else 0
    labels = [_label(row[at] if len(row) > max(at, last) else None) for row in rows]
    return LabelFile(path, [row[last] for row in rows] if own else None, labels)


def _lines(path: Path) -> LabelFile:
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    parts = [line.rpartition(" ") for line in lines]
    if all(part[0] for part in parts):
        return LabelFile(path, [part[0] for part in parts], [_label(part[2]) for part in parts])
    return LabelFile(path, None, [_label(line) for line in lines])


def _json(path: Path) -> LabelFile:
    content = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, dict):
        return LabelFile(path, list(content), [_label(value) for value in content.values()])
    if isinstance(content, list) and content and isinstance(content[0], dict):
        names = list(content[0])
        own, label = _column(path, names, ID_COLUMNS, "id"), _column(path, names, LABEL_COLUMNS, "label")
        if not all(isinstance(row, dict) and label in row and (own is None or own in row) for row in content):
            raise ValueError(f"not every row has {label}{f' and {own}' if own else ''}")
        labels = [_label(row[str(label)]) for row in content]
        return LabelFile(path, [str(row[own]) for row in content] if own else None, labels)
    if isinstance(content, list):
        return LabelFile(path, None, [_label(value) for value in content])
    raise ValueError("expected a list of labels or of objects, or an object of ids and labels")


def _npy(path: Path) -> LabelFile:
    values = np.load(path, allow_pickle=False)
    if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in "iuU":
        raise ValueError("expected one array of whole numbers or names")
    return LabelFile(path, None, [_label(value) for value in values.tolist()])


def _parquet(path: Path) -> LabelFile:
    file = pq.ParquetFile(path)
    columns = file.schema_arrow.names
    own, label = _column(path, columns, ID_COLUMNS, "id"), _column(path, columns, LABEL_COLUMNS, "label")
    if own is not None and pa.types.is_nested(file.schema_arrow.field(own).type):
        own = None
    table = file.read(columns=[str(label), *([own] if own else [])])
    ids = [str(value) for value in table.column(own).to_pylist()] if own else None
    return LabelFile(path, ids, [_label(value) for value in table.column(str(label)).to_pylist()])
