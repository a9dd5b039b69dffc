"""ResNet-18 for small images: four stages of two basic blocks, 11.2 million parameters with 10 classes."""

from __future__ import annotations

from torch import nn

from noisyweb.training.models._resnet import ResNet


def build(num_classes: int) -> nn.Module:
    """Fresh weights; see `noisyweb.training.models._resnet`."""
    return ResNet((2, 2, 2, 2), num_classes)
