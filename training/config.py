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
        model: a file of `noisyweb.training.models`, ``torchvision:NAME`` or ``timm:NAME``.
        weights: file that the network starts from (`noisyweb.training.weights`); None: fresh weights.
        new_head: draw the last layer anew, for classes other than those of ``weights``.
        normalisation: what the network is given: ``unit``, [-1, 1], or ``imagenet``, by that set's mean and deviation.
        image_size: side in pixels that images are brought to.
        epochs: passes over the training set.
        batch_size: images a step; what is left over at the end of an epoch waits for another epoch's order.
        lr: peak learning rate.
        optimizer: ``sgd`` with momentum, or ``adamw``, which gets further in a short training.
        schedule: one of `noisyweb.training.schedule.SCHEDULES`.
        warmup: share of the training over which the learning rate rises.
        momentum: of SGD.
        clip: largest norm of a network's gradient; 0: no limit.
        weight_decay: of kernels only, not of biases and norms; AdamW's is decoupled from the gradient.
        average_decay: of the weights' moving average.
        augmentation: one of `noisyweb.training.augment.STRENGTHS`.
        precision: ``bf16`` (autocast) or ``fp32``.
        channels_last: memory layout of images and kernels.
        compile: ``none``, ``default`` (torch.compile) or ``graphs`` (and CUDA graphs).
        data: ``resident``, all images on the device, or ``stream``, read from Parquet as they are needed.
        workers: threads that decode a stream.
        shards: that the order of a stream is made of (`noisyweb.training.shards`): by default as many as there are
            processes when the run begins. With the seed it decides the order, whoever goes on with the run; 1 if the
            images are resident.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        seed: of weights, order, augmentation and the method's draws.
        eval_every: epochs between evaluations; the last epoch is always evaluated.
        checkpoint_every: steps between checkpoints inside an epoch; 0: at the ends of epochs only.
        row_history: keep what each epoch saw of each row (`noisyweb.training.row_history`).
        tensorboard: write TensorBoard's files too.
    """

    method: str
    options: dict[str, Any]
    model: str
    image_size: int
    epochs: int
    batch_size: int
    lr: float
    weights: str | None = None
    new_head: bool = False
    normalisation: str = "unit"
    optimizer: str = "sgd"
    schedule: str = "cosine"
    warmup: float = 0.1
    momentum: float = 0.9
    clip: float = 0.0
    weight_decay: float = 2e-4
    average_decay: float = 0.9999
    augmentation: str = "light"
    precision: str = "fp32"
    channels_last: bool = True
    compile: str = "none"
    data: str = "resident"
    workers: int = 1
    shards: int = 1
    device: str = "cpu"
    seed: int = 0
    eval_every: int = 1
    checkpoint_every: int = 0
    row_history: bool = False
    tensorboard: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 (hex, 16 digits) of all values."""
        values = dataclasses.asdict(self)
        if self.shards == 1:
            del values["shards"]  # runs begun before there were shards go on
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Wishes:
    """What the user asked for; None leaves it to `noisyweb.training.auto.resolve`.

    The attributes are those of `TrainConfig`; ``options`` holds the method's own. No method means plain training.
    """

    method: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    model: str | None = None
    image_size: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    weights: str | None = None
    new_head: bool | None = None
    normalisation: str | None = None
    optimizer: str | None = None
    schedule: str | None = None
    warmup: float | None = None
    momentum: float | None = None
    clip: float | None = None
    weight_decay: float | None = None
    average_decay: float | None = None
    augmentation: str | None = None
    precision: str | None = None
    channels_last: bool | None = None
    compile: str | None = None
    data: str | None = None
    workers: int | None = None
    shards: int | None = None
    device: str | None = None
    seed: int = 0
    eval_every: int | None = None
    checkpoint_every: int | None = None
    row_history: bool | None = None
    tensorboard: bool | None = None

    def over(self, others: Wishes) -> Wishes:
        """These wishes, and others where these leave something open; a method's options go with the method."""
        mine = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        theirs = {field.name: getattr(others, field.name) for field in dataclasses.fields(self)}
        same_method = self.method is None or self.method == others.method
        options = {**(others.options if same_method else {}), **_named(self.options)}
        return Wishes(**{**theirs, **_named(mine), "options": options})


def _named(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
