"""What a training run tells of each epoch. Shapes: N training rows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import rankdata

from noisyweb.atomic import replacing_file

Floats = npt.NDArray[np.float32]

METRICS = pa.schema(
    [
        pa.field("epoch", pa.int32(), nullable=False),  # epochs done, 1-based
        pa.field("step", pa.int32(), nullable=False),  # steps done
        pa.field("loss", pa.float64(), nullable=False),  # mean over the epoch of what was minimised
        pa.field("lr", pa.float64(), nullable=False),  # of the epoch's last step
        # of the training rows as the epoch saw them, unmixed; null where the method looked at none
        pa.field("train_loss_clean", pa.float64()),  # mean cross-entropy with the given label, right labels
        pa.field("train_loss_wrong", pa.float64()),  # the same, wrong labels
        pa.field("train_accuracy_clean", pa.float64()),  # share of rows whose given label is predicted, 0..1
        pa.field("train_accuracy_wrong", pa.float64()),  # the same, wrong labels: what is memorised
        pa.field("train_accuracy_corrected", pa.float64()),  # wrong labels: the true one is predicted, where known
        # the method's weights as a detector of wrong labels; null without weights
        pa.field("detector_auroc", pa.float64()),  # chance that a wrong label weighs less than a right one
        pa.field("detector_precision", pa.float64()),  # of the rows weighing under one half, share of wrong labels
        pa.field("detector_recall", pa.float64()),  # of the wrong labels, share weighing under one half
        # with averaged weights; null where the epoch was not evaluated
        pa.field("val_loss", pa.float64()),
        pa.field("val_accuracy", pa.float64()),  # 0..1
        pa.field("seconds", pa.float64(), nullable=False),  # since the start, with evaluations, all resumptions
        pa.field("images_per_s", pa.float64(), nullable=False),  # trained on in this epoch, without evaluation
    ]
)
"""One row an epoch. Key: epoch."""


@dataclass(frozen=True)
class Truth:
    """What is known of the training labels.

    Attributes:
        labels: as given, [N].
        is_clean: [N].
        true_labels: [N]; -1 where unknown or outside the vocabulary.
    """

    labels: npt.NDArray[np.int32]
    is_clean: npt.NDArray[np.bool_]
    true_labels: npt.NDArray[np.int32]


def memorisation(truth: Truth, loss: Floats, predicted: npt.NDArray[np.int32]) -> dict[str, float | None]:
    """Loss and accuracy on rows with right and with wrong labels; the ``train_*`` columns.

    Args:
        truth: of the N rows.
        loss: [N], NaN for a row that was not seen.
        predicted: [N], -1 for a row that was not seen.
    """
    seen = predicted >= 0
    as_given, as_true = predicted == truth.labels, predicted == truth.true_labels
    clean, wrong = seen & truth.is_clean, seen & ~truth.is_clean
    return {
        "train_loss_clean": _mean(loss[clean]),
        "train_loss_wrong": _mean(loss[wrong]),
        "train_accuracy_clean": _mean(as_given[clean]),
        "train_accuracy_wrong": _mean(as_given[wrong]),
        "train_accuracy_corrected": _mean(as_true[wrong & (truth.true_labels >= 0)]),
    }


def detection(truth: Truth, weight: Floats) -> dict[str, float | None]:
    """How well the weights find the wrong labels; the ``detector_*`` columns.

    Args:
        truth: of the N rows.
        weight: [N] in [0, 1], NaN for a row that has none.
    """
    known = ~np.isnan(weight)
    wrong, weight = ~truth.is_clean[known], weight[known]
    flagged = weight < 0.5
    return {
        "detector_auroc": auroc(-weight, wrong),
        "detector_precision": _mean(wrong[flagged]),
        "detector_recall": _mean(flagged[wrong]),
    }


def auroc(score: Floats, is_positive: npt.NDArray[np.bool_]) -> float | None:
    """Chance that a positive scores higher than a negative, ties counting one half; None if one kind is missing."""
    num_positive = int(is_positive.sum())
    num_negative = len(is_positive) - num_positive
    if num_positive == 0 or num_negative == 0:
        return None
    rank_sum = float(rankdata(score)[is_positive].sum())
    return (rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative)


def write_metrics(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write ``metrics.jsonl`` and ``metrics.parquet``, each whole."""
    table = pa.Table.from_pylist([dict(row) for row in history], METRICS)
    with replacing_file(folder / "metrics.jsonl") as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    with replacing_file(folder / "metrics.parquet") as temporary:
        pq.write_table(table, temporary)


def write_loss_curve(folder: Path, losses: Floats) -> None:
    """Write ``loss_curve.parquet``: one row a step, its loss as minimised."""
    steps = pa.array(np.arange(1, len(losses) + 1, dtype=np.int32))
    with replacing_file(folder / "loss_curve.parquet") as temporary:
        pq.write_table(pa.table({"step": steps, "loss": pa.array(losses)}), temporary)


def write_class_accuracy(
    folder: Path,
    class_names: Sequence[str],
    labels: npt.NDArray[np.int32],
    accuracy: npt.NDArray[np.float64],
) -> None:
    """Write ``classes.parquet``: the final accuracy (0..1) on each class of the validation set.

    Args:
        folder: the run folder.
        class_names: K of them.
        labels: of the validation set.
        accuracy: [K], NaN (null in the file) for a class without images.
    """
    columns = {
        "label": pa.array(np.arange(len(class_names), dtype=np.int32)),
        "class_name": pa.array(class_names, pa.string()),
        "num_images": pa.array(np.bincount(labels, minlength=len(class_names)).astype(np.int32)),
        "accuracy": pa.array(accuracy, mask=np.isnan(accuracy)),
    }
    with replacing_file(folder / "classes.parquet") as temporary:
        pq.write_table(pa.table(columns), temporary)


def _mean(values: npt.NDArray[Any]) -> float | None:
    if len(values) == 0:
        return None
    mean = float(values.mean(dtype=np.float64))
    return mean if math.isfinite(mean) else None
