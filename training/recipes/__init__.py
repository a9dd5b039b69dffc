"""Recipes: settings of published experiments, one file each, found by name.

A recipe's module has ``wishes(level) -> Wishes`` for a share of wrong labels, 0..1, and `TARGETS`: what was reached, as
accuracy in percent by level in percent (`MEAN` for a mean over levels). What the user asks for goes before a recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

from noisyweb import plugins
from noisyweb.training.config import Wishes

PACKAGE = "noisyweb.training.recipes"
MEAN = -1


class Recipe(Protocol):
    """A recipe's module."""

    TARGETS: Mapping[int, float]

    def wishes(self, level: float) -> Wishes:
        """The settings at this share of wrong labels."""
        ...


def load_recipe(name: str) -> Recipe:
    """A recipe.

    Raises:
        UnknownNameError: there is none of that name.
    """
    return cast(Recipe, plugins.load(PACKAGE, "recipe", name))


def target(name: str, level: float) -> float | None:
    """What the paper reached with a recipe at this share of wrong labels, in percent; None if it says nothing of it."""
    targets = load_recipe(name).TARGETS
    return targets.get(round(100 * level), targets.get(MEAN))
