"""Curricula: the weight that a MentorNet is to give an example, for losses of any size.

Jiang et al., "MentorNet", ICML 2018, section 3 and appendix A. ``diff`` is the loss minus its moving average.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from noisyweb.errors import TrainingError, UnknownNameError

Target = Callable[[Tensor, Tensor, Tensor, float], Tensor]
"""v* [M] in [0, 1] from loss [M], diff [M], percent [M] and gamma."""


def predefined(loss: Tensor, diff: Tensor, percent: Tensor, gamma: float) -> Tensor:
    """What the released MentorNet-PD gives: a threshold up to 80 % of the training, then a linear fall."""
    return torch.where(percent < 80, (diff < 0.055).float(), (1 - diff).clamp(0, 1))


def self_paced(loss: Tensor, diff: Tensor, percent: Tensor, gamma: float) -> Tensor:
    """``1[diff <= 0]`` (Kumar, Packer and Koller 2010)."""
    return (diff <= 0).float()


def linear_self_paced(loss: Tensor, diff: Tensor, percent: Tensor, gamma: float) -> Tensor:
    """``clip(1 - diff / gamma, 0, 1)`` (Jiang et al. 2015)."""
    return (1 - diff / gamma).clamp(0, 1)


def hard_example(loss: Tensor, diff: Tensor, percent: Tensor, gamma: float) -> Tensor:
    """``1[diff >= 0]``: hard example mining."""
    return (diff >= 0).float()


def focal(loss: Tensor, diff: Tensor, percent: Tensor, gamma: float) -> Tensor:
    """``(1 - exp(-loss))^gamma`` (Lin et al. 2017)."""
    return (1 - torch.exp(-loss)) ** gamma


CURRICULA: Mapping[str, Target] = {
    "predefined": predefined,
    "self-paced": self_paced,
    "linear-self-paced": linear_self_paced,
    "hard-example": hard_example,
    "focal": focal,
}

WITH_GAMMA = ("linear-self-paced", "focal")
"""The curricula that gamma changes."""

LEAST_GAMMA, MOST_GAMMA = 0.001, 1000.0


def load_target(name: str, gamma: float | None = None) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """A curriculum with its gamma: v* [M] from loss, diff and percent.

    Args:
        name: one of `CURRICULA`.
        gamma: 0.001..1000; None: 1.

    Raises:
        UnknownNameError: no curriculum of that name.
        TrainingError: gamma is out of range, or the curriculum has none.
    """
    if name not in CURRICULA:
        raise UnknownNameError("curriculum", name, CURRICULA)
    if gamma is not None and name not in WITH_GAMMA:
        raise TrainingError(f"curriculum {name!r} has no gamma; only {' and '.join(WITH_GAMMA)} have one")
    chosen = 1.0 if gamma is None else gamma
    if not LEAST_GAMMA <= chosen <= MOST_GAMMA:
        raise TrainingError(f"gamma {chosen!r} is out of range; expected {LEAST_GAMMA:g} to {MOST_GAMMA:g}, such as 1")
    target = CURRICULA[name]
    return lambda loss, diff, percent: target(loss, diff, percent, chosen)


def grid() -> tuple[Tensor, Tensor, Tensor]:
    """The release's training grid: loss, diff and percent, [1_200_000] float32 each.

    Losses 0 to 10 by 0.1 and to 30 by 1, diffs -5 to 5 by 0.1, percents 0 to 99; every combination once.
    """
    losses = torch.cat([torch.arange(0, 100) / 10, torch.arange(10, 30).float()])
    diffs = torch.arange(-50, 50) / 10
    loss, diff, percent = torch.cartesian_prod(losses, diffs, torch.arange(100).float()).unbind(1)
    return loss.contiguous(), diff.contiguous(), percent.contiguous()
