"""Several processes, one training: each forwards its share of every batch (``torchrun`` starts them).

All processes see the whole batch and draw the same random numbers. `Student` forwards a process's own share and
gathers the others' logits, so that a method computes the loss of the whole batch everywhere, and no method has to
know of it; a process's gradient is then its share's part of the whole gradient, and the sum over processes is the
gradient that one process would have had.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from noisyweb.errors import TrainingError


@dataclass(frozen=True)
class Team:
    """The processes of a training.

    Attributes:
        rank: of this one, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the run folder and speaks to the user."""
        return self.rank == 0

    def divides(self, num: int) -> bool:
        """Whether a batch of ``num`` is shared out; others are worked on whole by every process."""
        return self.size > 1 and num % self.size == 0

    def share(self, num: int) -> slice:
        """This process's part of a batch of ``num``."""
        if not self.divides(num):
            return slice(0, num)
        part = num // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def gather(self, own: Tensor) -> Tensor:
        """The shares of all processes, in their order: [b, ...] -> [size b, ...], without gradient."""
        own = own.detach().contiguous()
        shares = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(shares, own)
        return torch.cat(shares)

    def whole(self, own: Tensor) -> Tensor:
        """`gather`, with the gradient of this process's share."""
        shares = list(torch.split(self.gather(own), len(own)))
        shares[self.rank] = own
        return torch.cat(shares)

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Add up all processes' gradients, in one message."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        for gradient, summed in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(summed.view_as(gradient))

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()


SOLO = Team()


def join(device: str) -> tuple[Team, str]:
    """The team that ``torchrun`` started this process in, and this process's device; `SOLO` without it.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N"; on GPUs each process takes the one of its local rank.

    Raises:
        TrainingError: more processes than GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return SOLO, device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    on_gpu = device.startswith("cuda")
    if on_gpu:
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise TrainingError(
                f"process {local} of this machine has no GPU: {torch.cuda.device_count()} are there; "
                "lower torchrun's --nproc-per-node, or take --device cpu"
            )
        device = "cuda"  # the same words in every process, since they are part of the configuration
        torch.cuda.set_device(local)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if on_gpu else "gloo")
    return Team(dist.get_rank(), size), device


def leave(team: Team) -> None:
    """End the team."""
    if team.size > 1 and dist.is_initialized():
        dist.destroy_process_group()
