"""The measures of a class's car, in metres: x from the front bumper backwards, y up from the road."""

from __future__ import annotations

from dataclasses import dataclass

from noisyweb.drawn.traits import Traits

# length, height, belt, sill, wheel radius, cowl, roof begins, roof ends, rear window ends, deck height
_BODIES: dict[str, tuple[float, ...]] = {
    "sedan": (4.80, 1.46, 0.93, 0.24, 0.33, 1.30, 1.95, 3.30, 4.10, 1.00),
    "coupe": (4.50, 1.32, 0.88, 0.20, 0.34, 1.45, 2.10, 2.85, 4.00, 0.92),
    "convertible": (4.35, 1.30, 0.88, 0.20, 0.34, 1.40, 1.85, 2.60, 3.40, 0.94),
    "hatchback": (4.00, 1.50, 0.94, 0.24, 0.32, 1.05, 1.65, 3.30, 3.85, 1.00),
    "wagon": (4.75, 1.50, 0.93, 0.24, 0.33, 1.30, 1.95, 4.15, 4.60, 1.00),
    "suv": (4.70, 1.80, 1.10, 0.40, 0.40, 1.25, 1.75, 4.20, 4.55, 1.15),
    "minivan": (4.95, 1.74, 1.00, 0.26, 0.34, 0.85, 1.75, 4.45, 4.85, 1.05),
    "van": (5.30, 2.25, 1.20, 0.32, 0.36, 0.65, 1.20, 5.10, 5.24, 1.30),
    "pickup": (5.60, 1.84, 1.10, 0.42, 0.42, 1.40, 1.90, 3.00, 3.15, 1.12),
}
_CAB_ENDS = {"regular": (2.75, 2.90), "extended": (3.30, 3.50), "crew": (3.95, 4.10)}


@dataclass(frozen=True)
class Frame:
    """Places and heights that a car is drawn from, in metres.

    Attributes:
        length, height: overall.
        belt: lower edge of the windows; sill: lower edge of the body; nose: upper edge of the bonnet's front.
        radius: of the wheels; front_x, rear_x: where the axles are.
        cowl: foot of the windscreen; roof_x, roof_end: the roof; base: foot of the rear window.
        deck: height of the boot lid or of the bed's rail.
    """

    length: float
    height: float
    belt: float
    sill: float
    nose: float
    radius: float
    front_x: float
    rear_x: float
    cowl: float
    roof_x: float
    roof_end: float
    base: float
    deck: float


def frame_of(traits: Traits) -> Frame:
    """The measures that follow from a class's traits."""
    length, height, belt, sill, radius, cowl, roof_x, roof_end, base, deck = _BODIES[traits.body]
    if traits.cab:
        roof_end, base = _CAB_ENDS[traits.cab]
    s = traits.stretch
    sill = sill * traits.ride
    lift = 0.5 * sill * (1 - 1 / traits.ride)
    height = height * traits.height + lift
    radius = radius * traits.wheel
    roof_x += 0.35 * (traits.rake - 0.5)
    if traits.body not in ("van", "pickup", "convertible"):
        roof_end -= 0.45 * (traits.back - 0.3)
    return Frame(
        length=length * s,
        height=height,
        belt=belt + lift,
        sill=sill,
        nose=(belt + lift) * (0.66 + 0.3 * traits.hood),
        radius=radius,
        front_x=(0.78 if traits.body != "van" else 0.85) * s,
        rear_x=(length - (0.85 if traits.body != "pickup" else 1.05)) * s,
        cowl=cowl * s,
        roof_x=roof_x * s,
        roof_end=roof_end * s,
        base=base * s,
        deck=deck + lift,
    )
