"""Generalised cross-entropy: between cross-entropy, which chases hard examples, and mean absolute error.

Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels", NeurIPS 2018,
equation 6: ``(1 - p_y^q) / q``, over all examples (the paper's truncated variant is not here).
Shapes: B batch, K classes.
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

SUMMARY = "a loss between cross-entropy and mean absolute error"


@dataclass(frozen=True)
class Options:
    """The loss's own hyper-parameter.

    Attributes:
        q: in (0, 1]; near 0 it is cross-entropy, at 1 half the absolute error, ``1 - p_y``.
    """

    q: float = 0.7


def resolve(given: Mapping[str, Any], facts: Facts) -> Options:
    """Raises TrainingError for a value out of range."""
    options = Options(**given)
    check_ranges(options, ("q", 0 < options.q <= 1, "0 < q <= 1, such as 0.7"))
    return options


def create(options: Options, setting: Setting) -> GCE:
    """The method, ready to train."""
    return GCE(options.q)


def generalised_cross_entropy(logits: Tensor, labels: Tensor, q: float) -> Tensor:
    """``(1 - p_y^q) / q`` of each example, [B].

    Args:
        logits: [B, K].
        labels: [B] int64.
        q: in (0, 1].
    """
    loss = F.cross_entropy(logits, labels, reduction="none")
    return -torch.expm1(-q * loss) / q  # p_y^q = exp(-q loss); no power of a probability that has become 0


class GCE(Method):
    """One forward. The weight that an example's gradient has against cross-entropy's is p_y^q."""

    def __init__(self, q: float) -> None:
        self.q = q

    def step(self, student: Student, batch: Batch, clock: Clock, generator: torch.Generator) -> StepResult:
        """The mean of the losses."""
        logits_BK = student(batch.images)
        loss = generalised_cross_entropy(logits_BK, batch.labels, self.q).mean()
        with torch.no_grad():
            loss_B = F.cross_entropy(logits_BK, batch.labels, reduction="none")
        return StepResult(loss, loss_B, logits_BK.detach().argmax(1), torch.exp(-self.q * loss_B))
