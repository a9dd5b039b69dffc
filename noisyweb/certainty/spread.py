"""How much annotators err together: the posterior of the two-coin model's spread, on a grid.

Votes may say much about the spread or, with three a question, next to nothing. So it is not estimated but averaged
over: for each spread there are most probable parameters, and how probable these are says how probable the spread is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noisyweb.certainty.ballots import Ballots
from noisyweb.certainty.two_coin import Floats, Parameters, TwoCoin

MAX_SPREAD = 1.5
_STEP, _FINEST = 0.25, 0.01
_HOPELESS, _CLOSE = 12.0, 2.0  # nats below the best
_FINE = np.linspace(0.0, MAX_SPREAD, 1501)


@dataclass(frozen=True)
class Spreads:
    """The posterior of the spread, with the most probable parameters along it.

    Attributes:
        at: some spreads, rising from 0; at least two.
        height: log of their probability density, up to a constant; taken as linear between them, and -inf beyond.
        parameters: the most probable ones of each.
    """

    at: Floats
    height: Floats
    parameters: tuple[Parameters, ...]

    def quantiles(self, num: int) -> Floats:
        """``num`` spreads in rising order, each as probable as the others."""
        return np.interp((np.arange(num) + 0.5) / num, np.cumsum(self._shares()), _FINE)

    def weights(self) -> Floats:
        """Probability of each spread of ``at``: that of all which are nearest to it."""
        between = (self.at[1:] + self.at[:-1]) / 2
        place = np.searchsorted(between, _FINE, side="right")
        weights: Floats = np.bincount(place, weights=self._shares(), minlength=len(self.at)).astype(np.float64)
        return weights

    def between(self, spread: float) -> Parameters:
        """The most probable parameters of any spread, linear between those of ``at``."""
        right = int(np.clip(np.searchsorted(self.at, spread), 1, len(self.at) - 1))
        share = (spread - self.at[right - 1]) / (self.at[right] - self.at[right - 1])
        low, high = self.parameters[right - 1], self.parameters[right]
        pairs = zip(vars(low).values(), vars(high).values(), strict=True)
        return Parameters(*(a + share * (b - a) for a, b in pairs))

    def _shares(self) -> Floats:
        height = np.interp(_FINE, self.at, self.height, right=-np.inf)
        shares: Floats = np.exp(height - height.max())
        shares /= shares.sum()
        return shares


def find_spreads(ballots: Ballots, model: TwoCoin) -> Spreads:
    """Find the posterior of the spread; its prior is half normal, of scale 1, up to `MAX_SPREAD`.

    How probable a spread is, is judged as if all classes had the same share of right images. If shares could differ,
    classes that are hard would pass for classes with few right images, and annotators for independent.

    Args:
        ballots: at least one vote.
        model: of these ballots; the parameters are for it.
    """
    plain = TwoCoin(ballots, by_class=False)
    found: dict[float, tuple[float, Parameters]] = {}

    def visit(spread: float) -> float:
        start = found[min(found, key=lambda other: abs(other - spread))][1] if found else plain.start()
        at, value = plain.most_probable(spread, start)
        found[spread] = (value - 0.5 * spread**2, at)
        return found[spread][0]

    best = visit(0.0)
    for step in range(1, round(MAX_SPREAD / _STEP) + 1):
        height = visit(step * _STEP)
        best = max(best, height)
        if height < best - _HOPELESS:
            break
    while steep := _steep(found):
        for spread in steep:
            visit(spread)
    at = np.array(sorted(found))
    starts = (found[spread][1].with_classes(model.num_classes) for spread in at)
    parameters = tuple(model.most_probable(spread, start)[0] for spread, start in zip(at, starts, strict=True))
    return Spreads(at, np.array([found[spread][0] for spread in at]), parameters)


def _steep(found: dict[float, tuple[float, Parameters]]) -> list[float]:
    """Where to look closer: halfway to the best spread's neighbours, where the density falls off steeply."""
    at = sorted(found)
    top = max(range(len(at)), key=lambda place: found[at[place]][0])
    return [
        (at[top] + at[other]) / 2
        for other in (top - 1, top + 1)
        if 0 <= other < len(at)
        and found[at[other]][0] < found[at[top]][0] - _CLOSE
        and abs(at[other] - at[top]) > _FINEST
    ]
