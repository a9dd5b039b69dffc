"""ResNet-34 for small images: stages of 3, 4, 6 and 3 basic blocks, 21.3 million parameters with 10 classes."""

from __future__ import annotations

from torch import nn

from noisyweb.training.models._resnet import ResNet


def build(num_classes: int) -> nn.Module:
    """Fresh weights; see `noisyweb.training.models._resnet`."""
    return ResNet((3, 4, 6, 3), num_classes)
