"""The wide ResNet-32 of the MentorMix release: 29.5 million parameters (100 classes), 4.31 GMAC at 32 pixels.

Pre-activation residual units (He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016), five a stage,
3 x 3 convolutions, a 64-channel stem and stages of 128, 256 and 512 channels, leaky ReLU of slope 0.1.
What is peculiar to it: shortcuts without parameters (average pooling, then zero channels on both sides); in the
first unit the shortcut starts after ReLU and batch norm, in this order; strided convolutions pad as TensorFlow's
"SAME" does, at the bottom and right first.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.1
UNITS_PER_STAGE = 5
WIDTHS = (64, 128, 256, 512)


def build(num_classes: int) -> nn.Module:
    """Fresh weights; see the module's docstring."""
    return WideResNet32(num_classes)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.1)  # the release keeps 0.9 of the running statistics


class _Convolution(nn.Conv2d):
    """3 x 3 with TensorFlow's "SAME" padding."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride, bias=False)
        nn.init.normal_(self.weight, std=math.sqrt(2 / (9 * outputs)))

    def forward(self, x: Tensor) -> Tensor:
        stride = self.stride[0]
        height, width = (max((math.ceil(size / stride) - 1) * stride + 3 - size, 0) for size in x.shape[-2:])
        x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        convolved: Tensor = super().forward(x)
        return convolved


class _Unit(nn.Module):
    """Two convolutions, each after batch norm and leaky ReLU, and a shortcut.

    Args:
        inputs, outputs: channels.
        stride: of the first convolution and of the shortcut's pooling.
        is_first: of the whole network; its shortcut starts after the activation.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, is_first: bool) -> None:
        super().__init__()
        self.is_first, self.stride, self.added = is_first, stride, outputs - inputs
        self.norm1, self.conv1 = _norm(inputs), _Convolution(inputs, outputs, stride)
        self.norm2, self.conv2 = _norm(outputs), _Convolution(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.is_first:
            shortcut = y = self.norm1(F.leaky_relu(x, SLOPE))
        else:
            shortcut, y = x, F.leaky_relu(self.norm1(x), SLOPE)
        y = self.conv2(F.leaky_relu(self.norm2(self.conv1(y)), SLOPE))
        if self.added:
            half = self.added // 2
            shortcut = F.pad(F.avg_pool2d(shortcut, self.stride), (0, 0, 0, 0, half, half))
        added: Tensor = y + shortcut
        return added


class WideResNet32(nn.Module):
    """See the module's docstring.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = _Convolution(3, WIDTHS[0])
        units = []
        for stage, stride in enumerate((1, 2, 2)):
            inputs, outputs = WIDTHS[stage], WIDTHS[stage + 1]
            units.append(_Unit(inputs, outputs, stride, is_first=stage == 0))
            units += [_Unit(outputs, outputs, 1, is_first=False) for _ in range(UNITS_PER_STAGE - 1)]
        self.units = nn.Sequential(*units)
        self.norm = _norm(WIDTHS[-1])
        self.classifier = nn.Linear(WIDTHS[-1], num_classes)
        nn.init.uniform_(self.classifier.weight, -math.sqrt(3 / WIDTHS[-1]), math.sqrt(3 / WIDTHS[-1]))
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        x = F.leaky_relu(self.norm(self.units(self.stem(images))), SLOPE)
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits
