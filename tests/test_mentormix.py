"""MentorMix against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from noisyweb.errors import TrainingError, UnknownNameError
from noisyweb.training.facts import Facts
from noisyweb.training.mentormix_presets import PRESETS, choose
from noisyweb.training.method import Batch, Clock, Setting, create_method, load_method, resolve_options
from noisyweb.training.methods.mentormix import LISTEN_STEPS, MentorMix, Options, mixing_ratio
from noisyweb.training.sampling import beta, categorical
from noisyweb.training.soft_labels import mix
from noisyweb.training.student import Student

SETTING = Setting(5, torch.zeros(16, dtype=torch.int64), torch.device("cpu"))
OPTIONS = Options(preset="red-40", alpha=8, percentile=0.5, second_weighting=False)


def facts(kind: str = "red", level: float = 0.4, num_classes: int = 196) -> Facts:
    return Facts("cars", "drawn", kind, level, num_classes, 8144, 0, 96, "")


def clock(step: int, num_steps: int = 1000) -> Clock:
    return Clock(step, num_steps, 100)


def batch(num: int = 16, num_classes: int = 5, side: int = 8, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(num, 3, side, side, generator=generator)
    labels = torch.randint(num_classes, (num,), generator=generator)
    return Batch(images, labels, torch.arange(num), lambda: images)


PRIOR = 1.6
"""A moving average as earlier batches would have left it; near the losses of a fresh network with 5 classes."""


def primed(options: Options) -> MentorMix:
    method = MentorMix(options, SETTING)
    for average in method.state().values():
        average.fill_(PRIOR)
    return method


def network(num_classes: int = 5) -> nn.Module:
    torch.manual_seed(3)
    layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(4, num_classes)).train()


# -- mixing --------------------------------------------------------------------------------------------


def test_ratio_switches_at_one_half() -> None:
    draws = torch.tensor([0.3, 0.3, 0.9, 0.9, 0.5])
    v = torch.tensor([0.5, 0.4999, 1.0, 0.0, 0.2])
    assert torch.allclose(mixing_ratio(draws, v), torch.tensor([0.7, 0.3, 0.9, 0.1, 0.5]))


def test_soft_ratio_interpolates() -> None:
    draws = torch.tensor([0.3, 0.3, 0.3])
    v = torch.tensor([1.0, 0.0, 0.25])
    assert torch.allclose(mixing_ratio(draws, v, "soft"), torch.tensor([0.7, 0.3, 0.25 * 0.7 + 0.75 * 0.3]))


def test_mix_has_one_ratio_an_image() -> None:
    # As many images as pixels in a row: a ratio along the wrong axis would not show in the shape.
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 4, 4)
    mixed = mix(images, torch.tensor([3, 2, 1, 0]), torch.tensor([1.0, 0.75, 0.5, 0.0]))
    expected = torch.tensor([0.0, 0.75 * 1 + 0.25 * 2, 0.5 * 2 + 0.5 * 1, 0.0])
    assert torch.equal(mixed, expected.view(4, 1, 1, 1).expand(4, 3, 4, 4))


def test_mix_of_labels_sums_to_one() -> None:
    labels = F.one_hot(torch.tensor([0, 2, 2]), 3).float()
    mixed = mix(labels, torch.tensor([1, 0, 1]), torch.tensor([0.7, 0.6, 0.9]))
    assert torch.allclose(mixed, torch.tensor([[0.7, 0, 0.3], [0.4, 0, 0.6], [0, 0, 1.0]]))


# -- sampling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [1, 2, 4, 8, 0.5, 2.5, 0.05])
def test_beta_has_its_distribution(alpha: float) -> None:
    draws = beta(alpha, 20_000, torch.Generator().manual_seed(1)).double().numpy()
    assert draws.min() >= 0
    assert draws.max() <= 1
    if alpha >= 0.5:
        assert stats.kstest(draws, stats.beta(alpha, alpha).cdf).pvalue > 0.01
    else:  # its ends are within rounding of 0 and 1: compare moments instead
        assert draws.mean() == pytest.approx(0.5, abs=0.02)
        assert draws.var() == pytest.approx(stats.beta(alpha, alpha).var(), rel=0.02)


def test_categorical_follows_its_probabilities() -> None:
    probabilities = torch.tensor([0.1, 0.0, 0.4, 0.5])
    draws = categorical(probabilities, 40_000, torch.Generator().manual_seed(2))
    counts = np.bincount(draws.numpy(), minlength=4)
    assert counts[1] == 0
    assert stats.chisquare(counts[[0, 2, 3]], 40_000 * np.array([0.1, 0.4, 0.5])).pvalue > 0.01


@given(num=st.integers(1, 300), seed=st.integers(0, 2**32))
def test_categorical_stays_in_range(num: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    draws = categorical(torch.softmax(torch.rand(num, generator=generator), 0), num, generator)
    assert draws.shape == (num,)
    assert 0 <= int(draws.min()) <= int(draws.max()) < num


# -- the step ------------------------------------------------------------------------------------------


def test_step_against_algorithm_1_by_hand() -> None:
    data, net = batch(), network()
    net_by_hand = network()
    method = primed(OPTIONS)
    result = method.step(Student(net, "fp32", False), data, clock(500), torch.Generator().manual_seed(7))

    logits = net_by_hand(data.images)  # train mode: batch statistics
    loss = F.cross_entropy(logits, data.labels, reduction="none").detach()
    ranked = sorted(loss.tolist(), reverse=True)
    average = 0.5 * PRIOR + 0.5 * ranked[8]  # (16 - 1) * 0.5 = 7.5, half to even: 8
    v = torch.tensor([1.0 if value - average < 0.055 else 0.0 for value in loss.tolist()])
    generator = torch.Generator().manual_seed(7)
    weights = v.exp() / v.exp().sum()
    partners = categorical(weights, 16, generator)
    draws = beta(8, 16, generator)
    mixed_images = torch.empty_like(data.images)
    soft = torch.zeros(16, 5)
    for i, j in enumerate(partners.tolist()):
        larger = max(float(draws[i]), 1 - float(draws[i]))
        ratio = larger if v[i] >= 0.5 else 1 - larger
        mixed_images[i] = ratio * data.images[i] + (1 - ratio) * data.images[j]
        soft[i, data.labels[i]] += ratio
        soft[i, data.labels[j]] += 1 - ratio
    log_probabilities = network()(mixed_images).log_softmax(1).detach()
    mixed_loss = [-float((soft[i] * log_probabilities[i]).sum()) for i in range(16)]

    assert result.loss.item() == pytest.approx(sum(mixed_loss) / 16, rel=1e-5)
    assert float(method.state()["average"]) == pytest.approx(average, rel=1e-6)
    assert result.example_loss is not None
    assert result.weight is not None
    assert torch.allclose(result.example_loss, loss)
    assert torch.equal(result.weight, v)
    assert 0 < v.sum() < 16, "both kinds of weights must have been at work"


def test_second_weighting_divides_by_the_batch() -> None:
    data = batch()
    options = Options(preset="", alpha=8, percentile=0.5, second_weighting=True)
    plain, weighted = primed(OPTIONS), primed(options)
    seen = {}
    for name, method in (("plain", plain), ("weighted", weighted)):
        student = _Recording(network())
        seen[name] = method.step(student, data, clock(500), torch.Generator().manual_seed(7)), student
    result, student = seen["weighted"]
    mixed_loss = F.cross_entropy(student.logits[-1], _soft_labels(student, data), reduction="none").detach()
    average = 0.5 * PRIOR + 0.5 * sorted(mixed_loss.tolist(), reverse=True)[8]
    v2 = (mixed_loss - average < 0.055).float()
    assert 0 < v2.sum() < 16
    assert result.loss.item() == pytest.approx(float((mixed_loss * v2).sum()) / 16, rel=1e-5)
    assert float(weighted.state()["second_average"]) == pytest.approx(average, rel=1e-5)
    assert float(plain.state()["second_average"]) == pytest.approx(PRIOR)
    assert seen["plain"][0].loss.item() == pytest.approx(float(mixed_loss.mean()), rel=1e-5)


class _Recording(Student):
    def __init__(self, net: nn.Module) -> None:
        super().__init__(net, "fp32", False)
        self.images: list[torch.Tensor] = []
        self.logits: list[torch.Tensor] = []

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        logits = super().__call__(images)
        self.images.append(images)
        self.logits.append(logits)
        return logits


def _soft_labels(student: _Recording, data: Batch) -> torch.Tensor:
    """The labels of the mixtures, found again from the mixtures: x~ = r x_i + (1 - r) x_j solved for j and r."""
    mixed, soft = student.images[-1], torch.zeros(16, 5)
    for i in range(16):
        best = None
        for j in range(16):
            difference = (data.images[i] - data.images[j]).flatten()
            if j == i:
                ratio, error = 1.0, float((mixed[i] - data.images[i]).norm())
            else:
                offset = (mixed[i] - data.images[j]).flatten()
                ratio = float(offset @ difference / (difference @ difference))
                error = float((offset - ratio * difference).norm())
            if best is None or error < best[0]:
                best = error, j, ratio
        assert best is not None
        assert best[0] < 1e-3
        soft[i, data.labels[i]] += best[2]
        soft[i, data.labels[best[1]]] += 1 - best[2]
    return soft


def test_running_statistics_follow_the_mixtures_only() -> None:
    data = batch()
    student = _Recording(network())
    before = [tensor.clone() for tensor in student.network.buffers()]
    MentorMix(OPTIONS, SETTING).step(student, data, clock(500), torch.Generator().manual_seed(7))
    by_hand = network()
    assert all(torch.equal(a, b) for a, b in zip(before, by_hand.buffers(), strict=True))
    by_hand(student.images[-1])  # one forward, of the mixtures
    for name, tensor in student.network.named_buffers():
        assert torch.equal(tensor, by_hand.get_buffer(name)), name
    assert len(student.images) == 2


def test_no_gradient_through_the_weights() -> None:
    data = batch()
    student = _Recording(network())
    options = Options(preset="", alpha=8, percentile=0.5, second_weighting=True)
    result = primed(options).step(student, data, clock(900), torch.Generator().manual_seed(7))
    result.loss.backward()
    seen = [weight.grad.clone() for weight in student.network.parameters() if weight.grad is not None]
    # the same loss with the second weights as constants has the same gradient
    by_hand = network()
    logits = by_hand(student.images[-1])
    mixed_loss = F.cross_entropy(logits, _soft_labels(student, data), reduction="none")
    values = mixed_loss.detach()
    v2 = (1 - (values - 0.5 * PRIOR - 0.5 * sorted(values.tolist(), reverse=True)[8])).clamp(0, 1)
    (mixed_loss * v2).mean().backward()
    for mine, theirs in zip(seen, by_hand.parameters(), strict=True):
        assert theirs.grad is not None
        assert torch.allclose(mine, theirs.grad, rtol=1e-3, atol=1e-6)
    assert not student.logits[0].requires_grad


def test_burn_in_skips_the_first_forward_until_it_counts() -> None:
    # burn-in 10 of 1000 steps: weights count from step 90; the mentor listens from step 70
    for step, forwards, has_weight in ((0, 1, False), (69, 1, False), (70, 2, False), (89, 2, False), (90, 2, True)):
        student = _Recording(network())
        method = MentorMix(OPTIONS, SETTING)
        result = method.step(student, batch(), clock(step), torch.Generator().manual_seed(7))
        assert len(student.images) == forwards, step
        assert (result.weight is not None) == has_weight, step
        assert (float(method.state()["average"]) > 0) == (forwards == 2), step
    assert LISTEN_STEPS == 20


def test_burn_in_is_mixup() -> None:
    student = _Recording(network())
    data = batch()
    MentorMix(OPTIONS, SETTING).step(student, data, clock(0), torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(7)
    partners = categorical(torch.full((16,), 1 / 16), 16, generator)
    draws = beta(8, 16, generator)
    assert torch.allclose(student.images[0], mix(data.images, partners, torch.maximum(draws, 1 - draws)), atol=1e-6)


def test_low_temperature_draws_trusted_partners_only() -> None:
    options = Options(preset="", alpha=8, percentile=0.5, second_weighting=False, temperature=0.01)
    data, student = batch(), _Recording(network())
    result = primed(options).step(student, data, clock(500), torch.Generator().manual_seed(7))
    assert result.weight is not None
    partners = categorical(torch.softmax(result.weight / 0.01, 0), 16, torch.Generator().manual_seed(7))
    assert bool((result.weight[partners] == 1).all())
    assert 0 < result.weight.sum() < 16


def test_mentor_named_gives_the_weights() -> None:
    # "threshold" goes to 0 above the moving average, "closed-form" 0.055 above it: a batch has a loss between
    data = batch()
    weights = {}
    for mentor in ("closed-form", "threshold"):
        options = resolve_options("mentormix", {"mentor": mentor, "percentile": 0.5}, facts(num_classes=5))
        method = create_method("mentormix", options, SETTING)
        loss = F.cross_entropy(network()(data.images), data.labels, reduction="none").detach()
        median = sorted(loss.tolist(), reverse=True)[8]
        between = next(value for value in sorted(loss.tolist()) if value > median) - 0.03
        method.state()["average"].fill_(2 * between - median)  # so that g = between
        student = Student(network(), "fp32", False)
        result = method.step(student, data, clock(500), torch.Generator().manual_seed(7))
        assert result.weight is not None
        weights[mentor] = result.weight
        expected = loss - between < 0.055 if mentor == "closed-form" else loss <= between
        assert torch.equal(result.weight, expected.float()), mentor
    assert not torch.equal(weights["closed-form"], weights["threshold"])


def test_state_is_what_the_steps_change() -> None:
    options = Options(preset="", alpha=8, percentile=0.5, second_weighting=True)
    method = MentorMix(options, SETTING)
    state = method.state()
    method.step(Student(network(), "fp32", False), batch(), clock(500), torch.Generator().manual_seed(7))
    assert set(state) == {"average", "second_average"}
    for name, tensor in method.state().items():
        assert tensor is state[name]
        assert float(tensor) > 0


# -- options -------------------------------------------------------------------------------------------

# alpha, percentile, second weighting at 20/40/60/80 % noise
TABLE = {
    "cifar10": [(2, 0.8, False), (8, 0.6, False), (8, 0.6, True), (4, 0.2, True)],
    "cifar100": [(2, 0.7, False), (8, 0.5, False), (4, 0.3, True), (8, 0.1, True)],
    "red": [(2, 0.7, False), (8, 0.5, False), (4, 0.3, False), (8, 0.1, False)],
}


@pytest.mark.parametrize("family", TABLE)
@pytest.mark.parametrize(("index", "percent"), list(enumerate((20, 40, 60, 80))))
def test_presets_are_the_authors(family: str, index: int, percent: int) -> None:
    preset = PRESETS[f"{family}-{percent}"]
    assert (preset.alpha, preset.percentile, preset.second_weighting) == TABLE[family][index]
    kind, num_classes = ("red", 196) if family == "red" else ("blue", int(family.removeprefix("cifar")))
    assert choose("auto", facts(kind, percent / 100, num_classes)) == preset


@pytest.mark.parametrize(("level", "percent"), [(0, 20), (0.3, 20), (0.31, 40), (0.5, 40), (0.7, 60), (1, 80)])
def test_auto_takes_the_nearest_level(level: float, percent: int) -> None:
    assert choose("auto", facts(level=level)).name == f"red-{percent}"


def test_given_options_go_on_top_of_the_preset() -> None:
    options = resolve_options("mentormix", {"alpha": 3.0, "percentile": None}, facts())
    assert options == {
        "preset": "red-40",
        "alpha": 3.0,
        "percentile": 0.5,
        "second_weighting": False,
        "burn_in": 10,
        "mixing": "hard",
        "temperature": 1.0,
        "mentor": "closed-form",
    }


@pytest.mark.parametrize(
    ("given_options", "message"),
    [
        ({"alpha": 0.0}, "alpha 0.0 is out of range; expected 0 < alpha <= 1000"),
        ({"alpha": math.nan}, "alpha nan"),
        ({"percentile": 70.0}, "percentile 70.0 is out of range; expected a share 0..1, such as 0.7"),
        ({"mixing": "harder"}, "mixing 'harder' is out of range; expected hard or soft"),
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"mentor": "no/such"}, "mentor 'no/such' is neither closed-form nor threshold nor a file"),
        ({"alhpa": 1.0}, "method 'mentormix' has no option 'alhpa'; it has preset, alpha"),
    ],
)
def test_bad_options_are_named(given_options: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError) as error:
        resolve_options("mentormix", given_options, facts())
    assert message in str(error.value)


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mentormix'"):
        load_method("mentomix")
    with pytest.raises(UnknownNameError, match="unknown preset 'cifar100-50'"):
        resolve_options("mentormix", {"preset": "cifar100-50"}, facts())
    with pytest.raises(TrainingError, match="method 'standard' has no option 'alpha'; it has no options"):
        resolve_options("standard", {"alpha": 1.0}, facts())
