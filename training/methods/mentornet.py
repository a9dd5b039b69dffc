"""MentorNet: each example's loss is weighed by how it compares with the others'.

Jiang et al., "MentorNet: Learning Data-Driven Curriculum for Very Deep Neural Networks on Corrupted Labels",
ICML 2018; `noisyweb.training.mentornet` has the mentors. One forward gives losses, weights and gradient:

    loss = mean(v loss_B)      (divided by B, not by the sum of v)

Shapes: B batch, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from noisyweb.training import mentormix_presets
from noisyweb.training.facts import Facts
from noisyweb.training.mentornet import Mentor, check_mentor, load_curriculum
from noisyweb.training.method import Batch, Clock, Method, Setting, StepResult, Student, check_ranges

SUMMARY = "weigh each loss by how it compares with the others"


@dataclass(frozen=True)
class Options:
    """MentorNet's own hyper-parameters.

    Attributes:
        preset: which row of `noisyweb.training.mentormix_presets` the percentile came from.
        percentile: p of the moving average, a share 0..1.
        burn_in: percent; all weights are 1 while percent < burn_in - 1.
        mentor: "closed-form" (the released network), "threshold", or the file of a network that
            ``noisyweb train-mentornet`` trained.
    """

    preset: str
    percentile: float
    burn_in: int = 10
    mentor: str = "closed-form"


def resolve(given: Mapping[str, Any], facts: Facts) -> Options:
    """Options from the preset named, or that of the data's own noise, with what the user gave on top.

    Raises:
        UnknownNameError: no preset of that name.
        TrainingError: a value out of range, or a mentor that cannot be read.
    """
    preset = mentormix_presets.choose(given.get("preset", "auto"), facts)
    options = Options(**{"percentile": preset.percentile, **given, "preset": preset.name})
    check_ranges(
        options,
        ("percentile", 0 <= options.percentile <= 1, "a share 0..1, such as 0.7"),
        ("burn_in", 0 <= options.burn_in <= 100, "percent, 0..100"),
    )
    check_mentor(options.mentor)
    return options


def create(options: Options, setting: Setting) -> MentorNet:
    """The method, ready to train."""
    curriculum = load_curriculum(options.mentor, setting.device)
    return MentorNet(Mentor(options.percentile, options.burn_in, setting.device, curriculum))


class MentorNet(Method):
    """One forward; carries a moving average.

    Args:
        mentor: gives the weights.
    """

    def __init__(self, mentor: Mentor) -> None:
        self.mentor = mentor

    def step(self, student: Student, batch: Batch, clock: Clock, generator: torch.Generator) -> StepResult:
        """The mean of the weighed cross-entropies."""
        logits_BK = student(batch.images)
        loss_B = F.cross_entropy(logits_BK, batch.labels, reduction="none")
        v_B = self.mentor.weigh(loss_B.detach(), clock)
        trust_B = None if self.mentor.in_burn_in(clock) else v_B
        return StepResult((v_B * loss_B).mean(), loss_B.detach(), logits_BK.detach().argmax(1), trust_B)

    def state(self) -> dict[str, Tensor]:
        """The moving average."""
        return {"average": self.mentor.average}
