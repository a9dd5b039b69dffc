"""What belongs to one image and not to the class: paint and light."""

from __future__ import annotations

from dataclasses import dataclass

from noisyweb.drawn.stream import Stream

RGB = tuple[int, int, int]

_PAINTS: tuple[tuple[RGB, float], ...] = (
    ((238, 238, 236), 15), ((28, 28, 32), 14), ((168, 172, 178), 14), ((96, 100, 106), 10), ((176, 24, 30), 11),
    ((32, 62, 134), 10), ((90, 140, 200), 5), ((38, 84, 58), 5), ((196, 178, 140), 5), ((222, 176, 40), 4),
    ((214, 104, 30), 3), ((98, 52, 40), 3), ((120, 168, 80), 2), ((92, 60, 120), 2),
)  # fmt: skip


@dataclass(frozen=True)
class Light:
    """The light of an image: a factor for each colour channel."""

    red: float
    green: float
    blue: float

    def on(self, color: RGB) -> RGB:
        """A colour under this light."""
        return (
            min(255, int(color[0] * self.red)),
            min(255, int(color[1] * self.green)),
            min(255, int(color[2] * self.blue)),
        )


def dusty(color: RGB, paint: RGB, share: float) -> RGB:
    """A colour mixed with the paint's: dirt, glare and distance make the accents of a car hard to see."""
    return (
        int(color[0] + share * (paint[0] - color[0])),
        int(color[1] + share * (paint[1] - color[1])),
        int(color[2] + share * (paint[2] - color[2])),
    )


def draw_light(stream: Stream) -> Light:
    """Brightness 0.72 to 1.12, a little warm or cold."""
    bright, warm = stream.between(0.72, 1.12), stream.between(-0.08, 0.08)
    return Light(bright * (1 + warm), bright, bright * (1 - warm))


def draw_palette(stream: Stream, light: Light) -> dict[str, RGB]:
    """The named colours of one image, light included."""
    base = stream.weighted(_PAINTS)
    r, g, b = (min(250, max(8, channel + int(stream.between(-22, 22)))) for channel in base)
    tint = stream.between(0.6, 1.2)
    colors: dict[str, RGB] = {
        "paint": (r, g, b),
        "paint_dark": (int(r * 0.72), int(g * 0.72), int(b * 0.74)),
        "paint_light": (r + (255 - r) // 2, g + (255 - g) // 2, b + (255 - b) // 2),
        "glass": (int(52 * tint), int(64 * tint), int(76 * tint)),
        "glass_light": (int(112 * tint), int(130 * tint), int(146 * tint)),
        "tyre": (30, 30, 32),
        "well": (18, 18, 20),
        "line": (36, 36, 40),
        "bumper": (66, 68, 72),
        "chrome": (205, 208, 212),
        "tail": (206, 26, 30),
        "seat": stream.pick(((60, 44, 36), (40, 40, 44), (170, 140, 100), (140, 30, 34))),
        "shadow": (34, 34, 38),
    }
    return {name: light.on(color) for name, color in colors.items()}
