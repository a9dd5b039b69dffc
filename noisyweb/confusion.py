"""What is taken for what: a confusion matrix or a class hierarchy, read from a CSV file."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from noisyweb.errors import SourceError

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Confusion:
    """A file that says how classes are confused; read against a vocabulary.

    Attributes:
        path: the file.
        is_hierarchy: whether it has classes and their parents, and no numbers.
        sha256: of its bytes, hex.
        rows: its cells.
    """

    path: Path
    is_hierarchy: bool
    sha256: str
    rows: tuple[tuple[str, ...], ...]

    def matrix(self, class_names: Sequence[str]) -> Matrix:
        """How often a row of class i is given label j: shape (K, K), rows sum to 1.

        Raises:
            SourceError: the file does not fit the classes.
        """
        return _siblings(self, class_names) if self.is_hierarchy else _matrix(self, class_names)


def read_confusion(path: Path) -> Confusion:
    """Read a confusion matrix: K rows of K numbers (counts or shares; the row is the true class), in the order of the
    classes; or with class names in the first row and the first column, in any order.

    Raises:
        SourceError: the file cannot be read.
    """
    return _read(path, is_hierarchy=False)


def read_hierarchy(path: Path) -> Confusion:
    """Read a class hierarchy: two columns, ``class`` and ``parent``. A class is confused with those that have the same
    parent, each equally often.

    Raises:
        SourceError: the file cannot be read.
    """
    return _read(path, is_hierarchy=True)


def _read(path: Path, is_hierarchy: bool) -> Confusion:
    try:
        data = path.read_bytes()
        lines = data.decode("utf-8-sig").splitlines()
        rows = tuple(tuple(cell.strip() for cell in row) for row in csv.reader(lines) if any(row))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path}: cannot be read as CSV ({error})") from error
    return Confusion(path, is_hierarchy, hashlib.sha256(data).hexdigest(), rows)


def _matrix(file: Confusion, class_names: Sequence[str]) -> Matrix:
    rows, count = file.rows, len(class_names)
    if len(rows) == count + 1:  # named
        header, named = list(rows[0][1:]), [row[0] for row in rows[1:] if row]
        for names, where in ((header, "first row"), (named, "first column")):
            if sorted(names) != sorted(class_names):
                unknown = next((n for n in names if n not in class_names), None)
                found = f"names {unknown!r}" if unknown is not None else "lacks a class or names one twice"
                raise SourceError(f"{file.path}: its {where} {found}; expected the {count} classes of the data set")
        places = {name: place for place, name in enumerate(class_names)}
        whole = np.zeros((count, count))
        for name, row in zip(named, rows[1:], strict=True):
            whole[places[name], [places[other] for other in header]] = _numbers(file, name, row[1:], count)
    elif len(rows) == count:
        whole = np.stack([_numbers(file, class_names[k], rows[k], count) for k in range(count)])
    else:
        raise SourceError(
            f"{file.path}: it has {len(rows)} rows; expected {count}, one a class, or {count + 1} with class names in "
            "the first row and column"
        )
    sums = whole.sum(axis=1)
    if not sums.all():
        raise SourceError(
            f"{file.path}: class {class_names[int(np.argmin(sums))]!r} has a row of zeros; expected shares"
        )
    shares: Matrix = whole / sums[:, None]
    return shares


def _numbers(file: Confusion, name: str, cells: Sequence[str], count: int) -> Matrix:
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError as error:
        raise SourceError(f"{file.path}: row of class {name!r}: {error}; expected numbers") from None
    if len(numbers) != count or any(not math.isfinite(number) or number < 0 for number in numbers):
        raise SourceError(
            f"{file.path}: row of class {name!r} has {len(numbers)} numbers; expected {count}, none below 0"
        )
    return np.array(numbers)


def _siblings(file: Confusion, class_names: Sequence[str]) -> Matrix:
    parents: dict[str, str] = {}
    for number, row in enumerate(file.rows):
        if number == 0 and row[:2] == ("class", "parent"):
            continue
        if len(row) != 2 or not all(row):
            raise SourceError(
                f"{file.path}: row {number + 1} has {len(row)} cells; expected two, a class and its parent"
            )
        if parents.setdefault(row[0], row[1]) != row[1]:
            raise SourceError(f"{file.path}: class {row[0]!r} has two parents; give one")
    missing = [name for name in class_names if name not in parents]
    if missing:
        raise SourceError(f"{file.path}: {len(missing)} classes have no parent, the first {missing[0]!r}; add them")
    of = np.array([list(dict.fromkeys(parents.values())).index(parents[name]) for name in class_names])
    same = (of[:, None] == of) & ~np.eye(len(class_names), dtype=bool)
    alone = ~same.any(axis=1)
    matrix: Matrix = same / np.maximum(same.sum(axis=1), 1)[:, None]
    matrix[np.flatnonzero(alone), np.flatnonzero(alone)] = 1.0  # nobody takes it for anything else
    return matrix
