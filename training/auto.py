"""Choosing what the user left open, from the data and the machine; nothing is timed, so it is reproducible."""

from __future__ import annotations

from typing import Any

from noisyweb.errors import TrainingError, UnknownNameError
from noisyweb.training.augment import STRENGTHS
from noisyweb.training.config import TrainConfig, Wishes
from noisyweb.training.facts import Facts
from noisyweb.training.machine import Machine
from noisyweb.training.method import resolve_options, step_cost
from noisyweb.training.models import check_model
from noisyweb.training.schedule import SCHEDULES

CPU_SECONDS = 300
"""What a training on a CPU may take, with the evaluations; 2 cores with bfloat16 are meant, which need less."""

CPU_PIXELS_PER_CORE_S = {True: 2.0e6, False: 0.9e6}
"""Pixels a core trains on in a second with the ``small`` model, with and without bfloat16; kept on the low side."""

GPU_STEPS = 20_000
"""Steps of a training on a GPU: a tenth of the MentorMix release's, with a cosine schedule."""

PEAK_LR = {"sgd": 0.1, "adamw": 8e-3}
"""Peak learning rates at batch size 128; they scale with the batch."""

WEIGHT_DECAY = {"sgd": 2e-4, "adamw": 1e-2}

EVALUATIONS = 12


def resolve(wishes: Wishes, facts: Facts, machine: Machine) -> TrainConfig:
    """A full configuration: what the user asked for, and good values for the rest.

    On a CPU the model is ``small``, batches are half as large (a short training needs its steps), and the number
    of epochs is what fits into `CPU_SECONDS` at a fixed estimate
    of the speed; on a GPU it is ``resnet18`` for `GPU_STEPS` steps.

    Raises:
        UnknownNameError: no method, model, schedule or augmentation of that name.
        TrainingError: a value out of range, or a batch larger than the set.
    """
    options = resolve_options(wishes.method, wishes.options, facts)
    on_cpu = machine.device == "cpu"
    model = wishes.model or ("small" if on_cpu else "resnet18")
    check_model(model)
    for thing, name, known in (
        ("optimizer", wishes.optimizer, PEAK_LR),
        ("schedule", wishes.schedule, SCHEDULES),
        ("augmentation", wishes.augmentation, STRENGTHS),
        ("precision", wishes.precision, ("bf16", "fp32")),
    ):
        if name is not None and name not in known:
            raise UnknownNameError(thing, name, known)

    image_size = _or(wishes.image_size, _image_size(facts, on_cpu))
    batch_size = _or(wishes.batch_size, min(64 if on_cpu else 128, max(facts.num_images // 8, 2)))
    if batch_size > facts.num_images:
        raise TrainingError(
            f"batch size {batch_size} is larger than the training set of {facts.num_images} images; lower --batch-size"
        )
    epochs = wishes.epochs
    if epochs is None:
        epochs = _epochs(wishes.method, facts, machine, image_size, batch_size)
    optimizer = wishes.optimizer or ("adamw" if on_cpu else "sgd")
    decay = 0.0 if options.get("second_weighting") else WEIGHT_DECAY[optimizer]  # as the release
    config = TrainConfig(
        method=wishes.method,
        options=options,
        model=model,
        image_size=image_size,
        epochs=epochs,
        batch_size=batch_size,
        lr=_or(wishes.lr, PEAK_LR[optimizer] * batch_size / 128),
        optimizer=optimizer,
        schedule=wishes.schedule or "cosine",
        weight_decay=_or(wishes.weight_decay, decay),
        augmentation=wishes.augmentation or "light",
        precision=wishes.precision or ("bf16" if machine.has_bf16 else "fp32"),
        device=machine.device,
        seed=wishes.seed,
        eval_every=_or(wishes.eval_every, -(-epochs // EVALUATIONS)),
        checkpoint_every=_or(wishes.checkpoint_every, 0),
    )
    _check_ranges(config)
    return config


def _image_size(facts: Facts, on_cpu: bool) -> int:
    """The images' own size, in steps of 16, up to what the device can work off."""
    nearest = max(32, round(facts.image_px / 16) * 16)
    return min(nearest, 48 if on_cpu else 224)


def _epochs(method: str, facts: Facts, machine: Machine, image_size: int, batch_size: int) -> int:
    if machine.device != "cpu":
        steps = GPU_STEPS
    else:
        pixels_per_s = CPU_PIXELS_PER_CORE_S[machine.has_bf16] * min(machine.num_cores, 16)
        images_per_s = pixels_per_s / image_size**2
        evaluated = EVALUATIONS * facts.num_validation / 3  # a forward is a third of a step
        trained = max(CPU_SECONDS * images_per_s - evaluated, 0) / step_cost(method)
        steps = int(trained / max(batch_size, 1))
    return min(max(steps // max(facts.num_images // max(batch_size, 1), 1), 5), 200)


def _or(wish: Any, otherwise: Any) -> Any:
    return otherwise if wish is None else wish


def _check_ranges(config: TrainConfig) -> None:
    for name, fine, expected in (
        ("epochs", 1 <= config.epochs <= 1_000_000, "1 or more"),
        ("batch_size", config.batch_size >= 2, "2 or more, since batch norms need a batch"),
        ("lr", 0 < config.lr < float("inf"), "a positive number"),
        ("image_size", 8 <= config.image_size <= 1024, "8 to 1024 pixels"),
        ("weight_decay", 0 <= config.weight_decay < float("inf"), "0 or more"),
        ("eval_every", config.eval_every >= 1, "1 or more"),
        ("checkpoint_every", config.checkpoint_every >= 0, "0 or more"),
        ("seed", 0 <= config.seed < 2**63, "0 to 2^63 - 1"),
    ):
        if not fine:
            raise TrainingError(f"{name} {getattr(config, name)!r} is out of range; expected {expected}")
