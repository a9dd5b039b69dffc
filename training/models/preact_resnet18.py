"""PreActResNet-18 as DivideMix, ELR+ and others use it for CIFAR: 11.17 million parameters with 10 classes.

Pre-activation units (He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016) in the skeleton of
`noisyweb.training.models._resnet`. Where the release of DivideMix departs from the paper, this follows the release:
the stem has batch norm and ReLU, every shortcut starts after the unit's first activation, also those without a
convolution, and there is no norm before the last pooling. Initial weights are those of our other residual networks.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from noisyweb.training.models._resnet import ResNet


def build(num_classes: int) -> nn.Module:
    """Fresh weights; see the module's docstring."""
    return ResNet((2, 2, 2, 2), num_classes, PreActBlock)


class PreActBlock(nn.Module):
    """Two 3x3 convolutions, each after batch norm and ReLU, and a shortcut that starts after the first ReLU.

    Args:
        inputs, outputs: channels.
        stride: of the first convolution and of the shortcut.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(x))
        added: Tensor = self.conv2(F.relu(self.norm2(self.conv1(x)))) + self.shortcut(x)
        return added
