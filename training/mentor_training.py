"""Training a MentorNet: the small network learns the weights of a curriculum. Shapes: M rows.

Jiang et al., "MentorNet", ICML 2018, section 4.1, and the authors' release.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from noisyweb.errors import TrainingError
from noisyweb.progress import Progress, silent
from noisyweb.training.curricula import grid, load_target
from noisyweb.training.mentor_network import NUM_PERCENTS, MentorNetwork
from noisyweb.training.mentornet import LAST_PHASE_PERCENT
from noisyweb.training.sampling import seed_of

DECAY, NUM_DECAYS = 0.9, 30
"""The learning rate falls by this factor so many times: every 1,000 of 30,000 steps, as in the release."""

CLIP_NORM = 5.0
MOST_STEPS = 10_000_000
_REPORT_EVERY = 100
_CHUNK = 100_000


class TargetRows(NamedTuple):
    """What a MentorNet learns from."""

    loss: Tensor  # [M] float32, 0 or more
    diff: Tensor  # [M] float32, the loss minus its moving average
    percent: Tensor  # [M] int64, of the training that is done, 0..99
    weight: Tensor  # [M] float32 in [0, 1], v*

    @property
    def digest(self) -> str:
        """BLAKE2b (hex, 128 bits) of all rows."""
        digest = hashlib.blake2b(digest_size=16)
        for column in self:
            digest.update(column.contiguous().numpy().data)
        return digest.hexdigest()


class FitError(NamedTuple):
    """Mean absolute error of the weights in each phase of the training; None for a phase without rows."""

    before: float | None  # below 80 %
    after: float | None  # from 80 % on


def curriculum_rows(name: str, gamma: float | None = None) -> TargetRows:
    """The release's grid with one of the `noisyweb.training.curricula.CURRICULA` as v*; 1,200,000 rows.

    Raises:
        UnknownNameError: no curriculum of that name.
        TrainingError: gamma is out of range, or the curriculum has none.
    """
    target = load_target(name, gamma)
    loss, diff, percent = grid()
    return TargetRows(loss, diff, percent.long(), target(loss, diff, percent))


def train_mentor(
    rows: TargetRows,
    *,
    steps: int = 30_000,
    batch_size: int = 32,
    lr: float = 0.01,
    seed: int = 0,
    progress: Progress = silent,
) -> MentorNetwork:
    """A MentorNet that gives the rows' weights.

    Batches are drawn with replacement; Adam, gradients clipped to a norm of 5, the learning rate a staircase:
    ``lr 0.9^floor(30 step / steps)``. What differs from the authors' release:

    - The learning rate starts at 0.01, not 0.1, which fits more coarsely. With the predefined curriculum the mean
      absolute error below 80 % of the training is under 1e-5 in all of four seeds (0.1: up to 5e-4), from 80 % on
      4e-4 to 1e-3, largest 0.02 to 0.06 (0.1: 6e-3, largest 0.3).
      Between two diffs of the grid the network chooses for itself: below 80 % the released one falls from 1 to 0
      near a diff of 0.06, another may fall anywhere between 0 and 0.1.
    - The loss is binary cross-entropy with logits for every curriculum; there it is the squared error of the
      weights where some are neither 0 nor 1. Both are least where the weights are v*.
    - The percent's embedding is learnt. A percent that no row has is taken for the nearest one that a row has.
    - The LSTM has 10 units a direction and not 1, and PyTorch's initialisation.

    Args:
        rows: on the CPU; one at least.
        steps: 1..10,000,000.
        batch_size: rows a step, positive.
        lr: positive.
        seed: of weights and draws; the same rows and seed give the same network.
        progress: called now and then.

    Raises:
        TrainingError: there are no rows, or steps are out of range.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise TrainingError(f"steps {steps} is out of range; expected 1 to {MOST_STEPS:,}, such as 30000")
    if len(rows.loss) == 0:
        raise TrainingError("a MentorNet cannot be trained on no rows; expected one at least")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "mentor", "weights"))
        network = MentorNetwork()
    draws = torch.Generator().manual_seed(seed_of(seed, "mentor", "draws"))
    parameters = list(network.parameters())
    optimizer = torch.optim.Adam(parameters, lr)
    nobody_knows = torch.zeros(batch_size, dtype=torch.int64)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * DECAY ** (NUM_DECAYS * step // steps)
        chosen = torch.randint(len(rows.loss), (batch_size,), generator=draws)
        logits = network(rows.loss[chosen], rows.diff[chosen], nobody_knows, rows.percent[chosen])
        loss = F.binary_cross_entropy_with_logits(logits, rows.weight[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()
        if (step + 1) % _REPORT_EVERY == 0 or step + 1 == steps:
            progress("training MentorNet", step + 1, steps)
    _fill_unseen_percents(network, rows.percent)
    return network.eval().requires_grad_(False)


@torch.no_grad()
def fit_error(network: MentorNetwork, rows: TargetRows) -> FitError:
    """Mean absolute error of the network's weights, below and from 80 % of the training on."""
    nobody_knows = torch.zeros(_CHUNK, dtype=torch.int64)
    errors = []
    for start in range(0, len(rows.loss), _CHUNK):
        loss, diff, percent, weight = (column[start : start + _CHUNK] for column in rows)
        given = torch.sigmoid(network(loss, diff, nobody_knows[: len(loss)], percent))
        errors.append((given - weight).abs().double())
    error, is_before = torch.cat(errors), rows.percent < LAST_PHASE_PERCENT
    return FitError(*(float(error[phase].mean()) if bool(phase.any()) else None for phase in (is_before, ~is_before)))


@torch.no_grad()
def _fill_unseen_percents(network: MentorNetwork, percent: Tensor) -> None:
    """Give percents that no row has the embedding of the nearest that one has; theirs are still random."""
    seen = torch.bincount(percent).nonzero().squeeze(1)
    distance = (torch.arange(NUM_PERCENTS)[:, None] - seen[None, :]).abs()
    table = network.percent_embedding.weight
    table.copy_(table[seen[distance.argmin(1)]])
