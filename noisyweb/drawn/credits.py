"""Titles, creators and licences of the drawn web's images: invented, in the shape that real ones have."""

from __future__ import annotations

from dataclasses import dataclass

from noisyweb.drawn.stream import Stream

_LICENSES = (("by", 0.4), ("by-sa", 0.3), ("cc0", 0.1), ("by-nc", 0.1), ("by-nd", 0.05), ("pdm", 0.05))
_URLS = {
    "cc0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "pdm": "https://creativecommons.org/publicdomain/mark/1.0/",
}
_FIRST = ("Ada", "Bela", "Cleo", "Dov", "Edda", "Finn", "Gita", "Hugo", "Ines", "Juri", "Kaya", "Levi", "Mina", "Nuno")
_LAST = ("Amber", "Birch", "Cobalt", "Dune", "Ember", "Fjord", "Grove", "Harbor", "Iris", "Juniper", "Krill", "Larch")
_TITLES = {
    "car": (
        "{name}",
        "{name} at the roadside",
        "{name}, side view",
        "My {name}",
        "{name} for sale",
        "Seen today: {name}",
    ),
    "wheel": ("{name} wheel", "{name}: the rims"),
    "cabin": ("{name} interior", "{name} dashboard"),
    "badge": ("{name} badge", "{name} emblem, close up"),
    "toy": ("{name} toy", "{name} scale model"),
}


@dataclass(frozen=True)
class Credit:
    """Whose an image is and what it may be used for; every name is invented."""

    title: str
    creator: str
    license: str
    license_url: str
    attribution: str


def draw_credit(stream: Stream, class_name: str, shows: str, subject: str) -> Credit:
    """A credit for one image; half of the siblings are titled as what was searched for."""
    name = class_name if stream.chance(0.5) else shows
    title = stream.pick(_TITLES[subject]).format(name=name)
    creator = f"{stream.pick(_FIRST)} {stream.pick(_LAST)} (drawn)"
    license = stream.weighted(_LICENSES)
    url = _URLS.get(license, f"https://creativecommons.org/licenses/{license}/2.0/")
    shown = {"cc0": "CC0 1.0", "pdm": "Public Domain Mark 1.0"}.get(license, f"CC {license.upper()} 2.0")
    return Credit(title, creator, license, url, f'"{title}" by {creator} is marked with {shown}.')
