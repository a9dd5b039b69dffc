"""Consensus: from votes to verdicts, by majority."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.schemas import VERDICTS
from noisyweb.workspace import Workspace

MIN_VOTES = 3
TIE, TOO_FEW = "tie", "too few votes"


def majority(votes: pa.Table, min_votes: int = MIN_VOTES) -> pa.Table:
    """One verdict a question: the answer that most of its decisive votes gave.

    With y votes for yes and n for no, the image is clean if y > n and wrong if n > y. It is undecided if
    y + n < ``min_votes`` ("unsure" decides nothing) or y = n. Agreement is max(y, n) / (y + n).

    Args:
        votes: a table of `noisyweb.schemas.VOTES`, one row a key.
        min_votes: decisive votes needed, at least 1.

    Returns:
        A table of `noisyweb.schemas.VERDICTS`, sorted by (label, image_id); one row for each question with a vote.
    """
    counted = pa.table(
        {
            "image_id": votes["image_id"],
            "label": votes["label"],
            "yes": pc.cast(pc.equal(votes["answer"], "yes"), pa.int32()),
            "no": pc.cast(pc.equal(votes["answer"], "no"), pa.int32()),
        }
    )
    grouped = counted.group_by(["image_id", "label"]).aggregate([("yes", "sum"), ("no", "sum"), ("yes", "count")])
    grouped = grouped.sort_by([("label", "ascending"), ("image_id", "ascending")])
    yes, no = (grouped[f"{name}_sum"].to_numpy().astype(np.int64) for name in ("yes", "no"))
    decisive = yes + no
    few, tie = decisive < min_votes, yes == no
    undecided = few | tie
    share = np.maximum(yes, no) / np.maximum(decisive, 1)
    reason = np.where(few, TOO_FEW, TIE).astype(object)
    return pa.table(
        {
            "image_id": grouped["image_id"],
            "label": grouped["label"],
            "is_clean": pa.array(yes > no, mask=undecided),
            "votes_yes": pa.array(yes, pa.int32()),
            "votes_no": pa.array(no, pa.int32()),
            "votes_total": pc.cast(grouped["yes_count"], pa.int32()),
            "agreement": pa.array(share.astype(np.float32), mask=decisive == 0),
            "status": pa.array(np.where(undecided, "undecided", "decided").astype(object), pa.string()),
            "reason": pa.array(reason, pa.string(), mask=~undecided),
        }
    ).cast(VERDICTS)


def update(workspace: Workspace, min_votes: int = MIN_VOTES) -> pa.Table:
    """Work out a workspace's verdicts anew from all its votes, write and return them."""
    verdicts = majority(workspace.fold("votes"), min_votes)
    workspace.write("verdicts", verdicts)
    return verdicts


def summary(votes: pa.Table, verdicts: pa.Table) -> Iterator[str]:
    """The state of the verdicts in two lines of text."""
    clean = verdicts["is_clean"].to_pylist()
    reasons = verdicts["reason"].to_pylist()
    annotators = len(pc.unique(votes["annotator"]))
    yield f"votes: {votes.num_rows:,} by {annotators:,} annotators on {verdicts.num_rows:,} questions"
    line = f"verdicts: {clean.count(True):,} right, {clean.count(False):,} wrong, {clean.count(None):,} undecided"
    if clean.count(None):
        line += f" ({TOO_FEW} {reasons.count(TOO_FEW):,}, {TIE} {reasons.count(TIE):,})"
    mean = pc.mean(verdicts["agreement"]).as_py()
    yield line + (f"; mean agreement {mean:.3f}" if mean is not None else "")
