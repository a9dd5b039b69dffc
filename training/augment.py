"""Augmentation of a whole batch at once, on the device. Shapes: B batch, S side."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
"""Brightness and two colour axes; turning the axes turns the hue, stretching them the saturation."""


@dataclass(frozen=True)
class Strength:
    """How far an image may be changed; every amount is drawn uniformly, image by image.

    Attributes:
        pad: black pixels added at each side before the crop, as a share of the side.
        flip: mirror half of the images.
        brightness: largest shift, as a share of the full range.
        contrast, saturation: factors from 1 - x to 1 + x.
        hue: largest turn, in full circles.
    """

    pad: float = 0.0
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0


STRENGTHS: Mapping[str, Strength] = {
    "none": Strength(),
    "crop": Strength(pad=1 / 8, flip=True),  # what most papers do on CIFAR: 4 of 32 pixels
    "light": Strength(pad=1 / 16, flip=True, brightness=0.1, contrast=0.2, saturation=0.2, hue=0.02),
    # the amounts of the MentorMix release on CIFAR: 2 of 32 pixels, 32 of 255 levels
    "strong": Strength(pad=1 / 16, flip=True, brightness=32 / 255, contrast=0.5, saturation=0.5, hue=0.2),
}


def to_float(images: Tensor) -> Tensor:
    """Bytes to [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


def augment(images: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    """Crop, mirror and recolour each image on its own.

    Args:
        images: [B, 3, S, S] uint8.
        strength: what may be done.
        generator: on the device of ``images``.

    Returns:
        [B, 3, S, S] float32 in [-1, 1], channels-last.
    """
    cropped = _crop_and_flip(images, strength, generator)
    if not (strength.brightness or strength.contrast or strength.saturation or strength.hue):
        return to_float(cropped)
    return _recolour(to_float(cropped), strength, generator)


def _crop_and_flip(images: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    batch, _, side, _ = images.shape
    device, pad = images.device, round(strength.pad * side)
    padded = F.pad(images, (pad, pad, pad, pad)).permute(0, 2, 3, 1)  # channels last: a pixel is moved as a whole
    shift = torch.randint(0, 2 * pad + 1, (2, batch, 1), generator=generator, device=device)
    ys, xs = shift + torch.arange(side, device=device)
    if strength.flip:
        mirrored = torch.rand(batch, 1, generator=generator, device=device) < 0.5
        xs = torch.where(mirrored, xs.flip(1), xs)
    rows = torch.arange(batch, device=device)
    cropped = padded[rows[:, None, None], ys[:, :, None], xs[:, None, :]]
    return cropped.permute(0, 3, 1, 2)


def _recolour(x: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    """Saturation and hue as one 3 x 3 matrix an image, then contrast about the mean, brightness, and clipping."""
    batch, device = len(x), x.device
    brightness, contrast, saturation, hue = torch.rand(4, batch, generator=generator, device=device) * 2 - 1
    saturation = 1 + saturation * strength.saturation
    angle = 2 * torch.pi * hue * strength.hue
    turn = torch.zeros(batch, 3, 3, device=device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = saturation * angle.cos()
    turn[:, 2, 1] = saturation * angle.sin()
    turn[:, 1, 2] = -turn[:, 2, 1]
    to_yiq, from_yiq = _axes(device)
    matrix = from_yiq @ turn @ to_yiq
    pixels = x.permute(0, 2, 3, 1).reshape(batch, -1, 3)
    coloured = torch.bmm(pixels, matrix.transpose(1, 2))
    factor = (1 + contrast * strength.contrast).view(-1, 1, 1)
    mean = coloured.mean(dim=(1, 2), keepdim=True)
    shift = mean * (1 - factor) + 2 * strength.brightness * brightness.view(-1, 1, 1)
    coloured = torch.addcmul(shift, coloured, factor).clamp_(-1, 1)
    return coloured.view(batch, *x.shape[2:], 3).permute(0, 3, 1, 2)


@functools.cache
def _axes(device: torch.device) -> tuple[Tensor, Tensor]:
    """To brightness and colour axes and back; copied to a device once, since a copy waits for it."""
    return _TO_YIQ.to(device), torch.linalg.inv(_TO_YIQ).to(device)
