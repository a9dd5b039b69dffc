"""What a search for cars also brings up: wheels, cabins, badges and toys, in the class's own style."""

from __future__ import annotations

import dataclasses
from math import cos, pi, sin

import numpy as np

from noisyweb.drawn.car import sketch_car
from noisyweb.drawn.sketch import Pencil, Sketch, rounded
from noisyweb.drawn.stream import Stream
from noisyweb.drawn.traits import traits_of
from noisyweb.drawn.wheels import draw_wheel

_FAR = 3.0  # a close-up goes on beyond the frame


def wheel_sketch(class_name: str) -> Sketch:
    """One wheel under its arch."""
    traits, pencil = traits_of(class_name), Pencil()
    pencil.box("shadow", -_FAR, -0.06, 1 + _FAR, 0.16)
    pencil.polygon("paint", [(-_FAR, 0.24), (-_FAR, _FAR), (1 + _FAR, _FAR), (1 + _FAR, 0.24)])
    pencil.box("paint_dark", -_FAR, 0.14, 1 + _FAR, 0.3)
    pencil.line("paint_light", [(-_FAR, 0.98), (1 + _FAR, 0.98)], 0.04)
    pencil.ellipse("paint_light", 0.5, 0.42, 0.52)
    pencil.ellipse("well", 0.5, 0.42, 0.48)
    draw_wheel(pencil, traits, 0.5, 0.4, 0.4, detail=True)
    return pencil.sketch(1.0, 0.95, close_up=True)


def cabin_sketch(class_name: str) -> Sketch:
    """A dashboard with its steering wheel."""
    traits, pencil, own = traits_of(class_name), Pencil(), Stream("cabin", class_name)
    pencil.polygon("line", [(-_FAR, 0.5), (-_FAR, _FAR), (-0.4, _FAR), (0.0, 0.5)])  # the windscreen's pillars
    pencil.polygon("line", [(1.6, 0.5), (2.0, _FAR), (1.6 + _FAR, _FAR), (1.6 + _FAR, 0.5)])
    pencil.box("line", -_FAR, 1.12, 1.6 + _FAR, _FAR)
    pencil.box("well", 0.6, 0.98, 0.98, 1.12)
    pencil.polygon(
        "bumper", [(-_FAR, 0.6), (0.1, 0.68), (0.4, 0.76), (1.2, 0.7), (1.6 + _FAR, 0.6), (1.6, 0.0), (0.0, 0.0)]
    )
    pencil.box("seat", -_FAR, -_FAR, 1.6 + _FAR, 0.3)
    pencil.box("well", 0.72, 0.2, 1.05, 0.6)
    pencil.box(traits.lamp_color, 0.76, 0.42, 1.01, 0.56)
    for k in range(3):
        pencil.ellipse("chrome", 0.79 + 0.095 * k, 0.3, 0.032)
    for x in (0.28, 0.52):
        pencil.ellipse("chrome", x, 0.56, 0.085)
        pencil.ellipse("well", x, 0.56, 0.065)
    pencil.ellipse("tyre", 0.4, 0.36, 0.3)
    pencil.ellipse("seat", 0.4, 0.36, 0.24)
    spokes = own.pick((2, 3, 4))
    for k in range(spokes):
        angle = 2 * pi * k / spokes + (pi / 2 if spokes == 3 else 0.0)
        pencil.line("tyre", [(0.4, 0.36), (0.4 + 0.27 * cos(angle), 0.36 + 0.27 * sin(angle))], 0.07)
    pencil.ellipse(traits.badge, 0.4, 0.36, 0.08)
    pencil.box(traits.accent, 1.15, 0.44, 1.52, 0.49)
    return pencil.sketch(1.6, 1.0, close_up=True)


def badge_sketch(class_name: str) -> Sketch:
    """A make's badge on the grille."""
    traits, pencil, of_make = traits_of(class_name), Pencil(), Stream("badge", traits_of(class_name).make)
    pencil.box("paint", -_FAR, -_FAR, 1.4 + _FAR, _FAR)
    pencil.line("paint_light", [(-_FAR, 0.97), (1.4 + _FAR, 0.97)], 0.06)
    pencil.box("paint_dark", -_FAR, -_FAR, 1.4 + _FAR, 0.02)
    pencil.polygon("well", rounded([(0.1, 0.1), (0.05, 0.8), (1.35, 0.8), (1.3, 0.1)], 1))
    bars = 4 + of_make.below(4)
    for k in range(bars):
        x = 0.16 + 1.08 * k / (bars - 1)
        pencil.line("chrome", [(x, 0.13), (x, 0.77)], 0.03)
    outline = of_make.pick((3, 4, 5, 6, 24))
    for radius, fill in ((0.34, "chrome"), (0.29, traits.badge)):
        corners = [
            (0.7 + 1.2 * radius * sin(2 * pi * k / outline), 0.47 + radius * cos(2 * pi * k / outline))
            for k in range(outline)
        ]
        pencil.polygon(fill, corners)
    points = 3 + of_make.below(4)
    star = []
    for k in range(2 * points):
        reach = 0.2 if k % 2 == 0 else 0.07
        star.append((0.7 + reach * sin(pi * k / points), 0.47 + reach * cos(pi * k / points)))
    pencil.polygon(traits.lamp_color, star)
    return pencil.sketch(1.4, 1.0, close_up=True)


def toy_sketch(class_name: str) -> Sketch:
    """The class's car as a toy: short, with large wheels, a key in its back, on a table."""
    traits = dataclasses.replace(traits_of(class_name), stretch=0.72, wheel=1.5, wheel_style="disc", rim=(248, 208, 40))
    car, table = sketch_car(traits), Pencil()
    table.box((164, 120, 78), -2 * _FAR, -2 * _FAR, car.width + 2 * _FAR, 0.14)
    table.ellipse((120, 84, 52), car.width / 2, 0.02, car.width * 0.55, 0.1)
    table.line("chrome", [(car.width * 0.55, car.height * 0.8), (car.width * 0.55, car.height + 0.3)], 0.09)
    table.ellipse("chrome", car.width * 0.55 - 0.16, car.height + 0.42, 0.19)
    table.ellipse("chrome", car.width * 0.55 + 0.16, car.height + 0.42, 0.19)
    base = table.sketch(car.width, car.height + 0.6)
    return _over(base, car)


def _over(below: Sketch, above: Sketch) -> Sketch:
    """Two sketches in one, the second in front."""
    shift = len(below.points)
    moved = tuple(dataclasses.replace(s, start=s.start + shift, stop=s.stop + shift) for s in above.shapes)
    points = np.concatenate([below.points, above.points])
    return Sketch(points, (*below.shapes, *moved), max(below.width, above.width), max(below.height, above.height))
