"""What sets the cars of one class apart from their siblings: lamps, stripes, cladding, spoiler, badge."""

from __future__ import annotations

from noisyweb.drawn.frame import Frame
from noisyweb.drawn.sketch import Fill, Pencil, Points
from noisyweb.drawn.traits import Traits


def draw_trim(pencil: Pencil, f: Frame, traits: Traits) -> None:
    """Stripes and add-ons, in the class's own colours."""
    if traits.cladding != "none":
        fills: dict[str, Fill] = {"black": (34, 34, 38), "grey": (120, 122, 126), "accent": traits.second}
        fill = fills[traits.cladding]
        pencil.polygon(
            fill,
            [(0.06, f.sill + 0.02), (0.0, f.sill + 0.2), (f.length, f.sill + 0.22), (f.length - 0.1, f.sill + 0.03)],
        )
    if traits.two_tone:
        low, high = f.sill + 0.22, f.sill + 0.45 * (f.belt - f.sill)
        pencil.box(traits.second, f.front_x + 0.1, low, f.rear_x - 0.1, high)
    for points in _stripe(f, traits.stripe):
        pencil.polygon(traits.accent, points)
    if traits.vent:
        x = f.front_x + f.radius + 0.12
        pencil.box("well", x, f.belt - 0.32, x + 0.2, f.belt - 0.14)
    if traits.spoiler == "lip":
        y = f.deck if traits.body in ("sedan", "coupe", "convertible", "pickup") else f.height - 0.06
        x = f.length - 0.35 if y == f.deck else f.roof_end - 0.05
        pencil.polygon(traits.accent, [(x - 0.2, y - 0.03), (x + 0.3, y + 0.12), (x + 0.34, y + 0.03)])
    elif traits.spoiler == "wing":
        pencil.line("line", [(f.length - 0.35, f.deck - 0.05), (f.length - 0.3, f.deck + 0.22)], 0.06)
        pencil.polygon(
            traits.accent,
            [(f.length - 0.7, f.deck + 0.2), (f.length, f.deck + 0.26), (f.length, f.deck + 0.34),
             (f.length - 0.7, f.deck + 0.26)],
        )  # fmt: skip
    if traits.visor:
        pencil.polygon(
            traits.second,
            [(f.roof_x - 0.3, f.height - 0.24), (f.roof_x - 0.05, f.height - 0.0), (f.roof_x + 0.3, f.height - 0.06)],
        )
    x = f.cowl + 0.1
    pencil.polygon(
        "line", [(x, f.belt + 0.02), (x + 0.06, f.belt + 0.16), (x + 0.24, f.belt + 0.14), (x + 0.2, f.belt)]
    )
    pencil.ellipse(traits.badge, f.front_x + f.radius + 0.22, f.belt - 0.4, 0.085)


def draw_lamps(pencil: Pencil, f: Frame, traits: Traits) -> None:
    """Head and tail lamps, grille and bumpers."""
    pencil.polygon(
        "well", [(-0.01, f.sill + 0.25), (-0.01, f.nose - 0.32), (0.12, f.nose - 0.32), (0.14, f.sill + 0.25)]
    )
    pencil.box("bumper", -0.03, f.sill + 0.1, 0.22, f.sill + 0.24)
    pencil.box("bumper", f.length - 0.2, f.sill + 0.12, f.length + 0.03, f.sill + 0.26)
    y, lamp = f.nose - 0.17, traits.lamp_color
    if traits.lamp == "round":
        pencil.ellipse("line", 0.2, y, 0.16)
        pencil.ellipse(lamp, 0.2, y, 0.125)
    elif traits.lamp == "slim":
        pencil.polygon(lamp, [(0.02, y - 0.04), (0.1, y + 0.08), (0.56, y + 0.1), (0.4, y)])
    elif traits.lamp == "square":
        pencil.box("line", 0.03, y - 0.15, 0.36, y + 0.12)
        pencil.box(lamp, 0.06, y - 0.12, 0.33, y + 0.09)
    elif traits.lamp == "tall":
        pencil.polygon(lamp, [(0.04, y - 0.25), (0.08, y + 0.1), (0.25, y + 0.1), (0.2, y - 0.25)])
    elif traits.lamp == "twin":
        pencil.ellipse(lamp, 0.12, y, 0.1)
        pencil.ellipse(lamp, 0.38, y + 0.02, 0.1)
    else:
        pencil.polygon(lamp, [(0.02, y - 0.12), (0.08, y + 0.1), (0.46, y + 0.12)])
    x, y = f.length, f.deck - 0.22
    if traits.tail == "tall":
        pencil.box("tail", x - 0.14, y - 0.3, x + 0.01, y + 0.1)
    elif traits.tail == "slim":
        pencil.box("tail", x - 0.5, y, x + 0.01, y + 0.1)
    elif traits.tail == "round":
        pencil.ellipse("tail", x - 0.13, y, 0.13)
    else:
        pencil.box("tail", x - 0.26, y - 0.1, x + 0.01, y + 0.12)


def _stripe(f: Frame, stripe: str) -> list[Points]:
    """Side stripes, front to back."""
    left, right, middle = f.front_x + f.radius + 0.1, f.rear_x - f.radius - 0.1, f.sill + 0.55 * (f.belt - f.sill)
    if stripe == "belt":
        return [[(0.25, f.nose - 0.1), (f.cowl, f.belt - 0.02), (f.length - 0.1, f.deck - 0.06),
                 (f.length - 0.1, f.deck - 0.16), (f.cowl, f.belt - 0.14), (0.25, f.nose - 0.2)]]  # fmt: skip
    if stripe == "sill":
        return [[(left, f.sill + 0.08), (right, f.sill + 0.08), (right, f.sill + 0.22), (left, f.sill + 0.22)]]
    if stripe == "double":
        return [[(left, y), (right, y), (right, y + 0.07), (left, y + 0.07)] for y in (middle, middle + 0.13)]
    if stripe == "wave":
        return [[(left - 0.1, middle + 0.16), (right, middle - 0.16), (right + 0.1, middle - 0.02),
                 (left, middle + 0.24)]]  # fmt: skip
    if stripe == "rear":
        return [[(right - 0.3, f.sill + 0.1), (right, f.sill + 0.1), (right + 0.25, f.deck - 0.05),
                 (right - 0.05, f.deck - 0.05)]]  # fmt: skip
    if stripe == "front":
        return [[(left, f.sill + 0.1), (left + 0.3, f.sill + 0.1), (left + 0.05, f.belt - 0.04),
                 (left - 0.25, f.belt - 0.04)]]  # fmt: skip
    if stripe == "wedge":
        return [[(left, middle - 0.02), (right + 0.1, middle - 0.14), (right + 0.1, middle + 0.2)]]
    return []
