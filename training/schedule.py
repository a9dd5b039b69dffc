"""Learning rates: what the peak is multiplied with at each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from noisyweb.training.method import Clock


def cosine(clock: Clock) -> float:
    """Half a cosine from 1 to 0 over the whole training."""
    return 0.5 * (1 + math.cos(math.pi * clock.step / clock.num_steps))


def staircase(clock: Clock) -> float:
    """0.9 to the power of the epochs done by 30, rounded down: the MentorMix release's schedule."""
    return float(0.9 ** (clock.step // clock.steps_per_epoch // 30))


def constant(clock: Clock) -> float:
    """1 throughout."""
    return 1.0


SCHEDULES: Mapping[str, Callable[[Clock], float]] = {"constant": constant, "cosine": cosine, "staircase": staircase}


def factor(name: str, warmup: float, clock: Clock) -> float:
    """The schedule's factor, rising linearly from 0 at first.

    Args:
        name: one of `SCHEDULES`.
        warmup: share of the training over which it rises.
        clock: the step that is about to be done.
    """
    rise = min(1.0, (clock.step + 1) / max(1.0, warmup * clock.num_steps))
    return rise * SCHEDULES[name](clock)
