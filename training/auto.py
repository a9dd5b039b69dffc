"""Choosing what the user left open, from the data and the machine; nothing is timed, so it is reproducible."""

from __future__ import annotations

from typing import Any

from noisyweb.errors import TrainingError, UnknownNameError
from noisyweb.training.augment import STRENGTHS
from noisyweb.training.config import TrainConfig, Wishes
from noisyweb.training.facts import Facts
from noisyweb.training.machine import Machine
from noisyweb.training.method import STANDARD, resolve_options, step_cost
from noisyweb.training.models import ELSEWHERE, check_model
from noisyweb.training.schedule import SCHEDULES
from noisyweb.training.student import COMPILATIONS, NORMALISATIONS

CPU_SECONDS = 300
"""What a training on a CPU may take, with the evaluations; 2 cores with bfloat16 are meant, which need less."""

CPU_PIXELS_PER_CORE_S = {True: 2.0e6, False: 0.9e6}
"""Pixels a core trains on in a second with the ``small`` model, with and without bfloat16; kept on the low side."""

GPU_STEPS = 20_000
"""Steps of a training on a GPU: a tenth of the MentorMix release's, with a cosine schedule."""

PEAK_LR = {"sgd": 0.1, "adamw": 8e-3}
"""Peak learning rates at batch size 128; they scale with the batch."""

FINE_TUNING = 0.1
"""Of the peak learning rate, when the network starts from a weights file."""

WEIGHT_DECAY = {"sgd": 2e-4, "adamw": 1e-2}

EVALUATIONS = 12

RESIDENT_SHARE = 0.5
"""Of the device's free memory: images that take more are streamed. The rest is for the network."""

MOST_WORKERS = 16


def resolve(wishes: Wishes, facts: Facts, machine: Machine, processes: int = 1) -> TrainConfig:
    """A full configuration: what the user asked for, and good values for the rest.

    On a CPU the model is ``small``, batches are half as large (a short training needs its steps), and the number
    of epochs is what fits into `CPU_SECONDS` at a fixed estimate
    of the speed; on a GPU it is ``resnet18`` for `GPU_STEPS` steps. A stream has as many shards as ``processes``.

    Raises:
        UnknownNameError: no method, model, schedule or augmentation of that name.
        TrainingError: a value out of range, or a batch larger than the set.
    """
    method = wishes.method or STANDARD
    options = resolve_options(method, wishes.options, facts)
    on_cpu = machine.device == "cpu"
    model = wishes.model or ("small" if on_cpu else "resnet18")
    check_model(model)
    for thing, name, known in (
        ("optimizer", wishes.optimizer, PEAK_LR),
        ("schedule", wishes.schedule, SCHEDULES),
        ("augmentation", wishes.augmentation, STRENGTHS),
        ("precision", wishes.precision, ("bf16", "fp32")),
        ("normalisation", wishes.normalisation, NORMALISATIONS),
        ("way to compile", wishes.compile, COMPILATIONS),
        ("way to hold data", wishes.data, ("resident", "stream")),
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
        epochs = _epochs(method, facts, machine, image_size, batch_size)
    data = wishes.data or _data(facts, machine, image_size)
    optimizer = wishes.optimizer or ("adamw" if on_cpu else "sgd")
    decay = 0.0 if options.get("second_weighting") else WEIGHT_DECAY[optimizer]  # as the release
    config = TrainConfig(
        method=method,
        options=options,
        model=model,
        image_size=image_size,
        epochs=epochs,
        batch_size=batch_size,
        lr=_or(wishes.lr, PEAK_LR[optimizer] * batch_size / 128 * (FINE_TUNING if wishes.weights else 1)),
        weights=wishes.weights,
        new_head=_or(wishes.new_head, False),
        normalisation=wishes.normalisation or _normalisation(wishes, model),
        optimizer=optimizer,
        schedule=wishes.schedule or "cosine",
        warmup=_or(wishes.warmup, TrainConfig.warmup),
        momentum=_or(wishes.momentum, TrainConfig.momentum),
        clip=_or(wishes.clip, TrainConfig.clip),
        weight_decay=_or(wishes.weight_decay, decay),
        average_decay=_or(wishes.average_decay, TrainConfig.average_decay),
        augmentation=wishes.augmentation or "light",
        precision=wishes.precision or ("bf16" if machine.has_bf16 else "fp32"),
        channels_last=_or(wishes.channels_last, True),
        compile=wishes.compile or "none",
        data=data,
        workers=_or(wishes.workers, min(machine.num_cores, MOST_WORKERS)),
        shards=_or(wishes.shards, processes) if data == "stream" else 1,
        device=machine.device,
        seed=wishes.seed,
        eval_every=_or(wishes.eval_every, -(-epochs // EVALUATIONS)),
        checkpoint_every=_or(wishes.checkpoint_every, 0),
        row_history=_or(wishes.row_history, False),
        tensorboard=_or(wishes.tensorboard, False),
    )
    _check_ranges(config)
    if config.new_head and config.weights is None:
        raise TrainingError("--new-head is for a weights file; name one with --weights")
    return config


def _normalisation(wishes: Wishes, model: str) -> str:
    """Networks that others have trained on ImageNet were given its colours."""
    return "imagenet" if wishes.weights and model.startswith(tuple(ELSEWHERE)) else "unit"


def _data(facts: Facts, machine: Machine, image_size: int) -> str:
    needed = (facts.num_images + facts.num_validation) * 3 * image_size**2
    return "resident" if needed <= RESIDENT_SHARE * machine.memory_bytes else "stream"


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
        ("warmup", 0 <= config.warmup < 1, "a share 0 <= warmup < 1, such as 0.1"),
        ("momentum", 0 <= config.momentum < 1, "0 <= momentum < 1"),
        ("clip", 0 <= config.clip < float("inf"), "0 (no limit) or a positive number"),
        ("average_decay", 0 <= config.average_decay < 1, "0 <= average_decay < 1"),
        ("workers", 1 <= config.workers <= 1024, "1 to 1024"),
        ("shards", 1 <= config.shards <= 1_000_000, "1 or more"),
        ("weight_decay", 0 <= config.weight_decay < float("inf"), "0 or more"),
        ("eval_every", config.eval_every >= 1, "1 or more"),
        ("checkpoint_every", config.checkpoint_every >= 0, "0 or more"),
        ("seed", 0 <= config.seed < 2**63, "0 to 2^63 - 1"),
    ):
        if not fine:
            raise TrainingError(f"{name} {getattr(config, name)!r} is out of range; expected {expected}")
