"""Certainty: how many of the web images that annotators called wrong really are wrong.

Annotators err, so the level of a build is known up to an interval. It comes from the votes alone, by the model of
`noisyweb.certainty.two_coin`: annotators of unknown skill who err together on hard questions. Unsure votes and a
machine's guesses are left out; clean images are taken as right.

How far the interval can be trusted (tests/benchmarks/bench_certainty.py has the figures): it covers the truth about as
often as it says where errors are independent, and nearly so (87 to 97 times in 100, with 2,000 questions) where
questions or classes differ in how hard they are. With three votes a question there is no telling how much people err
together; the interval is wide then, and its ends rest on the prior of the spread. It covers too seldom where half of
the wrong images are lookalikes that annotators of little skill take for right. More questions make the interval
narrower, but not the model truer: with very many, what the model gets wrong is more than what the interval allows for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

METHOD = "two-coin, shared ease"
NUM_DRAWS = 300
_LOW, _HIGH = 0.025, 0.975
_DIGITS = 6  # of what is written down


@dataclass(frozen=True)
class Certainty:
    """The share of wrong labels in a training set, as sure as the votes make it.

    Attributes:
        mean: of the posterior, in [0, 1].
        low, high: ends of its central 95 % interval, which holds the mean.
        draws: joint draws that these are worked out from.
        votes, annotators: what the model was fitted to.
        method: the model.
    """

    mean: float
    low: float
    high: float
    draws: int
    votes: int
    annotators: int
    method: str = METHOD

    def __str__(self) -> str:
        return (
            f"annotators err: the true level is {self.mean:.2%} (95% interval {self.low:.2%} to {self.high:.2%}), "
            "the clean labels taken as right"
        )

    def record(self) -> dict[str, Any]:
        """For a lock file."""
        return asdict(self)

    @classmethod
    def of_record(cls, record: object) -> Certainty | None:
        """What `record` wrote; None if it is nothing of the kind."""
        if not isinstance(record, Mapping):
            return None
        kinds: dict[str, tuple[type, ...]] = dict.fromkeys(("mean", "low", "high"), (float, int))
        kinds |= dict.fromkeys(("draws", "votes", "annotators"), (int,)) | {"method": (str,)}
        values: dict[str, Any] = {name: record.get(name) for name in kinds}
        if any(type(values[name]) not in kind for name, kind in kinds.items()):
            return None
        found = cls(**values)
        return found if 0.0 <= found.low <= found.mean <= found.high <= 1.0 else None


@dataclass(frozen=True)
class WrongDraws:
    """Joint draws of which of N images are wrong, from the posterior.

    Attributes:
        packed: one bit an image, a row a draw, as `numpy.packbits` packs rows; shape (draws, ceil(N / 8)).
        num_images: N.
        num_votes, num_annotators: what the model was fitted to.
    """

    packed: npt.NDArray[np.uint8]
    num_images: int
    num_votes: int
    num_annotators: int

    def unpacked(self) -> npt.NDArray[np.bool_]:
        """Shape (draws, N)."""
        return np.unpackbits(self.packed, axis=1, count=self.num_images).astype(bool)

    def num_wrong(self, images: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How many of some images are wrong, by draw; shape (draws,)."""
        bits = (np.unpackbits(row, count=self.num_images) for row in self.packed)  # one draw at a time: memory
        return np.array([np.count_nonzero(row[images]) for row in bits], np.int64)

    def certainty(self, images: npt.NDArray[np.int64], num_rows: int, num_sure: int = 0) -> Certainty:
        """The level of a training set of ``num_rows`` images into which some of the N have come.

        Args:
            images: which have.
            num_rows: images of the set.
            num_sure: further ones that are wrong for certain, such as flipped labels.
        """
        wrong = self.num_wrong(images) + num_sure
        low, high = np.quantile(wrong, [_LOW, _HIGH])
        mean, low, high = (round(float(number) / num_rows, _DIGITS) for number in (wrong.mean(), low, high))
        low, high = min(low, mean), max(high, mean)  # of a few images the mean may lie outside
        return Certainty(mean, low, high, len(wrong), self.num_votes, self.num_annotators)


def posterior(votes: pa.Table) -> npt.NDArray[np.float64]:
    """The probability that an image is what was asked, by the two-coin model (`noisyweb.certainty.two_coin`).

    Args:
        votes: a table of `noisyweb.schemas.VOTES`, in any order.

    Returns:
        One number in [0, 1] for each distinct question, sorted by (label, image_id); NaN where nobody said yes or no.
    """
    from noisyweb.certainty.ballots import Ballots  # scipy comes with these, so they are imported when needed
    from noisyweb.certainty.spread import find_spreads
    from noisyweb.certainty.two_coin import TwoCoin

    ballots = Ballots.of(votes)
    found = np.full(len(ballots.labels), np.nan)
    if len(ballots.question):
        model = TwoCoin(ballots)
        spreads = find_spreads(ballots, model)
        parts = zip(spreads.weights(), spreads.at, spreads.parameters, strict=True)
        sums = sum(weight * model.probability_right(at, float(spread)) for weight, spread, at in parts if weight > 0)
        found[model.voted] = np.clip(sums, 0.0, 1.0)
    return found


def wrong_draws(votes: pa.Table, asked: pa.Table, num: int = NUM_DRAWS, seed: int = 0) -> WrongDraws | None:
    """Draw which images are not what was asked, jointly, from the posterior of the two-coin model.

    The skills of annotators, the classes' shares of right images and how much people err together are drawn along,
    so what is not known of these is in the draws. The order of the votes' rows changes nothing.

    Args:
        votes: a table of `noisyweb.schemas.VOTES`: all there are, not only those on the images asked for. Those are
            chosen by their votes, and a model of them alone would take annotators for better than they are.
        asked: the columns image_id and label of N questions.
        num: how many draws, at least 1.
        seed: same votes, questions and seed, same draws.

    Returns:
        The draws; None if there is a question to which nobody said yes or no.
    """
    from noisyweb.certainty.ballots import Ballots
    from noisyweb.certainty.gibbs import draw_wrong
    from noisyweb.certainty.spread import find_spreads
    from noisyweb.certainty.two_coin import TwoCoin

    ballots = Ballots.of(votes)
    place = ballots.index.places(asked)
    voted = ballots.is_voted()
    if (place < 0).any() or not voted[place].all() or not voted.any():
        return None
    model = TwoCoin(ballots)
    column = np.searchsorted(model.voted, place)
    draws = draw_wrong(model, find_spreads(ballots, model), num, seed)
    packed = np.stack([np.packbits(wrong[column]) for wrong in draws])
    return WrongDraws(packed, len(place), len(ballots.question), len(ballots.annotators))
