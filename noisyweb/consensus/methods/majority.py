"""Majority: the answer that most of the decisive votes gave; weak votes take no part unless they count."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from noisyweb.consensus.methods import Judgement
from noisyweb.consensus.tally import Tally
from noisyweb.schemas import VOTES


def judge(votes: pa.Table, tally: Tally) -> Judgement:
    """Lean as `by_count` does.

    The posterior does not decide. It comes from `noisyweb.certainty.posterior`, which knows how far each annotator is
    to be trusted.
    """
    from noisyweb.certainty import posterior

    judged = by_count(tally)
    counted = votes.filter(pa.array(tally.counts))
    # what counts is a vote like any other there
    is_weak = VOTES.get_field_index("is_weak")
    counted = counted.set_column(is_weak, VOTES.field("is_weak"), pa.nulls(counted.num_rows, pa.bool_()))
    judged.posterior[tally.decisive + tally.unsure > 0] = posterior(counted)
    return judged


def by_count(tally: Tally) -> Judgement:
    """Lean towards yes where yes > no and towards no where no > yes; no posterior."""
    return Judgement(np.sign(tally.yes - tally.no).astype(np.int8), np.full(len(tally.index), np.nan))
