"""A drawing before it is placed: shapes in metres, with colours that are named or fixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Fill = str | tuple[int, int, int]
"""A colour: a name that each image fills in (``"paint"``), or RGB that belongs to the class."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Shape:
    """One polygon, ellipse or line: the points ``start`` to ``stop`` of its sketch.

    An ellipse has three points: its centre, and the ends of its two half-axes. A line has a width in metres.
    """

    kind: str
    fill: Fill
    start: int
    stop: int
    width: float = 0.0


@dataclass(frozen=True)
class Sketch:
    """Shapes from back to front over points of shape (P, 2), x to the right and y up, in metres.

    Attributes:
        points: shape (P, 2).
        shapes: what to draw with them, in order.
        width, height: size of the thing; it stands on y = 0.
        close_up: it goes on beyond the frame, and nothing stands in front of it.
    """

    points: npt.NDArray[np.float64]
    shapes: tuple[Shape, ...]
    width: float
    height: float
    close_up: bool = False


class Pencil:
    """Collects shapes into a sketch."""

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = []
        self._shapes: list[Shape] = []

    def _add(self, kind: str, fill: Fill, points: Points, width: float = 0.0) -> None:
        start = len(self._points)
        self._points.extend(points)
        self._shapes.append(Shape(kind, fill, start, len(self._points), width))

    def polygon(self, fill: Fill, points: Points) -> None:
        """A filled polygon."""
        self._add("polygon", fill, points)

    def box(self, fill: Fill, x0: float, y0: float, x1: float, y1: float) -> None:
        """A filled rectangle."""
        self._add("polygon", fill, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)])

    def ellipse(self, fill: Fill, x: float, y: float, rx: float, ry: float | None = None) -> None:
        """A filled ellipse, or a disc where ``ry`` is left out."""
        self._add("ellipse", fill, [(x, y), (x + rx, y), (x, y + (rx if ry is None else ry))])

    def line(self, fill: Fill, points: Points, width: float) -> None:
        """A line through the points; ``width`` in metres."""
        self._add("line", fill, points, width)

    def sketch(self, width: float, height: float, close_up: bool = False) -> Sketch:
        """What was drawn so far."""
        return Sketch(np.array(self._points), tuple(self._shapes), width, height, close_up)


def rounded(points: Points, rounds: int = 2) -> list[tuple[float, float]]:
    """Cut the corners of a closed polygon (Chaikin's algorithm); each round doubles the points."""
    loop = np.asarray(points, dtype=np.float64)
    for _ in range(rounds):
        after = np.roll(loop, -1, axis=0)
        loop = np.stack([0.8 * loop + 0.2 * after, 0.2 * loop + 0.8 * after], axis=1).reshape(-1, 2)
    return [(float(x), float(y)) for x, y in loop]
