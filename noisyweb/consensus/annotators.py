"""How good each annotator is: agreement with the others, accuracy on known answers, speed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.consensus.tally import NO, UNSURE, YES, Tally, tally
from noisyweb.errors import LabelError
from noisyweb.question_index import Places, QuestionIndex, codes
from noisyweb.schemas import ANSWERS, VOTES

TRUTHS = ("yes", "no")

ANNOTATORS = pa.schema(
    [
        pa.field("annotator", pa.string(), nullable=False),  # key
        pa.field("is_weak", pa.bool_(), nullable=False),  # a machine: some of its votes are weak
        pa.field("votes", pa.int64(), nullable=False),
        pa.field("unsure", pa.float64()),  # share of the votes that are unsure, 0..1; null: no votes
        pa.field("compared", pa.int64(), nullable=False),  # votes that can be compared with the others'
        pa.field("agreement", pa.float64()),  # share of these that agree, 0..1; null: none
        pa.field("known", pa.int64(), nullable=False),  # votes on questions whose answer is known
        pa.field("accuracy", pa.float64()),  # share of the yes and no votes among these that are right; null: none
        # votes on known questions: what was said, what is true
        *[pa.field(f"said_{said}_is_{truth}", pa.int64(), nullable=False) for truth in TRUTHS for said in ANSWERS],
        pa.field("median_s", pa.float64()),  # seconds from seeing an image to answering; null: not measured
    ]
)
"""What is known of each annotator, sorted by name. Key: annotator."""

Numbers = npt.NDArray[np.float64]


def annotators(
    votes: pa.Table, counted: Tally, known: pa.Table | None = None, known_votes: pa.Table | None = None
) -> pa.Table:
    """Measure every annotator.

    Agreement: of the annotator's yes and no votes, the share that is what most of the *others* said. The annotator's
    own vote is taken out first, and votes where the others' tie, or where there are none, are not compared. The
    others are those whose votes count.

    Args:
        votes: a table of `noisyweb.schemas.VOTES`, one row a key.
        counted: the same votes.
        known: questions whose answer is known: image_id, label and answer (yes or no), one row a question.
        known_votes: votes on these, a table of `noisyweb.schemas.VOTES`; votes on other questions are left out.

    Returns:
        A table of `ANNOTATORS`: those of both tables of votes.

    Raises:
        LabelError: an answer is none of yes, no and unsure, or a known answer is neither yes nor no.
    """
    given = VOTES.empty_table() if known is None or known_votes is None else known_votes
    names, person = codes(pa.chunked_array([*votes["annotator"].chunks, *given["annotator"].chunks], pa.string()))
    asker, solver = person[: votes.num_rows], person[votes.num_rows :]
    num = len(names)

    def count(who: Places) -> Places:
        return np.bincount(who, minlength=num)

    total = count(asker)
    compared, agrees = _beside_others(counted)
    confusion = np.zeros((num, len(TRUTHS), len(ANSWERS)), np.int64)
    if known is not None:
        said, truth = _on_known(known, given)
        there = truth >= 0
        np.add.at(confusion, (solver[there], truth[there], said[there]), 1)
    right = confusion[:, YES, YES] + confusion[:, NO, NO]
    decisive = confusion[:, :, [YES, NO]].sum(axis=(1, 2))
    seconds = np.concatenate([_seconds(votes), _seconds(given)])
    columns = {
        "annotator": names,
        "is_weak": count(asker[counted.is_weak]) > 0,
        "votes": total,
        "unsure": _share(count(asker[counted.answer == UNSURE]), total),
        "compared": count(asker[compared]),
        "agreement": _share(count(asker[compared & agrees]), count(asker[compared])),
        "known": confusion.sum(axis=(1, 2)),
        "accuracy": _share(right, decisive),
        "median_s": _medians(person, seconds, num),
    }
    for t, is_true in enumerate(TRUTHS):
        for a, answer in enumerate(ANSWERS):
            columns[f"said_{answer}_is_{is_true}"] = confusion[:, t, a]
    return pa.table({field.name: columns[field.name] for field in ANNOTATORS}).cast(ANNOTATORS)


def _beside_others(counted: Tally) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which votes can be compared with the majority of the others', and which agree with it; both of shape (V,)."""
    lead = (counted.yes - counted.no)[counted.index.row]
    says = np.where(counted.answer == YES, 1, np.where(counted.answer == NO, -1, 0))
    others = lead - says * counted.counts
    return (says != 0) & (others != 0), np.sign(others) == says


def _on_known(known: pa.Table, given: pa.Table) -> tuple[npt.NDArray[np.int8], Places]:
    """What each vote says, and what is true of its question (-1: not known); both of shape (V,)."""
    answers = pc.index_in(known["answer"], pa.array(TRUTHS))
    if answers.null_count:
        [bad] = known.filter(pc.is_null(answers)).slice(0, 1).to_pylist()
        raise LabelError(f"known answer {bad['answer']!r} of {bad['image_id']}: expected one of {', '.join(TRUTHS)}")
    index = QuestionIndex.of(known)
    truth = np.full(len(index) + 1, -1, np.int64)  # the last is for questions that are not there
    truth[index.row] = answers.to_numpy()
    return tally(given).answer, truth[index.places(given)]


def _seconds(votes: pa.Table) -> Numbers:
    return np.asarray(votes["seconds"].cast(pa.float64()).fill_null(np.nan).to_numpy(), np.float64)


def _share(part: Places, whole: Places) -> pa.Array:
    return pa.array(part / np.maximum(whole, 1), mask=whole == 0)


def _medians(person: Places, seconds: Numbers, num: int) -> pa.Array:
    """The median of each person's measured seconds, null where there are none; shape (num,)."""
    measured = np.isfinite(seconds) & (seconds >= 0)
    person, seconds = person[measured], seconds[measured]
    seconds = seconds[np.lexsort((seconds, person))]
    size = np.bincount(person, minlength=num)
    if not len(seconds):
        return pa.nulls(num, pa.float64())
    start = np.cumsum(size) - size
    low, high = (np.minimum(start + np.maximum(place, 0), len(seconds) - 1) for place in ((size - 1) // 2, size // 2))
    return pa.array((seconds[low] + seconds[high]) / 2, mask=size == 0)
