"""What crowd-kit's models share: votes as numbers, and its import, which is slow and may be missing."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from noisyweb.consensus.methods import Judgement
from noisyweb.consensus.tally import UNSURE, YES, Tally
from noisyweb.errors import MissingExtraError
from noisyweb.question_index import Places, codes

Floats = npt.NDArray[np.float64]


class Posteriors(Protocol):
    """A model of a crowd: see `noisyweb.consensus.methods.dawid_skene.posteriors`."""

    def __call__(self, task: Places, worker: Places, answer: Places, num_classes: int) -> Floats: ...


def crowdkit(method: str) -> Any:
    """The classes of crowd-kit.

    Args:
        method: what needs them, for the message.

    Raises:
        MissingExtraError: it is not installed.
    """
    with quiet():
        try:
            return importlib.import_module("crowdkit.aggregation")
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != "crowdkit":
                raise
            raise MissingExtraError("crowd-kit", "consensus", f"consensus by {method}") from None


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what pandas and others say to crowd-kit's authors."""
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning, PendingDeprecationWarning):
            warnings.simplefilter("ignore", kind)
        yield


def judge_by(posteriors: Posteriors, votes: pa.Table, tally: Tally) -> Judgement:
    """Judge yes-or-no questions by a model of the crowd.

    Unsure votes are left out. Weak votes take part: who gave them is an annotator of their own, whose errors are
    estimated like everybody's. A question without a yes or no has no posterior.

    Args:
        posteriors: the model.
        votes: a table of `noisyweb.schemas.VOTES`.
        tally: the same votes.
    """
    decisive = tally.answer != UNSURE
    posterior = np.full(len(tally.index), np.nan)
    if decisive.any():
        asked, task = np.unique(tally.index.row[decisive], return_inverse=True)
        _, name = codes(votes["annotator"])
        _, worker = np.unique((name * 2 + tally.is_weak)[decisive], return_inverse=True)
        answer = tally.answer[decisive].astype(np.int64)
        order = np.lexsort((answer, worker, task))  # sums of floats depend on the order of their terms
        posterior[asked] = posteriors(task[order], worker[order], answer[order], 2)[:, YES]
    # as precise as it is stored: a tie that rounding has tipped stays a tie
    lean = np.sign(np.nan_to_num(posterior, nan=0.5).astype(np.float32) - np.float32(0.5))
    return Judgement(lean.astype(np.int8), posterior)
