"""Train on a manifest: the one call behind ``noisyweb train``.

plan = make_plan(Path("builds/cars/red_noise_nl_0.4"), Wishes(method="mentormix"))
summary = run(plan)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from noisyweb.data import NoisyImages, validation_folder
from noisyweb.errors import TrainingError
from noisyweb.progress import Progress, silent
from noisyweb.remote_path import Place
from noisyweb.training import checkpoint
from noisyweb.training.auto import resolve
from noisyweb.training.config import TrainConfig, Wishes
from noisyweb.training.data import Pixels, decode_all
from noisyweb.training.facts import Facts, facts_of
from noisyweb.training.loop import train
from noisyweb.training.machine import this_machine
from noisyweb.training.metrics import Truth, write_loss_curve, write_metrics
from noisyweb.training.run_folder import RunFolder, default_folder
from noisyweb.training.state import TrainingState


@dataclass(frozen=True)
class Plan:
    """A run that is resolved and has not begun.

    Attributes:
        config: what is run.
        facts: of the training set.
        images: the training set.
        validation: the clean validation set; None if there is none.
        folder: where the run goes.
        resume: go on with the run that is there.
    """

    config: TrainConfig
    facts: Facts
    images: NoisyImages
    validation: NoisyImages | None
    folder: RunFolder
    resume: bool


def make_plan(
    manifest: str | Place, wishes: Wishes, *, out: Path | None = None, resume: bool = False, root: Path | None = None
) -> Plan:
    """Look at the data and the machine, and resolve what is left open.

    Args:
        manifest: a manifest folder: a path or an fsspec URL.
        wishes: what the user asked for.
        out: run folder; None: `noisyweb.training.run_folder.default_folder`.
        resume: take the configuration from the run folder; what is wished for must agree with it.
        root: folder that image paths start from, for manifests without image bytes.

    Raises:
        NoisywebError: of the class that fits the mistake.
    """
    images = NoisyImages(manifest, root=root)
    clean = validation_folder(manifest)
    validation = NoisyImages(clean, root=root) if clean is not None else None
    if validation is not None and validation.class_names != images.class_names:
        raise TrainingError(f"{clean}: its classes are not those of {images.folder}; build both again")
    if validation is not None and len(validation) == 0:
        validation = None
    facts = facts_of(images, len(validation) if validation is not None else 0, str(images.folder))
    folder = RunFolder(out if out is not None else default_folder(facts, wishes.method, wishes.seed))
    if resume:
        config = _resumed(folder, wishes, facts)
    else:
        config = resolve(wishes, facts, this_machine(wishes.device or "auto"))
    return Plan(config, facts, images, validation, folder, resume)


def run(
    plan: Plan,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
    epoch_done: Callable[[dict[str, Any]], None] = lambda row: None,
) -> dict[str, Any]:
    """Carry out a plan; return the summary, which is also in the run folder.

    Args:
        plan: of `make_plan`.
        overwrite: replace a run that is in the folder already.
        progress: called while images are decoded and after each step.
        epoch_done: called with each epoch's row of `noisyweb.training.metrics.METRICS`.

    Raises:
        NoisywebError: of the class that fits the mistake.
    """
    folder, config = plan.folder, plan.config
    if plan.resume and folder.is_finished:
        return folder.read_summary()
    if not plan.resume:
        folder.check_free(overwrite)
    labels = torch.from_numpy(np.asarray(plan.images.labels, np.int64).copy())
    state = TrainingState(config, plan.facts.num_classes, labels)
    try:
        pixels, validation = _pixels(plan, progress)
        with folder.locked():
            if not plan.resume:
                folder.check_free(overwrite)  # again: the images took their time
                folder.begin(config, plan.facts)
            elif folder.checkpoint.exists():
                _restore(state, folder.checkpoint)
            _train(plan, state, pixels, validation, progress, epoch_done)
            return _finish(plan, state)
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"{config.device} is out of memory at batch size {config.batch_size} and {config.image_size} px; "
            "lower --batch-size or --image-size"
        ) from error


def _pixels(plan: Plan, progress: Progress) -> tuple[Pixels, Pixels | None]:
    device, size = torch.device(plan.config.device), plan.config.image_size
    pixels = decode_all(plan.images, size, "training images", progress).to(device)
    if plan.validation is None:
        return pixels, None
    return pixels, decode_all(plan.validation, size, "validation images", progress).to(device)


def _train(
    plan: Plan,
    state: TrainingState,
    pixels: Pixels,
    validation: Pixels | None,
    progress: Progress,
    epoch_done: Callable[[dict[str, Any]], None],
) -> None:
    truth = Truth(plan.images.labels, plan.images.is_clean, plan.images.true_labels)
    path = plan.folder.path

    def save() -> None:
        checkpoint.save(plan.folder.checkpoint, state.tensors(), state.info())

    def report(row: dict[str, Any]) -> None:
        write_metrics(path, state.history)
        write_loss_curve(path, state.losses[: state.step].cpu().numpy())
        epoch_done(row)

    train(state, pixels, validation, truth, save, report, progress)


def _finish(plan: Plan, state: TrainingState) -> dict[str, Any]:
    """Write what a finished run leaves; the summary last."""
    config, facts, history = plan.config, plan.facts, state.history
    write_metrics(plan.folder.path, history)
    write_loss_curve(plan.folder.path, state.losses.cpu().numpy())
    weights = dict(state.average.evaluable().state_dict())
    about = {"model": config.model, "class_names": plan.images.class_names, "image_size": config.image_size}
    checkpoint.save(plan.folder.model, weights, about)
    evaluated = [row for row in history if row["val_accuracy"] is not None]
    peak = max(evaluated, key=lambda row: row["val_accuracy"], default=None)  # the first of equals
    last = history[-1]
    summary = {
        "dataset": facts.dataset,
        "edition": facts.edition,
        "kind": facts.kind,
        "level": facts.level,
        "method": config.method,
        "model": config.model,
        "seed": config.seed,
        "epochs": config.epochs,
        "peak_val_accuracy": peak["val_accuracy"] if peak else None,
        "peak_epoch": peak["epoch"] if peak else None,
        "final_val_accuracy": last["val_accuracy"],
        "chance": 1 / facts.num_classes,
        "train_accuracy_clean": last["train_accuracy_clean"],
        "train_accuracy_wrong": last["train_accuracy_wrong"],
        "detector_auroc": last["detector_auroc"],
        "seconds": state.seconds,
        "images_per_s": len(history) / sum(1 / row["images_per_s"] for row in history),
        "config_digest": config.digest,
        "data_digest": facts.digest,
    }
    plan.folder.finish(summary)
    return summary


def _resumed(folder: RunFolder, wishes: Wishes, facts: Facts) -> TrainConfig:
    """The configuration that the run was begun with, if data and wishes agree with it."""
    saved, data = folder.read_config()
    if data.get("digest") != facts.digest:
        raise TrainingError(f"{folder.path}: this run was begun on another training set; name its own --manifest")
    if saved.get("method") != wishes.method:
        raise TrainingError(
            f"{folder.path}: this run was begun with method {saved.get('method')!r}, not {wishes.method!r}; "
            f"resume it with --method {saved.get('method')}"
        )
    try:
        begun = TrainConfig(**saved)
    except TypeError as error:
        raise TrainingError(f"{folder.path}: begun by another version of noisyweb ({error}); begin again") from error
    kept = {field.name: getattr(begun, field.name) for field in dataclasses.fields(Wishes) if field.name != "options"}
    named = {name: getattr(wishes, name) for name in kept if getattr(wishes, name) is not None}
    options = {**begun.options, **{name: value for name, value in wishes.options.items() if value is not None}}
    machine = this_machine(named.get("device") or begun.device)
    again = resolve(Wishes(**{**kept, **named, "options": options}), facts, machine)
    for field in dataclasses.fields(TrainConfig):
        was, now = getattr(begun, field.name), getattr(again, field.name)
        if was != now:
            raise TrainingError(
                f"{folder.path}: this run was begun with {field.name} {was}, not {now}; "
                "resume without that option, or name another folder with --out"
            )
    return begun


def _restore(state: TrainingState, path: Path) -> None:
    tensors, info = checkpoint.load(path)
    if info.get("method") != state.config.method:
        raise TrainingError(
            f"{path}: a checkpoint of method {info.get('method')!r}, not {state.config.method!r}; "
            "it belongs to another run: restore the right one, or begin again with --overwrite"
        )
    if info.get("config_digest") != state.config.digest:
        raise TrainingError(f"{path}: a checkpoint of another configuration; begin again with --overwrite")
    state.restore(tensors, info, str(path))
