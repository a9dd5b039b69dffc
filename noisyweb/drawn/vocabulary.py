"""The drawn edition's class names and class sizes: those of Stanford Cars, which are facts."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Vocabulary:
    """K classes with their numbers of clean images.

    Attributes:
        class_names: in the devkit's order; a label is an index into it.
        num_train: training images a class, 8,144 in all (counted from the devkit's annotations).
        num_validation: validation images a class, 8,041 in all, in proportion to the training ones.
    """

    class_names: Sequence[str]
    num_train: Sequence[int]
    num_validation: Sequence[int]


@cache
def cars() -> Vocabulary:
    """The 196 classes of Stanford Cars."""
    file = resources.files("noisyweb.manifests") / "cars" / "classes.csv"
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    return Vocabulary(
        tuple(row["class_name"] for row in rows),
        tuple(int(row["num_train"]) for row in rows),
        tuple(int(row["num_validation"]) for row in rows),
    )


def slug(class_name: str) -> str:
    """The class name as paths and URLs have it: lower case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", class_name.lower()).strip("-")
