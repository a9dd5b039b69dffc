"""Joint draws of what images really show, from the posterior of the two-coin model, by Gibbs sampling.

Where votes say little about the spread, a chain would take for ever from one end of its posterior to the other. So
one chain walks through the quantiles of that posterior (`noisyweb.certainty.spread`) in order, and as the spread moves,
all parameters move with it by as much as the most probable ones do.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from noisyweb.certainty.spread import Spreads
from noisyweb.certainty.two_coin import (
    EASE,
    NUM_EASES,
    PREVALENCE,
    RATES,
    Floats,
    Parameters,
    Prior,
    TwoCoin,
    log_density,
    mean_given,
    mode,
)

_BURN_IN = 20
Random = np.random.RandomState  # its streams are frozen, unlike those of numpy's newer generators


def draw_wrong(model: TwoCoin, spreads: Spreads, num: int, seed: int) -> Iterator[npt.NDArray[np.bool_]]:
    """Draw ``num`` times which of the model's N questions are about wrong images; yields arrays of shape (N,)."""
    random = Random(seed)
    walk = spreads.quantiles(num)
    here, at = walk[0], spreads.between(walk[0])
    for turn, spread in enumerate([*[walk[0]] * _BURN_IN, *walk]):
        at, here = at.moved(spreads.between(here), spreads.between(spread)), spread
        states = _draw_states(model.log_joint(at, spread), random)
        at = _draw_parameters(model, at, states, spread, random)
        if turn >= _BURN_IN:
            yield states >= NUM_EASES


def _draw_states(joint: Floats, random: Random) -> npt.NDArray[np.intp]:
    """A state for each question, shape (N,)."""
    logs = np.ascontiguousarray(joint.T)  # states first: sums and comparisons run along memory
    logs -= logs.max(axis=0)
    mass = np.exp(logs.astype(np.float32))  # three times as fast as in double precision
    for state in range(1, len(mass)):
        mass[state] += mass[state - 1]
    level = random.random_sample(mass.shape[1]) * mass[-1]
    states = np.zeros(mass.shape[1], np.intp)
    for below in mass[:-1]:
        states += below <= level
    return states


def _draw_parameters(
    model: TwoCoin, at: Parameters, states: npt.NDArray[np.intp], spread: float, random: Random
) -> Parameters:
    found = model.counts(states)
    rates = _draw_logits(at.rates, found.correct, found.answers, spread * EASE, at.rate_means, RATES, random)
    no_shift, mean = np.zeros(1), at.prevalence_mean
    prevalence = _draw_logits(at.prevalence, found.right, found.images, no_shift, mean, PREVALENCE, random)
    return Parameters(rates, _draw_mean(rates, RATES, random), prevalence, _draw_mean(prevalence, PREVALENCE, random))


def _draw_mean(logits: Floats, prior: Prior, random: Random) -> Floats:
    mean, width = mean_given(logits, prior)
    drawn: Floats = mean + width * random.standard_normal(mean.shape)
    return drawn


def _draw_logits(
    now: Floats, correct: Floats, answers: Floats, shift: Floats, mean: Floats, prior: Prior, random: Random
) -> Floats:
    """One step of Metropolis and Hastings: the normal that fits at the mode proposes. See also `log_density`."""
    peak, width = mode(correct, answers, shift, mean, prior)
    normal = random.standard_normal(peak.shape)
    new = peak + width * normal
    given = (correct, answers, shift, mean, prior)
    gain = log_density(new, *given) - log_density(now, *given) + 0.5 * (normal**2 - ((now - peak) / width) ** 2)
    return np.where(np.log1p(-random.random_sample(peak.shape)) < gain, new, now)
