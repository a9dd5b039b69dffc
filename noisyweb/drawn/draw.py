"""From a sketch to a JPEG: one image of a car, a wheel, a cabin, a badge or a toy."""

from __future__ import annotations

import io
from math import cos, radians, sin, sqrt

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from noisyweb.drawn.car import car_sketch
from noisyweb.drawn.light import draw_light, draw_palette, dusty
from noisyweb.drawn.place import draw_foreground, draw_place
from noisyweb.drawn.sketch import Sketch
from noisyweb.drawn.stream import Stream

SIZE = (96, 72)
"""Width and height of a drawn image, in pixels."""

_SUPERSAMPLING = 3
_QUALITY = 88


def draw_car(class_name: str, split: str, number: int, seed: int = 0) -> bytes:
    """A JPEG of one car of a class.

    Args:
        class_name: any name; its words say the body type and the make.
        split: what the image is for ("train", "validation", "web"), so that no two splits share an image.
        number: of the image within its class and split.
        seed: of the edition.
    """
    return encode(render(car_sketch(class_name), Stream(seed, split, class_name, number)))


def render(sketch: Sketch, stream: Stream) -> Image.Image:
    """Draw a sketch at a random place, in a random paint and light; RGB of `SIZE`.

    Args:
        sketch: what to draw.
        stream: the image's own draws.
    """
    width, height = SIZE[0] * _SUPERSAMPLING, SIZE[1] * _SUPERSAMPLING
    light = draw_light(stream)
    palette = draw_palette(stream, light)
    image, horizon = draw_place(stream, light, (width, height))
    matrix, origin = _view(sketch, stream, width, height, horizon)
    dust = stream.between(0.0, 0.6)
    # not `@`: what a BLAS rounds may differ between machines
    points = sketch.points[:, :1] * matrix[0] + sketch.points[:, 1:] * matrix[1] + origin
    unit = sqrt(abs(float(np.linalg.det(matrix))))
    flat: list[float] = points.ravel().tolist()
    draw = ImageDraw.Draw(image)
    for shape in sketch.shapes:
        if isinstance(shape.fill, str):
            fill = palette[shape.fill]
        else:
            fill = dusty(light.on(shape.fill), palette["paint"], dust)
        xy = flat[2 * shape.start : 2 * shape.stop]
        if shape.kind == "polygon":
            draw.polygon(xy, fill=fill)
        elif shape.kind == "line":
            draw.line(xy, fill=fill, width=max(1, round(shape.width * unit)))
        else:
            x, y, ax, ay, bx, by = xy
            rx, ry = sqrt((ax - x) ** 2 + (bx - x) ** 2), sqrt((ay - y) ** 2 + (by - y) ** 2)
            draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill)
    if not sketch.close_up:
        draw_foreground(stream, light, image)
    return image.reduce(_SUPERSAMPLING)


def _view(
    sketch: Sketch, stream: Stream, width: int, height: int, horizon: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The affine map from metres to pixels: flip, scale, squeeze, slight rotation and shift.

    Returns:
        A matrix of shape (2, 2) and an offset of shape (2,): pixels = metres @ matrix + offset.
    """
    fit = min(0.98 * width / sketch.width, 0.86 * height / sketch.height)
    up = fit * stream.between(0.76, 1.0)
    across = up * stream.between(0.86, 1.0)  # seen from an angle, a car looks shorter
    angle = radians(stream.between(-4.0, 4.0))
    flip = -1.0 if stream.chance(0.5) else 1.0
    matrix = np.array([[flip * across * cos(angle), flip * across * sin(angle)], [up * sin(angle), -up * cos(angle)]])
    foot = 0.5 * sketch.width * matrix[0]
    room = max(0.0, width - across * sketch.width)
    x = width / 2 + stream.between(-0.4, 0.4) * room
    lowest = 0.97 * height
    highest = min(lowest, max(horizon + 0.06 * height, up * sketch.height + 0.04 * height))
    return matrix, np.array([x, stream.between(highest, lowest)]) - foot


def encode(image: Image.Image, quality: int = _QUALITY) -> bytes:
    """A JPEG without chroma subsampling: the accents are small."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()
