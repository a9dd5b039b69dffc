"""Label smoothing: a share of every label is spread over all classes.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016; against label noise Lukasik,
Bhojanapalli, Menon and Kumar, "Does label smoothing mitigate label noise?", ICML 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from noisyweb.training.facts import Facts
from noisyweb.training.method import Batch, Clock, Method, Setting, StepResult, Student, check_ranges

SUMMARY = "spread a share of every label over all classes"


@dataclass(frozen=True)
class Options:
    """Label smoothing's own hyper-parameter.

    Attributes:
        smoothing: the share that is spread, 0..1.
    """

    smoothing: float = 0.1


def resolve(given: Mapping[str, Any], facts: Facts) -> Options:
    """Raises TrainingError for a value out of range."""
    options = Options(**given)
    check_ranges(options, ("smoothing", 0 <= options.smoothing <= 1, "a share 0..1, such as 0.1"))
    return options


def create(options: Options, setting: Setting) -> LabelSmoothing:
    """The method, ready to train."""
    return LabelSmoothing(options.smoothing)


class LabelSmoothing(Method):
    """Mean cross-entropy with smoothed labels."""

    def __init__(self, smoothing: float) -> None:
        self.smoothing = smoothing

    def step(self, student: Student, batch: Batch, clock: Clock, generator: torch.Generator) -> StepResult:
        """One forward."""
        logits_BK = student(batch.images)
        loss = F.cross_entropy(logits_BK, batch.labels, label_smoothing=self.smoothing)
        with torch.no_grad():
            loss_B = F.cross_entropy(logits_BK, batch.labels, reduction="none")
        return StepResult(loss, loss_B, logits_BK.detach().argmax(1))
