"""What a trained network says of each row of a manifest. Shapes: N rows, B batch, K classes, S side."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from noisyweb.data import NoisyImages
from noisyweb.errors import TrainingError, UnknownNameError
from noisyweb.progress import Progress, silent
from noisyweb.remote_path import Place
from noisyweb.training.augment import to_float
from noisyweb.training.evaluation import BATCH
from noisyweb.training.images import in_order
from noisyweb.training.machine import this_machine
from noisyweb.training.prediction_table import prediction_batch, prediction_table, predictions_schema
from noisyweb.training.streaming import CACHE_BYTES, Streamed
from noisyweb.training.student import Student
from noisyweb.training.trained import Trained


class Predictions(NamedTuple):
    """What is said of each row, in the manifest's order."""

    predicted: npt.NDArray[np.int64]  # [N], the likeliest class
    loss: npt.NDArray[np.float32]  # [N], cross-entropy with the given label, in nats


def images_for(trained: Trained, manifest: str | Place, root: Path | None = None) -> NoisyImages:
    """Open a manifest that a network can be asked about.

    Args:
        trained: the network.
        manifest: a manifest folder: a path or an fsspec URL.
        root: folder that image paths start from, for a manifest without image bytes.

    Raises:
        TrainingError: it has no rows, or other classes than the network.
        SourceError: there is no manifest.
    """
    images = NoisyImages(manifest, root=root, cache_bytes=CACHE_BYTES)
    known, named = trained.class_names, images.class_names
    if named != known:
        found = f"{len(named)} classes, not {len(known)}"
        if len(named) == len(known):
            row = next(row for row, pair in enumerate(zip(named, known, strict=True)) if pair[0] != pair[1])
            found = f"class {row} is {named[row]!r}, not {known[row]!r}"
        raise TrainingError(
            f"{images.folder}: its classes are not those of the trained network ({found}); "
            "name a manifest of the same data set"
        )
    if len(images) == 0:
        raise TrainingError(f"{images.folder}: the manifest has no rows; build it again")
    return images


@torch.no_grad()
def predict(
    trained: Trained,
    images: NoisyImages,
    *,
    out: Path | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    batch_size: int = BATCH,
    progress: Progress = silent,
) -> Predictions:
    """Ask a network about every row; images and probabilities pass through memory by batches.

    Args:
        trained: the network; it is moved to the device.
        images: of `images_for`.
        out: where the table goes as Parquet; None: nowhere.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32`` (on GPUs without TF32, so that figures are the same everywhere), or ``bf16``.
        batch_size: B.
        progress: called after each batch, in images.

    Raises:
        TrainingError: there is no such device, it has too little memory, or the network gives no numbers.
        SourceError: an image cannot be read.
        OutputError: the table cannot be written.
    """
    if precision not in ("bf16", "fp32"):
        raise UnknownNameError("precision", precision, ("bf16", "fp32"))
    if batch_size < 1:
        raise TrainingError(f"batch size {batch_size} is out of range; expected 1 or more")
    place = torch.device(this_machine(device).device)
    streamed = Streamed(images, trained.image_size, place, len(os.sched_getaffinity(0)))
    student = Student(trained.network.to(place), precision, True, trained.normalisation)
    predicted, loss = np.empty(len(images), np.int64), np.empty(len(images), np.float32)
    schema = predictions_schema(trained.model, images)
    done = 0
    try:
        with (
            _exact_convolutions(precision),
            contextlib.closing(streamed.batches(in_order(streamed), batch_size)) as batches,
            prediction_table(out, schema) as table,
        ):
            for _, pixels in batches:
                rows = slice(done, done + len(pixels))
                logits = student(to_float(pixels))
                loss[rows] = F.cross_entropy(logits, streamed.labels[rows], reduction="none").cpu().numpy()
                probs = logits.double().softmax(1).float().cpu().numpy()
                if not np.isfinite(probs).all():
                    raise TrainingError(f"{trained.file}: the network gives no numbers; train again with a lower --lr")
                predicted[rows] = logits.argmax(1).cpu().numpy()  # probabilities may be equal by rounding
                table.add(prediction_batch(schema, images, rows, predicted[rows], loss[rows], probs))
                done = rows.stop
                progress("predicting", done, len(images))
    except torch.OutOfMemoryError as error:
        raise TrainingError(f"{place} is out of memory at batch size {batch_size}; lower --batch-size") from error
    return Predictions(predicted, loss)


@contextlib.contextmanager
def _exact_convolutions(precision: str) -> Iterator[None]:
    """No TF32 under fp32: cuDNN would round convolutions to 10 bits unasked."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = allowed and precision != "fp32"
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = allowed
