"""GLAD: annotators have an ability and images a difficulty, estimated together with the answers.

J. Whitehill, P. Ruvolo, T. Wu, J. Bergsma and J. Movellan, Whose Vote Should Count More: Optimal Integration of Labels
from Labelers of Unknown Expertise, NIPS 2009, as crowd-kit has it: EM with conjugate gradients, abilities and
difficulties with normal priors of mean 1 (an annotator is more often right than wrong until shown otherwise), all
answers equally probable beforehand. (The answers' shares of the votes as prior are worse on CIFAR-10N: what is named
too often is then believed, too.) An image is what was asked where the posterior is above 1/2. It is slow: minutes for
tens of thousands of images.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from noisyweb.consensus.methods import Judgement
from noisyweb.consensus.methods._crowd import Floats, crowdkit, judge_by, quiet
from noisyweb.consensus.tally import Tally
from noisyweb.question_index import Places


def judge(votes: pa.Table, tally: Tally) -> Judgement:
    """Lean the way that the posterior does; weak votes take part as annotators of their own.

    Raises:
        MissingExtraError: crowd-kit is not installed.
    """
    return judge_by(posteriors, votes, tally)


def posteriors(task: Places, worker: Places, answer: Places, num_classes: int) -> Floats:
    """Probabilities of each task's true answer; see `noisyweb.consensus.methods.dawid_skene.posteriors`.

    Raises:
        MissingExtraError: crowd-kit is not installed.
    """
    aggregation = crowdkit("GLAD")
    import pandas as pd

    prior = pd.Series(1.0 / num_classes, index=np.arange(num_classes))  # also of classes that nobody named
    frame = pd.DataFrame({"task": task, "worker": worker, "label": answer})
    with quiet():
        found = aggregation.GLAD(labels_priors=prior).fit_predict_proba(frame)
    table = found.reindex(index=np.arange(int(task.max()) + 1), columns=np.arange(num_classes))
    return np.asarray(table.to_numpy(), np.float64)
