"""What a training method is: the seam between the loop and the files of `noisyweb.training.methods`.

The loop owns data, device, precision, optimizer and checkpoints; a method only turns a batch into a loss.
Shapes: B batch, K classes, C x H x W image.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple, Protocol, get_type_hints

import torch
from torch import Tensor

from noisyweb import plugins
from noisyweb.errors import TrainingError
from noisyweb.training.facts import Facts

PACKAGE = "noisyweb.training.methods"

STANDARD = "standard"
"""The method where none is named."""


class Student(Protocol):
    """The network in training, as a method sees it; logits are float32, [B, K]."""

    def __call__(self, images: Tensor) -> Tensor:
        """Forward with gradient; updates the running statistics of batch norms."""
        ...

    def peek(self, images: Tensor) -> Tensor:
        """Forward without gradient: batch statistics, but running statistics stay as they are."""
        ...

    @property
    def members(self) -> Sequence[Student]:
        """Each network by itself, for methods with ``NETWORKS`` above 1; their mean is what is evaluated."""
        ...


class Batch(NamedTuple):
    """One batch after augmentation."""

    images: Tensor  # [B, C, H, W] float32 in [-1, 1]
    labels: Tensor  # [B] int64, as given in the manifest
    rows: Tensor  # [B] int64, the examples' rows in the manifest
    again: Callable[[], Tensor]  # the same images, augmented anew: [B, C, H, W]


@dataclass(frozen=True)
class Setting:
    """What a method is made for.

    Attributes:
        num_classes: K.
        labels: [N] int64, as given in the manifest, on ``device``.
        device: of the batches.
    """

    num_classes: int
    labels: Tensor
    device: torch.device


@dataclass(frozen=True)
class Clock:
    """How far the training is.

    Attributes:
        step: steps done, 0-based; below ``num_steps``.
        num_steps: steps of the whole training.
        steps_per_epoch: steps in one pass over the training set.
    """

    step: int
    num_steps: int
    steps_per_epoch: int

    @property
    def percent(self) -> int:
        """Whole percents of the training that are done, 0..99."""
        return 100 * self.step // self.num_steps

    def first_step_of(self, percent: int) -> int:
        """The first step at which `percent` has this value or more."""
        return -(-percent * self.num_steps // 100)


class StepResult(NamedTuple):
    """What one step gives: the loss to minimise, and what it saw of each example (None: nothing)."""

    loss: Tensor  # scalar with gradient
    example_loss: Tensor | None = None  # [B] cross-entropy of the unmixed image with its given label
    predicted: Tensor | None = None  # [B] int64, the class predicted for the unmixed image
    weight: Tensor | None = None  # [B] in [0, 1]: how far the method trusts the label


Survey = Callable[[Student], Tensor]
"""Gives the cross-entropy [N] of every training row, without augmentation, in eval mode."""


class Method(ABC):
    """One way of learning from labels of which some are wrong."""

    @abstractmethod
    def step(self, student: Student, batch: Batch, clock: Clock, generator: torch.Generator) -> StepResult:
        """The loss of one batch; every random draw comes from ``generator``."""

    def begin_epoch(self, student: Student, clock: Clock, survey: Survey) -> None:  # noqa: B027 - most need nothing
        """Called before the first step of an epoch."""

    def state(self) -> dict[str, Tensor]:
        """All that the method carries from step to step; the tensors themselves, which the loop restores."""
        return {}


def load_method(name: str) -> ModuleType:
    """A method's module.

    Raises:
        UnknownNameError: there is no method of that name.
    """
    return plugins.load(PACKAGE, "method", name)


def resolve_options(name: str, given: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """All of a method's options, those left open filled in.

    Args:
        name: the method.
        given: the options that the user named; None counts as left open.
        facts: what is known of the training set.

    Raises:
        TrainingError: the method has no such option, or the value is of another type or out of range.
    """
    module = load_method(name)
    named = {key: value for key, value in given.items() if value is not None}
    for key, value in named.items():
        kind = _option_type(name, key)
        if not _is_a(value, kind):
            raise _wrong_type(name, key, value, kind)
    return dataclasses.asdict(module.resolve(named, facts))


def parse_option(name: str, text: str) -> tuple[str, Any]:
    """One of a method's options from ``NAME=VALUE``: its name and its value, of the type that the method declares.

    Args:
        name: the method.
        text: hyphens in NAME count as underscores; truth values are true and false.

    Raises:
        UnknownNameError: there is no method of that name.
        TrainingError: there is no ``=``, the method has no such option, or the value is of another type.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise TrainingError(f"option {text!r} is not NAME=VALUE; expected one such as alpha=8")
    key, value = key.strip().replace("-", "_"), value.strip()
    kind = _option_type(name, key)
    try:
        if kind is bool:
            return key, {"true": True, "false": False}[value.lower()]
        return key, kind(value) if kind in (int, float) else value
    except (KeyError, ValueError):
        raise _wrong_type(name, key, value, kind) from None


_TYPE_WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}


def _option_type(name: str, key: str) -> Any:
    """The type that a method declares for an option: one of `_TYPE_WORDS`; others are not checked."""
    module = load_method(name)
    known = [field.name for field in dataclasses.fields(module.Options)]
    if key not in known:
        has = f"it has {', '.join(known)}" if known else "it has no options"
        raise TrainingError(f"method {name!r} has no option {key!r}; {has}")
    return get_type_hints(module.Options)[key]


def _is_a(value: Any, kind: Any) -> bool:
    if kind in (int, float) and isinstance(value, bool):  # which Python takes for a whole number
        return False
    return kind not in _TYPE_WORDS or isinstance(value, (int, float) if kind is float else kind)


def _wrong_type(name: str, key: str, value: Any, kind: Any) -> TrainingError:
    found = "is out of range; expected" if isinstance(value, int | float) else "is not"
    return TrainingError(f"{key} {value!r} {found} {_TYPE_WORDS[kind]}, as method {name!r} takes it")


def create_method(name: str, options: Mapping[str, Any], setting: Setting) -> Method:
    """A method ready to train, from its resolved options."""
    module = load_method(name)
    method: Method = module.create(module.Options(**options), setting)
    return method


def num_networks(name: str) -> int:
    """How many networks a method trains beside each other."""
    return int(getattr(load_method(name), "NETWORKS", 1))


def step_cost(name: str) -> float:
    """A step of the method, in steps of plain training: a forward is a third, and so is each half of a backward."""
    return float(getattr(load_method(name), "COST", 1.0))


def check_ranges(options: Any, *checks: tuple[str, bool, str]) -> None:
    """Check a method's options: their names, whether each is fine, and what was expected.

    Raises:
        TrainingError: one is not.
    """
    for name, is_fine, expected in checks:
        if not is_fine:
            raise TrainingError(f"{name} {getattr(options, name)!r} is out of range; expected {expected}")
