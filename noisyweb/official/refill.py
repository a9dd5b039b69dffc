"""Stand-ins for dead web images, so that a split keeps its size and its level.

A dead image is replaced by one that was found under the same class and judged the same way (a wrong one by a wrong
one), that no red split of the set uses, and that was fetched. Who stands in for whom hangs on the whole release, not on
a level: the same dead image has the same stand-in in every split, so that levels stay nested as far as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from noisyweb.draws import bits, row_keys
from noisyweb.official.annotations import Annotated, Annotations
from noisyweb.official.release import ReleaseSet
from noisyweb.official.web_images import Asked, WebImages


@dataclass(frozen=True)
class Substitution:
    """One web image in the place of a dead one.

    Attributes:
        dead: its key.
        reason: why it is dead.
        stand_in: the key of the image in its place.
        label: the class of both.
        is_clean: the verdict on both.
    """

    dead: str
    reason: str
    stand_in: str
    label: int
    is_clean: bool


def stand_ins(release: ReleaseSet, annotations: Annotations, web: WebImages) -> Mapping[Asked, Annotated]:
    """Who stands in for each dead web image of any red split; images for which there is nobody are left out.

    Where there are too few, images of the lowest levels come first, so that those can still be built.
    """
    used = {key for key, _ in release.red_rows}
    dead: dict[Asked, Annotated] = {}
    since: dict[Asked, Decimal] = {}
    for (key, label), level in release.red_rows.items():
        one = annotations.find(key, label)
        if one is not None and web.is_dead(one):
            dead[one.key, one.label] = one
            since.setdefault((one.key, one.label), level)
    spares: dict[tuple[int, bool], list[Annotated]] = defaultdict(list)
    taken: set[str] = set()
    for one in sorted(annotations, key=lambda each: (each.key, each.label)):
        if one.key not in used and one.key not in taken and not web.is_dead(one):
            spares[one.label, one.is_clean].append(one)
            taken.add(one.key)
    wanting: dict[tuple[int, bool], list[Annotated]] = defaultdict(list)
    for one in dead.values():
        wanting[one.label, one.is_clean].append(one)
    found: dict[Asked, Annotated] = {}
    for group, images in wanting.items():
        lowest_first = sorted(_in_random_order(images), key=lambda one: since[one.key, one.label])
        pairs = zip(lowest_first, _in_random_order(spares[group]), strict=False)
        found.update({(one.key, one.label): spare for one, spare in pairs})
    return found


def _in_random_order(images: Iterable[Annotated]) -> list[Annotated]:
    """By a hash of the key, so that the order of the annotations plays no part."""
    listed = sorted(images, key=lambda one: one.key)
    order = np.argsort(bits(row_keys(one.key for one in listed), 0, "official refill"), kind="stable")
    return [listed[place] for place in order.tolist()]
