"""Recipes say what the papers did, and what the user asks for goes before them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from noisyweb import plugins
from noisyweb.errors import TrainingError, UnknownNameError
from noisyweb.training.auto import resolve
from noisyweb.training.config import Wishes
from noisyweb.training.facts import Facts
from noisyweb.training.machine import Machine
from noisyweb.training.plan import make_plan
from noisyweb.training.recipes import PACKAGE, load_recipe, target
from tests.toy_manifest import write_toy_manifest

GPU = Machine("cuda", 16, True)


def facts(kind: str, level: float, num_classes: int) -> Facts:
    return Facts("some", "drawn", kind, level, num_classes, 50_000, 10_000, 32, "")


@pytest.mark.parametrize(
    ("name", "level", "alpha", "percentile", "second", "decay"),
    [
        ("cifar10", 0.2, 2, 0.8, False, 2e-4),
        ("cifar10", 0.4, 8, 0.6, False, 2e-4),
        ("cifar10", 0.6, 8, 0.6, True, 0),
        ("cifar10", 0.8, 4, 0.2, True, 0),
        ("cifar100", 0.4, 8, 0.5, False, 2e-4),
        ("cifar100", 0.8, 8, 0.1, True, 0),
        ("red-mini-imagenet", 0.6, 4, 0.3, False, 2e-4),
    ],
)
def test_the_releases_settings(
    name: str, level: float, alpha: float, percentile: float, second: bool, decay: float
) -> None:
    config = resolve(load_recipe(name).wishes(level), facts("blue", level, 10), GPU)
    assert (config.options["alpha"], config.options["percentile"]) == (alpha, percentile)
    assert (config.options["second_weighting"], config.weight_decay) == (second, decay)
    assert (config.optimizer, config.momentum, config.lr, config.schedule) == ("sgd", 0.9, 0.1, "staircase")
    assert (config.batch_size, config.epochs, config.average_decay) == (128, 512, 0.9999)
    assert config.augmentation == "strong"


def test_every_recipe_resolves_and_has_a_target() -> None:
    for name in plugins.names(PACKAGE):
        wishes = load_recipe(name).wishes(0.4)
        if wishes.new_head:
            with pytest.raises(TrainingError, match="name one with --weights"):
                resolve(wishes, facts("red", 0.4, 196), GPU)
            wishes = Wishes(weights="there.safetensors").over(wishes)
        config = resolve(wishes, facts("red", 0.4, 196), GPU)
        assert config.method == "mentormix"
        assert target(name, 0.4) == pytest.approx(load_recipe(name).TARGETS.get(40, 86.9))
    assert target("cifar10", 0.3) is None


def test_what_is_asked_for_goes_first(tmp_path: Path) -> None:
    manifest = write_toy_manifest(tmp_path, level=0.4)
    quick: dict[str, Any] = {"batch_size": 8, "device": "cpu", "model": "small"}
    config = make_plan(manifest, Wishes(options={"alpha": 3.0}, **quick), recipe="cifar10").config
    assert (config.method, config.options["preset"], config.options["alpha"]) == ("mentormix", "cifar10-40", 3.0)
    assert (config.batch_size, config.model, config.lr, config.schedule) == (8, "small", 0.1, "staircase")
    other = make_plan(manifest, Wishes(method="gce", **quick), recipe="cifar10").config
    assert (other.method, other.options, other.schedule) == ("gce", {"q": 0.7}, "staircase")
    with pytest.raises(UnknownNameError, match="unknown recipe 'cifar'"):
        make_plan(manifest, Wishes(**quick), recipe="cifar")
