"""Votes: the questions that a workspace asks, and the answers that come in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from noisyweb.errors import LabelError
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
    dropped = set(zip(*workspace.read("duplicates").select(["image_id", "label"]).to_pydict().values(), strict=True))
    names = workspace.class_names()
    asked: dict[tuple[int, str], str] = {}
    for row in workspace.read("images").select(["url", "label", "image_id"]).to_pylist():
        if row["image_id"] is not None and (row["image_id"], row["label"]) not in dropped:
            key = (row["label"], row["image_id"])
            asked[key] = min(row["url"], asked.get(key, row["url"]))
    rows = [
        {"image_id": image_id, "label": label, "class_name": names[label], "url": asked[label, image_id]}
        for label, image_id in sorted(asked)
    ]
    return pa.Table.from_pylist(rows, schema=QUESTIONS)


def add(workspace: Workspace, tables: Iterable[pa.Table]) -> VoteReport:
    """Add votes; an annotator's later answer to the same question replaces the earlier one.

    Args:
        workspace: where they go.
        tables: of `noisyweb.schemas.VOTES`.

    Raises:
        LabelError: an answer is none of yes, no and unsure. Nothing is written then.
    """
    votes = {(row["image_id"], row["label"], row["annotator"]): row for row in workspace.fold("votes").to_pylist()}
    counts = {"new": 0, "changed": 0, "same": 0}
    for table in tables:
        for row in table.select(VOTES.names).to_pylist():
            if row["answer"] not in ANSWERS:
                known = ", ".join(ANSWERS)
                raise LabelError(f"answer {row['answer']!r} by {row['annotator']}: expected one of {known}")
            key = (row["image_id"], row["label"], row["annotator"])
            earlier = votes.get(key)
            same = earlier is not None and earlier["answer"] == row["answer"]
            counts["new" if earlier is None else "same" if same else "changed"] += 1
            votes[key] = row
    if counts["new"] or counts["changed"]:
        ordered = [votes[key] for key in sorted(votes, key=lambda key: (key[1], key[0], key[2]))]
        workspace.write("votes", pa.Table.from_pylist(ordered, schema=VOTES))
    return VoteReport(**counts)
