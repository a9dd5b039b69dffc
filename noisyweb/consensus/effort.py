"""What is left to do: votes that questions still want, and the time and money that they take."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from noisyweb.consensus.tally import Tally
from noisyweb.consensus.wanted import FIRST, wanted
from noisyweb.errors import LabelError
from noisyweb.question_index import Places

RECENT = 1000
"""Votes that the pace is measured by."""


@dataclass(frozen=True)
class Effort:
    """Votes that are missing, and how long one takes.

    Attributes:
        votes: votes that are still wanted. Where annotators do not agree more may be wanted later.
        num_questions: questions that want them.
        pace_s: median seconds of the last measured votes; None: no vote was measured.
        num_measured: votes that the pace is measured by, at most `RECENT`.
    """

    votes: int
    num_questions: int
    pace_s: float | None
    num_measured: int

    @property
    def hours(self) -> float | None:
        """One person's hours for these votes; None: the pace is not measured."""
        return None if self.pace_s is None else self.votes * self.pace_s / 3600

    def cost(self, price: float) -> float:
        """What these votes cost at a price a vote, in the price's currency.

        Raises:
            LabelError: the price is not a number from 0.
        """
        if not (math.isfinite(price) and price >= 0):
            raise LabelError(f"price is {price}; expected what a vote costs, a number from 0")
        return self.votes * price


def missing(asked: pa.Table, tally: Tally, first: int = FIRST) -> Places:
    """Votes that each question still wants by the rule of `noisyweb.consensus.wanted`; shape (N,).

    Args:
        asked: the columns image_id and label of N questions.
        tally: votes so far, also of other questions.
        first: votes that a question wants at first.
    """
    place = tally.index.places(asked)
    yes, no, unsure = (np.append(count, 0)[place] for count in (tally.yes, tally.no, tally.unsure))
    return np.asarray(wanted(yes, no, unsure, first) - (yes + no + unsure), np.int64)


def effort(asked: pa.Table, votes: pa.Table, tally: Tally, first: int = FIRST) -> Effort:
    """What is left to do on some questions.

    Args:
        asked: the columns image_id and label.
        votes: a table of `noisyweb.schemas.VOTES`; the pace is that of the last measured ones by answered_at, those
            that do not tell when being the oldest.
        tally: the same votes.
        first: votes that a question wants at first.
    """
    wants = missing(asked, tally, first)
    seconds = votes["seconds"].cast(pa.float64()).fill_null(np.nan).to_numpy()
    when = votes["answered_at"].cast(pa.int64()).fill_null(np.iinfo(np.int64).min).to_numpy()
    measured = np.isfinite(seconds) & (seconds >= 0) & ~tally.is_weak
    last = np.argsort(when[measured], kind="stable")[-RECENT:]
    recent = seconds[measured][last]
    pace_s = float(np.median(recent)) if len(recent) else None
    return Effort(int(wants.sum()), int(np.count_nonzero(wants)), pace_s, len(recent))
