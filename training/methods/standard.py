"""Plain cross-entropy: every label is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from noisyweb.training.facts import Facts
from noisyweb.training.method import Batch, Clock, Method, Setting, StepResult, Student

SUMMARY = "cross-entropy: every label is believed"


@dataclass(frozen=True)
class Options:
    """Plain cross-entropy has none."""


def resolve(given: Mapping[str, Any], facts: Facts) -> Options:
    """Nothing to choose."""
    return Options(**given)


def create(options: Options, setting: Setting) -> Standard:
    """The method, ready to train."""
    return Standard()


class Standard(Method):
    """Mean cross-entropy with the given labels."""

    def step(self, student: Student, batch: Batch, clock: Clock, generator: torch.Generator) -> StepResult:
        """One forward."""
        logits = student(batch.images)
        loss_B = F.cross_entropy(logits, batch.labels, reduction="none")
        return StepResult(loss_B.mean(), loss_B.detach(), logits.detach().argmax(1))
