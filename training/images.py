"""Labelled images on their way to the network: all on the device (here), or read as they are needed (`streaming`).

Shapes: N rows, B batch, S side.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

import torch
from torch import Tensor

from noisyweb.training.data import Pixels

Batches = Generator[tuple[Tensor, Tensor], None, None]
"""Rows [B] int64, and their images [B, 3, S, S] uint8; close it where it is left early."""


class Images(Protocol):
    """N labelled images; both kinds give the same pixels for the same row."""

    @property
    def labels(self) -> Tensor:
        """[N] int64, on the device."""
        ...

    def order(self, seed: int) -> Tensor:
        """All rows in a random order that hangs on the seed alone, [N] int64, on the device."""
        ...

    def read_through(self) -> Tensor:
        """All rows in the order in which they are read with the least effort, [N] int64, on the device."""
        ...

    def batches(self, order: Tensor, size: int) -> Batches:
        """The rows of ``order`` by ``size``, the last batch perhaps smaller, with their images."""
        ...


class Resident:
    """Images that are all on the device: a batch is one indexing.

    Args:
        pixels: on the device.
    """

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels

    @property
    def labels(self) -> Tensor:
        """[N] int64."""
        return self.pixels.labels

    def order(self, seed: int) -> Tensor:
        """A permutation, drawn on the CPU so that it is the same on every device."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randperm(len(self.labels), generator=generator).to(self.labels.device)

    def read_through(self) -> Tensor:
        """As they stand in the manifest."""
        return in_order(self)

    def batches(self, order: Tensor, size: int) -> Batches:
        """See `Images`."""
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            yield rows, self.pixels.images[rows]


def in_order(images: Images) -> Tensor:
    """The rows as they stand in the manifest, [N] int64."""
    return torch.arange(len(images.labels), device=images.labels.device)
