"""MentorNet: a weight in [0, 1] for each example, from its loss and how far the training is.

Jiang et al., "MentorNet: Learning Data-Driven Curriculum for Very Deep Neural Networks on Corrupted Labels",
ICML 2018. An example is weighed by how its loss compares with a moving average of the batch's p-th percentile:

    g <- 0.5 g + 0.5 percentile_p(loss)          (g starts at 0 and is updated before it is used)
    v  = MentorNet(loss - g, percent of training)

The mentors, by name: "closed-form", what the released network with the predefined curriculum ("MentorNet-PD") has
learned; "threshold", self-paced learning's ``1[diff <= 0]``; or a file that ``noisyweb train-mentornet`` wrote
(`noisyweb.training.mentor_network`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from noisyweb.errors import TrainingError
from noisyweb.training.mentor_network import load_network
from noisyweb.training.method import Clock

DECAY = 0.5
"""Share of the old moving average that is kept at each step."""

THRESHOLD = 0.055
"""Loss above the moving average at which the released network's weight falls from 1 to 0."""

LAST_PHASE_PERCENT = 80
"""From here on the weight falls linearly with the loss."""


def percentile(values: Tensor, p: float) -> Tensor:
    """The value below which a share p of the values lies, without interpolation; a scalar.

    As TensorFlow's ``percentile`` with interpolation "nearest": the values are ranked from the largest down and
    rank (n - 1)(1 - p) is rounded half to even. NumPy's "nearest" ranks from the smallest up, and so takes the
    other neighbour of some ties.

    Args:
        values: [n].
        p: share, 0..1.
    """
    n = len(values)
    from_top = min(max(round((n - 1) * (1 - p)), 0), n - 1)
    return values.sort().values[n - 1 - from_top]


def closed_form(diff: Tensor, percent: int) -> Tensor:
    """The weights of the released MentorNet-PD, [B] in [0, 1].

    Below 80 % of the training ``1[diff < 0.055]``, then ``clip(1 - diff, 0, 1)``. Against the network on its
    training grid (loss 0..30, diff -5..5) the mean error is 3e-5 and 1e-3.

    Args:
        diff: [B], loss minus its moving average.
        percent: whole percents of the training that are done.
    """
    if percent < LAST_PHASE_PERCENT:
        return (diff < THRESHOLD).to(diff.dtype)
    return (1 - diff).clamp(0, 1)


def threshold(diff: Tensor) -> Tensor:
    """1 for losses up to their moving average, else 0: self-paced learning (Kumar, Packer and Koller 2010); [B]."""
    return (diff <= 0).to(diff.dtype)


Curriculum = Callable[[Tensor, Tensor, int], Tensor]
"""Weights [B] in [0, 1] from losses [B], losses minus their moving average [B], and percent of the training."""

BUILT_IN: dict[str, Curriculum] = {
    "closed-form": lambda loss, diff, percent: closed_form(diff, percent),
    "threshold": lambda loss, diff, percent: threshold(diff),
}


def check_mentor(name: str) -> None:
    """Check that a mentor of that name exists, or is a file of a trained one.

    Raises:
        TrainingError: neither.
        CorruptFileError: the file is no trained MentorNet.
    """
    load_curriculum(name, torch.device("cpu"))


def load_curriculum(name: str, device: torch.device) -> Curriculum:
    """The mentor of that name or file; raises as `check_mentor` does."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    if not Path(name).is_file():
        raise TrainingError(
            f"mentor {name!r} is neither {' nor '.join(BUILT_IN)} nor a file; "
            "train one with `noisyweb train-mentornet` and name its file"
        )
    return load_network(Path(name), device).weigh


class Mentor:
    """A moving average of the losses' percentile, and the weights that follow from it.

    Args:
        p: the percentile, as a share 0..1.
        burn_in: every weight is 1 while percent < burn_in - 1.
        device: where the moving average lives; reading it needs no host sync.
        curriculum: gives the weights after burn-in; None: the closed form.
    """

    def __init__(self, p: float, burn_in: int, device: torch.device, curriculum: Curriculum | None = None) -> None:
        self.p, self.burn_in = p, burn_in
        self.curriculum = BUILT_IN["closed-form"] if curriculum is None else curriculum
        self.average = torch.zeros((), device=device)

    def in_burn_in(self, clock: Clock) -> bool:
        """Whether every weight is still 1."""
        return clock.percent < self.burn_in - 1

    def burn_in_end(self, clock: Clock) -> int:
        """The first step whose weights count."""
        return clock.first_step_of(max(self.burn_in - 1, 0))

    @torch.no_grad()
    def weigh(self, loss: Tensor, clock: Clock) -> Tensor:
        """Update the moving average with one batch's losses [B], then weigh the batch, [B] in [0, 1]."""
        self.average.mul_(DECAY).add_(percentile(loss, self.p), alpha=1 - DECAY)
        if self.in_burn_in(clock):
            return torch.ones_like(loss)
        return self.curriculum(loss, loss - self.average, clock.percent)
