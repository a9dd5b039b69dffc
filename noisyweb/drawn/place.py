"""Where a car stands: sky, ground, what is behind it and what is in front of it."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageDraw

from noisyweb.drawn.light import Light
from noisyweb.drawn.stream import Stream

RGB = tuple[int, int, int]

_SKIES: tuple[tuple[RGB, RGB], ...] = (
    ((120, 170, 225), (215, 230, 240)), ((170, 180, 190), (225, 228, 230)), ((70, 90, 150), (250, 190, 140)),
    ((30, 36, 60), (90, 90, 120)), ((90, 150, 220), (240, 240, 225)), ((200, 205, 210), (240, 240, 240)),
)  # fmt: skip
_GROUNDS: tuple[RGB, ...] = (
    (92, 94, 98), (120, 118, 114), (150, 142, 128), (70, 74, 78), (112, 130, 84), (178, 164, 130),
)  # fmt: skip
_FAR_COLORS: tuple[RGB, ...] = ((88, 110, 92), (116, 120, 136), (150, 130, 110), (70, 92, 70), (140, 146, 150))
_NEAR_COLORS: tuple[RGB, ...] = ((60, 62, 66), (110, 90, 70), (52, 84, 48), (150, 60, 50), (60, 80, 130))


def draw_place(stream: Stream, light: Light, size: tuple[int, int]) -> tuple[Image.Image, float]:
    """A background of ``size`` pixels, and its horizon in pixels from the top."""
    width, height = size
    kind = stream.pick(("studio", *_BACKDROPS))
    top, bottom = stream.pick(_SKIES)
    ground = stream.pick(_GROUNDS)
    if kind == "studio":
        tone, base = stream.below(256), stream.below(256)
        top, bottom, ground = (tone, tone, tone), (base, base, base), ((2 * base + 120) // 3,) * 3
    horizon = height * stream.between(0.46, 0.68)
    sky = Image.frombytes("RGB", (1, 2), bytes((*light.on(top), *light.on(bottom))))
    column = sky.resize((1, height), Image.Resampling.BILINEAR, box=(0, 0.5, 1, 1.5))
    image = column.resize(size, Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    if kind != "studio":
        _BACKDROPS[kind](draw, stream, light, width, horizon)
    draw.rectangle((0, horizon, width, height), fill=light.on(ground))
    if stream.chance(0.5):
        _draw_road_line(draw, stream, light.on((ground[0] + 60, ground[1] + 60, ground[2] + 60)), width, height)
    return image, horizon


def draw_foreground(stream: Stream, light: Light, image: Image.Image) -> None:
    """Something in front of two cars in five: a post, a person or a hedge."""
    if not stream.chance(0.4):
        return
    draw, (width, height) = ImageDraw.Draw(image), image.size
    x, kind = stream.between(0.1, 0.9) * width, stream.pick(("post", "person", "hedge"))
    color = light.on(stream.pick(_NEAR_COLORS))
    if kind == "post":
        half = stream.between(0.015, 0.04) * width
        draw.rectangle((x - half, 0, x + half, height), fill=color)
    elif kind == "person":
        half, top = stream.between(0.03, 0.045) * width, stream.between(0.36, 0.5) * height
        hip, foot = top + 0.22 * height, top + 0.45 * height
        trousers, skin = light.on((44, 50, 72)), light.on((205, 160, 130))
        for leg in (-0.5 * half, 0.5 * half):
            draw.line((x + leg, hip - 2, x + 1.4 * leg, foot), fill=trousers, width=int(0.7 * half))
        draw.rounded_rectangle((x - half, top, x + half, hip), radius=0.6 * half, fill=color)
        draw.ellipse((x - 0.6 * half, top - 1.3 * half, x + 0.6 * half, top - 0.1 * half), fill=skin)
    else:
        top, wide = stream.between(0.78, 0.88) * height, stream.between(0.2, 0.4) * width
        for k in range(4):
            left = x + (k - 2) * wide / 2
            draw.ellipse((left, top, left + wide, top + 0.5 * height), fill=light.on((52, 84, 48)))


def _draw_road_line(draw: ImageDraw.ImageDraw, stream: Stream, color: RGB, width: int, height: int) -> None:
    y = stream.between(0.86, 0.97) * height
    for k in range(5):
        x = (k - 1 + stream.unit()) * width / 4
        draw.line((x, y, x + width / 9, y), fill=color, width=3)


def _draw_hills(draw: ImageDraw.ImageDraw, stream: Stream, light: Light, width: int, horizon: float) -> None:
    r, g, b = stream.pick(_FAR_COLORS)
    for shade in (1.0, 0.8):
        x, wide, tall = stream.between(0, width), stream.between(0.3, 0.8) * width, stream.between(0.2, 0.6) * horizon
        color = light.on((int(r * shade), int(g * shade), int(b * shade)))
        draw.polygon((x - wide, horizon, x, horizon - tall, x + wide, horizon), fill=color)


def _draw_city(draw: ImageDraw.ImageDraw, stream: Stream, light: Light, width: int, horizon: float) -> None:
    r, g, b = stream.pick(_FAR_COLORS)
    x = -stream.between(0, 20)
    while x < width:
        wide, tall, shade = (
            stream.between(0.08, 0.22) * width,
            stream.between(0.25, 1.0) * horizon,
            stream.between(0.6, 1.2),
        )
        color = light.on((int(r * shade), int(g * shade), int(b * shade)))
        draw.rectangle((x, horizon - tall, x + wide, horizon), fill=color)
        x += wide + stream.between(0, 8)


def _draw_wall(draw: ImageDraw.ImageDraw, stream: Stream, light: Light, width: int, horizon: float) -> None:
    color = stream.pick(_FAR_COLORS)
    draw.rectangle((0, stream.between(0.0, 0.5) * horizon, width, horizon), fill=light.on(color))
    joint = light.on((color[0] - 24, color[1] - 24, color[2] - 24))
    for _ in range(1 + stream.below(4)):
        x = stream.between(0, width)
        draw.line((x, 0.5 * horizon, x, horizon), fill=joint, width=3)


def _draw_trees(draw: ImageDraw.ImageDraw, stream: Stream, light: Light, width: int, horizon: float) -> None:
    for _ in range(4 + stream.below(4)):
        x, radius, shade = stream.between(0, width), stream.between(0.14, 0.35) * horizon, stream.between(0.6, 1.1)
        leaf = light.on((int(70 * shade), int(118 * shade), int(60 * shade)))
        draw.ellipse((x - radius, horizon - 2.2 * radius, x + radius, horizon), fill=leaf)


def _draw_street(draw: ImageDraw.ImageDraw, stream: Stream, light: Light, width: int, horizon: float) -> None:
    color = light.on(stream.pick(_FAR_COLORS))
    draw.rectangle((0, 0.88 * horizon, width, horizon), fill=color)
    for _ in range(2):
        x, top = stream.between(0, width), stream.between(0.1, 0.5) * horizon
        draw.line((x, horizon, x, top), fill=color, width=4)
        draw.ellipse((x - 8, top - 5, x + 8, top + 5), fill=light.on((250, 240, 200)))


_Backdrop = Callable[[ImageDraw.ImageDraw, Stream, Light, int, float], None]
_BACKDROPS: dict[str, _Backdrop] = {
    "hills": _draw_hills,
    "city": _draw_city,
    "wall": _draw_wall,
    "trees": _draw_trees,
    "street": _draw_street,
}
