"""MentorMix's hyper-parameters by data set and noise, as the authors set them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from noisyweb.errors import UnknownNameError
from noisyweb.training.facts import Facts


@dataclass(frozen=True)
class Preset:
    """One cell of the authors' table.

    Attributes:
        name: family and noise level in percent, such as ``cifar100-40``.
        alpha: of Beta(alpha, alpha).
        percentile: share 0..1.
        second_weighting: weigh the mixtures too.
    """

    name: str
    alpha: float
    percentile: float
    second_weighting: bool


_TABLE = {
    # family: {noise in %: (alpha, percentile, second weighting)}
    "cifar10": {20: (2, 0.8, False), 40: (8, 0.6, False), 60: (8, 0.6, True), 80: (4, 0.2, True)},
    "cifar100": {20: (2, 0.7, False), 40: (8, 0.5, False), 60: (4, 0.3, True), 80: (8, 0.1, True)},
    # red noise: alpha and percentile of CIFAR-100, never a second weighting
    "red": {20: (2, 0.7, False), 40: (8, 0.5, False), 60: (4, 0.3, False), 80: (8, 0.1, False)},
}

PRESETS = {
    f"{family}-{percent}": Preset(f"{family}-{percent}", *values)
    for family, row in _TABLE.items()
    for percent, values in row.items()
}

_FEW_CLASSES = math.sqrt(10 * 100)
"""Up to here a set is nearer (in the ratio of class counts) to CIFAR-10 than to CIFAR-100."""


def choose(name: str, facts: Facts) -> Preset:
    """The preset of that name; ``auto`` takes the one for the data's own noise.

    Auto: the family is ``red`` for red noise, else ``cifar10`` up to 31 classes and ``cifar100`` above; the level
    is the nearest of 20, 40, 60 and 80 %, the lower of two that are equally near.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name == "auto":
        by_classes = "cifar10" if facts.num_classes <= _FEW_CLASSES else "cifar100"
        family = "red" if facts.kind == "red" else by_classes
        percent = min(_TABLE[family], key=lambda known: (round(abs(known - 100 * facts.level), 6), known))
        name = f"{family}-{percent}"
    if name not in PRESETS:
        raise UnknownNameError("preset", name, ["auto", *PRESETS])
    return PRESETS[name]
