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


def step(clock: Clock) -> float:
    """A tenth of what it was, after half of the training and again after three quarters."""
    return 0.1 ** ((2 * clock.step >= clock.num_steps) + (4 * clock.step >= 3 * clock.num_steps))


def constant(clock: Clock) -> float:
    """1 throughout."""
    return 1.0


AFTER_WARMUP: Mapping[str, Callable[[Clock], float]] = {
    "constant": constant,
    "cosine": cosine,
    "staircase": staircase,
    "step": step,
}

ONE_CYCLE = "one-cycle"
SCHEDULES = (*AFTER_WARMUP, ONE_CYCLE)
START, END = 1 / 25, 1 / 25 / 1e4


def one_cycle(clock: Clock, warmup: float) -> float:
    """Half a cosine from 1/25 up to 1 over the warm-up, and half a cosine down to 1/250,000.

    Smith and Topin, "Super-Convergence", 2018; the numbers are those of `torch.optim.lr_scheduler.OneCycleLR`, but
    momentum stays as it is.
    """
    turn, last = warmup * clock.num_steps - 1, clock.num_steps - 1
    if clock.step <= turn:
        return _half_cosine(START, 1.0, clock.step / max(turn, 1))
    return _half_cosine(1.0, END, (clock.step - turn) / max(last - turn, 1))


def _half_cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * min(max(done, 0.0), 1.0)))


def factor(name: str, warmup: float, clock: Clock) -> float:
    """The schedule's factor; all but the one-cycle policy rise linearly from 0 at first.

    Args:
        name: one of `SCHEDULES`.
        warmup: share of the training over which it rises.
        clock: the step that is about to be done.
    """
    if name == ONE_CYCLE:
        return one_cycle(clock, warmup)
    rise = min(1.0, (clock.step + 1) / max(1.0, warmup * clock.num_steps))
    return rise * AFTER_WARMUP[name](clock)
