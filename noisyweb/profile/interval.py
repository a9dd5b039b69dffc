"""95 % intervals of means over images, and of what is worked out from them.

An estimate that is a smooth function of sums over images moves, to first order, by the sum of the images' influences.
Their variance within strata is what a bootstrap of images within strata comes to with ever more repetitions; it is
worked out here, so that an interval costs nothing and hangs on no seed.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

Z = 1.959964
FEWEST = 10
"""Images of a sort below which nothing is said: an interval would mean nothing."""

REPEATS = 200
"""How often blue noise is drawn."""


def standard_error(influence: Floats, strata: Places) -> float:
    """The standard deviation of a sum of influences.

    Args:
        influence: how much each image moves the estimate, shape (N,).
        strata: which stratum each is drawn from; those of one image are taken together.
    """
    _, place, size = np.unique(strata, return_inverse=True, return_counts=True)
    place = np.where(size[place] == 1, len(size), place)
    size = np.bincount(place)
    means = np.bincount(place, influence) / np.maximum(size, 1)
    squares = np.bincount(place, (influence - means[place]) ** 2)
    return float(np.sqrt((squares * size / np.maximum(size - 1, 1)).sum()))


def around(value: float, error: float) -> tuple[float, float]:
    """The 95 % interval of a value with a standard error."""
    return value - Z * error, value + Z * error


def share_around(value: float, error: float, count: int) -> tuple[float, float]:
    """The same of a share in [0, 1]; where all of ``count`` images say 0, or all say 1, Wilson's interval."""
    if error <= 1e-9 and (value <= 1e-9 or value >= 1 - 1e-9):
        return wilson(count if value > 0.5 else 0, count)
    low, high = around(value, error)
    return max(low, 0.0), min(high, 1.0)


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share (E. B. Wilson, 1927), which holds near 0 and 1 too."""
    share, square = count / total, Z**2 / total
    middle = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * math.sqrt(share * (1 - share) / total + square / (4 * total))
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return 0.0 if count == 0 else low, 1.0 if count == total else high


def range_of(draws: Floats) -> tuple[float, float, float]:
    """Mean of simulated values, and between which 95 % of them lie."""
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(draws.mean()), float(low), float(high)


def below(values: Floats, others: Floats) -> Floats:
    """The share of others that each value is above, ties counted half; shape of ``values``.

    Args:
        values: any numbers.
        others: at least one.
    """
    ordered = np.sort(others)
    left, right = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.asarray((left + right) / (2 * len(others)), np.float64)
