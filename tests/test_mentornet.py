"""MentorNet's closed form, percentile and moving average against values worked out by hand."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from noisyweb.errors import CorruptFileError, TrainingError
from noisyweb.training.mentor_network import MentorNetwork, save_network
from noisyweb.training.mentornet import Mentor, check_mentor, closed_form, load_curriculum, percentile
from noisyweb.training.method import Clock

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("values", "p", "expected"),
    [
        ([1, 2, 3, 4], 0.3, 2),  # TensorFlow's own documented example
        ([4, 1, 3, 2], 1.0, 4),
        ([4, 1, 3, 2], 0.0, 1),
        ([5], 0.7, 5),
        ([1, 2, 3, 4], 0.5, 2),  # rank 1.5 from the top rounds to 2, the even one; NumPy's "nearest" gives 3
        ([1, 2, 3, 4, 5, 6], 0.5, 4),  # rank 2.5 from the top rounds to 2
        (list(range(128)), 0.7, 127 - 38),  # 127 * 0.3 = 38.1
    ],
)
def test_percentile_takes_tensorflows_neighbour(values: list[float], p: float, expected: float) -> None:
    assert float(percentile(torch.tensor(values, dtype=torch.float32), p)) == expected


@given(num=st.integers(1, 400), hundredths=st.integers(0, 100), seed=st.integers(0, 2**32))
def test_percentile_is_a_value_within_half_a_rank(num: int, hundredths: int, seed: int) -> None:
    values = torch.randperm(num, generator=torch.Generator().manual_seed(seed)).float()
    rank = Fraction(int(percentile(values, hundredths / 100)))  # of 0..num-1: each value is its own rank
    assert abs(rank - (num - 1) * Fraction(hundredths, 100)) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("percent", "diff", "released"),
    [
        (50, 0.0, 1.000),
        (50, 0.1, 0.001),
        (95, 0.1, 0.90),
        (95, 0.2, 0.80),
        (95, 0.3, 0.70),
        (95, 0.5, 0.48),
        (95, 0.75, 0.23),
        (95, 1.0, 0.00),
    ],
)
def test_closed_form_is_the_released_network(percent: int, diff: float, released: float) -> None:
    assert float(closed_form(torch.tensor([diff]), percent)) == pytest.approx(released, abs=0.025)


def test_closed_form_at_the_released_networks_edge() -> None:
    # The network falls from .945 at .05 to .001 at .1: the closed form's edge lies between.
    assert float(closed_form(torch.tensor([0.05]), 50)) == 1
    assert float(closed_form(torch.tensor([0.055]), 50)) == 0


def test_phase_changes_at_80_percent() -> None:
    diff = torch.tensor([-3.0, 0.25, 2.0])
    assert closed_form(diff, 79).tolist() == [1, 0, 0]
    assert closed_form(diff, 80).tolist() == [1, 0.75, 0]


def test_moving_average_starts_at_zero_and_is_updated_before_use() -> None:
    mentor = Mentor(p=0.5, burn_in=10, device=CPU)
    loss = torch.tensor([1.0, 2.0, 3.0])
    # g = 0.5 * 0 + 0.5 * 2 = 1; differences 0, 1, 2
    assert mentor.weigh(loss, Clock(500, 1000, 10)).tolist() == [1, 0, 0]
    assert float(mentor.average) == 1.0
    # g = 0.5 * 1 + 0.5 * 2 = 1.5; from 80 % on 1 - (loss - 1.5), clipped
    assert mentor.weigh(loss, Clock(800, 1000, 10)).tolist() == [1, 0.5, 0]
    assert float(mentor.average) == 1.5


@pytest.mark.parametrize(
    ("step", "is_burn_in"),
    [(0, True), (89, True), (90, False), (999, False)],  # of 1000: percent < 10 - 1
)
def test_burn_in_lasts_nine_percent(step: int, is_burn_in: bool) -> None:
    mentor = Mentor(p=0.5, burn_in=10, device=CPU)
    clock = Clock(step, 1000, 10)
    weights = mentor.weigh(torch.tensor([0.0, 0.0, 50.0]), clock)
    assert weights.tolist() == ([1, 1, 1] if is_burn_in else [1, 1, 0])
    assert mentor.in_burn_in(clock) == is_burn_in


@given(num_steps=st.integers(1, 100_000), burn_in=st.integers(0, 100))
def test_burn_in_end_is_its_first_step(num_steps: int, burn_in: int) -> None:
    mentor = Mentor(p=0.5, burn_in=burn_in, device=CPU)
    end = mentor.burn_in_end(Clock(0, num_steps, 1))
    assert not mentor.in_burn_in(Clock(end, num_steps, 1))
    if end > 0:
        assert mentor.in_burn_in(Clock(end - 1, num_steps, 1))


@given(num_steps=st.integers(1, 10_000))
def test_percent_counts_whole_percents(num_steps: int) -> None:
    assert Clock(0, num_steps, 1).percent == 0
    assert Clock(num_steps - 1, num_steps, 1).percent <= 99
    assert Clock(num_steps // 2, num_steps, 1).percent == int(Fraction(100 * (num_steps // 2), num_steps))


# -- curricula -----------------------------------------------------------------------------------------


def test_curriculum_gets_loss_difference_and_percent() -> None:
    def told(loss: torch.Tensor, diff: torch.Tensor, percent: int) -> torch.Tensor:
        return loss + 100 * diff + 10_000 * percent

    mentor = Mentor(0.5, 10, CPU, told)
    # g = 0.5 * 0 + 0.5 * 2 = 1: loss 1, 2, 3 and differences 0, 1, 2 at 50 %
    weights = mentor.weigh(torch.tensor([1.0, 2.0, 3.0]), Clock(500, 1000, 10))
    assert weights.tolist() == [500_001, 500_102, 500_203]
    assert mentor.weigh(torch.tensor([9.0]), Clock(89, 1000, 10)).tolist() == [1], "burn-in asks no curriculum"


def test_threshold_is_self_paced_learning() -> None:
    threshold = load_curriculum("threshold", CPU)
    diff = torch.tensor([-2.0, 0.0, 1e-6, 3.0])
    for percent in (0, 95):
        assert threshold(torch.full((4,), 2.0), diff, percent).tolist() == [1, 1, 0, 0]


def test_trained_mentor_is_named_by_its_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = MentorNetwork(width=7)
    save_network(network, tmp_path / "mentor.safetensors", {})
    loss, diff = torch.tensor([0.5, 2.0, 9.0]), torch.tensor([-1.0, 0.5, 4.0])
    weights = load_curriculum(str(tmp_path / "mentor.safetensors"), CPU)(loss, diff, 40)
    label, percent = torch.zeros(3, dtype=torch.int64), torch.full((3,), 40)
    assert torch.equal(weights, torch.sigmoid(network(loss, diff, label, percent).detach()))
    assert not torch.equal(weights, network.weigh(loss, diff, 41)), "the percent counts"


def test_mentor_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="mentor 'treshold' is neither closed-form nor threshold nor a file; train"):
        check_mentor("treshold")
    (tmp_path / "junk").write_bytes(b"no tensors")
    with pytest.raises(CorruptFileError, match="junk"):
        check_mentor(str(tmp_path / "junk"))
