"""Everything that decides what a training run computes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class TrainConfig:
    """A resolved run: nothing is left to choose.

    Attributes:
        method: a file of `noisyweb.training.methods`.
        options: the method's own hyper-parameters.
        model: a file of `noisyweb.training.models`, or ``torchvision:NAME``.
        image_size: side in pixels that images are brought to.
        epochs: passes over the training set.
        batch_size: images a step; what is left over at the end of an epoch waits for another epoch's order.
        lr: peak learning rate.
        optimizer: ``sgd`` with momentum, or ``adamw``, which gets further in a short training.
        schedule: one of `noisyweb.training.schedule.SCHEDULES`.
        warmup: share of the training over which the learning rate rises.
        momentum: of SGD.
        weight_decay: of kernels only, not of biases and norms; AdamW's is decoupled from the gradient.
        average_decay: of the weights' moving average.
        augmentation: one of `noisyweb.training.augment.STRENGTHS`.
        precision: ``bf16`` (autocast) or ``fp32``.
        channels_last: memory layout of images and kernels.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        seed: of weights, order, augmentation and the method's draws.
        eval_every: epochs between evaluations; the last epoch is always evaluated.
        checkpoint_every: steps between checkpoints inside an epoch; 0: at the ends of epochs only.
    """

    method: str
    options: dict[str, Any]
    model: str
    image_size: int
    epochs: int
    batch_size: int
    lr: float
    optimizer: str = "sgd"
    schedule: str = "cosine"
    warmup: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 2e-4
    average_decay: float = 0.9999
    augmentation: str = "light"
    precision: str = "fp32"
    channels_last: bool = True
    device: str = "cpu"
    seed: int = 0
    eval_every: int = 1
    checkpoint_every: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 (hex, 16 digits) of all values."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Wishes:
    """What the user asked for; None leaves it to `noisyweb.training.auto.resolve`.

    The attributes are those of `TrainConfig`; ``options`` holds the method's own.
    """

    method: str = "standard"
    options: dict[str, Any] = field(default_factory=dict)
    model: str | None = None
    image_size: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    optimizer: str | None = None
    schedule: str | None = None
    weight_decay: float | None = None
    augmentation: str | None = None
    precision: str | None = None
    device: str | None = None
    seed: int = 0
    eval_every: int | None = None
    checkpoint_every: int | None = None
