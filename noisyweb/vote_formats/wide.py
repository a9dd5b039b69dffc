"""One image a row, one annotator a column, and in each cell the class that this annotator chose; as CIFAR-10N has it.

Columns: ``image_id`` or ``url``; the annotators: ``human_1``, ``annotator_1``, ``random_label1``, ``worker_1`` and so
on, or those named by the option ``annotator_columns``, separated by commas. A column's name is the annotator's name.
In Parquet, columns may stand in structs (``labels.human_1``). Other columns are left alone; columns that sum up several
annotators (``human_majority``, ``aggre_label``, ...) are never taken for one.

A cell is a class name or an index into the vocabulary. It answers every question about the image: yes for that class,
no for the others. An empty cell is no vote. -1 says that none of the classes fits: no to every question. Any other
value that is no class of the vocabulary does not count as "no", since it is more likely a class list in another
spelling or order: such rows are misfits, as unknown images are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from noisyweb.errors import LabelError
from noisyweb.vote_formats._book import Book, Image, Voter
from noisyweb.vote_formats._file import VoteFile
from noisyweb.vote_formats._row import shown

SUMMARY = "image_id or url, human_1, human_2, ..."
OPTIONS = ("annotator_columns",)

AGGREGATES = frozenset(("human_majority", "human_worst", "aggre_label", "worse_label", "clean_label"))
"""Columns that are no annotator's."""

_ANNOTATOR = re.compile(r"(?:human|annotator|random_label|worker)_?\d+", re.IGNORECASE)


def fits(file: VoteFile) -> bool:
    """Columns named like annotators beside a column that names images."""
    return bool({"image_id", "url"} & set(file.columns)) and any(map(_is_annotator, file.columns))


def read(file: VoteFile, book: Book, options: Mapping[str, str]) -> None:
    """Take down all rows; see the package."""
    annotators = _annotators(file, options.get("annotator_columns"))
    for row in file.rows(("image_id", "url", *annotators)):
        image = Image(row.text("image_id"), row.text("url"))
        if image == (None, None):
            row.refuse("has no image_id or url; expected one of the two and a column for each annotator")
        is_silent = True
        for name in annotators:
            given = row.class_given(name)
            if given is not None:
                is_silent = False
                book.chose(row, image, given, Voter(name))
        if is_silent:
            book.says_nothing(row, "no annotator chose a class")


def _annotators(file: VoteFile, named: str | None) -> list[str]:
    """The columns to take, in the order of the file or as named."""
    if named is None:
        annotators = [column for column in file.columns if _is_annotator(column)]
        if not annotators:
            raise LabelError(
                f"{file.path}: no column is named like an annotator (human_1, annotator_1, random_label1, worker_1); "
                "name them with --annotator-columns a,b,c"
            )
        return annotators
    annotators = list(dict.fromkeys(name.strip() for name in named.split(",") if name.strip()))
    for name in annotators:
        if name in AGGREGATES:
            raise LabelError(f"{file.path}: {name} sums up several annotators; expected columns of one annotator each")
        if name not in file.columns:
            found = ", ".join(shown(column, 40) for column in file.columns[:20])
            raise LabelError(f"{file.path}: it has no column {shown(name)}; found {found or 'none'}")
    if not annotators:
        raise LabelError(f"{file.path}: --annotator-columns names no column; expected names with commas between")
    return annotators


def _is_annotator(column: str) -> bool:
    return _ANNOTATOR.fullmatch(column.rpartition(".")[2]) is not None
