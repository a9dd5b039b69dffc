"""What the images of the drawn web really show, looked up by URL."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from noisyweb.drawn.vocabulary import cars, slug
from noisyweb.drawn.web import WebHit, hits_of


@dataclass(frozen=True)
class Truth:
    """What is known about one question.

    Attributes:
        is_right: does the image show the class asked about.
        is_hard: does it show a car that people may take for that class.
    """

    is_right: bool
    is_hard: bool


@cache
def _labels() -> dict[str, int]:
    return {slug(name): label for label, name in enumerate(cars().class_names)}


@cache
def _hits(label: int) -> dict[str, WebHit]:
    return {urlsplit(hit.url).path: hit for hit in hits_of(label)}


def find_hit(url: str) -> WebHit | None:
    """The hit of a URL, whatever host serves it; None if the drawn web has no such image."""
    path = urlsplit(url).path
    parts = path.split("/")
    label = _labels().get(parts[2]) if len(parts) == 4 and parts[1] == "cars" else None
    return _hits(label).get(path) if label is not None else None


def truth_of(url: str, class_name: str) -> Truth | None:
    """The truth of "is the image at this URL a <class>?"; None if the drawn web has no such image."""
    hit = find_hit(url)
    if hit is None:
        return None
    shown = cars().class_names[hit.true_label] if hit.true_label >= 0 else ""
    return Truth(shown == class_name, hit.subject == "car" and shown != class_name)
