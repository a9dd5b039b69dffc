"""Registration: laying one picture over another, and how much of them agrees then.

A candidate pair comes with a guess of how the copy was made (a window, a turn, a mirror image). From there an affine
map is fitted by Gauss-Newton steps on the difference of the pictures (Lucas and Kanade, IJCAI 1981), with a gain for
contrast, and weights that fall with the difference, so that a banner or a watermark does not pull. Then both are
compared cell by cell without their brightness. Pictures that are no copies agree in few cells wherever they are laid.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from noisyweb.affine import Affine, Floats, sample

LEVELS = ((32, 8), (64, 6))
"""Side in pixels and steps at the most, coarse to fine."""
CELL = 8
CELL_AGREES = 0.6
"""Correlation from which a cell of 8 x 8 pixels agrees."""
MIN_OVERLAP = 0.5


def register(copy: Floats, original: Floats, guess: Affine, level: int = -1) -> Affine | None:
    """Fit the map that lays ``copy`` over ``original``; None where it leaves the picture.

    Args:
        copy, original: shape (128, 128).
        guess: from the copy's unit square to the original's, within a few per cent.
        level: which of `LEVELS`; the next wants what the one before gave.
    """
    side, steps = LEVELS[level]
    there = shrunk(copy, side).ravel()
    picture = shrunk(original, 2 * side)
    down, right = np.gradient(picture)
    planes = np.stack([picture, right * (2 * side), down * (2 * side)])
    line = ((np.arange(side) + 0.5) / side).astype(np.float32)
    u, v = (axis.ravel() for axis in np.meshgrid(line, line))
    map_ = np.array([[*guess.matrix[0], guess.offset[0]], [*guess.matrix[1], guess.offset[1]]])
    for _ in range(steps):
        x = map_[0, 0] * u + map_[0, 1] * v + map_[0, 2]
        y = map_[1, 0] * u + map_[1, 1] * v + map_[1, 2]
        inside = (x > 0) & (x < 1) & (y > 0) & (y < 1)
        if inside.mean() < MIN_OVERLAP:
            return None
        step = _step(there, sample(planes, x, y), u, v, inside)
        if step is None:
            return None
        map_ = map_ + np.clip(step, -0.1, 0.1)
        if np.abs(step).max() < 5e-4:
            break
    (a, b, left), (c, d, top) = map_.tolist()
    return Affine(((a, b), (c, d)), (left, top))


def _step(there: Floats, seen: Floats, u: Floats, v: Floats, inside: npt.NDArray[np.bool_]) -> Floats | None:
    """One weighted Gauss-Newton step of the map's six numbers, gain and brightness fitted beside.

    Args:
        there: the copy's P pixels.
        seen: the original at the same places, and its slopes along x and y: shape (3, P).
        u, v: where the pixels are in the copy.
        inside: which of them lie within the original.

    Returns:
        Shape (2, 3); None where the picture has no slopes to go by.
    """
    weights = inside.astype(np.float32)
    total = weights.sum()
    here = seen[0] - (seen[0] @ weights) / total
    wanted = there - (there @ weights) / total
    gain = max(float((weights * here) @ wanted / max(float((weights * here) @ here), 1e-9)), 0.2)
    missing = wanted - gain * here
    far = np.abs(missing[inside])
    middle = len(far) // 2
    weights /= 1 + (missing / (2 * (1.4826 * np.partition(far, middle)[middle] + 1.0))) ** 2
    dx, dy = gain * seen[1], gain * seen[2]
    slopes = np.stack([dx * u, dx * v, dx, dy * u, dy * v, dy, here, np.ones_like(here)])
    weighted = slopes * weights
    normal = (weighted @ slopes.T).astype(np.float64)
    normal[np.diag_indices(8)] *= 1.001
    try:
        found = np.linalg.solve(normal + 1e-6 * np.eye(8), weighted @ missing)
    except np.linalg.LinAlgError:
        return None
    return np.asarray(found[:6].reshape(2, 3))


def overlaid(copy: Floats, original: Floats, fitted: Affine, side: int = 64) -> tuple[Floats, Floats, Floats]:
    """Both pictures on the copy's grid, and where they overlap (1.0 or 0.0), each of shape (side, side)."""
    line = (np.arange(side) + 0.5) / side
    x, y = fitted.apply(*np.meshgrid(line, line))
    inside = (x > 0) & (x < 1) & (y > 0) & (y < 1)
    original = ndimage.gaussian_filter(original, 0.5 * len(original) / side)
    return shrunk(copy, side), sample(original, x, y), inside.astype(np.float64)


def agreement(copy: Floats, original: Floats, fitted: Affine) -> float:
    """Share of the cells with structure that agree, 0..1, when one picture lies over the other.

    The means of some pixels around are taken off first; a cell of 8 x 8 agrees where the rest correlates by
    `CELL_AGREES`; cells with less than half of the usual structure are not asked.

    Args:
        copy, original: shape (128, 128).
        fitted: from the copy's unit square to the original's.
    """
    here, there, inside = overlaid(copy, original, fitted)
    here = (here - ndimage.gaussian_filter(here, 4)) * inside
    there = (there - ndimage.gaussian_filter(there, 4)) * inside
    ours, theirs, both = _cells(here * here), _cells(there * there), _cells(here * there)
    alike = both / np.sqrt(ours * theirs + 1e-9)
    structure = np.sqrt(np.maximum(ours, theirs))
    asked = structure > 0.5 * np.median(structure)
    return float((alike[asked] > CELL_AGREES).mean()) if asked.any() else 0.0


def _cells(values: Floats) -> Floats:
    cells = len(values) // CELL
    return np.asarray(values.reshape(cells, CELL, cells, CELL).sum(axis=(1, 3)))


def shrunk(picture: Floats, side: int) -> Floats:
    """A square picture made smaller by a whole factor."""
    factor = len(picture) // side
    return picture if factor == 1 else np.asarray(picture.reshape(side, factor, side, factor).mean(axis=(1, 3)))
