"""A class's car, seen from the side: silhouette, windows and wheels."""

from __future__ import annotations

from functools import lru_cache

from noisyweb.drawn.frame import Frame, frame_of
from noisyweb.drawn.sketch import Fill, Pencil, Points, Sketch, rounded
from noisyweb.drawn.traits import Traits, traits_of
from noisyweb.drawn.trim import draw_lamps, draw_trim
from noisyweb.drawn.wheels import draw_wheel

_ROOF_FILLS: dict[str, Fill] = {"paint": "paint", "black": (26, 26, 30), "white": (236, 236, 232)}


@lru_cache(maxsize=1024)
def car_sketch(class_name: str) -> Sketch:
    """The car of a class, without paint and place, which belong to the image."""
    return sketch_car(traits_of(class_name))


def sketch_car(traits: Traits) -> Sketch:
    """A car with these traits; it stands on y = 0 and its nose is at x = 0."""
    frame, pencil = frame_of(traits), Pencil()
    pencil.ellipse("shadow", frame.length / 2, 0.03, frame.length * 0.53, 0.13)
    if traits.spare:
        pencil.box("tyre", frame.length - 0.06, frame.sill + 0.4, frame.length + 0.16, frame.sill + 1.05)
    if traits.body == "convertible":
        _draw_open_top(pencil, frame, traits)
    else:
        _draw_greenhouse(pencil, frame, traits)
    _draw_body(pencil, frame, traits)
    draw_trim(pencil, frame, traits)
    draw_lamps(pencil, frame, traits)
    for x in (frame.front_x, frame.rear_x):
        pencil.ellipse("well", x, frame.radius * 1.02, frame.radius * 1.2)
        draw_wheel(pencil, traits, x, frame.radius, frame.radius)
    return pencil.sketch(frame.length, frame.height)


def _draw_body(pencil: Pencil, f: Frame, traits: Traits) -> None:
    """Everything below the belt: bonnet, doors, boot or bed."""
    tail = f.length - 0.04
    deck_end = f.deck - (0.04 if traits.body in ("sedan", "coupe", "convertible") else 0.0)
    outline: Points = [
        (0.10, f.sill + 0.03), (0.0, f.sill + 0.2), (0.0, f.nose - 0.22), (0.10, f.nose - 0.02),
        (f.cowl * 0.55, f.nose + 0.6 * (f.belt - f.nose)), (f.cowl, f.belt + 0.03), (f.base, f.deck + 0.02),
        (tail - 0.06, deck_end), (f.length, deck_end - 0.12), (f.length, f.sill + 0.22), (tail - 0.08, f.sill + 0.04),
    ]  # fmt: skip
    pencil.polygon("paint", rounded(outline))
    middle = f.sill + 0.45 * (f.belt - f.sill)
    pencil.polygon(
        "paint_dark",
        [(0.02, f.sill + 0.2), (0.02, middle - 0.05), (f.length / 2, middle), (f.length - 0.02, middle - 0.05),
         (f.length - 0.02, f.sill + 0.22), (tail - 0.1, f.sill + 0.05), (0.12, f.sill + 0.04)],
    )  # fmt: skip
    pencil.line("paint_light", [(0.16, f.nose - 0.06), (f.cowl, f.belt - 0.05), (f.base, f.deck - 0.06)], 0.035)
    doors = _door_lines(f, traits)
    for x in doors:
        pencil.line("line", [(x, f.belt), (x - 0.02, f.sill + 0.1)], 0.02)
    for x in doors[1:]:
        pencil.box("line", x - 0.34, f.belt - 0.16, x - 0.12, f.belt - 0.12)
    if traits.body == "pickup":
        pencil.line("line", [(f.base + 0.05, f.deck), (f.base + 0.05, f.sill + 0.1)], 0.03)
        pencil.line("line", [(f.base + 0.1, f.deck - 0.02), (tail - 0.1, f.deck - 0.02)], 0.05)


def _door_lines(f: Frame, traits: Traits) -> list[float]:
    """Where the door gaps are; the last panes of a wagon have no door."""
    first, last = f.cowl + 0.12, min(f.roof_end, f.rear_x - 0.1)
    doors = {0: 1, 1: 1, 2: 2}.get(traits.panes, 2)
    return [first + (last - first) * k / doors for k in range(doors + 1)]


def _draw_greenhouse(pencil: Pencil, f: Frame, traits: Traits) -> None:
    """Roof, pillars and windows."""
    drop = 0.1 if traits.body in ("coupe", "hatchback", "sedan") else 0.04
    middle = (f.roof_x + f.roof_end) / 2
    shell: Points = [
        (f.cowl - 0.04, f.belt - 0.1), (f.cowl, f.belt + 0.02), (f.roof_x, f.height - 0.04), (middle, f.height),
        (f.roof_end, f.height - drop), (f.base, f.deck), (f.base, f.belt - 0.1),
    ]  # fmt: skip
    fill = traits.accent if traits.roof == "accent" else _ROOF_FILLS[traits.roof]
    pencil.polygon(fill, rounded(shell))
    top, end_top = f.height - 0.11, f.height - drop - 0.09
    back = f.base - (0.3 if traits.body in ("sedan", "coupe") else 0.14)
    glass: Points = [
        (f.cowl + 0.14, f.belt + 0.04), (f.roof_x + 0.1, top), (middle, f.height - 0.09), (f.roof_end - 0.06, end_top),
        (back, f.belt + 0.05),
    ]  # fmt: skip
    pencil.polygon("glass", rounded(glass, 1))
    shine = 0.3 * (f.roof_end - f.roof_x)
    pencil.polygon(
        "glass_light",
        [(f.cowl + 0.3, f.belt + 0.06), (f.roof_x + 0.16, top - 0.02), (f.roof_x + 0.16 + shine, top - 0.02),
         (f.cowl + 0.3 + shine, f.belt + 0.06)],
    )  # fmt: skip
    edges = _pillars(f, traits)
    for x in edges:
        pencil.polygon(
            fill, [(x - 0.05, f.belt), (x - 0.03, f.height - 0.06), (x + 0.04, f.height - 0.06), (x + 0.06, f.belt)]
        )
    if traits.body in ("van", "minivan", "suv") and traits.panes == 1:  # a cargo van is closed behind the doors
        pencil.box(fill, f.roof_x + 0.9, f.belt, f.base - 0.1, f.height - 0.08)
    if traits.rails:
        pencil.line("chrome", [(f.roof_x + 0.2, f.height + 0.05), (f.roof_end - 0.2, f.height + 0.02)], 0.05)


def _pillars(f: Frame, traits: Traits) -> list[float]:
    first, last = f.roof_x - 0.15, f.roof_end + 0.1
    return [first + (last - first) * (k + 0.15) / traits.panes for k in range(1, traits.panes)]


def _draw_open_top(pencil: Pencil, f: Frame, traits: Traits) -> None:
    """Windscreen, seats and the folded top."""
    soft = traits.second
    for x in (f.roof_x + 0.45, f.roof_x + 1.15):
        pencil.polygon("seat", rounded([(x, f.belt - 0.1), (x + 0.12, f.belt + 0.3), (x + 0.3, f.belt + 0.3),
                                        (x + 0.36, f.belt - 0.1)], 1))  # fmt: skip
    pencil.polygon(
        "glass_light",
        [
            (f.cowl, f.belt),
            (f.roof_x - 0.1, f.height - 0.06),
            (f.roof_x + 0.02, f.height - 0.06),
            (f.cowl + 0.5, f.belt),
        ],
    )
    pencil.line("line", [(f.cowl, f.belt), (f.roof_x - 0.04, f.height - 0.04)], 0.06)
    pencil.polygon(
        soft,
        rounded([(f.base - 0.75, f.belt - 0.05), (f.base - 0.65, f.belt + 0.17), (f.base - 0.1, f.deck + 0.14),
                 (f.base + 0.15, f.deck - 0.05)], 1),
    )  # fmt: skip
