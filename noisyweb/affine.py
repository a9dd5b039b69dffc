"""Affine maps between the unit squares of two pictures, and pictures seen through them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Affine:
    """A map from the unit square of one picture to that of another: (x, y) = matrix (u, v) + offset."""

    matrix: tuple[tuple[float, float], tuple[float, float]]
    offset: tuple[float, float]

    def apply(self, u: Floats, v: Floats) -> tuple[Floats, Floats]:
        """Map coordinates."""
        (a, b), (c, d) = self.matrix
        return a * u + b * v + self.offset[0], c * u + d * v + self.offset[1]

    @property
    def area(self) -> float:
        """Share of the other picture's area that is covered; negative where mirrored."""
        (a, b), (c, d) = self.matrix
        return a * d - b * c

    def angle(self, aspect: float) -> float:
        """Degrees of rotation in a picture of that aspect (width by height)."""
        (a, _), (c, _) = self.matrix
        return math.degrees(math.atan2(c / aspect, a))


def window(left: float, width: float, top: float, height: float) -> Affine:
    """The map onto a part of the other picture, all in shares of its sides."""
    return Affine(((width, 0.0), (0.0, height)), (left, top))


def rotation(degrees: float, aspect: float) -> Affine:
    """The map onto the other picture rotated about its middle.

    Args:
        degrees: of rotation.
        aspect: width by height; 1.0 with quarter turns maps the square onto itself.
    """
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    a, b, d, e = c, -s / aspect, s * aspect, c
    return Affine(((a, b), (d, e)), (0.5 - 0.5 * (a + b), 0.5 - 0.5 * (d + e)))


def sample(planes: Floats, x: Floats, y: Floats) -> Floats:
    """Bilinear values of pictures at unit coordinates; beyond their edge the edge goes on.

    Args:
        planes: one picture of shape (H, W), or P of one size, (P, H, W).
        x, y: of one shape S.

    Returns:
        Shape S, or (P, *S).
    """
    height, width = planes.shape[-2:]
    x = np.clip(x * width - 0.5, 0, width - 1.001)
    y = np.clip(y * height - 0.5, 0, height - 1.001)
    column, row = x.astype(np.intp), y.astype(np.intp)
    right, down = (x - column).astype(planes.dtype), (y - row).astype(planes.dtype)
    flat, at = planes.reshape(*planes.shape[:-2], -1), row * width + column
    corners = [flat.take(at + step, axis=-1) for step in (0, 1, width, width + 1)]
    upper = corners[0] + (corners[1] - corners[0]) * right
    return np.asarray(upper + (corners[2] + (corners[3] - corners[2]) * right - upper) * down)
