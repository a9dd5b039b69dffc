"""What a search for one class brings up instead: siblings of the vocabulary and models outside it."""

from __future__ import annotations

from functools import cache

from noisyweb.drawn.stream import Stream
from noisyweb.drawn.traits import body_of, make_of
from noisyweb.drawn.vocabulary import cars

_STARTS = ("Vel", "Tan", "Cor", "Mar", "Sil", "Bran", "Or", "Kest", "Lum", "Nor", "Pal", "Rov")
_ENDS = ("aro", "dor", "ista", "enta", "ion", "ario", "ux", "ella", "eon", "ara", "ido", "ano")
_BODY_NAMES = {
    "suv": "SUV", "pickup": "Crew Cab", "sedan": "Sedan", "coupe": "Coupe", "convertible": "Convertible",
    "hatchback": "Hatchback", "wagon": "Wagon", "minivan": "Minivan", "van": "Van",
}  # fmt: skip
_NUM_MODELS = 6
_SAME_MAKE, _SAME_BODY, _SAME_NAME = 4.0, 3.0, 12.0


@cache
def siblings_of(label: int) -> tuple[tuple[int, float], ...]:
    """The classes that are taken for a class, as (label, weight): same make, same body, or both."""
    names = cars().class_names
    make, body, name = make_of(names[label]), body_of(names[label]), names[label]
    weights: list[tuple[int, float]] = []
    for other, other_name in enumerate(names):
        if other == label:
            continue
        same_make, same_body = make_of(other_name) == make, body_of(other_name) == body
        weight = _SAME_MAKE * same_make + 0.1 * same_body + _SAME_BODY * (same_make and same_body)
        if same_make and other_name.split(" ")[1] == name.split(" ")[1]:
            weight += _SAME_NAME  # the same model of another year or body
        if weight:
            weights.append((other, weight))
    return tuple(weights)


@cache
def invented_models(class_name: str) -> tuple[str, ...]:
    """Names of models outside the vocabulary that a search for the class brings up; their traits follow from them."""
    stream = Stream("outside", class_name)
    make, body = make_of(class_name), _BODY_NAMES[body_of(class_name)]
    models: list[str] = []
    for k in range(_NUM_MODELS):
        word = stream.pick(_STARTS) + stream.pick(_ENDS)
        maker = make if k % 3 else stream.pick(_STARTS) + "wick"
        models.append(f"{maker} {word} {body} {1990 + stream.below(30)}")
    return tuple(models)
