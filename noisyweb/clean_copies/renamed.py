"""Images that already bear their ids as names: ``n0153282900000005.jpg``, ``ILSVRC2012_val_00000293.JPEG``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from noisyweb.clean_copies.mini_ids import MiniId
from noisyweb.clean_copies.places import Place
from noisyweb.errors import SourceError


class NamedById:
    """Images found by their names.

    Args:
        layout: how messages call it.
        places: where each lies.
    """

    def __init__(self, layout: str, places: Mapping[MiniId, Place]) -> None:
        self.layout = layout
        self.places = places

    def find(self, image: MiniId) -> Callable[[], bytes] | None:
        """How to read an image; None if it is not there."""
        place = self.places.get(image)
        return place.read if place is not None else None

    def notes(self) -> list[str]:
        """Nothing: a name says all."""
        return []


def add_once(places: dict[MiniId, Place], image: MiniId, path: Path) -> None:
    """Note where an image lies; the first place counts.

    Some training code copies ``validation/<class>/<image>`` to ``validation/<image>``: a second file of the same size
    is taken for a copy. One of another size is another picture, or the same at another resolution: one has to choose.

    Raises:
        SourceError: a file of that name but of another size is there already.
    """
    known = places.setdefault(image, Place(path))
    if known.path != path and known.path.stat().st_size != path.stat().st_size:
        raise SourceError(
            f"{image} is there twice, and differs: {known.path} and {path}; name the folder of one of them"
        )
