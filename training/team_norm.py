"""Batch norms whose statistics are those of the whole batch when several processes share it."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as summed
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from noisyweb.training.distributed import Team


def share_statistics(network: nn.Module, team: Team) -> nn.Module:
    """The same network, parameters and buffers, with batch norms that span the team."""
    if team.size == 1:
        return network
    if next(network.parameters()).device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
            module.__class__ = TeamNorm  # torch's own knows CUDA only; state and parameters stay
    return network


class TeamNorm(_BatchNorm):
    """As `torch.nn.BatchNorm2d`, by sums over all processes. Batches that are not shared out give the same on each."""

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - torch's name
        pass

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        if not self.training:
            return super().forward(input)
        over = [dimension for dimension in range(input.dim()) if dimension != 1]
        shape = [1, -1] + [1] * (input.dim() - 2)
        x = input.float()
        num = x.numel() // x.shape[1] * dist.get_world_size()
        mean = summed.all_reduce(x.sum(over)) / num
        centred = x - mean.view(shape)
        variance = summed.all_reduce((centred**2).sum(over)) / num
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
        return normal.to(input.dtype)
