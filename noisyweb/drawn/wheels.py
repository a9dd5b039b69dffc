"""Wheels, by style."""

from __future__ import annotations

from math import cos, pi, sin

from noisyweb.drawn.sketch import Pencil
from noisyweb.drawn.traits import Traits

_SPOKES = {"five": 5, "seven": 7, "cross": 4, "turbine": 9, "mesh": 10, "split": 5}


def draw_wheel(pencil: Pencil, traits: Traits, x: float, y: float, radius: float, detail: bool = False) -> None:
    """A tyre and a rim in the class's style, centred at (x, y), ``radius`` in metres.

    Args:
        pencil: what to draw with.
        traits: of the class.
        x, y, radius: place and size.
        detail: draw it as a picture of a wheel has it, not as a car has it.
    """
    pencil.ellipse("tyre", x, y, radius)
    rim = radius * 0.72
    style, bright = traits.wheel_style, traits.rim
    dark = (bright[0] // 3, bright[1] // 3, bright[2] // 3)
    if style in ("disc", "holes"):
        pencil.ellipse(bright, x, y, rim)
        if style == "disc":
            pencil.ellipse(dark, x, y, rim * 0.62)
            pencil.ellipse(bright, x, y, rim * 0.5)
        else:
            for k in range(6):
                angle = 2 * pi * k / 6
                pencil.ellipse(dark, x + 0.62 * rim * cos(angle), y + 0.62 * rim * sin(angle), rim * 0.19)
    else:
        pencil.ellipse(bright, x, y, rim)
        pencil.ellipse("well", x, y, rim * 0.86)
        count = _SPOKES[style]
        for k in range(count):
            angle = 2 * pi * k / count + pi / 2
            _spoke(pencil, traits, x, y, rim * 0.92, angle)
    pencil.ellipse(traits.badge, x, y, rim * 0.24)
    if detail:
        pencil.ellipse("chrome", x, y, rim * 0.14)
        for k in range(5):
            angle = 2 * pi * k / 5
            pencil.ellipse("line", x + 0.33 * rim * cos(angle), y + 0.33 * rim * sin(angle), rim * 0.045)


def _spoke(pencil: Pencil, traits: Traits, x: float, y: float, reach: float, angle: float) -> None:
    style = traits.wheel_style
    narrow, wide = {"five": (0.16, 0.2), "cross": (0.26, 0.34), "turbine": (0.04, 0.16)}.get(style, (0.09, 0.1))
    leans = (-0.28, 0.28) if style == "split" else (0.0,)
    twist = 0.35 if style == "turbine" else 0.0
    for lean in leans:
        tip = angle + lean + twist
        across, out = (-sin(angle), cos(angle)), (cos(tip), sin(tip))
        pencil.polygon(
            traits.rim,
            [
                (x + across[0] * narrow * reach, y + across[1] * narrow * reach),
                (x + (out[0] + across[0] * wide) * reach, y + (out[1] + across[1] * wide) * reach),
                (x + (out[0] - across[0] * wide) * reach, y + (out[1] - across[1] * wide) * reach),
                (x - across[0] * narrow * reach, y - across[1] * narrow * reach),
            ],
        )
