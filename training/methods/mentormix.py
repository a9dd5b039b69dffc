"""MentorMix: Mixup whose partners and proportions follow MentorNet's weights.

Jiang et al., "Beyond Synthetic Noise: Deep Learning on Controlled Noisy Labels", ICML 2020, Algorithm 1, with
the semantics of the authors' release. Each step weighs the batch, draws for every example a partner that is
likely to be labelled right, mixes so that the more trusted of the two dominates, and learns from the mixtures:

    1. weigh   v = MentorNet(loss of the unmixed batch)
    2. sample  j ~ Categorical(softmax(v)), with replacement, from the same batch
    3. mix     l ~ Beta(a, a);  l = max(l, 1 - l);  l where v >= 0.5, else 1 - l
               x~ = l x_i + (1 - l) x_j, soft labels likewise
    4. learn   mean soft cross-entropy, for high noise weighed by MentorNet again, with a moving average of its own

Steps 1-3 are without gradient. Shapes: B batch, K classes, C x H x W image.
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
from noisyweb.training.sampling import beta, categorical
from noisyweb.training.soft_labels import mix, one_hot

SUMMARY = "Mixup whose partners and proportions follow MentorNet's weights"
COST = 4 / 3

LISTEN_STEPS = 20
"""Steps before the end of burn-in from which the unmixed batch is forwarded. Till then its weights are 1 whatever
its loss, and the moving average forgets what was before by 2^-20."""

MIXINGS = ("hard", "soft")


@dataclass(frozen=True)
class Options:
    """MentorMix's own hyper-parameters.

    Attributes:
        preset: which row of `noisyweb.training.mentormix_presets` the values came from.
        alpha: of Beta(alpha, alpha), positive; large values mix near one half.
        percentile: p of the moving average, a share 0..1.
        second_weighting: weigh the mixtures' losses too.
        burn_in: percent; all weights are 1 while percent < burn_in - 1.
        mixing: "hard" switches at v = 0.5 as the release does, "soft" interpolates as the paper's text does.
        temperature: of the softmax that partners are drawn from, positive.
        mentor: as for the method `mentornet`.
    """

    preset: str
    alpha: float
    percentile: float
    second_weighting: bool
    burn_in: int = 10
    mixing: str = "hard"
    temperature: float = 1.0
    mentor: str = "closed-form"


def resolve(given: Mapping[str, Any], facts: Facts) -> Options:
    """Options from the preset named, or that of the data's own noise, with what the user gave on top.

    Raises:
        UnknownNameError: no preset of that name.
        TrainingError: a value out of range.
    """
    preset = mentormix_presets.choose(given.get("preset", "auto"), facts)
    chosen: dict[str, Any] = {
        "alpha": preset.alpha,
        "percentile": preset.percentile,
        "second_weighting": preset.second_weighting,
    }
    options = Options(**{**chosen, **given, "preset": preset.name})
    check_ranges(
        options,
        ("alpha", 0 < options.alpha <= 1000, "0 < alpha <= 1000"),
        ("percentile", 0 <= options.percentile <= 1, "a share 0..1, such as 0.7"),
        ("burn_in", 0 <= options.burn_in <= 100, "percent, 0..100"),
        ("temperature", 0 < options.temperature < float("inf"), "a positive number"),
        ("mixing", options.mixing in MIXINGS, " or ".join(MIXINGS)),
    )
    check_mentor(options.mentor)
    return options


def create(options: Options, setting: Setting) -> MentorMix:
    """The method, ready to train."""
    return MentorMix(options, setting)


def mixing_ratio(draws: Tensor, v: Tensor, mixing: str = "hard") -> Tensor:
    """The share of each example's own image in its mixture, [B] in [0, 1].

    Args:
        draws: [B] in [0, 1], from Beta(alpha, alpha).
        v: [B], the weights.
        mixing: "hard" takes max(l, 1 - l) where v >= 0.5, else its complement;
            "soft" takes v max + (1 - v) min.
    """
    larger = torch.maximum(draws, 1 - draws)
    if mixing == "soft":
        return v * larger + (1 - v) * (1 - larger)
    return torch.where(v >= 0.5, larger, 1 - larger)


class MentorMix(Method):
    """Algorithm 1, one batch at a time; carries two moving averages.

    Args:
        options: hyper-parameters.
        setting: classes and device.
    """

    def __init__(self, options: Options, setting: Setting) -> None:
        self.options, self.num_classes = options, setting.num_classes
        curriculum = load_curriculum(options.mentor, setting.device)
        self.mentor = Mentor(options.percentile, options.burn_in, setting.device, curriculum)
        self.second_mentor = Mentor(options.percentile, options.burn_in, setting.device, curriculum)

    def step(self, student: Student, batch: Batch, clock: Clock, generator: torch.Generator) -> StepResult:
        """One forward to weigh (none early in burn-in), one to learn."""
        options = self.options
        loss_B, predicted_B, v_B = self._weigh(student, batch, clock)

        with torch.no_grad():
            partners_B = categorical(torch.softmax(v_B / options.temperature, 0), len(v_B), generator)
            ratio_B = mixing_ratio(beta(options.alpha, len(v_B), generator), v_B, options.mixing)
            images_BCHW = mix(batch.images, partners_B, ratio_B)
            labels_BK = mix(one_hot(batch.labels, self.num_classes), partners_B, ratio_B)

        mixed_loss_B = F.cross_entropy(student(images_BCHW), labels_BK, reduction="none")
        if options.second_weighting:
            mixed_loss_B = mixed_loss_B * self.second_mentor.weigh(mixed_loss_B.detach(), clock)
        trust_B = None if self.mentor.in_burn_in(clock) else v_B
        return StepResult(mixed_loss_B.mean(), loss_B, predicted_B, trust_B)

    def state(self) -> dict[str, Tensor]:
        """The moving averages."""
        return {"average": self.mentor.average, "second_average": self.second_mentor.average}

    def _weigh(self, student: Student, batch: Batch, clock: Clock) -> tuple[Tensor | None, Tensor | None, Tensor]:
        """The unmixed batch's losses, predictions and weights, [B] each, without gradient."""
        if clock.step < self.mentor.burn_in_end(clock) - LISTEN_STEPS:
            return None, None, torch.ones(len(batch.labels), device=batch.images.device)
        logits_BK = student.peek(batch.images)
        loss_B = F.cross_entropy(logits_BK, batch.labels, reduction="none")
        return loss_B, logits_BK.argmax(1), self.mentor.weigh(loss_B, clock)
