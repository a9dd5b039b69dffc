"""Votes: the questions that a workspace asks, and the answers that come in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.errors import LabelError
from noisyweb.question_index import QuestionIndex, codes
from noisyweb.schemas import ANSWERS, VOTES
from noisyweb.workspace import Workspace

QUESTIONS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("class_name", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
    ]
)
"""Is this image a <class>? Key: (image_id, label); sorted by (label, image_id)."""


@dataclass(frozen=True)
class VoteReport:
    """What came of adding votes: rows that are new, that changed their answer, that were there already."""

    new: int
    changed: int
    same: int


def questions(workspace: Workspace) -> pa.Table:
    """One row for each fetched image and class it was found for, duplicates left out.

    Returns:
        A table of `QUESTIONS`; the URL is the first in alphabetical order where an image was found at several.
    """
    names = pa.array(workspace.class_names(), pa.string())
    images = workspace.read("images").select(["url", "label", "image_id"])
    images = images.filter(pc.is_valid(images["image_id"]))
    dropped = QuestionIndex.of(workspace.read("duplicates")).places(images) >= 0
    images = images.filter(pa.array(~dropped))
    index = QuestionIndex.of(images)
    urls, url = codes(images["url"])
    by_question = np.lexsort((url, index.row))
    first = by_question[np.searchsorted(index.row[by_question], np.arange(len(index)))]
    columns = [
        index.image_ids,
        pa.array(index.labels),
        names.take(pa.array(index.labels)),
        urls.take(pa.array(url[first])),
    ]
    return pa.table(dict(zip(QUESTIONS.names, columns, strict=True)), schema=QUESTIONS)


def as_votes(columns: pa.Table | Mapping[str, Any]) -> pa.Table:
    """A table of `noisyweb.schemas.VOTES` from its columns in any order; optional ones may be left out.

    Args:
        columns: at least image_id, label, annotator, answer and backend.
    """
    table = columns if isinstance(columns, pa.Table) else pa.table(dict(columns))
    for field in VOTES:
        if field.name not in table.column_names:
            assert field.nullable, f"votes need the column {field.name}"
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(VOTES.names).cast(VOTES)


def add(workspace: Workspace, tables: Iterable[pa.Table]) -> VoteReport:
    """Add votes; an annotator's later answer to the same question replaces the earlier one.

    Args:
        workspace: where they go.
        tables: of `noisyweb.schemas.VOTES`; see `as_votes`.

    Raises:
        LabelError: an answer is none of yes, no and unsure. Nothing is written then.
    """
    old = workspace.fold("votes")
    whole = pa.concat_tables([old, *(as_votes(table) for table in tables)]).combine_chunks()
    check_answers(whole)
    if whole.num_rows == 0:
        return VoteReport(0, 0, 0)
    names, answers = ["label", "image_id", "annotator"], whole["answer"].to_numpy(zero_copy_only=False)
    # a row index at the end keeps rows of one key in the order in which they came
    rows = pa.table({name: whole[name] for name in names} | {"row": pa.array(np.arange(whole.num_rows))})
    order = pc.sort_indices(rows, [(name, "ascending") for name in (*names, "row")]).to_numpy()
    ordered = rows.take(pa.array(order)).combine_chunks()
    follows = np.ones(whole.num_rows, bool)  # is of the same key as the row before it
    follows[0] = False
    for name in names:
        column = ordered[name]
        follows[1:] &= pc.equal(column.slice(1), column.slice(0, whole.num_rows - 1)).to_numpy(zero_copy_only=False)
    repeats = follows & (answers[order] == np.roll(answers[order], 1))
    added = order >= old.num_rows
    counts = (added & ~follows, added & follows & ~repeats, added & repeats)
    report = VoteReport(*(int(np.count_nonzero(which)) for which in counts))
    if report.new or report.changed:
        last = np.append(~follows[1:], True)
        workspace.write("votes", whole.take(pa.array(order[last])))
    return report


def check_answers(votes: pa.Table) -> None:
    """Raise `LabelError` about the first answer that is none of yes, no and unsure."""
    known = pc.is_in(votes["answer"], pa.array(ANSWERS))
    if not pc.all(known, min_count=0).as_py():
        [row] = votes.filter(pc.invert(known)).slice(0, 1).to_pylist()
        raise LabelError(f"answer {row['answer']!r} by {row['annotator']}: expected one of {', '.join(ANSWERS)}")
