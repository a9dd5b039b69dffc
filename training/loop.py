"""The training loop; what a step computes is the method's affair."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from noisyweb.errors import TrainingError
from noisyweb.progress import Progress, silent
from noisyweb.training.augment import STRENGTHS, augment, to_float
from noisyweb.training.data import Pixels
from noisyweb.training.method import Batch
from noisyweb.training.metrics import Truth, detection, memorisation
from noisyweb.training.sampling import seed_of
from noisyweb.training.state import TrainingState
from noisyweb.training.student import Student

CHECK_EVERY = 50
"""Steps between looks at the losses, each of which waits for the device."""

EVALUATION_BATCH = 256


class Evaluation(NamedTuple):
    """Mean cross-entropy, and share of right answers, 0..1."""

    loss: float
    accuracy: float


def train(
    state: TrainingState,
    pixels: Pixels,
    validation: Pixels | None,
    truth: Truth,
    save: Callable[[], None],
    epoch_done: Callable[[dict[str, Any]], None],
    progress: Progress = silent,
) -> None:
    """Train from where the state is to the end.

    Args:
        state: changed in place.
        pixels: the N training images, on the device.
        validation: clean images to evaluate on, on the device; None if there are none.
        truth: of the N rows, for the metrics only: no method sees it.
        save: called at the end of each epoch, and every ``checkpoint_every`` steps if that is set.
        epoch_done: called with each epoch's row of `noisyweb.training.metrics.METRICS`, after saving.
        progress: called after each step.

    Raises:
        TrainingError: the loss is not finite; nothing was saved since it was.
    """
    config = state.config
    device = pixels.images.device
    generator = torch.Generator(device)
    strength = STRENGTHS[config.augmentation]
    order: Tensor | None = None
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while state.step < state.num_steps:
            started = time.perf_counter()
            clock, lr = state.clock, state.lr
            generator.manual_seed(seed_of(config.seed, "step", clock.step))
            torch.manual_seed(seed_of(config.seed, "layers", clock.step))  # dropout has no generator of its own
            index = clock.step % clock.steps_per_epoch
            if order is None or index == 0:
                order = _epoch_order(state, len(pixels.labels), device)
            if index == 0:
                state.method.begin_epoch(state.student, clock, functools.partial(survey, pixels=pixels))
            rows = order[index * config.batch_size : (index + 1) * config.batch_size]

            plain = pixels.images[rows]
            again = functools.partial(augment, plain, strength, generator)
            batch = Batch(again(), pixels.labels[rows], rows, again)
            result = state.method.step(state.student, batch, clock, generator)
            state.descend(result.loss)
            state.record(batch, result)
            state.step += 1

            epoch_ends = state.step % state.steps_per_epoch == 0
            saves = config.checkpoint_every > 0 and state.step % config.checkpoint_every == 0
            if epoch_ends or saves or state.step % CHECK_EVERY == 0:
                _check_losses(state)
            _tick(state, started)
            progress("training", state.step, state.num_steps)
            if epoch_ends:
                started = time.perf_counter()
                row = _epoch_row(state, validation, truth, lr)
                state.seconds += time.perf_counter() - started
                row["seconds"] = state.seconds
                state.history.append(row)
                state.forget_epoch()
                save()
                epoch_done(row)
            elif saves:
                save()


@torch.no_grad()
def survey(student: Student, pixels: Pixels) -> Tensor:
    """The cross-entropy of every row with its given label, [N], in eval mode and without augmentation."""
    was_training = student.network.training
    student.network.eval()
    losses = [
        F.cross_entropy(student(to_float(images)), labels, reduction="none")
        for images, labels in zip(*(torch.split(tensor, EVALUATION_BATCH) for tensor in pixels), strict=True)
    ]
    student.network.train(was_training)
    return torch.cat(losses)


@torch.no_grad()
def evaluate(student: Student, pixels: Pixels) -> Evaluation:
    """Loss and accuracy of a network on labelled images, without augmentation."""
    was_training = student.network.training
    student.network.eval()
    loss = torch.zeros((), dtype=torch.float64, device=pixels.labels.device)
    right = torch.zeros((), dtype=torch.int64, device=pixels.labels.device)
    for images, labels in zip(*(torch.split(tensor, EVALUATION_BATCH) for tensor in pixels), strict=True):
        logits = student(to_float(images))
        loss += F.cross_entropy(logits, labels, reduction="sum")
        right += (logits.argmax(1) == labels).sum()
    student.network.train(was_training)
    return Evaluation(loss.item() / len(pixels.labels), right.item() / len(pixels.labels))


def _epoch_order(state: TrainingState, num_rows: int, device: torch.device) -> Tensor:
    """The order of the rows in the epoch that comes next, [N]; it hangs on seed and epoch alone."""
    epoch = state.step // state.steps_per_epoch
    generator = torch.Generator().manual_seed(seed_of(state.config.seed, "order", epoch))
    return torch.randperm(num_rows, generator=generator).to(device)


def _tick(state: TrainingState, started: float) -> None:
    spent = time.perf_counter() - started
    state.seconds += spent
    state.epoch_seconds += spent


def _check_losses(state: TrainingState) -> None:
    done = state.losses[: state.step]
    if bool(torch.isfinite(done).all()):
        return
    first = int((~torch.isfinite(done)).nonzero()[0])
    raise TrainingError(
        f"the loss is {float(done[first])} at step {first + 1} of {state.num_steps}; the last good checkpoint is kept; "
        f"train again with --overwrite and an --lr below {state.config.lr:g}"
    )


def _epoch_row(state: TrainingState, validation: Pixels | None, truth: Truth, lr: float) -> dict[str, Any]:
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
        averaged = Student(state.average.evaluable(), config.precision, config.channels_last)
        row["val_loss"], row["val_accuracy"] = evaluate(averaged, validation)
    return row
