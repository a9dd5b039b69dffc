"""Random draws on the device, without a host sync: they can be captured in a CUDA graph."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def beta(alpha: float, num: int, generator: torch.Generator) -> Tensor:
    """Draws from Beta(alpha, alpha), [num] float32 in [0, 1].

    For a whole alpha the draw is the alpha-th smallest of 2 alpha - 1 uniforms, whose distribution is exactly
    that; else it is the ratio x / (x + y) of two Gamma(alpha) draws.

    Args:
        alpha: positive.
        num: how many.
        generator: on the device where the draws shall be.
    """
    device = generator.device
    if float(alpha).is_integer() and alpha <= 64:
        order = int(alpha)
        uniforms = torch.rand(num, 2 * order - 1, generator=generator, device=device)
        smallest_first: Tensor = uniforms.sort(dim=1).values
        return smallest_first[:, order - 1]
    # torch.distributions takes no generator; this is the sampler that it calls. In float64, since for a small
    # alpha both gammas would underflow to 0 and 0 / 0 is no draw.
    shape = torch.full((2, num), float(alpha), dtype=torch.float64, device=device)
    x, y = torch._standard_gamma(shape, generator=generator).clamp_min(torch.finfo(torch.float64).tiny)
    ratio: Tensor = x / (x + y)
    return ratio.float()


def categorical(probabilities: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """Draw indices with replacement, [num] int64, by inverting the cumulative distribution.

    Args:
        probabilities: [M], not negative; they need not sum to 1.
        num: how many.
        generator: on the device of ``probabilities``.
    """
    cumulative = probabilities.double().cumsum(0)
    uniforms = torch.rand(num, generator=generator, device=probabilities.device, dtype=torch.float64)
    return torch.searchsorted(cumulative, uniforms * cumulative[-1], right=True).clamp_max(len(cumulative) - 1)


def permutation(num: int, generator: torch.Generator) -> Tensor:
    """The numbers below ``num`` in random order, [num] int64."""
    return torch.rand(num, generator=generator, device=generator.device).argsort()


def seed_of(seed: int, *purpose: str | int) -> int:
    """A seed of its own for every purpose (and step), 63 bits: so no generator's state has to be kept."""
    text = "\x1f".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
