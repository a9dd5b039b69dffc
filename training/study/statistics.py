"""Intervals for a few runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval.

    Attributes:
        value: the estimate.
        low, high: the interval.
        num: independent values behind it.
    """

    value: float
    low: float
    high: float
    num: int


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Student's t interval of a mean; None for fewer than two values.

    Args:
        values: independent ones, such as one a seed.
    """
    num = len(values)
    if num < 2:
        return None
    mean = float(np.mean(values))
    half = float(stats.t.ppf(0.975, num - 1) * np.std(values, ddof=1) / np.sqrt(num))
    return Interval(mean, mean - half, mean + half, num)


def correlation_interval(first: Sequence[float], second: Sequence[float]) -> Interval | None:
    """Pearson's correlation with Fisher's interval; None for fewer than four pairs, or values that do not differ.

    Fisher's transform of the correlation has a standard error of 1 / sqrt(n - 3).
    """
    num = len(first)
    if num < 4 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    value = float(np.clip(np.corrcoef(first, second)[0, 1], -1, 1))
    if abs(value) == 1:
        return Interval(value, value, value, num)
    half = 1.959964 / np.sqrt(num - 3)
    return Interval(value, float(np.tanh(np.arctanh(value) - half)), float(np.tanh(np.arctanh(value) + half)), num)
