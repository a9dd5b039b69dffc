"""Early-learning regularisation: hold on to what the network said of each example before it memorised the wrong labels.

Liu, Niles-Weed, Razavian and Fernandez-Granda, "Early-Learning Regularization Prevents Memorization of Noisy Labels",
NeurIPS 2020, equations 6 and 9:

    t <- beta t + (1 - beta) p          (a target for each training row, from the predictions p)
    loss = cross-entropy + lambda log(1 - <t, p>)

Shapes: B batch, K classes, N training rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from noisyweb.training.facts import Facts
from noisyweb.training.method import Batch, Clock, Method, Setting, StepResult, Student, check_ranges

SUMMARY = "hold on to what the network said of each row early on"
FLOOR = 1e-4
"""Probabilities are kept this far from 0 and 1, so that the logarithm is finite."""


@dataclass(frozen=True)
class Options:
    """ELR's own hyper-parameters.

    Attributes:
        weight: lambda, of the regulariser.
        beta: share of a target that is kept when its row is seen again, 0..1.
    """

    weight: float
    beta: float


def resolve(given: Mapping[str, Any], facts: Facts) -> Options:
    """The authors' values for CIFAR-10 (3, 0.7) up to 31 classes, above those for CIFAR-100 (7, 0.9).

    Raises:
        TrainingError: a value out of range.
    """
    weight, beta = (3.0, 0.7) if facts.num_classes <= 31 else (7.0, 0.9)
    options = Options(**{"weight": weight, "beta": beta, **given})
    check_ranges(
        options,
        ("weight", 0 <= options.weight < float("inf"), "0 or more"),
        ("beta", 0 <= options.beta < 1, "a share 0 <= beta < 1, such as 0.7"),
    )
    return options


def create(options: Options, setting: Setting) -> ELR:
    """The method, ready to train."""
    return ELR(options, setting)


def regulariser(p: Tensor, targets: Tensor) -> Tensor:
    """``log(1 - <t, p>)`` of each example, [B]; p and targets are [B, K]."""
    return torch.log1p(-(targets * p).sum(1))


class ELR(Method):
    """One forward; carries a target for each training row.

    Args:
        options: hyper-parameters.
        setting: classes, rows and device.
    """

    def __init__(self, options: Options, setting: Setting) -> None:
        self.options = options
        self.targets = torch.zeros(len(setting.labels), setting.num_classes, device=setting.device)

    def step(self, student: Student, batch: Batch, clock: Clock, generator: torch.Generator) -> StepResult:
        """Cross-entropy and the regulariser."""
        logits_BK = student(batch.images)
        loss_B = F.cross_entropy(logits_BK, batch.labels, reduction="none")
        p_BK = torch.softmax(logits_BK, 1).clamp(FLOOR, 1 - FLOOR)
        with torch.no_grad():
            beta = self.options.beta
            share_BK = p_BK / p_BK.sum(1, keepdim=True)
            targets_BK = beta * self.targets[batch.rows] + (1 - beta) * share_BK
            self.targets[batch.rows] = targets_BK
            trust_B = targets_BK.gather(1, batch.labels[:, None]).squeeze(1) / targets_BK.sum(1)
        loss = loss_B.mean() + self.options.weight * regulariser(p_BK, targets_BK).mean()
        return StepResult(loss, loss_B.detach(), logits_BK.detach().argmax(1), trust_B)

    def state(self) -> dict[str, Tensor]:
        """The targets."""
        return {"targets": self.targets}
