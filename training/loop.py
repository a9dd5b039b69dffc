"""The training loop; what a step computes is the method's affair."""

from __future__ import annotations

import contextlib
import functools
import time
from typing import Any, Protocol

import torch
from torch import Tensor

from noisyweb.errors import TrainingError
from noisyweb.progress import Progress, silent
from noisyweb.training.augment import STRENGTHS, augment
from noisyweb.training.evaluation import evaluate, survey
from noisyweb.training.images import Images
from noisyweb.training.method import Batch
from noisyweb.training.metrics import Truth, detection, memorisation
from noisyweb.training.sampling import seed_of
from noisyweb.training.state import TrainingState

CHECK_EVERY = 50
"""Steps between looks at the losses, each of which waits for the device."""


class Keeper(Protocol):
    """Who keeps what the loop has done; see `noisyweb.training.keeper`."""

    def keep_rows(self, epoch: int) -> None:
        """Called with what the epoch saw of each row still in the state, before `save`."""
        ...

    def save(self) -> None:
        """Called at the end of each epoch, and every ``checkpoint_every`` steps if that is set."""
        ...

    def report(self, row: dict[str, Any]) -> None:
        """Called with each epoch's row of `noisyweb.training.metrics.METRICS`, after `save`."""
        ...


def train(
    state: TrainingState,
    images: Images,
    validation: Images | None,
    truth: Truth,
    keeper: Keeper,
    progress: Progress = silent,
) -> None:
    """Train from where the state is to the end.

    Args:
        state: changed in place.
        images: the N training images.
        validation: clean images to evaluate on; None if there are none.
        truth: of the N rows, for the metrics only: no method sees it.
        keeper: keeps what is done.
        progress: called after each step.

    Raises:
        TrainingError: the loss is not finite; nothing was saved since it was.
    """
    config = state.config
    device = images.labels.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while state.step < state.num_steps:
            epoch, done = divmod(state.step, state.steps_per_epoch)
            order = images.order(seed_of(config.seed, "order", epoch))
            if done == 0:
                started = time.perf_counter()
                whole = functools.partial(survey, images=images, team=state.team)
                state.method.begin_epoch(state.student, state.clock, whole)
                _tick(state, started)
            rest = order[done * config.batch_size : state.steps_per_epoch * config.batch_size]
            lr = _epoch(state, images, rest, keeper, progress)
            _end_epoch(state, validation, truth, lr, keeper)


def _epoch(state: TrainingState, images: Images, order: Tensor, keeper: Keeper, progress: Progress) -> float:
    """Train on the rows in their order; return the last step's learning rate."""
    config = state.config
    generator = torch.Generator(images.labels.device)
    strength, lr = STRENGTHS[config.augmentation], state.lr
    layers = ["layers"] if state.team.size == 1 else ["layers", state.team.rank]
    started = time.perf_counter()
    with contextlib.closing(images.batches(order, config.batch_size)) as batches:
        for rows, plain in batches:
            clock, lr = state.clock, state.lr
            generator.manual_seed(seed_of(config.seed, "step", clock.step))
            torch.manual_seed(seed_of(config.seed, *layers, clock.step))  # dropout has no generator of its own
            if config.compile == "graphs":
                torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            again = functools.partial(augment, plain, strength, generator)
            batch = Batch(again(), images.labels[rows], rows, again)
            result = state.method.step(state.student, batch, clock, generator)
            state.descend(result.loss)
            state.record(batch, result)
            state.step += 1

            epoch_ends = state.step % state.steps_per_epoch == 0
            saves = config.checkpoint_every > 0 and state.step % config.checkpoint_every == 0
            if epoch_ends or saves or state.step % CHECK_EVERY == 0:
                _check_losses(state)
            started = _tick(state, started)
            progress("training", state.step, state.num_steps)
            if saves and not epoch_ends:
                keeper.save()
    return lr


def _end_epoch(state: TrainingState, validation: Images | None, truth: Truth, lr: float, keeper: Keeper) -> None:
    started = time.perf_counter()
    row = _epoch_row(state, validation, truth, lr)
    state.seconds += time.perf_counter() - started
    row["seconds"] = state.seconds
    state.history.append(row)
    keeper.keep_rows(row["epoch"])
    state.forget_epoch()
    keeper.save()
    keeper.report(row)


def _tick(state: TrainingState, started: float) -> float:
    now = time.perf_counter()
    state.seconds += now - started
    state.epoch_seconds += now - started
    return now


def _check_losses(state: TrainingState) -> None:
    done = state.losses[: state.step]
    if bool(torch.isfinite(done).all()):
        return
    first = int((~torch.isfinite(done)).nonzero()[0])
    raise TrainingError(
        f"the loss is {float(done[first])} at step {first + 1} of {state.num_steps}; the last good checkpoint is kept; "
        f"train again with --overwrite and an --lr below {state.config.lr:g}"
    )


def _epoch_row(state: TrainingState, validation: Images | None, truth: Truth, lr: float) -> dict[str, Any]:
    config = state.config
    epoch = state.step // state.steps_per_epoch
    row: dict[str, Any] = {
        "epoch": epoch,
        "step": state.step,
        "loss": state.losses[state.step - state.steps_per_epoch : state.step].double().mean().item(),
        "lr": lr,
        "images_per_s": state.steps_per_epoch * config.batch_size / state.epoch_seconds,
        **memorisation(truth, state.row_loss.cpu().numpy(), state.row_predicted.cpu().numpy()),
        **detection(truth, state.row_weight.cpu().numpy()),
        "val_loss": None,
        "val_accuracy": None,
    }
    if validation is not None and (epoch % config.eval_every == 0 or state.step == state.num_steps):
        found = evaluate(state.evaluable(), validation, len(state.class_accuracy), state.team)
        row["val_loss"], row["val_accuracy"] = found.loss, found.accuracy
        state.class_accuracy.copy_(torch.from_numpy(found.class_accuracy))
    return row
