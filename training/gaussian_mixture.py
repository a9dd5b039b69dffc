"""Two Gaussians on a line, fitted to losses: the lower one is taken for the right labels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

MAX_ROUNDS = 100
TOLERANCE = 1e-3
FLOOR = 5e-4
"""Added to the variances, of losses scaled to 0..1; as Li, Socher and Hoi, "DivideMix", ICLR 2020."""


@torch.no_grad()
def lower_component(losses: Tensor) -> Tensor:
    """The chance that each loss belongs to the Gaussian with the lower mean, [N] float64 in [0, 1].

    Expectation maximisation, begun with the halves below and above the middle of the range.

    Args:
        losses: [N], finite.
    """
    low, high = losses.min(), losses.max()
    x = (losses.double() - low) / (high - low).clamp_min(1e-12)
    share, mean, variance = _maximise(x, torch.stack([(x < 0.5).double(), (x >= 0.5).double()], 1))
    before = -math.inf
    for _ in range(MAX_ROUNDS):
        responsible, likelihood = _expect(x, share, mean, variance)
        share, mean, variance = _maximise(x, responsible)
        if abs(likelihood - before) < TOLERANCE:
            break
        before = likelihood
    lower: Tensor = _expect(x, share, mean, variance)[0][:, int(mean.argmin())]
    return lower


def _expect(x: Tensor, share: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, float]:
    """How far each of two components answers for each value, [N, 2], and the values' mean log-likelihood."""
    joint = share.log() - 0.5 * (torch.log(2 * math.pi * variance) + (x[:, None] - mean) ** 2 / variance)
    total = torch.logsumexp(joint, 1)
    return (joint - total[:, None]).exp(), total.mean().item()


def _maximise(x: Tensor, responsible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shares, means and variances [2] from how far each of two components answers for each value, [N, 2]."""
    weight = responsible.sum(0) + 1e-10
    mean = (responsible * x[:, None]).sum(0) / weight
    variance = (responsible * (x[:, None] - mean) ** 2).sum(0) / weight + FLOOR
    return weight / weight.sum(), mean, variance
