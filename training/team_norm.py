"""Batch norms whose statistics are those of the whole batch when several processes share it."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from noisyweb.training.distributed import Team


def share_statistics(network: nn.Module, team: Team) -> nn.Module:
    """The same network, parameters and buffers, with batch norms that span the team."""
    if team.size == 1:
        return network
    if next(network.parameters()).device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return converted
    for module in network.modules():
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
            module.__class__ = TeamNorm  # torch's own knows CUDA only; state and parameters stay
    return network


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is its gradient, since what each makes of the sum counts."""

    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:
        summed = own.clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].clone()
        dist.all_reduce(summed)
        return summed


def _summed(own: Tensor) -> Tensor:
    summed: Tensor = _Sum.apply(own)  # type: ignore[no-untyped-call]
    return summed


class TeamNorm(_BatchNorm):
    """As `torch.nn.BatchNorm2d`, by sums over all processes. Batches that are not shared out give the same on each."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        over = [dimension for dimension in range(input.dim()) if dimension != 1]
        shape = [1, -1] + [1] * (input.dim() - 2)
        x = input.float()
        num = x.numel() // x.shape[1] * dist.get_world_size()
        mean = _summed(x.sum(over)) / num
        centred = x - mean.view(shape)
        variance = _summed((centred**2).sum(over)) / num
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                momentum = 0.1 if self.momentum is None else self.momentum
                self.running_mean.lerp_(mean, momentum)
                self.running_var.lerp_(variance * num / (num - 1), momentum)
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked.add_(1)
        normal = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        given: Tensor = normal.to(input.dtype)
        return given
