"""Views: short hashes of parts of an image, by which its cropped, mirrored and rotated copies are looked up.

Every image has *probes*, hashes of itself as it is and mirrored, and *targets*, hashes of what others may have made
of it: windows of 80 to 95 % of its width and height, quarter turns, small rotations, and itself without the strip at
the top or the bottom that a banner would cover. An image is a candidate for a copy of another where one of its probes
lies within a few bits of a target of the same family; `noisyweb.register` then decides. Borders are no matter of
views: an image with plain borders has a second face without them (`noisyweb.faces`), with views of its own.

A view is 64 bits: the 8 x 8 lowest frequencies of the part's DCT, above or below their median. Short, since low
frequencies bear being shifted by half a step of the grid of windows (2.5 % of the width), which 256 bits do not.
All windows are two products of matrices over one small picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from noisyweb.affine import Affine, rotation, window
from noisyweb.faces import SIDE, Face
from noisyweb.phash import lanczos

VIEW_SIDE, VIEW_FREQUENCIES = 32, 8
CENTRE = 0.9
"""Share of the width and of the height that rotated pictures are compared in: their corners are lost."""
STRIP = 0.12
"""Share of the height that a banner may cover."""
ANGLES = tuple(sign * angle for angle in (2, 4, 6, 8, 10) for sign in (1, -1))
WINDOWS = {1.0: (0.0,), 0.95: (0.0, 0.025, 0.05), 0.9: (0.0, 0.033, 0.067, 0.1)} | {
    0.85: (0.0, 0.05, 0.1, 0.15),
    0.8: (0.0, 0.05, 0.1, 0.15, 0.2),
}
"""Sizes of windows, and where they start, along either side."""

WHOLE, MIDDLE, STRIPPED = range(3)
"""The families: only views of one family are compared."""


@dataclass(frozen=True)
class Target:
    """What a target view shows: the picture seen through ``affine`` (from the copy's unit square to this one's)."""

    family: int
    affine: Affine


@dataclass(frozen=True)
class Probe:
    """What a probe shows: the picture as it is, or mirrored."""

    family: int
    is_mirrored: bool


Window = tuple[float, float]

_LINES: list[Window] = [(start, length) for length, starts in WINDOWS.items() for start in starts]
_CUTS: list[Window] = [(STRIP, 1 - STRIP), (0.0, 1 - STRIP)]
_MIDDLE: Window = ((1 - CENTRE) / 2, CENTRE)
_PAIRS = [(y, x) for y in range(len(_LINES)) for x in range(len(_LINES)) if _LINES[y][1] == _LINES[x][1]]

_WINDOWS = tuple(np.array(_PAIRS).T)
_STRAIGHT = (np.array([0, len(_LINES), len(_LINES) + 1, len(_LINES) + 2]), np.array([0, len(_LINES), 0, 0]))
"""Where the windows, and the picture whole, its middle, without its top and without its bottom stand in the grid."""

PROBES = [Probe(family, mirrored) for family in (WHOLE, MIDDLE, STRIPPED, STRIPPED) for mirrored in (False, True)]
NUM_TARGETS = len(_PAIRS) + 3 + len(ANGLES) + len(_CUTS)


@lru_cache(maxsize=512)
def targets(aspect: float) -> list[Target]:
    """The target views of a face of some aspect (width by height), in the order of `target_hashes`."""
    windows = [window(*_LINES[x], *_LINES[y]) for y, x in _PAIRS]
    turns = [rotation(turn, 1.0) for turn in (90, 180, 270)]
    turned = [rotation(angle, aspect) for angle in ANGLES]
    return [
        *(Target(WHOLE, affine) for affine in (*windows, *turns)),
        *(Target(MIDDLE, affine) for affine in turned),
        *(Target(STRIPPED, window(0, 1, 0, 1)) for _ in _CUTS),
    ]


@dataclass(frozen=True)
class Views:
    """The views of an image's faces, one after the other.

    Attributes:
        probes: shape (F x 8,), in the order of `PROBES`.
        targets: shape (F x `NUM_TARGETS`,).
    """

    probes: npt.NDArray[np.uint64]
    targets: npt.NDArray[np.uint64]


def views(of: Sequence[Face]) -> Views:
    """The views of an image."""
    parts = [_face_views(face) for face in of]
    return Views(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))


def _face_views(face: Face) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    grey = face.grey.astype(np.float32)
    grid = _grid()
    size = VIEW_FREQUENCIES
    low = (grid @ grey @ grid.T).reshape(len(grid) // size, size, -1, size).transpose(0, 2, 1, 3)  # [y, x] -> (8, 8)
    straight = low[_STRAIGHT]
    probes = np.stack([straight, straight * _MIRROR], axis=1).reshape(-1, size, size)
    turns = np.stack([np.rot90(grey, turn) for turn in (1, 2, 3)])
    # four pixels' mean, taken at the nearest place: as good as bilinear on a picture half the size
    soft = grey[:-1, :-1] + grey[1:, :-1] + grey[:-1, 1:] + grey[1:, 1:]
    rotated = _DCT @ soft.ravel()[_middles(round(face.aspect, 2))] @ _DCT.T
    targets = np.concatenate([low[_WINDOWS], grid[:size] @ turns @ grid[:size].T, rotated, straight[2:]])
    return _hashes(probes), _hashes(targets)


_STEPS = np.arange(VIEW_SIDE)
_DCT = np.cos(np.pi * (2 * _STEPS[None] + 1) * np.arange(VIEW_FREQUENCIES)[:, None] / (2 * VIEW_SIDE)).astype(
    np.float32
)
"""The 8 lowest rows of the DCT-II of 32 values, shape (8, 32)."""
_MIRROR = np.where(np.arange(8) % 2, -1.0, 1.0).astype(np.float32)
"""Mirroring a picture turns the sign of its odd horizontal frequencies."""


@lru_cache(maxsize=1)
def _grid() -> npt.NDArray[np.float32]:
    """Windows along one side, resized and transformed: shape (8 x windows, 128)."""
    lines = [*_LINES, _MIDDLE, *_CUTS]
    return np.concatenate([_DCT @ lanczos(SIDE, VIEW_SIDE, *line) for line in lines]).astype(np.float32)


@lru_cache(maxsize=512)
def _middles(aspect: float) -> npt.NDArray[np.intp]:
    """Where the middle of each rotated picture lies among the means of four pixels, shape (angles, 32, 32)."""
    line = _MIDDLE[0] + CENTRE * (np.arange(VIEW_SIDE) + 0.5) / VIEW_SIDE
    u, v = np.meshgrid(line, line)
    x, y = np.stack([rotation(angle, aspect).apply(u, v) for angle in ANGLES], axis=1)
    column, row = (np.clip(np.rint(at * SIDE - 1), 0, SIDE - 2).astype(np.intp) for at in (x, y))
    return np.asarray(row * (SIDE - 1) + column)


def _hashes(low: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    """64 bits of each of N blocks of 8 x 8 frequencies; the first bit, the brightness, is always 0."""
    flat = low.reshape(len(low), 64).copy()
    flat[:, 0] = -np.inf
    middle = np.partition(flat, (31, 32), axis=1)[:, 31:33].mean(axis=1, keepdims=True)
    bits = flat > middle
    return np.packbits(bits, axis=1).view(np.uint64).ravel()
