"""What a class name says about how its cars look: body type, make, and what is hashed from them.

Classes of one make share nose, wheels and lamps, and classes of one body type share a silhouette: siblings look
alike, as they do on the web. What belongs to one class alone is a handful of accents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from noisyweb.drawn.stream import Stream

RGB = tuple[int, int, int]

_BODY_WORDS = (  # the first that occurs decides, so "Drophead Coupe Convertible" is a convertible
    ("convertible", "convertible"),
    ("roadster", "convertible"),
    ("minivan", "minivan"),
    ("van", "van"),
    ("wagon", "wagon"),
    ("suv", "suv"),
    ("cab", "pickup"),
    ("supercab", "pickup"),
    ("hatchback", "hatchback"),
    ("sedan", "sedan"),
    ("coupe", "coupe"),
)
_CABS = {"regular": "regular", "club": "extended", "extended": "extended", "supercab": "extended"}
_TWO_WORD_MAKES = ("AM General", "Aston Martin", "Land Rover")

ACCENTS: Sequence[RGB] = (
    (214, 32, 40), (240, 130, 20), (248, 208, 40), (60, 170, 60), (20, 160, 170),
    (40, 90, 210), (140, 60, 180), (245, 245, 245), (24, 24, 28), (230, 90, 150),
)  # fmt: skip
_RIMS: Sequence[RGB] = ((205, 208, 212), (150, 154, 160), (48, 48, 52), (196, 160, 84), (236, 236, 238), (120, 84, 60))
_LAMPS: Sequence[RGB] = ((250, 248, 225), (190, 225, 255), (255, 206, 96))

WHEELS = ("five", "seven", "cross", "disc", "mesh", "turbine", "holes", "split")
LAMPS = ("round", "slim", "square", "tall", "twin", "wedge")
TAILS = ("tall", "slim", "round", "square")
STRIPES = ("none", "belt", "sill", "wave", "rear", "front", "double", "wedge")
CLADDINGS = ("none", "none", "black", "grey", "accent")
ROOFS = ("paint", "paint", "paint", "black", "white", "accent")


@dataclass(frozen=True)
class Traits:
    """How the cars of one class look; what differs from image to image is not here.

    Attributes:
        make: first word or words of the name.
        body: sedan, coupe, convertible, hatchback, wagon, suv, minivan, van or pickup.
        cab: regular, extended or crew for a pickup, else empty.
        stretch, height, ride, wheel: factors around 1 on length, roof height, ground clearance, wheel size.
        hood: height of the nose against the belt line, 0..1.
        rake: slope of the windscreen; back: slope of the rear end; both 0 (steep) to 1 (flat).
        panes: side windows.
        wheel_style, lamp, tail, stripe, cladding, roof: names from the lists above.
        spoiler: none, lip or wing.
        rails, spare, vent, visor, two_tone: whether the car has them.
        accent, second, rim, lamp_color, badge: colours, independent of the paint.
    """

    make: str
    body: str
    cab: str
    stretch: float
    height: float
    ride: float
    wheel: float
    hood: float
    rake: float
    back: float
    panes: int
    wheel_style: str
    lamp: str
    tail: str
    stripe: str
    cladding: str
    roof: str
    spoiler: str
    rails: bool
    spare: bool
    vent: bool
    visor: bool
    two_tone: bool
    accent: RGB
    second: RGB
    rim: RGB
    lamp_color: RGB
    badge: RGB


def make_of(class_name: str) -> str:
    """The make that a class name begins with."""
    for make in _TWO_WORD_MAKES:
        if class_name.startswith(make + " "):
            return make
    return class_name.split(" ")[0]


def body_of(class_name: str) -> str:
    """The body type that a class name says; where it says none, one that hangs on the name."""
    words = class_name.lower().split(" ")
    if words[-2:-1] and "wagon van" in class_name.lower():
        return "van"
    for word, body in _BODY_WORDS:
        if word in words:
            return body
    return Stream("body", class_name).pick(("sedan", "coupe", "hatchback"))


@lru_cache(maxsize=4096)
def traits_of(class_name: str) -> Traits:
    """The traits of a class; the same name always gives the same traits."""
    make, body = make_of(class_name), body_of(class_name)
    cab = ""
    if body == "pickup":
        words = class_name.lower().split(" ")
        cab = next((_CABS[word] for word in words if word in _CABS), "crew")
    of_make = Stream("make", make)
    line = Stream("line", make, body)  # what the models of one make and body share
    own = Stream("class", class_name)
    make_wheels = [of_make.pick(WHEELS), of_make.pick(WHEELS)]
    make_lamps = [of_make.pick(LAMPS), of_make.pick(LAMPS)]
    badge = of_make.pick(ACCENTS[:7])
    make_rims = [of_make.pick(_RIMS), of_make.pick(_RIMS)]
    line_accents = [line.pick(ACCENTS), line.pick(ACCENTS), line.pick(ACCENTS)]
    hood = of_make.between(0.15, 0.85)
    rugged = body in ("suv", "pickup")
    panes = {"coupe": 1, "convertible": 0, "hatchback": 2, "sedan": 2, "van": own.pick((1, 2, 4)), "pickup": 1}.get(
        body, 3
    )
    if "Cargo" in class_name:
        panes = 1
    if cab in ("extended", "crew"):
        panes = 2
    return Traits(
        make=make,
        body=body,
        cab=cab,
        stretch=line.between(0.95, 1.05) * own.between(0.94, 1.06),
        height=line.between(0.97, 1.03) * own.between(0.96, 1.05),
        ride=own.between(0.85, 1.3),
        wheel=line.between(0.95, 1.05) * own.between(0.92, 1.1),
        hood=min(1.0, max(0.0, hood + own.between(-0.2, 0.2))),
        rake=line.between(0.1, 0.6) + own.between(0.0, 0.4),
        back=line.between(0.0, 0.5) + own.between(0.0, 0.5),
        panes=panes,
        wheel_style=own.pick(make_wheels) if own.chance(0.5) else own.pick(WHEELS),
        lamp=own.pick(make_lamps) if own.chance(0.6) else own.pick(LAMPS),
        tail=own.pick(TAILS),
        stripe=own.pick(STRIPES),
        cladding=own.pick(CLADDINGS),
        roof="paint" if body == "convertible" else own.pick(ROOFS),
        spoiler=own.weighted((("none", 0.6), ("lip", 0.25), ("wing", 0.0 if rugged else 0.15))),
        rails=body in ("suv", "wagon", "minivan") and own.chance(0.5),
        spare=body == "suv" and own.chance(0.3),
        vent=own.chance(0.3),
        visor=own.chance(0.15),
        two_tone=own.chance(0.25),
        accent=own.pick(line_accents),
        second=own.pick(line_accents),
        rim=own.pick(make_rims),
        lamp_color=own.pick(_LAMPS),
        badge=badge,
    )
