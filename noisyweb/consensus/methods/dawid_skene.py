"""Dawid-Skene: annotators have confusion matrices of their own, estimated together with the answers.

A. P. Dawid and A. M. Skene, Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm, Applied
Statistics 28 (1979) 20-28, as crowd-kit has it: EM from the shares of the votes. An image is what was asked where the
posterior is above 1/2.

Maximum likelihood fails where annotators have answered little or one way only: who has said nothing but "no" has, by
the counts, no skill at all, and a class may come to mean something else than its name (label switching). So each
annotator starts with a few answers of whom we know the truth, four right for each wrong: Dirichlet priors of the rows
of the confusion matrices, after V. C. Raykar et al., Learning From Crowds, JMLR 11 (2010) 1297-1322, sections 2.5
and 3. With hundreds of answers an annotator they change nothing.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from noisyweb.consensus.methods import Judgement
from noisyweb.consensus.methods._crowd import Floats, crowdkit, judge_by, quiet
from noisyweb.consensus.tally import Tally
from noisyweb.question_index import Places

RIGHT_TO_WRONG = 4
"""Right answers for each wrong one that everybody starts with; a wrong one is one of each kind."""


def judge(votes: pa.Table, tally: Tally) -> Judgement:
    """Lean the way that the posterior does; weak votes take part as annotators of their own.

    Raises:
        MissingExtraError: crowd-kit is not installed.
    """
    return judge_by(posteriors, votes, tally)


def posteriors(task: Places, worker: Places, answer: Places, num_classes: int) -> Floats:
    """Probabilities of each task's true answer.

    Args:
        task: 0..N-1, each at least once; shape (V,).
        worker: who answered, 0..W-1; shape (V,).
        answer: 0..K-1; shape (V,). Sort by task, worker and answer: sums depend on the order in the last bits.
        num_classes: K, at least 2.

    Returns:
        Shape (N, K); rows sum to 1.

    Raises:
        MissingExtraError: crowd-kit is not installed.
    """
    aggregation = crowdkit("Dawid-Skene")
    import pandas as pd

    num_tasks, num_workers = int(task.max()) + 1, int(worker.max()) + 1
    given = _known_answers(num_classes)
    frame = pd.DataFrame(
        {
            "task": np.concatenate([task, np.tile(num_tasks + given[:, 0], num_workers)]),
            "worker": np.concatenate([worker, np.repeat(np.arange(num_workers), len(given))]),
            "label": np.concatenate([answer, np.tile(given[:, 1], num_workers)]),
        }
    )
    truth = pd.Series(np.arange(num_classes), index=num_tasks + np.arange(num_classes))
    with quiet():
        found = aggregation.DawidSkene().fit_predict_proba(frame, truth)
    table = found.reindex(index=np.arange(num_tasks), columns=np.arange(num_classes))
    return np.asarray(table.to_numpy(), np.float64)


def _known_answers(num_classes: int) -> Places:
    """What everybody starts with: pairs of the true and the given answer, shape (5 K (K - 1), 2)."""
    times = np.ones((num_classes, num_classes), np.int64)
    np.fill_diagonal(times, RIGHT_TO_WRONG * (num_classes - 1))
    true, given = np.indices(times.shape)
    return np.stack([np.repeat(true.ravel(), times.ravel()), np.repeat(given.ravel(), times.ravel())], axis=1)
