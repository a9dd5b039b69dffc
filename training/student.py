"""The network in training: precision, memory layout, and which forward touches the running statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from noisyweb.training.distributed import SOLO, Team

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours in [0, 1], as pretrained networks expect them."""

NORMALISATIONS = ("unit", "imagenet")
COMPILATIONS = ("none", "default", "graphs")


class Several(nn.Module):
    """Networks trained beside each other; what they say together is the mean of their logits.

    Args:
        networks: of the same classes.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([network(images).float() for network in self.networks]).mean(0)


def several(networks: Sequence[nn.Module]) -> nn.Module:
    """One network as it is, more as one."""
    return networks[0] if len(networks) == 1 else Several(networks)


class Student:
    """A network as the methods see it (`noisyweb.training.method.Student`).

    Args:
        network: gives logits [B, K] for images [B, C, H, W]; already on its device.
        precision: "bf16" runs the forward under autocast, "fp32" does not.
        channels_last: give images in that memory layout.
        normalisation: "imagenet" brings images from [-1, 1] to what pretrained networks expect.
        compile: one of `COMPILATIONS`.
        team: processes that share the batches out.
    """

    def __init__(
        self,
        network: nn.Module,
        precision: str,
        channels_last: bool,
        normalisation: str = "unit",
        compile: str = "none",
        team: Team = SOLO,
    ) -> None:
        self.network, self._team = network, team
        self._device = next(network.parameters()).device
        self._half = precision == "bf16"
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        network.to(memory_format=self._layout)  # type: ignore[call-overload]
        self._norms = [
            module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats
        ]
        self._scale: tuple[Tensor, Tensor] | None = None
        if normalisation == "imagenet":
            mean, deviation = (torch.tensor(values, device=self._device).view(3, 1, 1) for values in (MEAN, DEVIATION))
            self._scale = 0.5 / deviation, (0.5 - mean) / deviation
        self._replays = compile == "graphs"
        self._forward: Callable[[Tensor], Tensor] = network
        if compile != "none" and not isinstance(network, Several):
            self._forward = torch.compile(network, mode="reduce-overhead" if self._replays else "default")
        self.members: Sequence[Student] = [self]
        if isinstance(network, Several):
            self.members = [
                Student(member, precision, channels_last, normalisation, compile, team) for member in network.networks
            ]

    def __call__(self, images: Tensor) -> Tensor:
        """Logits [B, K] in float32, in the network's own mode (train or eval)."""
        is_shared = self._team.divides(len(images))
        images = images[self._team.share(len(images))]
        if self._scale is not None:
            images = images * self._scale[0] + self._scale[1]
        images = images.contiguous(memory_format=self._layout)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            logits = self._forward(images)
        # the next replay of a graph writes over its outputs
        logits = logits.float().clone() if self._replays else logits.float()
        return self._team.whole(logits) if is_shared else logits

    @torch.no_grad()
    def peek(self, images: Tensor) -> Tensor:
        """Logits [B, K] as in training, without gradient and without a trace in the running statistics."""
        for norm in self._norms:
            norm.track_running_stats = False  # in train mode: batch statistics, and nothing to update
        try:
            return self(images)
        finally:
            for norm in self._norms:
                norm.track_running_stats = True
