"""Consensus: from votes to verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noisyweb import plugins
from noisyweb.consensus.methods import Judgement
from noisyweb.consensus.methods.majority import by_count
from noisyweb.consensus.settings import METHODS, MIN_VOTES, ConsensusSettings, read_settings, write_settings
from noisyweb.consensus.tally import Tally, tally
from noisyweb.errors import LabelError
from noisyweb.schemas import VERDICTS
from noisyweb.workspace import Workspace

TIE, TOO_FEW = "tie", "too few votes"


def verdicts_of(votes: pa.Table, settings: ConsensusSettings = ConsensusSettings()) -> pa.Table:
    """One verdict a question, by the method that is asked for.

    With y votes for yes and n for no that count, a question is undecided if y + n < ``min_votes`` ("unsure" decides
    nothing) or if the method says that the votes tie. Agreement is max(y, n) / (y + n), whatever the method.

    Weak votes (a machine's guesses) count only where ``count_weak`` is set. Where it is not, methods that estimate
    how far an annotator is to be trusted use them all the same, but no verdict comes from them without
    ``min_votes`` others, and votes_yes, votes_no and votes_total leave them out.

    Args:
        votes: a table of `noisyweb.schemas.VOTES`, one row a key, in any order.
        settings: the method and what it is to do.

    Returns:
        A table of `noisyweb.schemas.VERDICTS`, sorted by (label, image_id); one row for each question with a vote.

    Raises:
        UnknownNameError: there is no such method.
        MissingExtraError: a package that the method needs is not installed.
        LabelError: an answer is none of yes, no and unsure, or ``min_votes`` is below 1.
    """
    _check(settings.min_votes)
    method = plugins.load(METHODS, "consensus method", settings.method)
    counted = tally(votes, settings.count_weak)
    return _table(counted, method.judge(votes, counted), settings)


def _check(min_votes: int) -> None:
    if min_votes < 1:
        raise LabelError(f"min_votes is {min_votes}; a verdict needs at least 1 vote")


def _table(counted: Tally, judged: Judgement, settings: ConsensusSettings) -> pa.Table:
    """The verdicts that follow from what a method made of the votes."""
    decisive = counted.decisive
    few = decisive < settings.min_votes
    undecided = few | (judged.lean == 0)
    share = np.maximum(counted.yes, counted.no) / np.maximum(decisive, 1)
    posterior = judged.posterior.astype(np.float32)
    return pa.table(
        {
            "image_id": counted.index.image_ids,
            "label": pa.array(counted.index.labels),
            "is_clean": pa.array(judged.lean > 0, mask=undecided),
            "votes_yes": pa.array(counted.yes, pa.int32()),
            "votes_no": pa.array(counted.no, pa.int32()),
            "votes_total": pa.array(decisive + counted.unsure, pa.int32()),
            "agreement": pa.array(share.astype(np.float32), mask=decisive == 0),
            "status": pc.if_else(pa.array(undecided, pa.bool_()), "undecided", "decided"),
            "reason": pc.if_else(
                pa.array(few, pa.bool_()), TOO_FEW, pc.if_else(pa.array(undecided, pa.bool_()), TIE, None)
            ),
            "posterior": pa.array(posterior, mask=np.isnan(posterior)),
            "method": pa.repeat(settings.method, len(few)),
        }
    ).cast(VERDICTS)


def majority(votes: pa.Table, min_votes: int = MIN_VOTES) -> pa.Table:
    """One verdict a question: the answer that most of its decisive votes gave. It counts, and is quick.

    With y votes for yes and n for no, weak ones left out, the image is clean if y > n and wrong if n > y. It is
    undecided if y + n < ``min_votes`` or y = n.

    Args:
        votes: a table of `noisyweb.schemas.VOTES`, one row a key.
        min_votes: decisive votes needed, at least 1.

    Returns:
        What `verdicts_of` gives for the method majority, but no posteriors.

    Raises:
        LabelError: an answer is none of yes, no and unsure, or ``min_votes`` is below 1.
    """
    _check(min_votes)
    counted = tally(votes)
    return _table(counted, by_count(counted), ConsensusSettings(min_votes=min_votes))


def update(
    workspace: Workspace, min_votes: int | None = None, method: str | None = None, count_weak: bool | None = None
) -> pa.Table:
    """Work out a workspace's verdicts anew from all its votes, write and return them.

    Args:
        workspace: whose votes; keep it `locked` meanwhile.
        min_votes, method, count_weak: see `ConsensusSettings`. What is given is kept for later updates; what is left
            out is as it was given last.

    Raises:
        UnknownNameError: there is no such method; nothing is written then, nor after the other errors.
        MissingExtraError: a package that the method needs is not installed.
        LabelError: votes or ``min_votes`` cannot be used.
        CorruptFileError: the settings kept, or the votes, are damaged.
    """
    kept = read_settings(workspace.folder)
    asked = {"min_votes": min_votes, "method": method, "count_weak": count_weak}
    settings = replace(kept, **{name: value for name, value in asked.items() if value is not None})  # type: ignore[arg-type]
    verdicts = verdicts_of(workspace.fold("votes"), settings)
    if settings != kept:
        write_settings(workspace.folder, settings)
    workspace.write("verdicts", verdicts)
    return verdicts


def is_stale(workspace: Workspace) -> bool:
    """Whether the verdicts do not rest on the votes that are there: a process died in between, say."""
    counted = tally(workspace.read("votes"), read_settings(workspace.folder).count_weak)
    verdicts = workspace.read("verdicts")
    columns = {
        "image_id": counted.index.image_ids,
        "label": pa.array(counted.index.labels),
        "votes_yes": pa.array(counted.yes, pa.int32()),
        "votes_no": pa.array(counted.no, pa.int32()),
        "votes_total": pa.array(counted.decisive + counted.unsure, pa.int32()),
    }
    return any(not verdicts[name].equals(pa.chunked_array([column])) for name, column in columns.items())


def summary(votes: pa.Table, verdicts: pa.Table) -> Iterator[str]:
    """The state of the verdicts in two lines of text."""
    weak = pc.sum(votes["is_weak"]).as_py() or 0
    line = f"votes: {votes.num_rows:,} by {len(pc.unique(votes['annotator'])):,} annotators"
    line += f" on {verdicts.num_rows:,} questions"
    yield line + (f"; {weak:,} of them weak" if weak else "")
    clean, reasons = verdicts["is_clean"], verdicts["reason"]
    right, wrong, undecided = _count(clean, True), _count(clean, False), clean.null_count
    line = f"verdicts: {right:,} right, {wrong:,} wrong, {undecided:,} undecided"
    if undecided:
        line += f" ({TOO_FEW} {_count(reasons, TOO_FEW):,}, {TIE} {_count(reasons, TIE):,})"
    mean = pc.mean(verdicts["agreement"]).as_py()
    yield line + (f"; mean agreement {mean:.3f}" if mean is not None else "")


def _count(column: pa.ChunkedArray, value: object) -> int:
    return int(pc.sum(pc.equal(column, pa.scalar(value, column.type))).as_py() or 0)
