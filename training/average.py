"""The weights' exponential moving average: what is evaluated and kept."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class WeightAverage:
    """Follows a network: ``average <- d average + (1 - d) weights`` after each step.

    With n steps done before the last one d is min(decay, (1 + n) / (10 + n)), so that a short training averages over
    its last tenth or so and not over its start. Only weights are averaged; running statistics are the network's own.

    Args:
        network: the one in training.
        decay: in [0, 1); 0 means the weights themselves.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self._averaged: list[Tensor] = list(self.network.parameters())
        self._followed = list(network.parameters())
        self._buffers = list(zip(self.network.buffers(), network.buffers(), strict=True))

    @torch.no_grad()
    def update(self, num_steps_done: int) -> None:
        """Take in the weights after a step."""
        decay = min(self.decay, (1 + num_steps_done) / (10 + num_steps_done))
        torch._foreach_lerp_(self._averaged, [weight.detach() for weight in self._followed], 1 - decay)

    @torch.no_grad()
    def evaluable(self) -> nn.Module:
        """The network with averaged weights, its running statistics brought up to date."""
        for mine, theirs in self._buffers:
            mine.copy_(theirs)
        return self.network
