"""Votes from a file, in one of the formats of `noisyweb.vote_formats`.

Options:
    path: the file; its suffix (.csv, .jsonl, .ndjson or .json, .parquet) says how to read it.
    format: one of the formats; left out: the only one that the file's columns fit.
    skip_unknown: "true" leaves out what fits no question instead of refusing the file.
    annotator_columns: of the format wide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pyarrow as pa

from noisyweb import plugins
from noisyweb.errors import LabelError
from noisyweb.vote_formats._book import Book, Misfits
from noisyweb.vote_formats._file import VoteFile, open_votes
from noisyweb.vote_formats._row import shown

FORMATS = "noisyweb.vote_formats"

_SHOWN_COLUMNS = 12


@dataclass(frozen=True)
class ImportedVotes:
    """What a file says.

    Attributes:
        votes: of `noisyweb.schemas.VOTES`, in the order of the file.
        format: the file's format.
        num_rows: rows of the file.
        skipped: rows that fit no question, by reason; empty unless they were to be skipped.
        silent: rows, or parts of them, that rightly are no vote, by reason.
    """

    votes: pa.Table
    format: str
    num_rows: int
    skipped: tuple[Misfits, ...]
    silent: Mapping[str, int]


def collect(questions: pa.Table, options: Mapping[str, str]) -> Iterator[pa.Table]:
    """All votes of a file, checked against the questions.

    Args:
        questions: image_id, label, class_name and url of every question.
        options: see the module.

    Yields:
        Tables of `noisyweb.schemas.VOTES`.

    Raises:
        LabelError: see `read_votes`. Nothing is yielded then.
        UnknownNameError: there is no such format.
    """
    own = {name: value for name, value in options.items() if name not in ("path", "format", "skip_unknown")}
    skip_unknown = options.get("skip_unknown") == "true"
    yield read_votes(options["path"], questions, options.get("format"), own, skip_unknown=skip_unknown).votes


def read_votes(
    path: str | Path,
    questions: pa.Table,
    format_name: str | None = None,
    options: Mapping[str, str] | None = None,
    *,
    skip_unknown: bool = False,
    class_names: Sequence[str] | None = None,
) -> ImportedVotes:
    """Read a file of votes and look all of them up among the questions.

    Args:
        path: the file.
        questions: image_id, label, class_name and url of every question.
        format_name: one of `noisyweb.vote_formats`; None for the only one that the columns fit.
        options: the format's own.
        skip_unknown: leave out what fits no question: unknown images, classes and answers.
        class_names: the vocabulary; left out: the classes of the questions.

    Raises:
        LabelError: the file cannot be read, is of no or of several formats, a row cannot be understood, or, unless
            it is to be skipped, speaks of images, classes or answers that there are none of. The message names the
            first row and says how many there are.
        UnknownNameError: there is no such format.
    """
    file, options = open_votes(Path(path).expanduser()), options or {}
    name, module = _format(file, format_name, options)
    book = Book(questions, class_names)
    module.read(file, book, options)
    if book.misfits and not skip_unknown:
        raise _misfit_error(file.path, list(book.misfits.values()))
    return ImportedVotes(book.votes(), name, book.num_rows, tuple(book.misfits.values()), dict(book.silent))


def _format(file: VoteFile, name: str | None, options: Mapping[str, str]) -> tuple[str, ModuleType]:
    """The format asked for, or the only one that has the options and fits the file."""
    known = plugins.names(FORMATS) if name is None else [name]
    formats = {each: plugins.load(FORMATS, "vote format", each) for each in known}
    able = {each: module for each, module in formats.items() if set(options) <= set(module.OPTIONS)}
    if not able:
        unknown = ", ".join(sorted(options))
        raise LabelError(f"{file.path}: the format {' or '.join(known)} has no option {unknown}; leave it out")
    if name is not None or (options and len(able) == 1):  # an option that only one format has names it
        [(chosen, module)] = able.items()
        return chosen, module
    fitting = [(each, module) for each, module in able.items() if module.fits(file)]
    if len(fitting) == 1:
        return fitting[0]
    found = ", ".join(shown(column, 40) for column in file.columns[:_SHOWN_COLUMNS])
    found += ", ..." if len(file.columns) > _SHOWN_COLUMNS else ""
    if fitting:
        several = " and of ".join(each for each, _ in fitting)
        raise LabelError(f"{file.path}: its columns ({found}) are those of {several}; choose one with --format")
    expected = "; ".join(f"{each}: {module.SUMMARY}" for each, module in able.items())
    if not file.columns:
        raise LabelError(f"{file.path}: it is empty; expected votes: {expected}")
    raise LabelError(f"{file.path}: its columns ({found}) are those of no known format; expected {expected}")


def _misfit_error(path: Path, misfits: Sequence[Misfits]) -> LabelError:
    first = misfits[0]
    rows = f"{first.num_rows:,} row{'s are' if first.num_rows > 1 else ' is'} like that"
    others = sum(other.num_rows for other in misfits[1:])
    more = f" and {others:,} unfit in another way" if others else ""
    return LabelError(
        f"{path}: row {first.first_row}: {first.thing} {first.first} {first.reason}; {rows}{more}; "
        "no vote was imported; --skip-unknown leaves such rows out"
    )
