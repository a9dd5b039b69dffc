"""DivideMix: two networks tell each other which labels to believe, and learn the rest as if they had none.

Li, Socher and Hoi, "DivideMix: Learning with Noisy Labels as Semi-supervised Learning", ICLR 2020, algorithm 1:

    warm up      cross-entropy
    each epoch   w = chance that a row's loss belongs to the lower of two Gaussians, from the *other* network's losses
    co-refine    rows with w > tau:  target = sharpen(w y + (1 - w) own prediction)
    co-guess     the others:         target = sharpen(prediction of both networks)
    MixMatch     mix all with l ~ Beta(a, a), l = max(l, 1 - l);
                 loss = cross-entropy (believed rows) + lambda_u squared error (others) + pull to equal classes

Predictions are means over two augmentations. What differs from the authors' code: it trains the networks one after
the other, each on as many believed as other rows a step, where here both learn in each step and the two kinds of rows
stand in a batch as they stand in the data; it guesses with the other network in eval mode and lets guesses update the
running statistics; for asymmetric noise it adds a penalty of confidence to the warm-up, and at 90 % noise it divides
by losses averaged over five epochs. Shapes: B batch, K classes, M images in MixMatch, N training rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from noisyweb.training.facts import Facts
from noisyweb.training.gaussian_mixture import lower_component
from noisyweb.training.method import Batch, Clock, Method, Setting, StepResult, Student, Survey, check_ranges
from noisyweb.training.sampling import beta, permutation
from noisyweb.training.soft_labels import mix, one_hot

SUMMARY = "two networks divide the rows; labels that are not believed are guessed"
NETWORKS = 2
COST = 16 / 3

UNLABELED_WEIGHTS = ((0.25, 0.0), (0.65, 25.0), (0.85, 50.0))
"""lambda_u up to a level of noise."""


@dataclass(frozen=True)
class Options:
    """DivideMix's own hyper-parameters.

    Attributes:
        alpha: of Beta(alpha, alpha), positive.
        threshold: tau; labels believed more than this are used, 0..1.
        temperature: of the sharpening, positive.
        unlabeled_weight: lambda_u, of the squared error, 0 or more.
        warm_up: percent of the training with plain cross-entropy (the paper: 10 and 30 of 300 epochs).
        ramp: percent of the training over which lambda_u then grows (the paper: 16 of 300 epochs).
    """

    unlabeled_weight: float
    warm_up: float
    alpha: float
    threshold: float = 0.5
    temperature: float = 0.5
    ramp: float = 5.0


def resolve(given: Mapping[str, Any], facts: Facts) -> Options:
    """Lambda_u grows with the noise: 0 up to a level of 0.25, 25 up to 0.65, 50 up to 0.85, 150 above.

    The authors tuned it a data set: at 20, 50, 80 and 90 % noise 0, 25, 25 and 50 for CIFAR-10 and 25, 150, 150
    and 150 for CIFAR-100; for the web's noise (Clothing1M, WebVision), and so for red noise here, it is 0 and alpha
    0.5. Warm-up is theirs for CIFAR-10 up to 31 classes, above those for CIFAR-100.

    Raises:
        TrainingError: a value out of range.
    """
    weight, alpha = next((weight for level, weight in UNLABELED_WEIGHTS if facts.level <= level), 150.0), 4.0
    if facts.kind == "red":
        weight, alpha = 0.0, 0.5
    warm_up = 10 / 3 if facts.num_classes <= 31 else 10.0
    options = Options(**{"unlabeled_weight": weight, "alpha": alpha, "warm_up": warm_up, **given})
    check_ranges(
        options,
        ("alpha", 0 < options.alpha <= 1000, "0 < alpha <= 1000"),
        ("threshold", 0 <= options.threshold < 1, "a share 0 <= threshold < 1, such as 0.5"),
        ("temperature", 0 < options.temperature < float("inf"), "a positive number"),
        ("unlabeled_weight", 0 <= options.unlabeled_weight < float("inf"), "0 or more"),
        ("warm_up", 0 <= options.warm_up <= 100, "percent, 0..100"),
        ("ramp", 0 <= options.ramp <= 100, "percent, 0..100"),
    )
    return options


def create(options: Options, setting: Setting) -> DivideMix:
    """The method, ready to train."""
    return DivideMix(options, setting)


def sharpen(p: Tensor, temperature: float) -> Tensor:
    """``p^(1/T)``, normalised, [B, K]."""
    log_p = p.log()  # a power of many small probabilities may be 0 for all classes, and 0 / 0 is no target
    return torch.softmax((log_p - log_p.max(1, keepdim=True).values) / temperature, 1)


def mixmatch_loss(logits: Tensor, targets: Tensor, believed: Tensor, unlabeled_weight: float) -> Tensor:
    """Cross-entropy on believed rows, squared error on others, and the pull to equal classes; a scalar.

    Args:
        logits, targets: [M, K].
        believed: [M], 1 for rows whose label is used.
        unlabeled_weight: lambda_u.
    """
    log_p = F.log_softmax(logits, 1)
    p = log_p.exp()
    other = 1 - believed
    labelled = -((targets * log_p).sum(1) * believed).sum() / believed.sum().clamp_min(1)
    unlabelled = (((p - targets) ** 2).mean(1) * other).sum() / other.sum().clamp_min(1)
    log_mean = torch.logsumexp(log_p, 0) - math.log(len(p))  # finite for a class that no image has a chance of
    even = -(log_mean + math.log(p.shape[1])).mean()
    return labelled + unlabeled_weight * unlabelled + even


class DivideMix(Method):
    """Carries, for each network, how likely each row's label is right.

    Args:
        options: hyper-parameters.
        setting: rows, classes and device.
    """

    def __init__(self, options: Options, setting: Setting) -> None:
        self.options, self.num_classes = options, setting.num_classes
        self.right_2N = torch.ones(2, len(setting.labels), device=setting.device)

    def _warm_up_ends(self, clock: Clock) -> int:
        """The first step after warm-up, which is a whole number of epochs, one at least."""
        epochs = self.options.warm_up / 100 * clock.num_steps / clock.steps_per_epoch
        return max(round(epochs), 1) * clock.steps_per_epoch

    def begin_epoch(self, student: Student, clock: Clock, survey: Survey) -> None:
        """Divide the rows: each network by the losses of the other one."""
        if clock.step >= self._warm_up_ends(clock):
            for mine, other in ((0, 1), (1, 0)):
                self.right_2N[mine] = lower_component(survey(student.members[other])).float()

    def step(self, student: Student, batch: Batch, clock: Clock, generator: torch.Generator) -> StepResult:
        """The sum of both networks' losses."""
        start = self._warm_up_ends(clock)
        if clock.step < start:
            return self._warm_up(student, batch)
        images = [batch.images, batch.again()]
        with torch.no_grad():
            p = [torch.stack([torch.softmax(net.peek(x), 1) for x in images]).mean(0) for net in student.members]
            guess_BK = sharpen((p[0] + p[1]) / 2, self.options.temperature)
        grown = min((clock.step - start) / max(self.options.ramp / 100 * clock.num_steps, 1), 1.0)
        losses = []
        for number, net in enumerate(student.members):
            with torch.no_grad():
                right_B = self.right_2N[number, batch.rows]
                given_BK = one_hot(batch.labels, self.num_classes)
                refined_BK = torch.lerp(p[number], given_BK, right_B[:, None])
                believed_B = right_B > self.options.threshold
                own_BK = torch.where(believed_B[:, None], sharpen(refined_BK, self.options.temperature), guess_BK)
                ratio = beta(self.options.alpha, 1, generator)
                ratio = torch.maximum(ratio, 1 - ratio).expand(2 * len(batch.labels))
                partners = permutation(2 * len(batch.labels), generator)
                mixed = mix(torch.cat(images), partners, ratio)
                targets = mix(own_BK.repeat(2, 1), partners, ratio)
            weight = self.options.unlabeled_weight * grown
            losses.append(mixmatch_loss(net(mixed), targets, believed_B.float().repeat(2), weight))
        together_BK = (p[0] + p[1]) / 2
        seen_B = F.nll_loss(together_BK.clamp_min(1e-8).log(), batch.labels, reduction="none")
        return StepResult(losses[0] + losses[1], seen_B, together_BK.argmax(1), self.right_2N[:, batch.rows].mean(0))

    def _warm_up(self, student: Student, batch: Batch) -> StepResult:
        logits = [member(batch.images) for member in student.members]
        loss = sum((F.cross_entropy(logits_BK, batch.labels) for logits_BK in logits), torch.zeros(()).to(batch.images))
        together_BK = torch.stack(logits).detach().mean(0)
        seen_B = F.cross_entropy(together_BK, batch.labels, reduction="none")
        return StepResult(loss, seen_B, together_BK.argmax(1))

    def state(self) -> dict[str, Tensor]:
        """How likely each label is right."""
        return {"right": self.right_2N}
