"""How good predictions are, over all rows, class by class, and on right and wrong labels. Shapes: N rows, K classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noisyweb.training.metrics import Truth
from noisyweb.training.predict import Predictions


@dataclass(frozen=True)
class ClassScore:
    """One class.

    Attributes:
        label, name: which.
        num_images: rows with that label.
        accuracy: share of them that are predicted so, 0..1; None without rows.
        taken_for: the other class that they are predicted as most often, the first of equals; None if none is.
    """

    label: int
    name: str
    num_images: int
    accuracy: float | None
    taken_for: str | None


@dataclass(frozen=True)
class Confusion:
    """Rows of one class that are predicted as another.

    Attributes:
        label, predicted: class names.
        num_images: how many.
        share: of the rows with that label, 0..1.
    """

    label: str
    predicted: str
    num_images: int
    share: float


@dataclass(frozen=True)
class NoiseScores:
    """Right and wrong labels apart; shares are 0..1, None where there are no such rows.

    Attributes:
        num_right, num_wrong: rows whose given label is right, and wrong.
        num_known: rows whose true class is known: right labels, and wrong ones with a true class in the vocabulary.
        accuracy_true: of the rows whose true class is known, those where it is predicted.
        accuracy_right: of the rows with right labels, those where it is predicted.
        wrong_fitted: of the rows with wrong labels, those where the wrong label is predicted.
        wrong_corrected: of the rows with wrong labels whose true class is known, those where it is predicted.
        loss_right, loss_wrong: mean cross-entropy with the given label, in nats.
    """

    num_right: int
    num_wrong: int
    num_known: int
    accuracy_true: float | None
    accuracy_right: float | None
    wrong_fitted: float | None
    wrong_corrected: float | None
    loss_right: float | None
    loss_wrong: float | None


@dataclass(frozen=True)
class Scores:
    """All of it; accuracies are 0..1 and against the given labels.

    Attributes:
        num_images: N.
        accuracy: share of right answers.
        balanced_accuracy: mean of the classes' accuracies, over classes with rows.
        loss: mean cross-entropy, in nats.
        classes: by label.
        confused: pairs, the most frequent first, then by label and predicted class.
        noise: None where no label is wrong.
    """

    num_images: int
    accuracy: float
    balanced_accuracy: float
    loss: float
    classes: list[ClassScore]
    confused: list[Confusion]
    noise: NoiseScores | None


def score(predictions: Predictions, truth: Truth, class_names: Sequence[str]) -> Scores:
    """Score predictions.

    Args:
        predictions: of N rows, one at least.
        truth: what is known of the same rows.
        class_names: the K classes.
    """
    predicted, loss = predictions
    labels, num_classes = truth.labels.astype(np.int64), len(class_names)
    correct = predicted == labels
    size = np.bincount(labels, minlength=num_classes)
    found = np.bincount(labels[correct], minlength=num_classes)
    confused = _confused(labels[~correct], predicted[~correct], num_classes)
    taken_for: dict[int, str] = {}
    for label, answer, _ in confused:
        taken_for.setdefault(label, class_names[answer])
    by_class = [float(found[k] / size[k]) if size[k] else None for k in range(num_classes)]
    return Scores(
        num_images=len(labels),
        accuracy=float(correct.mean()),
        balanced_accuracy=float(np.mean([accuracy for accuracy in by_class if accuracy is not None])),
        loss=float(loss.mean(dtype=np.float64)),
        classes=[
            ClassScore(k, name, int(size[k]), by_class[k], taken_for.get(k)) for k, name in enumerate(class_names)
        ],
        confused=[
            Confusion(class_names[label], class_names[answer], count, count / int(size[label]))
            for label, answer, count in confused
        ],
        noise=None if truth.is_clean.all() else _noise(predictions, truth),
    )


def _confused(
    labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], num_classes: int
) -> list[tuple[int, int, int]]:
    """Label, prediction and number of rows of each pair that occurs; K x K cells may be too many."""
    codes, counts = np.unique(labels * num_classes + predicted, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    pairs = zip(codes[order].tolist(), counts[order].tolist(), strict=True)
    return [(*divmod(code, num_classes), count) for code, count in pairs]


def _noise(predictions: Predictions, truth: Truth) -> NoiseScores:
    predicted, loss = predictions
    right, wrong = truth.is_clean, ~truth.is_clean
    true = np.where(right, truth.labels, truth.true_labels)
    known, fitted = true >= 0, predicted == truth.labels
    return NoiseScores(
        num_right=int(right.sum()),
        num_wrong=int(wrong.sum()),
        num_known=int(known.sum()),
        accuracy_true=_mean((predicted == true)[known]),
        accuracy_right=_mean(fitted[right]),
        wrong_fitted=_mean(fitted[wrong]),
        wrong_corrected=_mean((predicted == true)[wrong & known]),
        loss_right=_mean(loss[right]),
        loss_wrong=_mean(loss[wrong]),
    )


def _mean(values: npt.NDArray[np.bool_] | npt.NDArray[np.float32]) -> float | None:
    return float(values.mean(dtype=np.float64)) if len(values) else None
