"""Two-coin annotators who err together on hard questions: the model, and its most probable parameters.

Each annotator has two coins (Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM
Algorithm", 1979; Raykar et al., "Learning From Crowds", JMLR 2010): one for images that are what was asked, one for
images that are not. If coins fell independently, majorities would be surer than they are, because people err on the
same images. So each question also has an ease that all who answer it share (a random effect, as Qu, Tan and Kutner
have it, Biometrics 1996)::

    P(the answer is right | question q, annotator a) = logistic(rate[truth_q, a] + spread * ease_q)
    ease_q = -sqrt(3), 0 or sqrt(3) with probability 1/6, 2/3 or 1/6       (mean 0, variance 1)

``spread`` 0 is the plain two-coin model. Annotators are alike until their votes say otherwise (Carpenter, "Multilevel
Bayesian Models of Categorical Data Annotation", 2008): logits are normal about a common mean, those of annotators with
standard deviation 0.7 (worth some tens of votes), those of the classes' shares of right images with 1. The mean rates
are 2 (88 % right answers), give or take 1, which keeps yes from meaning no.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import expit, log_expit

from noisyweb.certainty.ballots import Ballots

Floats = npt.NDArray[np.float64]

EASE = np.sqrt(3.0) * np.array([-1.0, 0.0, 1.0])
_LOG_SHARE = np.log(np.array([1.0, 4.0, 1.0]) / 6.0)
NUM_EASES = len(EASE)
NUM_STATES = 2 * NUM_EASES
"""States of a question: the image is what was asked (hard, middling, easy), or it is not (likewise)."""

_NEWTON_STEPS = 4
_TOLERANCE, _MAX_STEPS = 0.01, 200  # of EM: nats that a step must gain


class Prior(NamedTuple):
    """Of logits: they are normal about a common mean, which is normal itself.

    Attributes:
        centre, width: mean and standard deviation of the common mean.
        about: standard deviation of the logits about it.
    """

    centre: float
    width: float
    about: float


RATES, PREVALENCE = Prior(2.0, 1.0, 0.7), Prior(0.0, 2.0, 1.0)


@dataclass(frozen=True)
class Parameters:
    """All that is unknown but the questions' states and the spread; logits.

    Attributes:
        rates: of right answers to right images (row 0) and to wrong ones (row 1), shape (2, A).
        rate_means: what the rates are about, shape (2, 1).
        prevalence: of right images among those of each class, shape (1, C).
        prevalence_mean: shape (1, 1).
    """

    rates: Floats
    rate_means: Floats
    prevalence: Floats
    prevalence_mean: Floats

    def with_classes(self, num: int) -> Parameters:
        """The same for ``num`` classes that are alike, from those for one."""
        return replace(self, prevalence=np.repeat(self.prevalence, num, axis=1))

    def moved(self, start: Parameters, end: Parameters) -> Parameters:
        """These, moved by what lies between two others."""
        return Parameters(
            self.rates + end.rates - start.rates,
            self.rate_means + end.rate_means - start.rate_means,
            self.prevalence + end.prevalence - start.prevalence,
            self.prevalence_mean + end.prevalence_mean - start.prevalence_mean,
        )


class Counts(NamedTuple):
    """What the logits hang on, if the states are known.

    Attributes:
        correct, answers: right answers and all, by truth, annotator and ease; shape (2, A, NUM_EASES).
        right, images: right images and all, by class; shape (1, C, 1).
    """

    correct: Floats
    answers: Floats
    right: Floats
    images: Floats


class TwoCoin:
    """Votes in the form in which the model reads them.

    Args:
        ballots: at least one vote.
        by_class: whether classes differ in how many of their images are right.

    Attributes:
        voted: the questions with a vote, N of them, indices into those of the ballots.
        num_annotators, num_classes: A, and C of those N questions (1 if not by class).
    """

    def __init__(self, ballots: Ballots, by_class: bool = True) -> None:
        self.voted, self._question = np.unique(ballots.question, return_inverse=True)
        labels = ballots.labels[self.voted] if by_class else np.zeros(len(self.voted), np.int32)
        _, self._class_of = np.unique(labels, return_inverse=True)
        self.num_annotators, self.num_classes = len(ballots.annotators), int(self._class_of.max()) + 1
        self._images: Floats = np.bincount(self._class_of).astype(np.float64)[None, :, None]
        self._column = 2 * ballots.annotator + ballots.says_yes  # one for each annotator and answer
        shape = (len(self.voted), 2 * self.num_annotators)
        self._cast: Any = sparse.csr_array((np.ones(len(self._column)), (self._question, self._column)), shape=shape)
        self._by_column: Any = self._cast.T.tocsr()

    def start(self) -> Parameters:
        """Where the search for parameters begins: all are alike, as the prior has it."""
        return Parameters(
            np.full((2, self.num_annotators), RATES.centre),
            np.full((2, 1), RATES.centre),
            np.full((1, self.num_classes), PREVALENCE.centre),
            np.full((1, 1), PREVALENCE.centre),
        )

    def log_joint(self, at: Parameters, spread: float) -> Floats:
        """log P(votes, state) of each question, shape (N, NUM_STATES)."""
        logits = at.rates[:, :, None] + spread * EASE
        right, wrong = log_expit(logits), log_expit(-logits)  # answers, by truth, annotator and ease
        table = np.empty((self.num_annotators, 2, NUM_STATES))
        table[:, 1] = np.concatenate([right[0], wrong[1]], axis=1)
        table[:, 0] = np.concatenate([wrong[0], right[1]], axis=1)
        truth = np.stack([log_expit(at.prevalence[0]), log_expit(-at.prevalence[0])], axis=1)
        states = (truth[:, :, None] + _LOG_SHARE).reshape(self.num_classes, NUM_STATES)
        joint: Floats = self._cast @ table.reshape(2 * self.num_annotators, NUM_STATES)
        joint += np.take(states, self._class_of, axis=0)  # faster than an index
        return joint

    def counts(self, states: npt.NDArray[np.intp]) -> Counts:
        """Counts of states that are known, shape (N,)."""
        cells = 2 * self.num_annotators * NUM_STATES
        said = np.bincount(self._column * NUM_STATES + states[self._question], minlength=cells)
        return self._counts(said.astype(np.float64), (states < NUM_EASES).astype(np.float64))

    def expected_counts(self, states: Floats) -> Counts:
        """Counts of states of which the probabilities are known, shape (N, NUM_STATES)."""
        return self._counts(self._by_column @ states, states[:, :NUM_EASES].sum(axis=1))

    def _counts(self, said: Floats, is_right: Floats) -> Counts:
        cells = said.reshape(self.num_annotators, 2, 2, NUM_EASES)  # annotator, answer, truth, ease
        correct = np.stack([cells[:, 1, 0], cells[:, 0, 1]])
        right = np.bincount(self._class_of, weights=is_right, minlength=self.num_classes).astype(np.float64)
        return Counts(correct, cells.sum(axis=1).swapaxes(0, 1), right[None, :, None], self._images)

    def most_probable(self, spread: float, start: Parameters) -> tuple[Parameters, float]:
        """The most probable parameters for a spread, by EM, and the log of their probability, up to a constant."""
        at, last = start, -np.inf
        for _ in range(_MAX_STEPS):
            joint = self.log_joint(at, spread)
            total = _log_sum(joint)
            value = float(total.sum()) + log_prior(at)
            if value - last < _TOLERANCE:
                break
            last = value
            found = self.expected_counts(np.exp(joint - total[:, None]))
            rates, _ = mode(found.correct, found.answers, spread * EASE, at.rate_means, RATES)
            prevalence, _ = mode(found.right, found.images, np.zeros(1), at.prevalence_mean, PREVALENCE)
            means, overall = mean_given(rates, RATES)[0], mean_given(prevalence, PREVALENCE)[0]
            at = Parameters(rates, means, prevalence, overall)
        return at, value

    def probability_right(self, at: Parameters, spread: float) -> Floats:
        """P(the image is what was asked | votes), shape (N,)."""
        joint = self.log_joint(at, spread)
        probability: Floats = expit(_log_sum(joint[:, :NUM_EASES]) - _log_sum(joint[:, NUM_EASES:]))
        return probability


def _log_sum(logs: Floats) -> Floats:
    """log of the sum of exponentials of each row; scipy's own is several times slower."""
    most = logs.max(axis=1)
    total: Floats = most + np.log(np.exp(logs - most[:, None]).sum(axis=1))
    return total


def log_prior(at: Parameters) -> float:
    """log P(parameters), up to a constant."""
    total = 0.0
    for logits, mean, prior in ((at.rates, at.rate_means, RATES), (at.prevalence, at.prevalence_mean, PREVALENCE)):
        total += float(
            (((logits - mean) / prior.about) ** 2).sum() + (((mean - prior.centre) / prior.width) ** 2).sum()
        )
    return -0.5 * total


def mean_given(logits: Floats, prior: Prior) -> tuple[Floats, float]:
    """Common means and their standard deviation, given logits of shape (R, M): a mean of each row, shape (R, 1)."""
    weight = logits.shape[1] / prior.about**2
    precision = weight + prior.width**-2
    mean = (weight * logits.mean(axis=1, keepdims=True) + prior.centre * prior.width**-2) / precision
    return mean, precision**-0.5


def log_density(logits: Floats, correct: Floats, answers: Floats, shift: Floats, mean: Floats, prior: Prior) -> Floats:
    """log P(counts, logits), up to a constant, shape (R, M).

    Args:
        logits: shape (R, M).
        correct, answers: counts by shift, shape (R, M, S).
        shift: what is added to the logits, shape (S,).
        mean: what the logits are about, shape (R, 1).
        prior: how far from it they are.
    """
    moved = logits[:, :, None] + shift
    fit = (correct * moved + answers * log_expit(-moved)).sum(axis=2)
    density: Floats = fit - 0.5 * ((logits - mean) / prior.about) ** 2
    return density


def mode(correct: Floats, answers: Floats, shift: Floats, mean: Floats, prior: Prior) -> tuple[Floats, Floats]:
    """The most probable logits, and the standard deviations of the normal that fits there, by Newton's method.

    Arguments are those of `log_density`; both results have shape (R, M).
    """
    total = answers.sum(axis=2)
    near = correct.sum(axis=2) + expit(mean)  # one answer more, as the mean has it
    logits: Floats = np.log(near) - np.log(total + 1.0 - near)
    for _ in range(_NEWTON_STEPS):
        p = expit(logits[:, :, None] + shift)
        slope = (correct - answers * p).sum(axis=2) - (logits - mean) / prior.about**2
        curvature = (answers * p * (1.0 - p)).sum(axis=2) + prior.about**-2
        logits = logits + np.clip(slope / curvature, -1.0, 1.0)
    return logits, curvature**-0.5
