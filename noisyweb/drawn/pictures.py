"""The bytes of the drawn edition's images: clean ones and those of its web."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageDraw

from noisyweb.drawn.car import car_sketch
from noisyweb.drawn.draw import draw_car, encode, render
from noisyweb.drawn.sketch import Sketch
from noisyweb.drawn.stream import Stream
from noisyweb.drawn.things import badge_sketch, cabin_sketch, toy_sketch, wheel_sketch
from noisyweb.drawn.web import WebHit

_THINGS = {"wheel": wheel_sketch, "cabin": cabin_sketch, "badge": badge_sketch, "toy": toy_sketch}


@lru_cache(maxsize=2048)
def _sketch(subject: str, shows: str) -> Sketch:
    return car_sketch(shows) if subject == "car" else _THINGS[subject](shows)


def draw_hit(hit: WebHit, class_name: str, seed: int = 0) -> bytes:
    """The encoded image of a hit; for a dead one, what was there before it died.

    Args:
        hit: one of `noisyweb.drawn.web.hits_of`.
        class_name: of the class that was searched for.
        seed: of the edition.
    """
    if hit.kind == "leak":
        data = draw_car(class_name, "validation", hit.number, seed)
    else:
        data = encode(render(_sketch(hit.subject, hit.shows), Stream(seed, "web", class_name, hit.number)))
    return _copy(data, hit.copy, Stream(seed, "copy", hit.url)) if hit.copy not in ("", "copied") else data


def _copy(data: bytes, how: str, stream: Stream) -> bytes:
    """A near-duplicate, as the web makes them."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = image.size
    if how == "resized":
        factor = stream.pick((0.75, 1.25, 1.5, 2.0))
        image = image.resize((round(width * factor), round(height * factor)), Image.Resampling.LANCZOS)
    elif how == "cropped":
        left, top, right, bottom = (stream.below(2) for _ in range(4))
        image = image.crop((left, top, width - right, height - bottom))
    elif how == "watermarked":
        ImageDraw.Draw(image).text((3, height - 12), "drawn", fill=(235, 235, 235))
    return encode(image, quality=60 + stream.below(30))
