"""Train on a manifest: the one call behind ``noisyweb train``.

plan = make_plan(Path("builds/cars/red_noise_nl_0.4"), Wishes(method="mentormix"))
summary = run(plan)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from noisyweb.data import NoisyImages
from noisyweb.errors import TrainingError
from noisyweb.progress import Progress, silent
from noisyweb.training import checkpoint
from noisyweb.training.board import board
from noisyweb.training.data import decode_all
from noisyweb.training.images import Images, Resident
from noisyweb.training.keeper import FolderKeeper, NoKeeper
from noisyweb.training.loop import train
from noisyweb.training.method import num_networks
from noisyweb.training.metrics import Truth, write_class_accuracy, write_loss_curve, write_metrics
from noisyweb.training.plan import Plan, make_plan
from noisyweb.training.state import TrainingState
from noisyweb.training.streaming import Streamed

__all__ = ["Plan", "make_plan", "run"]

EpochDone = Callable[[dict[str, Any]], None]


def run(
    plan: Plan,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
    epoch_done: EpochDone = lambda row: None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Carry out a plan; return the summary, which is also in the run folder.

    Args:
        plan: of `make_plan`.
        overwrite: replace a run that is in the folder already.
        progress: called while images are decoded and after each step.
        epoch_done: called with each epoch's row of `noisyweb.training.metrics.METRICS`.
        say: called with what a user should know besides.

    Raises:
        NoisywebError: of the class that fits the mistake.
    """
    folder, config, team = plan.folder, plan.config, plan.team
    begun = team.from_lead(lambda: _begun(plan, overwrite))
    if begun.summary is not None:
        return begun.summary
    labels = torch.from_numpy(np.asarray(plan.images.labels, np.int64).copy())
    try:
        state = TrainingState(config, plan.facts.num_classes, labels, team, begins=begun.checkpoint is None)
        if state.begun_from is not None:
            say(f"weights: {state.begun_from}")
        images = _images(plan, plan.images, "training images", progress)
        validation = _images(plan, plan.validation, "validation images", progress) if plan.validation else None
        if begun.checkpoint is not None:
            _restore(state, begun.checkpoint, folder.checkpoint)
        team.wait()  # nothing is written before everybody is ready
        if not team.leads:
            train(state, images, validation, _truth(plan), NoKeeper())
            return _summary(plan, state)
        with folder.locked():
            if not plan.resume:
                folder.check_free(overwrite)  # again: the images took their time
                folder.begin(config, plan.facts, str(_absolute(plan.images.folder)))
            with board(folder.path, len(state.history) + 1, config.tensorboard) as shown:
                keeper = FolderKeeper(state, folder, shown, epoch_done)
                train(state, images, validation, _truth(plan), keeper, progress)
            return _finish(plan, state)
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"{config.device} is out of memory at batch size {config.batch_size} and {config.image_size} px; "
            "lower --batch-size or --image-size, or take --data stream"
        ) from error
    except Exception as error:
        if config.compile != "none" and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            reason = str(error).strip().splitlines()[0]
            raise TrainingError(f"torch.compile failed ({reason}); train without --compile") from error
        raise


class _Begun(NamedTuple):
    """What an earlier start of the run has left."""

    summary: dict[str, Any] | None = None  # it is finished
    checkpoint: tuple[dict[str, Tensor], dict[str, Any]] | None = None


def _begun(plan: Plan, overwrite: bool) -> _Begun:
    folder = plan.folder
    if not plan.resume:
        folder.check_free(overwrite)
        return _Begun()
    if folder.is_finished:
        return _Begun(folder.read_summary())
    return _Begun(checkpoint=checkpoint.load(folder.checkpoint) if folder.checkpoint.exists() else None)


def _images(plan: Plan, images: NoisyImages, what: str, progress: Progress) -> Images:
    config, device = plan.config, torch.device(plan.config.device)
    if config.data == "stream":
        return Streamed(images, config.image_size, device, config.workers, plan.team, config.shards)
    return Resident(decode_all(images, config.image_size, what, progress).to(device))


def _truth(plan: Plan) -> Truth:
    return Truth(plan.images.labels, plan.images.is_clean, plan.images.true_labels)


def _absolute(place: Any) -> Any:
    return place.resolve() if isinstance(place, Path) else place


def _finish(plan: Plan, state: TrainingState) -> dict[str, Any]:
    """Write what a finished run leaves; the summary last."""
    config, path, names = plan.config, plan.folder.path, plan.images.class_names
    write_metrics(path, state.history)
    write_loss_curve(path, state.losses.cpu().numpy())
    if plan.validation is not None:
        write_class_accuracy(path, names, plan.validation.labels, state.class_accuracy.numpy())
    about = {
        "model": config.model,
        "num_networks": num_networks(config.method),
        "class_names": names,
        "image_size": config.image_size,
        "normalisation": config.normalisation,
    }
    checkpoint.save(plan.folder.model, dict(state.average.evaluable().state_dict()), about)
    summary = _summary(plan, state)
    plan.folder.finish(summary)
    return summary


def _summary(plan: Plan, state: TrainingState) -> dict[str, Any]:
    config, facts, history = plan.config, plan.facts, state.history
    evaluated = [row for row in history if row["val_accuracy"] is not None]
    peak = max(evaluated, key=lambda row: row["val_accuracy"], default=None)  # the first of equals
    last, by_class = history[-1], state.class_accuracy.numpy()
    return {
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
        "final_val_balanced_accuracy": float(np.nanmean(by_class)) if peak else None,
        "chance": 1 / facts.num_classes,
        "train_accuracy_clean": last["train_accuracy_clean"],
        "train_accuracy_wrong": last["train_accuracy_wrong"],
        "detector_auroc": last["detector_auroc"],
        "detector_precision": last["detector_precision"],
        "detector_recall": last["detector_recall"],
        "seconds": state.seconds,
        "images_per_s": len(history) / sum(1 / row["images_per_s"] for row in history),
        "config_digest": config.digest,
        "data_digest": facts.digest,
    }


def _restore(state: TrainingState, saved: tuple[dict[str, Tensor], dict[str, Any]], path: Path) -> None:
    tensors, info = saved
    if info.get("method") != state.config.method:
        raise TrainingError(
            f"{path}: a checkpoint of method {info.get('method')!r}, not {state.config.method!r}; "
            "it belongs to another run: restore the right one, or begin again with --overwrite"
        )
    if info.get("config_digest") != state.config.digest:
        raise TrainingError(f"{path}: a checkpoint of another configuration; begin again with --overwrite")
    state.restore(tensors, info, str(path))
