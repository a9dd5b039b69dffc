"""Votes counted: how often each question was answered yes, no and unsure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.question_index import Places, QuestionIndex
from noisyweb.schemas import ANSWERS
from noisyweb.votes import check_answers

YES, NO, UNSURE = range(3)
"""Places in `noisyweb.schemas.ANSWERS`."""


@dataclass(frozen=True)
class Tally:
    """V votes on Q questions.

    Attributes:
        index: the questions, and which of them each vote is about.
        answer: `YES`, `NO` or `UNSURE`; shape (V,).
        counts: whether a vote counts: all but weak ones, or all; shape (V,).
        is_weak: whether a vote is a machine's guess; shape (V,).
        yes, no, unsure: votes that count; shape (Q,). All are 0 where a question has weak votes alone.
    """

    index: QuestionIndex
    answer: npt.NDArray[np.int8]
    counts: npt.NDArray[np.bool_]
    is_weak: npt.NDArray[np.bool_]
    yes: Places
    no: Places
    unsure: Places

    @property
    def decisive(self) -> Places:
        """Votes for yes or no that count; shape (Q,)."""
        return self.yes + self.no


def tally(votes: pa.Table, count_weak: bool = False) -> Tally:
    """Count votes.

    Args:
        votes: a table of `noisyweb.schemas.VOTES`, one row a key, in any order.
        count_weak: whether a machine's guesses count like people's votes.

    Raises:
        LabelError: an answer is none of yes, no and unsure.
    """
    check_answers(votes)
    index = QuestionIndex.of(votes)
    answer = np.asarray(pc.index_in(votes["answer"], pa.array(ANSWERS)).to_numpy(), np.int8)
    is_weak = np.asarray(pc.fill_null(votes["is_weak"], False).to_numpy(), bool)
    counts = np.full(len(answer), True) if count_weak else ~is_weak

    def count(which: int) -> Places:
        return np.bincount(index.row[counts & (answer == which)], minlength=len(index))

    return Tally(index, answer, counts, is_weak, count(YES), count(NO), count(UNSURE))
