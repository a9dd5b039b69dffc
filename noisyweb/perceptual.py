"""What a picture looks like, as a vector: its layout of colours, how much of each colour there is, and where edges run.

No model and nothing learned: two images are near each other if a glance would take them for alike. A row is three
blocks, each of length 1 / sqrt(3), so that each counts the same and the cosine of two rows is the mean of the three
blocks' cosines:

| block | columns | what |
|---|---|---|
| layout | 0 to 191 | CIE L*, a*, b* (D65) of the picture at 8 x 8, less its own mean colour |
| colours | 192 to 291 | square roots of the shares of 4 x 5 x 5 cells of L*a*b* among 32 x 32 pixels |
| edges | 292 to 803 | square roots of the gradients of L* in 8 x 8 cells by 8 orientations, at 64 x 64 |

Edges are after N. Dalal and B. Triggs (2005), without overlapping blocks. Square roots make the cosine of two
histograms their Bhattacharyya coefficient. A block in which there is nothing to see (one plain colour has no layout
and no edges) is zero, and the others take its share.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np
import numpy.typing as npt
from PIL import Image

from noisyweb.decode import to_rgb

BLOCKS = {"layout": slice(0, 192), "colours": slice(192, 292), "edges": slice(292, 804)}
NUM_FEATURES = 804

_SIDE, _COLOUR_SIDE, _LAYOUT_SIDE = 64, 32, 8
_CELLS, _ORIENTATIONS = 8, 8
_BATCH = 128
_PLAIN = {"layout": 2.0, "edges": 2.0}
"""Root mean square in units of L* below which a block is noise, not a picture."""

_L_EDGES = np.array([25.0, 50.0, 75.0], np.float32)
_AB_EDGES = np.array([-30.0, -8.0, 8.0, 30.0], np.float32)

Floats = npt.NDArray[np.float32]


def perceptual_features(images: Iterable[Image.Image]) -> Floats:
    """What pictures look like.

    Args:
        images: of any size and mode, consumed a batch at a time; what is transparent is seen on white.

    Returns:
        Shape (N, 804), rows of length 1, in the order of the images.
    """
    rest = iter(images)
    parts = []
    while batch := [_small(image) for image in islice(rest, _BATCH)]:
        parts.append(_features(np.stack(batch)))
    return np.concatenate(parts) if parts else np.zeros((0, NUM_FEATURES), np.float32)


def _small(image: Image.Image) -> npt.NDArray[np.uint8]:
    rgb = image if image.mode == "RGB" else to_rgb(image)
    if rgb.size != (_SIDE, _SIDE):
        rgb = rgb.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(rgb)


def _features(rgb: npt.NDArray[np.uint8]) -> Floats:
    """A batch of pictures, shape (B, 64, 64, 3)."""
    lab = _to_lab(rgb)
    half = lab.reshape(len(lab), 3, _COLOUR_SIDE, 2, _COLOUR_SIDE, 2).mean(axis=(3, 5))
    blocks = (_layout(half), _colours(half), _edges(lab[:, 0]))
    rows = np.concatenate(blocks, axis=1)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


_LINEAR = np.array(
    [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in np.arange(256) / 255], np.float32
)
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_TO_WHITE = (_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).T.astype(np.float32)
_FROM_ROOTS = np.array([[0, 500, 0], [116, -500, 200], [0, 0, -200]], np.float32)


def _to_lab(rgb: npt.NDArray[np.uint8]) -> Floats:
    """sRGB of shape (B, H, W, 3) as L*a*b* of shape (B, 3, H, W)."""
    xyz = _LINEAR[rgb] @ _TO_WHITE
    roots = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    lab = roots @ _FROM_ROOTS
    lab[..., 0] -= 16
    return np.ascontiguousarray(lab.transpose(0, 3, 1, 2))


def _layout(lab: Floats) -> Floats:
    step = _COLOUR_SIDE // _LAYOUT_SIDE
    small = lab.reshape(len(lab), 3, _LAYOUT_SIDE, step, _LAYOUT_SIDE, step).mean(axis=(3, 5))
    flat = (small - small.mean(axis=(2, 3), keepdims=True)).reshape(len(lab), -1)
    return _unit(flat, np.sqrt((flat**2).mean(axis=1)) > _PLAIN["layout"])


def _colours(lab: Floats) -> Floats:
    levels = len(_AB_EDGES) + 1
    cell = np.searchsorted(_L_EDGES, lab[:, 0])
    for plane in (1, 2):
        cell = cell * levels + np.searchsorted(_AB_EDGES, lab[:, plane])
    count = (len(_L_EDGES) + 1) * levels**2
    flat = (cell + count * np.arange(len(lab))[:, None, None]).ravel()
    return _unit(np.sqrt(np.bincount(flat, minlength=count * len(lab)).reshape(len(lab), count)))


def _edges(lightness: Floats) -> Floats:
    """Gradients of planes of shape (B, 64, 64), each shared between the two nearest orientations."""
    size = len(lightness)
    padded = np.pad(lightness, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across, down = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2], padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    strength = np.hypot(across, down)
    turn = np.arctan2(down, across) * (_ORIENTATIONS / np.pi)  # light to dark is dark to light
    first = np.floor(turn)
    share = turn - first
    first = first.astype(np.intp) % _ORIENTATIONS
    line = np.arange(_SIDE) // (_SIDE // _CELLS)
    cell = np.arange(size)[:, None, None] * _CELLS**2 + line[:, None] * _CELLS + line
    count = size * _CELLS**2 * _ORIENTATIONS
    flat = np.bincount((cell * _ORIENTATIONS + first).ravel(), (strength * (1 - share)).ravel(), count)
    second = cell * _ORIENTATIONS + (first + 1) % _ORIENTATIONS
    flat += np.bincount(second.ravel(), (strength * share).ravel(), count)
    seen = np.sqrt((strength**2).mean(axis=(1, 2))) > _PLAIN["edges"]
    return _unit(np.sqrt(flat.reshape(size, -1)), seen)


def _unit(rows: npt.NDArray[np.floating], seen: npt.NDArray[np.bool_] | None = None) -> Floats:
    """Rows of length 1, or 0 where nothing is seen."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.maximum(lengths, 1e-9)
    return np.asarray(unit if seen is None else unit * seen[:, None], np.float32)
