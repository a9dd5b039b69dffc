"""Bootstrapping: the target is the label mixed with what the network itself says.

Reed et al., "Training Deep Neural Networks on Noisy Labels with Bootstrapping", ICLR 2015 (workshop), equations 6
and 7. Shapes: B batch, K classes.
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

SUMMARY = "learn from the label mixed with the network's own prediction"
BETA = {"soft": 0.95, "hard": 0.8}


@dataclass(frozen=True)
class Options:
    """Bootstrapping's own hyper-parameters.

    Attributes:
        targets: "soft" mixes in the predicted probabilities, "hard" the predicted class.
        beta: the label's share, 0..1.
    """

    targets: str
    beta: float


def resolve(given: Mapping[str, Any], facts: Facts) -> Options:
    """Hard targets with a label's share of 0.8, or soft ones with 0.95, as in the paper.

    Raises:
        TrainingError: a value out of range.
    """
    targets = given.get("targets", "hard")
    options = Options(targets, given.get("beta", BETA.get(targets, 0.8)))
    check_ranges(
        options,
        ("targets", options.targets in BETA, " or ".join(BETA)),
        ("beta", 0 <= options.beta <= 1, "a share 0..1, such as 0.8"),
    )
    return options


def create(options: Options, setting: Setting) -> Bootstrapping:
    """The method, ready to train."""
    return Bootstrapping(options)


def bootstrapped_loss(logits: Tensor, labels: Tensor, targets: str, beta: float) -> Tensor:
    """``-sum((beta y + (1 - beta) q) log q)`` of each example, [B].

    Args:
        logits: [B, K].
        labels: [B] int64.
        targets: "soft": q is the softmax, with gradient (which asks for low entropy); "hard": its argmax as one-hot.
        beta: the label's share.
    """
    log_q = F.log_softmax(logits, 1)
    given = F.nll_loss(log_q, labels, reduction="none")
    own = -(log_q.exp() * log_q).sum(1) if targets == "soft" else -log_q.max(1).values
    return beta * given + (1 - beta) * own


class Bootstrapping(Method):
    """One forward."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def step(self, student: Student, batch: Batch, clock: Clock, generator: torch.Generator) -> StepResult:
        """The mean of the bootstrapped losses."""
        logits_BK = student(batch.images)
        loss = bootstrapped_loss(logits_BK, batch.labels, self.options.targets, self.options.beta).mean()
        with torch.no_grad():
            loss_B = F.cross_entropy(logits_BK, batch.labels, reduction="none")
        return StepResult(loss, loss_B, logits_BK.detach().argmax(1))
