"""Soft labels, and mixtures of examples. Shapes: B batch, K classes."""

from __future__ import annotations

import torch
from torch import Tensor


def one_hot(labels: Tensor, num_classes: int) -> Tensor:
    """Labels [B] int64 as [B, K] float32."""
    return (labels[:, None] == torch.arange(num_classes, device=labels.device)).float()


def mix(values: Tensor, partners: Tensor, ratio: Tensor) -> Tensor:
    """``ratio values + (1 - ratio) values[partners]``, one ratio an example.

    Args:
        values: [B, ...], images or soft labels.
        partners: [B] int64, indices into the batch.
        ratio: [B].
    """
    ratio = ratio.view(-1, *[1] * (values.dim() - 1))  # [B] against [B, C, H, W]: one ratio an image
    return values[partners].lerp(values, ratio)
