"""A small residual network for images of 32-64 pixels on a CPU: 0.7 million parameters with 196 classes."""

from __future__ import annotations

from torch import Tensor, nn

WIDTH = 32
PLACES = 3


def build(num_classes: int) -> nn.Module:
    """Fresh weights; see the module's docstring."""
    return Small(num_classes)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(_convolution(channels, channels), _convolution(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = x + self.branch(x)
        return added


class Small(nn.Module):
    """A stem and two stages that halve the image each, a residual unit a stage, and a linear layer.

    The last pooling leaves 3 x 3 places: what makes a class may hang on where things are.

    Args:
        num_classes: K.
        width: channels of the stem; the stages have 2 and 4 times as many.
    """

    def __init__(self, num_classes: int, width: int = WIDTH) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, width, stride=2)]
        for inputs in (width, 2 * width):
            layers += [_convolution(inputs, 2 * inputs, stride=2), _Residual(2 * inputs)]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(PLACES), nn.Flatten())
        self.classifier = nn.Linear(4 * width * PLACES**2, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(images))
        return logits
