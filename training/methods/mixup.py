"""Mixup: learn from mixtures of two images and of their labels.

Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018:

    x~ = l x_i + (1 - l) x_j,  y~ likewise;  l ~ Beta(a, a), an example each;  j a permutation of the batch

The authors' code draws one l a batch. Shapes: B batch, K classes, C x H x W image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from noisyweb.training.facts import Facts
from noisyweb.training.method import Batch, Clock, Method, Setting, StepResult, Student, check_ranges
from noisyweb.training.sampling import beta, permutation
from noisyweb.training.soft_labels import mix, one_hot

SUMMARY = "learn from mixtures of two images and their labels"


@dataclass(frozen=True)
class Options:
    """Mixup's own hyper-parameter.

    Attributes:
        alpha: of Beta(alpha, alpha), positive; 1 draws ratios uniformly, as the paper does for CIFAR.
    """

    alpha: float = 1.0


def resolve(given: Mapping[str, Any], facts: Facts) -> Options:
    """Raises TrainingError for a value out of range."""
    options = Options(**given)
    check_ranges(options, ("alpha", 0 < options.alpha <= 1000, "0 < alpha <= 1000"))
    return options


def create(options: Options, setting: Setting) -> Mixup:
    """The method, ready to train."""
    return Mixup(options, setting.num_classes)


class Mixup(Method):
    """One forward, of mixtures."""

    def __init__(self, options: Options, num_classes: int) -> None:
        self.alpha, self.num_classes = options.alpha, num_classes

    def step(self, student: Student, batch: Batch, clock: Clock, generator: torch.Generator) -> StepResult:
        """Mean soft cross-entropy of the mixtures."""
        partners_B = permutation(len(batch.labels), generator)
        ratio_B = beta(self.alpha, len(batch.labels), generator)
        images_BCHW = mix(batch.images, partners_B, ratio_B)
        labels_BK = mix(one_hot(batch.labels, self.num_classes), partners_B, ratio_B)
        return StepResult(F.cross_entropy(student(images_BCHW), labels_BK))
