"""Co-teaching: two networks, each of which learns from the examples that the other finds easy.

Han et al., "Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels", NeurIPS 2018,
algorithm 1. Of each batch a share ``R(T) = 1 - tau min(T / T_k, 1)`` with the smallest losses is kept.
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

SUMMARY = "two networks; each learns from what the other finds easy"
NETWORKS = 2
COST = 2.0


@dataclass(frozen=True)
class Options:
    """Co-teaching's own hyper-parameters.

    Attributes:
        forget_rate: tau, the share of each batch that is left out in the end, 0..1.
        gradual: T_k in percent of the training, over which that share grows from 0 (the paper: 10 of 200 epochs).
    """

    forget_rate: float
    gradual: float = 5.0


def resolve(given: Mapping[str, Any], facts: Facts) -> Options:
    """The forget rate is the data's level of noise, as in the paper.

    Raises:
        TrainingError: a value out of range.
    """
    options = Options(**{"forget_rate": facts.level, **given})
    check_ranges(
        options,
        ("forget_rate", 0 <= options.forget_rate <= 1, "a share 0..1"),
        ("gradual", 0 <= options.gradual <= 100, "percent, 0..100"),
    )
    return options


def create(options: Options, setting: Setting) -> CoTeaching:
    """The method, ready to train."""
    return CoTeaching(options)


def num_kept(num: int, forget_rate: float, gradual: float, clock: Clock) -> int:
    """How many examples of a batch of ``num`` are kept at a step; one at least."""
    epoch = clock.step // clock.steps_per_epoch
    grown = min(epoch * clock.steps_per_epoch / max(gradual / 100 * clock.num_steps, 1), 1.0)
    return max(int((1 - forget_rate * grown) * num + 1e-6), 1)  # (1 - 0.9) * 10 is a little less than 1


def easiest(loss: Tensor, num: int) -> Tensor:
    """1 for the ``num`` smallest of the losses [B], else 0."""
    chosen = torch.zeros_like(loss)
    return chosen.index_fill_(0, loss.argsort(stable=True)[:num], 1.0)


class CoTeaching(Method):
    """Two forwards, one a network."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def step(self, student: Student, batch: Batch, clock: Clock, generator: torch.Generator) -> StepResult:
        """The sum of the networks' mean losses, each over what the other one chose."""
        logits = [member(batch.images) for member in student.members]
        first_B, second_B = (F.cross_entropy(logits_BK, batch.labels, reduction="none") for logits_BK in logits)
        num = num_kept(len(batch.labels), self.options.forget_rate, self.options.gradual, clock)
        by_first_B, by_second_B = easiest(first_B.detach(), num), easiest(second_B.detach(), num)
        loss = ((first_B * by_second_B).sum() + (second_B * by_first_B).sum()) / num
        together_BK = torch.stack(logits).detach().mean(0)
        return StepResult(
            loss,
            F.cross_entropy(together_BK, batch.labels, reduction="none"),
            together_BK.argmax(1),
            (by_first_B + by_second_B) / 2,
        )
