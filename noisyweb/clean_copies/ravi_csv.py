"""The csv files of Ravi and Larochelle (ICLR 2017), which say which images Mini-ImageNet consists of.

``train.csv``, ``val.csv`` and ``test.csv`` with the columns ``filename,label``: 64, 16 and 20 classes, 600 rows each,
such as ``n0153282900000005.jpg,n01532829``. (Vinyals's split, also called Mini-ImageNet, has the same file names but
other classes, and ILSVRC names in the rows.)
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from noisyweb.clean_copies.mini_ids import parse_id
from noisyweb.errors import CorruptFileError, SourceError

NAMES = ("train.csv", "val.csv", "test.csv")
_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class RaviCsv:
    """The images that the csv files list.

    Attributes:
        numbers: the csv's numbers by class, in the files' order: wnid -> numbers.
        in_several: classes that stand in more than one file; none do in the original ones.
    """

    numbers: Mapping[str, list[int]]
    in_several: frozenset[str]


def read_ravi_csv(files: Iterable[Path]) -> RaviCsv | None:
    """Read those of the files that are csv files of Mini-ImageNet; None if none is.

    Raises:
        CorruptFileError: a row cannot be read.
        SourceError: a row contradicts itself or stands there twice, or it is Vinyals's split.
    """
    numbers: dict[str, list[int]] = {}
    in_several: set[str] = set()
    known: set[tuple[str, int]] = set()
    for path in files:
        in_this: dict[str, list[int]] = {}
        for line, (wnid, number) in enumerate(_rows(path), start=2):
            if (wnid, number) in known:
                raise SourceError(f"{path}, line {line}: {wnid}{number:08d}.jpg stands there twice; restore the file")
            known.add((wnid, number))
            in_this.setdefault(wnid, []).append(number)
        in_several |= in_this.keys() & numbers.keys()
        for wnid, more in in_this.items():
            numbers.setdefault(wnid, []).extend(more)
    return RaviCsv(numbers, frozenset(in_several)) if numbers else None


def _rows(path: Path) -> list[tuple[str, int]]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            return []  # somebody's train.csv, not ours
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle)
            if not {"filename", "label"} <= set(reader.fieldnames or ()):
                return []
            return [_parsed(path, reader.line_num, row["filename"], row["label"]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorruptFileError(f"{path}: cannot be read as a csv file ({error}); restore it") from error


def _parsed(path: Path, line: int, filename: str | None, label: str | None) -> tuple[str, int]:
    found = parse_id(filename or "")
    if found is None or not found.wnid:
        hint = "; these are ILSVRC names, as Vinyals's split has them" if "_" in (filename or "") else ""
        raise SourceError(
            f"{path}, line {line}: filename {filename!r}; expected one such as 'n0153282900000005.jpg'{hint}; "
            "use the csv files of Ravi and Larochelle"
        )
    if found.wnid != label:
        raise SourceError(f"{path}, line {line}: {filename!r} has label {label!r}; expected {found.wnid!r}; restore it")
    return found.wnid, found.number
