"""Several processes, one training: each forwards its share of every batch (``torchrun`` starts them).

All processes see the whole batch and draw the same random numbers. `Student` forwards a process's own share and
gathers the others' logits, so that a method computes the loss of the whole batch everywhere, and no method has to
know of it; a process's gradient is then its share's part of the whole gradient, and the sum over processes is the
gradient that one process would have had. A share is every size-th example of the batch, so that a stream in
which shards take turns (`noisyweb.training.shards`) gives each process rows of its own shard.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from noisyweb.errors import NoisywebError, TrainingError

Result = TypeVar("Result")


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
        return slice(self.rank, num, self.size)

    def gather(self, own: Tensor) -> Tensor:
        """The whole batch of which every process has its share: [b, ...] -> [size b, ...], without gradient."""
        return _together(self._shares(own))

    def whole(self, own: Tensor) -> Tensor:
        """`gather`, with the gradient of this process's share."""
        shares = self._shares(own)
        shares[self.rank] = own
        return _together(shares)

    def _shares(self, own: Tensor) -> list[Tensor]:
        own = own.detach().contiguous()
        shares = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(shares, own)
        return shares

    def from_lead(self, work: Callable[[], Result]) -> Result:
        """What ``work`` gives in the process that leads, in every process: only that one does it.

        Raises:
            NoisywebError: what it raised there; a `TrainingError` of the same words in the others.
        """
        if self.size == 1:
            return work()
        said: list[Any] = [None, None]
        failed: NoisywebError | None = None
        if self.leads:
            try:
                said[0] = work()
            except NoisywebError as error:
                failed, said[1] = error, str(error)
        dist.broadcast_object_list(said)
        if failed is not None:
            raise failed
        if said[1] is not None:
            raise TrainingError(said[1])
        result: Result = said[0]
        return result

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Add up all processes' gradients, in one message."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        for gradient, summed in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(summed.view_as(gradient))

    def check_batch(self, size: int) -> None:
        """Check that a batch can be shared out.

        Raises:
            TrainingError: it cannot.
        """
        if size % self.size:
            raise TrainingError(
                f"batch size {size} cannot be shared out to {self.size} processes; "
                f"take a --batch-size that is a multiple of {self.size}"
            )

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()


def _together(shares: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(shares), 1).flatten(0, 1)


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
