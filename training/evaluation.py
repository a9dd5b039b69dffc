"""What a network makes of labelled images as they are, without augmentation. Shapes: N rows, K classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from noisyweb.training.augment import to_float
from noisyweb.training.distributed import SOLO, Team
from noisyweb.training.images import Images
from noisyweb.training.student import Student

BATCH = 256


class Evaluation(NamedTuple):
    """Mean cross-entropy, share of right answers, and that of each class."""

    loss: float
    accuracy: float  # 0..1
    class_accuracy: npt.NDArray[np.float64]  # [K], NaN for a class without images
    class_size: npt.NDArray[np.int64]  # [K]


@torch.no_grad()
def evaluate(student: Student, images: Images, num_classes: int, team: Team = SOLO) -> Evaluation:
    """Loss and accuracy, in eval mode; waits for the device once, at the end. A team shares the batches out."""
    device = images.labels.device
    loss = torch.zeros((), dtype=torch.float64, device=device)
    right = torch.zeros(num_classes, dtype=torch.int64, device=device)
    for rows, logits in _logits(student, images, team):
        labels = images.labels[rows]
        loss += F.cross_entropy(logits, labels, reduction="sum")
        right.index_add_(0, labels, (logits.argmax(1) == labels).long())
    size = torch.zeros_like(right).index_add_(0, images.labels, torch.ones_like(images.labels)).cpu().numpy()
    found = right.cpu().numpy()
    with np.errstate(invalid="ignore"):
        by_class = np.where(size > 0, found / size, np.nan)
    return Evaluation(loss.item() / len(images.labels), int(found.sum()) / len(images.labels), by_class, size)


@torch.no_grad()
def survey(student: Student, images: Images, team: Team = SOLO) -> Tensor:
    """The cross-entropy of every row with its given label, [N], in eval mode."""
    losses = torch.empty(len(images.labels), device=images.labels.device)
    for rows, logits in _logits(student, images, team):
        losses[rows] = F.cross_entropy(logits, images.labels[rows], reduction="none")
    return losses


def _logits(student: Student, images: Images, team: Team) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows [B] and their logits [B, K], in eval mode; afterwards the network is in the mode that it was in."""
    was_training = student.network.training
    student.network.eval()
    size = -(-BATCH // team.size) * team.size  # what is no multiple would be worked on by everybody
    for rows, pixels in images.batches(images.read_through(), size):
        yield rows, student(to_float(pixels))
    student.network.train(was_training)
