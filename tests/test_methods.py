"""The training methods against numbers worked out by hand and against `numpy_methods`, an independent reference.

Networks here are linear, without bias, so that a test chooses the logits: `alone` passes images through as logits,
and of a `pair` the first network sees the first K channels and the second the others. MentorMix has a file of its own.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from noisyweb.errors import TrainingError
from noisyweb.plugins import names
from noisyweb.training.facts import Facts
from noisyweb.training.gaussian_mixture import FLOOR, lower_component
from noisyweb.training.method import (
    PACKAGE,
    Batch,
    Clock,
    Method,
    Setting,
    StepResult,
    create_method,
    load_method,
    num_networks,
    resolve_options,
    step_cost,
)
from noisyweb.training.methods.bootstrapping import bootstrapped_loss
from noisyweb.training.methods.co_teaching import easiest, num_kept
from noisyweb.training.methods.dividemix import DivideMix, mixmatch_loss, sharpen
from noisyweb.training.methods.elr import ELR
from noisyweb.training.methods.gce import generalised_cross_entropy
from noisyweb.training.methods.mentornet import MentorNet
from noisyweb.training.sampling import beta, permutation
from noisyweb.training.soft_labels import mix, one_hot
from noisyweb.training.student import Student, several
from tests import numpy_methods as reference

CPU = torch.device("cpu")
METHODS = (
    "bootstrapping",
    "co-teaching",
    "dividemix",
    "elr",
    "gce",
    "label-smoothing",
    "mentormix",
    "mentornet",
    "mixup",
    "standard",
)

P = ((0.5, 0.25, 0.25), (0.1, 0.8, 0.1), (0.2, 0.2, 0.6))
"""What the network says of three images; with labels 0, 2, 2 the losses are log 2, log 10 and log 5/3."""
LOSSES = (math.log(2), math.log(10), math.log(5 / 3))
LABELS = (0, 2, 2)


def facts(level: float = 0.4, num_classes: int = 3) -> Facts:
    return Facts("toy", "drawn", "red", level, num_classes, 100, 0, 8, "")


def clock(step: int = 500, num_steps: int = 1000, steps_per_epoch: int = 100) -> Clock:
    return Clock(step, num_steps, steps_per_epoch)


def seeded(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def as_images(logits: Tensor) -> Tensor:
    return logits[:, :, None, None].float()


def batch(p: Sequence[Sequence[float]] = P, labels: Sequence[int] = LABELS, rows: Sequence[int] | None = None) -> Batch:
    """Images whose logits, under `alone`, are the logarithms of ``p``."""
    images = as_images(torch.tensor(p).log())
    return Batch(images, torch.tensor(labels), torch.tensor(rows or range(len(labels))), lambda: images)


def random_batch(num: int = 12, channels: int = 4, num_classes: int = 4, seed: int = 0) -> Batch:
    generator = seeded(seed)
    images, again = (2 * torch.randn(num, channels, 1, 1, generator=generator) for _ in range(2))
    labels = torch.randint(num_classes, (num,), generator=generator)
    return Batch(images, labels, torch.randperm(num, generator=generator), lambda: again)


def linear(weight: Tensor) -> nn.Module:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight.data = weight.clone().float()
    return nn.Sequential(nn.Flatten(), layer).train()


def weight_of(network: nn.Module) -> Tensor:
    assert isinstance(network, nn.Sequential)
    layer = network[1]
    assert isinstance(layer, nn.Linear)
    return layer.weight


def alone(num_classes: int = 3) -> Student:
    return Student(linear(torch.eye(num_classes)), "fp32", False)


def pair(*weights: Tensor, num_classes: int = 3) -> Student:
    if not weights:
        first, second = torch.eye(2 * num_classes).chunk(2)
        weights = (first, second)
    return Student(several([linear(weight) for weight in weights]), "fp32", False)


def networks_of(student: Student) -> list[nn.Module]:
    return [member.network for member in student.members]


def made(name: str, num_rows: int = 3, num_classes: int = 3, **options: Any) -> Method:
    resolved = resolve_options(name, options, facts(num_classes=num_classes))
    return create_method(name, resolved, Setting(num_classes, torch.zeros(num_rows, dtype=torch.int64), CPU))


def gradient(student: Student, result: StepResult) -> list[Tensor]:
    """Of the loss, by each network's weights."""
    for parameter in student.network.parameters():
        parameter.grad = None
    result.loss.backward()
    found = []
    for network in networks_of(student):
        grad = weight_of(network).grad
        assert grad is not None
        found.append(grad.clone())
    return found


def by_weights(by_logits: reference.Array, images: Tensor) -> Tensor:
    """The gradient by a linear network's weights [K, D] from that by its logits [B, K]."""
    return (torch.from_numpy(by_logits).float().T) @ images.flatten(1)


def numpy64(tensor: Tensor) -> reference.Array:
    return tensor.detach().double().numpy()


Drawn = list[tuple[tuple[float, ...], int]]
"""Logits and label of each example."""

logit = st.floats(-30, 30, width=32)
examples = st.integers(2, 6).flatmap(
    lambda k: st.lists(
        st.tuples(st.lists(logit, min_size=k, max_size=k), st.integers(0, k - 1)), min_size=1, max_size=8
    )
)


def split(drawn: Drawn) -> tuple[Tensor, Tensor]:
    return torch.tensor([row for row, _ in drawn]), torch.tensor([label for _, label in drawn])


# -- all of them ---------------------------------------------------------------------------------------


FULL: dict[str, dict[str, Any]] = {"mentormix": {"second_weighting": True}}
"""Options with which a method carries all that it can."""


def everything(name: str) -> tuple[Method, Student, Batch, Clock]:
    """A method in the middle of its training, with two networks where it wants two."""
    data = random_batch()
    num_networks_ = num_networks(name)
    weights = [torch.randn(4, 4, generator=seeded(10 + number)) for number in range(num_networks_)]
    student = Student(several([linear(weight) for weight in weights]), "fp32", False)
    method = made(name, 12, 4, **FULL.get(name, {}))
    for name_, tensor in method.state().items():
        if "average" in name_:
            tensor.fill_(2.0)  # as earlier batches would have left it
    at = clock()
    method.begin_epoch(
        student, at, lambda one: F.cross_entropy(one(data.images), data.labels, reduction="none").detach()
    )
    return method, student, data, at


def test_these_are_all() -> None:
    assert sorted(names(PACKAGE)) == sorted(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_step_keeps_the_contract(name: str) -> None:
    method, student, data, at = everything(name)
    images, labels = data.images.clone(), data.labels.clone()
    result = method.step(student, data, at, seeded())
    assert result.loss.shape == ()
    assert result.loss.requires_grad
    for grad in gradient(student, result):
        assert bool(grad.isfinite().all())
        assert bool((grad != 0).any()), "every network learns"
    for seen, dtype in ((result.example_loss, torch.float32), (result.predicted, torch.int64)):
        assert seen is None or (seen.shape == (12,) and seen.dtype == dtype and not seen.requires_grad)
    if result.weight is not None:
        assert result.weight.shape == (12,)
        assert not result.weight.requires_grad
        assert bool(((result.weight >= 0) & (result.weight <= 1)).all())
    assert torch.equal(data.images, images), "the batch is not the method's to change"
    assert torch.equal(data.labels, labels)


@pytest.mark.parametrize("name", METHODS)
def test_what_is_reported_is_of_the_unmixed_images_and_given_labels(name: str) -> None:
    method, student, data, at = everything(name)
    result = method.step(student, data, at, seeded())
    if name == "mixup":
        assert result.example_loss is result.predicted is result.weight is None, "it never sees an unmixed image"
        return
    views = [data.images, data.again()] if name == "dividemix" else [data.images]
    logits = torch.stack([torch.stack([one(view) for view in views]) for one in student.members]).detach()
    if name == "dividemix":
        p = torch.softmax(logits, -1).mean((0, 1))
        loss, predicted = -p.gather(1, data.labels[:, None]).squeeze(1).log(), p.argmax(1)
    else:
        together = logits.mean((0, 1))
        loss, predicted = F.cross_entropy(together, data.labels, reduction="none"), together.argmax(1)
    assert result.example_loss is not None
    assert result.predicted is not None
    assert torch.allclose(result.example_loss, loss, atol=1e-5)
    assert torch.equal(result.predicted, predicted)


@pytest.mark.parametrize("name", METHODS)
def test_step_hangs_on_generator_and_state_alone(name: str) -> None:
    """A fresh method that is given another's state goes on as that one does: what resuming needs."""
    method, student, data, at = everything(name)
    method.step(student, data, at, seeded())
    kept = {key: tensor.clone() for key, tensor in method.state().items()}
    fresh = made(name, 12, 4, **FULL.get(name, {}))
    assert fresh.state().keys() == kept.keys()
    for key, tensor in fresh.state().items():
        assert not torch.equal(tensor, kept[key]), f"{key} was to have changed"
        tensor.copy_(kept[key])
    torch.manual_seed(1)
    went_on = method.step(student, data, at, seeded(8))
    torch.manual_seed(2)
    resumed = fresh.step(student, data, at, seeded(8))
    assert torch.equal(went_on.loss, resumed.loss)
    for key, tensor in fresh.state().items():
        assert torch.equal(tensor, method.state()[key])


@pytest.mark.parametrize("name", METHODS)
def test_state_is_the_very_tensors(name: str) -> None:
    method, student, data, at = everything(name)
    before = method.state()
    method.begin_epoch(student, at, lambda one: torch.linspace(0, 1, 12))
    method.step(student, data, at, seeded())
    after = method.state()
    assert all(after[key] is before[key] for key in after)


@pytest.mark.parametrize("name", METHODS)
def test_costs(name: str) -> None:
    # forwards are a third of a step; forward and backward a whole one
    forwards_only, whole = {"mentormix": (1, 1), "co-teaching": (0, 2), "dividemix": (4, 4)}.get(name, (0, 1))
    assert step_cost(name) == pytest.approx(forwards_only / 3 + whole)


# -- options -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given_options", "message"),
    [
        ("label-smoothing", {"smoothing": 1.01}, "smoothing 1.01 is out of range; expected a share 0..1, such as 0.1"),
        ("label-smoothing", {"smoothing": -0.1}, "smoothing -0.1"),
        ("mixup", {"alpha": 0.0}, "alpha 0.0 is out of range; expected 0 < alpha <= 1000"),
        ("mixup", {"alpha": 1001.0}, "alpha 1001.0"),
        ("bootstrapping", {"targets": "firm"}, "targets 'firm' is out of range; expected soft or hard"),
        ("bootstrapping", {"beta": 1.5}, "beta 1.5 is out of range; expected a share 0..1, such as 0.8"),
        ("mentornet", {"percentile": 70.0}, "percentile 70.0 is out of range; expected a share 0..1, such as 0.7"),
        ("mentornet", {"burn_in": 101}, "burn_in 101 is out of range; expected percent, 0..100"),
        ("mentornet", {"mentor": "no/such"}, "mentor 'no/such'"),
        ("gce", {"q": 0.0}, "q 0.0 is out of range; expected 0 < q <= 1, such as 0.7"),
        ("gce", {"q": 1.1}, "q 1.1"),
        ("elr", {"weight": -1.0}, "weight -1.0 is out of range; expected 0 or more"),
        ("elr", {"weight": math.inf}, "weight inf"),
        ("elr", {"beta": 1.0}, "beta 1.0 is out of range; expected a share 0 <= beta < 1, such as 0.7"),
        ("co-teaching", {"forget_rate": 1.1}, "forget_rate 1.1 is out of range; expected a share 0..1"),
        ("co-teaching", {"gradual": 101.0}, "gradual 101.0 is out of range; expected percent, 0..100"),
        ("dividemix", {"alpha": 0.0}, "alpha 0.0 is out of range"),
        ("dividemix", {"threshold": 1.0}, "threshold 1.0 is out of range; expected a share 0 <= threshold < 1"),
        ("dividemix", {"temperature": 0.0}, "temperature 0.0 is out of range; expected a positive number"),
        ("dividemix", {"unlabeled_weight": -1.0}, "unlabeled_weight -1.0 is out of range; expected 0 or more"),
        ("dividemix", {"warm_up": 100.5}, "warm_up 100.5 is out of range; expected percent, 0..100"),
        ("dividemix", {"ramp": -1.0}, "ramp -1.0 is out of range; expected percent, 0..100"),
    ],
)
def test_options_out_of_range_are_named(name: str, given_options: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError) as error:
        resolve_options(name, given_options, facts())
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", METHODS)
def test_no_number_may_be_nan(name: str) -> None:
    for field in dataclasses.fields(load_method(name).Options):
        if str(field.type) in ("float", "int"):
            with pytest.raises(TrainingError, match=f"^{field.name} nan is out of range"):
                resolve_options(name, {field.name: math.nan}, facts())


@pytest.mark.parametrize("name", METHODS)
def test_unknown_options_are_named(name: str) -> None:
    with pytest.raises(TrainingError) as error:
        resolve_options(name, {"speling": 1.0}, facts())
    known = [field.name for field in dataclasses.fields(load_method(name).Options)]
    has = f"it has {', '.join(known)}" if known else "it has no options"
    assert str(error.value) == f"method {name!r} has no option 'speling'; {has}"


@pytest.mark.parametrize(
    ("name", "level", "num_classes", "expected"),
    [
        ("standard", 0.4, 3, {}),
        ("label-smoothing", 0.4, 3, {"smoothing": 0.1}),
        ("mixup", 0.4, 3, {"alpha": 1.0}),
        ("bootstrapping", 0.4, 3, {"targets": "hard", "beta": 0.8}),
        ("gce", 0.4, 3, {"q": 0.7}),
        ("elr", 0.4, 10, {"weight": 3.0, "beta": 0.7}),
        ("elr", 0.4, 100, {"weight": 7.0, "beta": 0.9}),
        ("co-teaching", 0.15, 3, {"forget_rate": 0.15, "gradual": 5.0}),
        ("mentornet", 0.4, 100, {"preset": "red-40", "percentile": 0.5, "burn_in": 10, "mentor": "closed-form"}),
    ],
)
def test_options_left_open(name: str, level: float, num_classes: int, expected: dict[str, object]) -> None:
    assert resolve_options(name, {}, facts(level, num_classes)) == expected


def test_soft_bootstrapping_has_its_own_share() -> None:
    assert resolve_options("bootstrapping", {"targets": "soft"}, facts()) == {"targets": "soft", "beta": 0.95}


@pytest.mark.parametrize(
    ("level", "weight"), [(0.0, 0), (0.2, 0), (0.25, 0), (0.4, 25), (0.5, 25), (0.8, 50), (0.9, 150), (1.0, 150)]
)
def test_dividemix_weighs_guesses_by_the_noise(level: float, weight: float) -> None:
    options = resolve_options("dividemix", {}, dataclasses.replace(facts(level), kind="blue"))
    assert (options["unlabeled_weight"], options["alpha"]) == (weight, 4.0)
    web = resolve_options("dividemix", {}, dataclasses.replace(facts(level), kind="red"))
    assert (web["unlabeled_weight"], web["alpha"]) == (0.0, 0.5)  # as the authors for WebVision
    assert options["warm_up"] == pytest.approx(10 / 300 * 100)
    assert resolve_options("dividemix", {}, facts(level, 100))["warm_up"] == 30 / 300 * 100


# -- soft labels ---------------------------------------------------------------------------------------


@given(labels=st.lists(st.integers(0, 6), min_size=1, max_size=9))
def test_one_hot_has_its_one_at_the_label(labels: list[int]) -> None:
    found = one_hot(torch.tensor(labels), 7)
    assert found.dtype == torch.float32
    assert torch.equal(found, F.one_hot(torch.tensor(labels), 7).float())


@given(seed=st.integers(0, 2**32), num=st.integers(1, 9))
def test_mix_is_the_straight_line_between(seed: int, num: int) -> None:
    generator = seeded(seed)
    images, ratio = torch.randn(num, 2, 3, num, generator=generator), torch.rand(num, generator=generator)
    partners = torch.randint(num, (num,), generator=generator)
    mixed = mix(images, partners, ratio)
    for i in range(num):
        expected = ratio[i] * images[i] + (1 - ratio[i]) * images[partners[i]]
        assert torch.allclose(mixed[i], expected, atol=1e-6)
    assert torch.equal(mix(images, partners, torch.ones(num)), images)
    assert torch.equal(mix(images, partners, torch.zeros(num)), images[partners])


# -- plain cross-entropy and label smoothing -----------------------------------------------------------


def test_standard_by_hand() -> None:
    student = alone()
    result = made("standard").step(student, batch(), clock(), seeded())
    assert result.loss.item() == pytest.approx(math.log(2 * 10 * 5 / 3) / 3)
    assert result.example_loss is not None
    assert result.example_loss.tolist() == pytest.approx(LOSSES)
    assert result.predicted is not None
    assert result.predicted.tolist() == [0, 1, 2]
    assert result.weight is None
    by_logits = (np.array(P) - reference.one_hot(np.array(LABELS), 3)) / 3
    assert torch.allclose(gradient(student, result)[0], by_weights(by_logits, batch().images), atol=1e-6)


def test_label_smoothing_by_hand() -> None:
    result = made("label-smoothing", smoothing=0.3).step(alone(), batch(), clock(), seeded())
    # targets .8 .1 .1 / .1 .1 .8 / .1 .1 .8
    first = 0.8 * math.log(2) + 0.2 * math.log(4)
    second = 0.9 * math.log(10) + 0.1 * math.log(1.25)
    third = 0.2 * math.log(5) + 0.8 * math.log(5 / 3)
    assert result.loss.item() == pytest.approx((first + second + third) / 3)
    assert result.example_loss is not None
    assert result.example_loss.tolist() == pytest.approx(LOSSES), "reported with the label as given"


@given(drawn=examples, smoothing=st.floats(0, 1))
@settings(max_examples=50)
def test_label_smoothing_against_the_reference(drawn: Drawn, smoothing: float) -> None:
    logits, labels = split(drawn)
    num_classes = logits.shape[1]
    data = Batch(as_images(logits), labels, torch.arange(len(labels)), lambda: logits)
    result = made("label-smoothing", smoothing=smoothing).step(alone(num_classes), data, clock(), seeded())
    targets = reference.smoothed(labels.numpy(), num_classes, smoothing)
    expected = reference.cross_entropy(numpy64(logits), targets).mean()
    assert result.loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


# -- Mixup ---------------------------------------------------------------------------------------------


def test_mixup_against_the_reference() -> None:
    data, student = random_batch(), alone(4)
    seen = _record(student.network)
    result = made("mixup", num_classes=4, alpha=0.7).step(student, data, clock(), seeded())
    generator = seeded()
    partners = permutation(12, generator).numpy()
    ratio = numpy64(beta(0.7, 12, generator))[:, None]
    assert sorted(partners) == list(range(12)), "every image is a partner once"
    assert len(set(ratio[:, 0])) == 12, "a ratio for each example"
    x, y = numpy64(data.images.flatten(1)), reference.one_hot(data.labels.numpy(), 4)
    mixed_x, mixed_y = (ratio * values + (1 - ratio) * values[partners] for values in (x, y))
    assert np.allclose(seen[0].flatten(1).numpy(), mixed_x, atol=1e-5)
    assert result.loss.item() == pytest.approx(reference.cross_entropy(mixed_x, mixed_y).mean(), rel=1e-5)
    by_logits = (reference.softmax(mixed_x) - mixed_y) / 12
    assert torch.allclose(gradient(student, result)[0], by_weights(by_logits, seen[0]), atol=1e-5)
    assert len(seen) == 1


def test_mixup_alpha_says_how_far() -> None:
    # two images, -1 and 1: mixtures at the ends for a small alpha, in the middle for a large one
    images = torch.tensor([-1.0, 1.0]).repeat(32).view(64, 1, 1, 1).expand(64, 3, 1, 1)
    data = Batch(images, torch.zeros(64, dtype=torch.int64), torch.arange(64), lambda: images)
    for alpha, low, high in ((0.01, 0.9, 1.0), (1000.0, 0.0, 0.65)):
        student = alone()
        seen = _record(student.network)
        made("mixup", alpha=alpha).step(student, data, clock(), seeded())
        partners = permutation(64, seeded())
        apart = images[:, 0, 0, 0] != images[partners, 0, 0, 0]
        assert 10 < int(apart.sum()) < 54
        mean = float(seen[0][apart][:, 0].abs().mean())
        assert low <= mean <= high if alpha < 1 else mean < 0.05
        assert torch.equal(seen[0][~apart], images[~apart]), "a mixture of equals"


def _record(network: nn.Module) -> list[Tensor]:
    """The images that a network is given from now on."""
    seen: list[Tensor] = []
    network.register_forward_pre_hook(lambda module, given_: seen.append(given_[0].detach().clone()))
    return seen


# -- bootstrapping -------------------------------------------------------------------------------------


def test_bootstrapping_by_hand() -> None:
    hard = made("bootstrapping", beta=0.8).step(alone(), batch(), clock(), seeded())
    # only the second image's prediction (class 1) differs from its label
    assert hard.loss.item() == pytest.approx((LOSSES[0] + 0.8 * LOSSES[1] + 0.2 * math.log(1.25) + LOSSES[2]) / 3)
    soft = made("bootstrapping", targets="soft", beta=0.9).step(alone(), batch(), clock(), seeded())
    entropies = [sum(-q * math.log(q) for q in row) for row in P]
    assert soft.loss.item() == pytest.approx((0.9 * sum(LOSSES) + 0.1 * sum(entropies)) / 3)
    assert hard.example_loss is not None
    assert hard.example_loss.tolist() == pytest.approx(LOSSES)


@given(drawn=examples, share=st.floats(0, 1), targets=st.sampled_from(["soft", "hard"]))
@settings(max_examples=50)
def test_bootstrapping_against_the_reference(drawn: Drawn, share: float, targets: str) -> None:
    logits, labels = split(drawn)
    found = bootstrapped_loss(logits, labels, targets, share)
    expected = reference.bootstrapping(numpy64(logits), labels.numpy(), targets, share)
    assert np.allclose(found.numpy(), expected, rtol=1e-4, atol=1e-4)
    given_alone = bootstrapped_loss(logits, labels, targets, 1.0)
    assert torch.allclose(given_alone, F.cross_entropy(logits, labels, reduction="none"), atol=1e-5)


def test_hard_target_is_a_constant_and_soft_one_is_not() -> None:
    p, y = np.array(P), reference.one_hot(np.array(LABELS), 3)
    student = alone()
    result = made("bootstrapping", beta=0.8).step(student, batch(), clock(), seeded())
    target = 0.8 * y + 0.2 * reference.one_hot(p.argmax(1), 3)
    assert torch.allclose(gradient(student, result)[0], by_weights((p - target) / 3, batch().images), atol=1e-6)

    student = alone()
    result = made("bootstrapping", targets="soft", beta=0.8).step(student, batch(), clock(), seeded())
    # the entropy's gradient by the logits: -p_k (log p_k + H)
    entropy = -(p * np.log(p)).sum(1, keepdims=True)
    by_logits = 0.8 * (p - y) - 0.2 * p * (np.log(p) + entropy)
    assert torch.allclose(gradient(student, result)[0], by_weights(by_logits / 3, batch().images), atol=1e-6)


@pytest.mark.parametrize("targets", ["soft", "hard"])
def test_bootstrapping_of_a_certain_network_is_finite(targets: str) -> None:
    logits = torch.tensor([[500.0, 0.0, -500.0], [0.0, 1e4, 0.0]], requires_grad=True)
    loss = bootstrapped_loss(logits, torch.tensor([2, 0]), targets, 0.5)
    loss.sum().backward()
    assert loss.tolist() == pytest.approx([500, 5000])
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


# -- MentorNet -----------------------------------------------------------------------------------------


def test_mentornet_by_hand() -> None:
    student, method = alone(), made("mentornet", percentile=0.5)
    assert isinstance(method, MentorNet)
    average = method.state()["average"]
    average.fill_(1.0)
    result = method.step(student, batch(), clock(500), seeded())
    # g = .5 + .5 log 2 = .8466: log 2 and log 5/3 are below, log 10 is above
    assert average.item() == pytest.approx(0.5 + 0.5 * math.log(2))
    assert result.weight is not None
    assert result.weight.tolist() == [1, 0, 1]
    assert result.loss.item() == pytest.approx((LOSSES[0] + LOSSES[2]) / 3), "divided by all three"
    v = np.array([[1.0], [0], [1]])
    by_logits = v * (np.array(P) - reference.one_hot(np.array(LABELS), 3)) / 3
    assert torch.allclose(gradient(student, result)[0], by_weights(by_logits, batch().images), atol=1e-6)

    result = method.step(student, batch(), clock(600), seeded())
    assert average.item() == pytest.approx(0.25 + 0.75 * math.log(2)), "half of it is kept"
    assert result.example_loss is not None
    assert result.example_loss.tolist() == pytest.approx(LOSSES)


def test_mentornets_weights_have_no_gradient_of_their_own() -> None:
    student, method = alone(), made("mentornet", percentile=0.5)
    method.state()["average"].fill_(3.0)
    result = method.step(student, batch(), clock(900), seeded())
    # g = 1.5 + .5 log 2 = 1.8466; v = 1 - (log 10 - g) = .544 for the second
    v2 = 1 - (LOSSES[1] - 1.5 - 0.5 * math.log(2))
    assert 0 < v2 < 1
    assert result.weight is not None
    assert result.weight.tolist() == pytest.approx([1, v2, 1])
    assert result.loss.item() == pytest.approx((LOSSES[0] + v2 * LOSSES[1] + LOSSES[2]) / 3)
    by_logits = np.array([[1.0], [v2], [1]]) * (np.array(P) - reference.one_hot(np.array(LABELS), 3)) / 3
    assert torch.allclose(gradient(student, result)[0], by_weights(by_logits, batch().images), atol=1e-6)


def test_mentornet_in_burn_in_is_standard_and_listens() -> None:
    method = made("mentornet", percentile=0.5)
    result = method.step(alone(), batch(), clock(89), seeded())
    assert result.loss.item() == pytest.approx(sum(LOSSES) / 3)
    assert result.weight is None
    assert method.state()["average"].item() == pytest.approx(0.5 * math.log(2))
    assert method.step(alone(), batch(), clock(90), seeded()).weight is not None


# -- generalised cross-entropy -------------------------------------------------------------------------


def test_gce_by_hand() -> None:
    # p_y = .5, .1, .6; at q = .5: 2 (1 - sqrt p)
    result = made("gce", q=0.5).step(alone(), batch(), clock(), seeded())
    roots = [math.sqrt(p) for p in (0.5, 0.1, 0.6)]
    assert result.loss.item() == pytest.approx(sum(2 * (1 - root) for root in roots) / 3)
    assert result.weight is not None
    assert result.weight.tolist() == pytest.approx(roots)
    assert result.example_loss is not None
    assert result.example_loss.tolist() == pytest.approx(LOSSES)


@given(drawn=examples, q=st.floats(0.01, 1))
@settings(max_examples=50)
def test_gce_against_the_reference(drawn: Drawn, q: float) -> None:
    logits, labels = split(drawn)
    found = generalised_cross_entropy(logits, labels, q)
    assert np.allclose(found, reference.generalised_cross_entropy(numpy64(logits), labels.numpy(), q), 1e-3, 1e-5)
    assert bool(((found >= 0) & (found <= 1 / q + 1e-4)).all())


@given(drawn=examples, power=st.integers(2, 9))
@settings(max_examples=50)
def test_gce_comes_to_cross_entropy_for_small_q(drawn: Drawn, power: int) -> None:
    logits, labels = split(drawn)
    q = 10.0**-power
    plain = F.cross_entropy(logits, labels, reduction="none")
    apart = plain - generalised_cross_entropy(logits, labels, q)
    # (1 - exp(-q L)) / q lies between L - q L^2 / 2 and L
    rounding = 1e-5 * plain + 1e-6
    assert bool((apart >= -rounding).all())
    assert bool((apart <= q * plain**2 / 2 + rounding).all())


@given(drawn=examples)
@settings(max_examples=50)
def test_gce_at_1_is_mean_absolute_error(drawn: Drawn) -> None:
    logits, labels = split(drawn)
    p = torch.softmax(logits, 1)
    absolute = (p - one_hot(labels, logits.shape[1])).abs().sum(1)
    assert torch.allclose(generalised_cross_entropy(logits, labels, 1.0), absolute / 2, atol=1e-5)


@pytest.mark.parametrize("q", [1e-6, 0.3, 0.7, 1.0])
def test_gces_gradient_is_cross_entropys_times_a_power(q: float) -> None:
    logits = torch.tensor(P).log().requires_grad_()
    labels = torch.tensor(LABELS)
    generalised_cross_entropy(logits, labels, q).sum().backward()
    p_y = np.array([[0.5], [0.1], [0.6]])
    expected = p_y**q * (np.array(P) - reference.one_hot(np.array(LABELS), 3))
    assert logits.grad is not None
    assert np.allclose(logits.grad, expected, atol=1e-6)


@pytest.mark.parametrize("q", [0.1, 0.7, 1.0])
def test_gce_of_an_underflown_probability_is_finite(q: float) -> None:
    logits = torch.tensor([[0.0, 200.0], [0.0, 1e30]], requires_grad=True)
    assert torch.softmax(logits, 1)[0, 0] == 0, "float32 has no such number"
    loss = generalised_cross_entropy(logits, torch.tensor([0, 0]), q)
    loss.sum().backward()
    assert loss.tolist() == pytest.approx([1 / q, 1 / q], rel=1e-6)
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


# -- ELR -----------------------------------------------------------------------------------------------


def test_elr_by_hand() -> None:
    method = made("elr", num_rows=5, beta=0.7, weight=3.0)
    assert isinstance(method, ELR)
    result = method.step(alone(), batch(rows=(4, 0, 2)), clock(), seeded())
    squares = [sum(q * q for q in row) for row in P]  # .375, .66, .44
    logs = [math.log(1 - 0.3 * square) for square in squares]  # t = .3 p
    assert result.loss.item() == pytest.approx((sum(LOSSES) + 3 * sum(logs)) / 3, rel=1e-5)
    assert torch.allclose(method.targets[[4, 0, 2]], 0.3 * torch.tensor(P))
    assert method.targets[[1, 3]].sum() == 0, "rows not seen yet"
    assert result.weight is not None
    assert result.weight.tolist() == pytest.approx([0.5, 0.1, 0.6], rel=1e-4), "what the target says of the label"

    # row 4 again, of which the network now says .1 .8 .1
    method.step(alone(), batch(P[1:2], (0,), (4,)), clock(), seeded())
    first, second = np.array(P[0]), np.array(P[1])
    assert method.targets[4].tolist() == pytest.approx((0.7 * 0.3 * first + 0.3 * second).tolist(), rel=1e-5)
    assert torch.allclose(method.targets[[0, 2]], 0.3 * torch.tensor(P[1:])), "the others stay"


def test_elrs_gradient_is_the_papers() -> None:
    data, student = random_batch(), alone(4)
    method = made("elr", num_rows=12, num_classes=4, beta=0.6, weight=2.5)
    method.step(student, data, clock(), seeded())
    before = numpy64(method.state()["targets"])[data.rows]
    logits = data.images.flatten(1).roll(1, 1)  # the network has changed its mind
    moved = Batch(as_images(logits), data.labels, data.rows, data.again)
    p = reference.softmax(numpy64(logits))
    assert p.min() > 1e-4, "within the floor, where the gradient is the paper's"
    result = method.step(student, moved, clock(), seeded())
    targets = 0.6 * before + 0.4 * p
    assert np.allclose(method.state()["targets"][data.rows], targets, atol=1e-6)
    by_logits = reference.elr_gradient(numpy64(logits), data.labels.numpy(), targets, 2.5) / 12
    assert torch.allclose(gradient(student, result)[0], by_weights(by_logits, moved.images), atol=1e-5)


def test_elr_pulls_towards_its_target_where_the_label_is_wrong() -> None:
    # the target says class 1, the label 2: plain cross-entropy lowers class 1's logit, ELR raises it
    raised = {}
    for weight in (0.0, 3.0):
        student, method = alone(), made("elr", num_rows=1, weight=weight)
        method.state()["targets"][0] = torch.tensor([0.02, 0.96, 0.02])
        result = method.step(student, batch(((0.1, 0.8, 0.1),), (2,)), clock(), seeded())
        by_logits = gradient(student, result)[0] @ torch.linalg.pinv(batch(((0.1, 0.8, 0.1),), (2,)).images.view(1, 3))
        raised[weight] = -by_logits[1].item()
    assert raised[0.0] < 0 < raised[3.0]


@given(seed=st.integers(0, 2**32), share=st.floats(0, 0.99), visits=st.integers(1, 6))
@settings(max_examples=30)
def test_elrs_targets_are_shares(seed: int, share: float, visits: int) -> None:
    data, method = random_batch(seed=seed), made("elr", num_rows=12, num_classes=4, beta=share)
    for _ in range(visits):
        method.step(alone(4), data, clock(), seeded())
    targets = method.state()["targets"]
    assert bool((targets >= 0).all())
    assert torch.allclose(targets.sum(1), torch.tensor(1 - share**visits), atol=1e-4)


def test_elr_of_a_certain_network_is_finite() -> None:
    student, method = alone(), made("elr", num_rows=2, beta=0.0, weight=7.0)
    images = as_images(torch.tensor([[500.0, 0, 0], [0, 500.0, 0]]))
    data = Batch(images, torch.tensor([0, 0]), torch.arange(2), lambda: images)
    for _ in range(3):
        result = method.step(student, data, clock(), seeded())
        assert bool(result.loss.isfinite())
        assert bool(gradient(student, result)[0].isfinite().all())


# -- co-teaching ---------------------------------------------------------------------------------------

DISAGREEING = (torch.tensor([0.9, 0.8, 0.2, 0.1]), torch.tensor([0.1, 0.4, 0.7, 0.8]))
"""What each network says of class 0, which is every label: the first finds easy what the second finds hard."""


def disagreeing() -> Batch:
    logits = torch.cat([torch.stack([p, (1 - p) / 2, (1 - p) / 2], 1).log() for p in DISAGREEING], 1)
    images = as_images(logits)
    return Batch(images, torch.zeros(4, dtype=torch.int64), torch.arange(4), lambda: images)


def test_each_network_learns_what_the_other_one_chose() -> None:
    student, data = pair(), disagreeing()
    result = made("co-teaching", forget_rate=0.5).step(student, data, clock(500), seeded())
    # the first chose rows 0 and 1, the second rows 2 and 3; each is taught the other's choice
    first = -(math.log(0.2) + math.log(0.1)) / 2
    second = -(math.log(0.1) + math.log(0.4)) / 2
    assert result.loss.item() == pytest.approx(first + second, rel=1e-5)
    own = -(math.log(0.9 * 0.8) + math.log(0.7 * 0.8)) / 2
    assert abs(result.loss.item() - own) > 1, "not its own choice"
    assert result.weight is not None
    assert result.weight.tolist() == [0.5] * 4

    grads = gradient(student, result)
    for grad, p, taught in zip(grads, DISAGREEING, ((2, 3), (0, 1)), strict=True):
        by_logits = np.zeros((4, 3))
        for row in taught:
            q = p[row].item()
            by_logits[row] = np.array([q - 1, (1 - q) / 2, (1 - q) / 2]) / 2
        assert torch.allclose(grad, by_weights(by_logits, data.images), atol=1e-5)


@given(seed=st.integers(0, 2**32), forget=st.floats(0, 1))
@settings(max_examples=40)
def test_co_teaching_against_the_reference(seed: int, forget: float) -> None:
    data = random_batch(channels=8, seed=seed)
    student = pair(num_classes=4)
    result = made("co-teaching", num_classes=4, forget_rate=forget).step(student, data, clock(500), seeded())
    kept = max(int((1 - forget) * 12 + 1e-6), 1)
    logits = numpy64(data.images.flatten(1))
    expected, chosen = reference.co_teaching((logits[:, :4], logits[:, 4:]), data.labels.numpy(), kept)
    assert result.loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert result.weight is not None
    assert result.weight.tolist() == [sum(row in rows for rows in chosen) / 2 for row in range(12)]


def test_all_are_kept_at_first() -> None:
    result = made("co-teaching", forget_rate=0.5).step(pair(), disagreeing(), clock(0), seeded())
    first, second = (-p.log().mean().item() for p in DISAGREEING)
    assert result.loss.item() == pytest.approx(first + second, rel=1e-5)


def test_kept_share_falls_by_the_epoch() -> None:
    # 100 epochs of 10 steps; T_k = 5 % of them = 5 epochs; tau = .4
    kept = [num_kept(100, 0.4, 5.0, Clock(10 * epoch, 1000, 10)) for epoch in range(8)]
    assert kept == [100, 92, 84, 76, 68, 60, 60, 60]
    assert num_kept(100, 0.4, 5.0, Clock(19, 1000, 10)) == 92, "the same all epoch long"
    assert [num_kept(100, 0.4, 0.0, Clock(10 * epoch, 1000, 10)) for epoch in range(3)] == [100, 60, 60]
    assert num_kept(100, 1.0, 5.0, Clock(999, 1000, 10)) == 1, "one at least"
    assert num_kept(10, 0.9, 5.0, Clock(999, 1000, 10)) == 1
    assert num_kept(100, 0.9, 5.0, Clock(999, 1000, 10)) == 10, "rounding takes none away"


@given(num=st.integers(1, 512), hundredths=st.integers(0, 100), epochs=st.integers(1, 50), epoch=st.integers(0, 49))
def test_kept_share_is_the_papers(num: int, hundredths: int, epochs: int, epoch: int) -> None:
    # gradual 20 %: T_k is a fifth of the epochs; R(T) = 1 - tau min(T / T_k, 1)
    epoch = min(epoch, epochs - 1)
    share = 1 - Fraction(hundredths, 100) * min(Fraction(5 * epoch, epochs), Fraction(1))
    kept = num_kept(num, hundredths / 100, 20.0, Clock(10 * epoch, 10 * epochs, 10))
    assert kept == max(math.floor(share * num), 1)


def test_easiest_marks_the_smallest() -> None:
    assert easiest(torch.tensor([3.0, 1, 2, 1]), 2).tolist() == [0, 1, 0, 1]
    assert easiest(torch.tensor([1.0, 1, 1]), 2).tolist() == [1, 1, 0], "the first of equals"
    assert easiest(torch.tensor([math.nan, 5.0, 4.0]), 1).tolist() == [0, 0, 1], "what is no number is not easy"


# -- the mixture of two Gaussians ----------------------------------------------------------------------


def two_humps(share: float, gap: float, spread: float, num: int = 400, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    few = round(share * num)
    return torch.from_numpy(np.concatenate([rng.normal(0.3, 0.1, few), rng.normal(0.3 + gap, spread, num - few)]))


@pytest.mark.parametrize(("share", "gap", "spread"), [(0.6, 2, 0.3), (0.3, 3, 0.5), (0.8, 1.5, 0.2), (0.5, 5, 1)])
def test_lower_component_is_sklearns(share: float, gap: float, spread: float) -> None:
    losses = two_humps(share, gap, spread)
    found = lower_component(losses).numpy()
    x = ((losses - losses.min()) / (losses.max() - losses.min())).numpy()[:, None]
    mixture = GaussianMixture(2, reg_covar=FLOOR, tol=1e-8, max_iter=500, random_state=0).fit(x)
    theirs = mixture.predict_proba(x)[:, mixture.means_.argmin()]
    assert np.abs(found - theirs).max() < 0.03
    assert ((found > 0.5) == (theirs > 0.5)).all()


@given(share=st.floats(0.1, 0.9), gap=st.floats(0.0, 3), spread=st.floats(0.05, 1), seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_lower_component_from_the_same_beginning_is_sklearns(
    share: float, gap: float, spread: float, seed: int
) -> None:
    losses = two_humps(share, gap, spread, 200, seed)
    x = ((losses - losses.min()) / (losses.max() - losses.min())).numpy()[:, None]
    halves = [x[x < 0.5], x[x >= 0.5]]
    mixture = GaussianMixture(
        2,
        reg_covar=FLOOR,
        tol=1e-3,
        weights_init=[len(half) / len(x) for half in halves],
        means_init=[[half.mean()] for half in halves],
        precisions_init=[[[1 / (half.var() + FLOOR)]] for half in halves],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it too stops after 100 rounds
        mixture.fit(x)
    theirs = mixture.predict_proba(x)[:, mixture.means_.argmin()]
    assert np.abs(lower_component(losses).numpy() - theirs).max() < 1e-6


@given(
    losses=st.lists(st.floats(0, 100, width=32), min_size=1, max_size=30),
    scale=st.floats(0.1, 10),
    offset=st.floats(-5, 5),
)
def test_lower_component_is_a_chance_and_has_no_unit(losses: list[float], scale: float, offset: float) -> None:
    values = torch.tensor(losses, dtype=torch.float64)
    found = lower_component(values)
    assert found.dtype == torch.float64
    assert found.shape == values.shape
    assert bool(((found >= 0) & (found <= 1)).all())
    turned = lower_component(values.flip(0)).flip(0)
    assert torch.allclose(turned, found, atol=1e-6)
    if values.max() - values.min() > 1:
        away = (values - values.min()) / (values.max() - values.min()) - 0.5
        if away.abs().min() > 1e-6:  # a value on the middle may fall into either half
            assert torch.allclose(lower_component(scale * values + offset), found, atol=1e-3)


def test_equal_losses_are_all_believed() -> None:
    assert lower_component(torch.full((7,), 2.5)).tolist() == pytest.approx([1] * 7)
    assert lower_component(torch.tensor([0.4])).tolist() == pytest.approx([1])


# -- DivideMix -----------------------------------------------------------------------------------------


def test_sharpening_by_hand() -> None:
    p = torch.tensor([[0.5, 0.25, 0.25]])
    assert sharpen(p, 0.5)[0].tolist() == pytest.approx([2 / 3, 1 / 6, 1 / 6])  # squares .25 .0625 .0625
    assert sharpen(p, 1.0)[0].tolist() == pytest.approx([0.5, 0.25, 0.25])
    assert sharpen(torch.tensor([[1.0, 0.0, 0.0]]), 0.5)[0].tolist() == [1, 0, 0]


@given(drawn=examples, temperature=st.floats(0.1, 3))
@settings(max_examples=50)
def test_sharpening_against_the_reference(drawn: Drawn, temperature: float) -> None:
    p = torch.softmax(split(drawn)[0].double(), 1)
    found = sharpen(p, temperature)
    assert np.allclose(found, reference.sharpened(p.numpy(), temperature), atol=1e-6)
    assert torch.allclose(found.sum(1), torch.ones(len(p), dtype=torch.float64))


@pytest.mark.parametrize("temperature", [0.02, 1e-4, 1e-30])
def test_sharpening_far_is_finite(temperature: float) -> None:
    p = torch.full((1, 196), 0.9 / 195)
    p[0, 7] = 0.1
    assert sharpen(p, temperature)[0].tolist() == pytest.approx(one_hot(torch.tensor([7]), 196)[0].tolist(), abs=1e-6)
    even = sharpen(torch.full((1, 196), 1 / 196), temperature)  # (1 / 196)^50 is 0 in float32
    assert even[0].tolist() == pytest.approx([1 / 196] * 196)


def test_mixmatch_loss_by_hand() -> None:
    logits = torch.tensor(P).log()
    targets = torch.tensor([[1.0, 0, 0], [0, 0, 1.0], [0, 0.5, 0.5]])
    found = mixmatch_loss(logits, targets, torch.tensor([1.0, 0, 0]), 10.0)
    squared = ((0.1**2 + 0.8**2 + 0.9**2) / 3 + (0.2**2 + 0.3**2 + 0.1**2) / 3) / 2
    means = (0.8 / 3, 1.25 / 3, 0.95 / 3)
    even = -sum(math.log(3 * mean) for mean in means) / 3
    assert found.item() == pytest.approx(math.log(2) + 10 * squared + even, rel=1e-5)


@given(drawn=examples, weight=st.floats(0, 150), seed=st.integers(0, 2**32))
@settings(max_examples=50)
def test_mixmatch_loss_against_the_reference(drawn: Drawn, weight: float, seed: int) -> None:
    logits = split(drawn)[0]
    generator = seeded(seed)
    targets = torch.softmax(torch.randn(logits.shape, generator=generator), 1)
    believed = torch.rand(len(logits), generator=generator) < 0.5
    found = mixmatch_loss(logits, targets, believed.float(), weight)
    expected = reference.mixmatch(numpy64(logits), numpy64(targets), believed.numpy(), weight)
    assert found.item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_mixmatch_loss_of_a_class_without_a_chance_is_finite() -> None:
    logits = torch.tensor([[300.0, 0, 0], [0, 300.0, 0]], requires_grad=True)
    loss = mixmatch_loss(logits, torch.full((2, 3), 1 / 3), torch.ones(2), 25.0)
    loss.backward()
    # cross-entropy 200; of the classes' mean chances 1/2, 1/2 and exp(-300)
    assert loss.item() == pytest.approx(200 - (2 * math.log(1.5) + math.log(3) - 300) / 3, rel=1e-5)
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


def test_warm_up_is_cross_entropy_of_both() -> None:
    method, student, data = made("dividemix", num_rows=4, warm_up=30.0), pair(), disagreeing()
    asked = []

    def again() -> Tensor:
        asked.append(1)
        return data.images

    counted = data._replace(again=again)
    result = method.step(student, counted, clock(299), seeded())
    first, second = (-p.log().mean().item() for p in DISAGREEING)
    assert result.loss.item() == pytest.approx(first + second, rel=1e-5)
    assert result.weight is None
    assert not asked
    result = method.step(student, counted, clock(300), seeded())
    assert result.weight is not None
    assert len(asked) == 1, "one more augmentation"


@pytest.mark.parametrize(
    ("warm_up", "end"),
    [(30.0, 300), (10 / 3, 100), (0.0, 100), (34.0, 300), (36.0, 400)],  # whole epochs of 100 steps, one at least
)
def test_rows_are_divided_from_the_end_of_warm_up(warm_up: float, end: int) -> None:
    method, student = made("dividemix", num_rows=4, warm_up=warm_up), pair()
    asked = []

    def survey(one: object) -> Tensor:
        asked.append(one)
        return torch.tensor([0.1, 0.1, 3.0, 3.0])

    method.begin_epoch(student, clock(end - 100), survey)
    assert not asked
    assert bool((method.state()["right"] == 1).all())
    method.begin_epoch(student, clock(end), survey)
    assert len(asked) == 2
    assert method.state()["right"][:, 2:].max() < 0.01


def test_each_network_is_told_by_the_other_ones_losses() -> None:
    method, student, data = made("dividemix", num_rows=40), pair(), random_batch(40, 6, 3)
    assert isinstance(method, DivideMix)
    losses = [two_humps(0.5, 3, 0.3, 40, seed)[torch.randperm(40, generator=seeded(seed))] for seed in (1, 2)]

    def survey(one: object) -> Tensor:
        return losses[0] if one is student.members[0] else losses[1]

    method.begin_epoch(student, clock(500), survey)
    right = method.state()["right"]
    assert torch.equal(right[0], lower_component(losses[1]).float())
    assert torch.equal(right[1], lower_component(losses[0]).float())
    assert not torch.equal(right[0] > 0.5, right[1] > 0.5)
    result = method.step(student, data, clock(500), seeded())
    assert result.weight is not None
    assert torch.equal(result.weight, right[:, data.rows].mean(0))


class Mixture:
    """A DivideMix step as the reference sees it.

    Args:
        data: the batch, its second augmentation included.
        weights: of the two linear networks, [K, D].
        right: [2, B], each network's chances that the labels are right.
        alpha: of the mixing.
        generator: as the step was given.
    """

    def __init__(
        self, data: Batch, weights: Sequence[Tensor], right: Tensor, alpha: float, generator: torch.Generator
    ) -> None:
        x = [numpy64(view.flatten(1)) for view in (data.images, data.again())]
        views = [[view @ numpy64(weight).T for view in x] for weight in weights]
        targets = reference.dividemix_targets(views, data.labels.numpy(), numpy64(right), 0.5, 0.5)
        self.believed = [np.tile(row > 0.5, 2) for row in numpy64(right)]
        self.x: list[reference.Array] = []
        self.targets: list[reference.Array] = []
        for target in targets:
            ratio = beta(alpha, 1, generator).item()
            ratio = max(ratio, 1 - ratio)
            partners = permutation(2 * len(data.labels), generator).numpy()
            for kept, values in ((self.x, np.concatenate(x)), (self.targets, np.tile(target, (2, 1)))):
                kept.append(ratio * values + (1 - ratio) * values[partners])

    def loss(self, number: int, weight: reference.Array, unlabeled_weight: float) -> float:
        """Of one network, were its weights these; what it is to learn stays."""
        logits = self.x[number] @ weight.T
        return reference.mixmatch(logits, self.targets[number], self.believed[number], unlabeled_weight)


def dividemix_step(
    step: int, right: Tensor, seed: int = 0, **options: Any
) -> tuple[StepResult, Student, Mixture, list[Tensor]]:
    data = random_batch(8, 5, 3, seed)
    weights = [torch.randn(3, 5, generator=seeded(20 + number)) / 2 for number in (0, 1)]
    student = pair(*weights)
    method = made("dividemix", num_rows=8, warm_up=30.0, ramp=20.0, alpha=4.0, **options)
    method.state()["right"][:, data.rows] = right
    result = method.step(student, data, clock(step), seeded())
    return result, student, Mixture(data, weights, right, 4.0, seeded()), weights


RIGHT = torch.tensor([[0.9, 0.6, 0.1, 0.2, 1.0, 0.0, 0.3, 0.7], [0.8, 0.1, 0.7, 0.4, 1.0, 0.0, 0.9, 0.2]])


@pytest.mark.parametrize(("step", "grown"), [(300, 0.0), (350, 0.25), (499, 199 / 200), (500, 1.0), (999, 1.0)])
def test_dividemix_against_the_reference(step: int, grown: float) -> None:
    result, _, mixture, weights = dividemix_step(step, RIGHT, unlabeled_weight=40.0)
    expected = sum(mixture.loss(number, numpy64(weights[number]), 40.0 * grown) for number in (0, 1))
    assert result.loss.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("right", [torch.zeros(2, 8), torch.ones(2, 8), torch.full((2, 8), 0.5)])
def test_dividemix_of_one_kind_of_rows(right: Tensor) -> None:
    result, student, mixture, weights = dividemix_step(700, right, unlabeled_weight=40.0)
    expected = sum(mixture.loss(number, numpy64(weights[number]), 40.0) for number in (0, 1))
    assert result.loss.item() == pytest.approx(expected, rel=1e-4)
    assert all(bool(grad.isfinite().all()) for grad in gradient(student, result))


def test_dividemix_targets_are_constants() -> None:
    # the gradient is that of the mixed images' loss alone: by central differences of the reference, targets held
    result, student, mixture, weights = dividemix_step(700, RIGHT, unlabeled_weight=40.0)
    for number, grad in enumerate(gradient(student, result)):
        weight = numpy64(weights[number])
        expected = np.zeros_like(weight)
        for at in np.ndindex(*weight.shape):
            step = np.zeros_like(weight)
            step[at] = 1e-5
            up, down = (mixture.loss(number, weight + sign * step, 40.0) for sign in (1, -1))
            expected[at] = (up - down) / 2e-5
        assert np.allclose(grad, expected, rtol=1e-3, atol=1e-4)


def test_labels_that_are_not_believed_do_not_matter() -> None:
    data, weights = random_batch(8, 6, 3), torch.eye(6).chunk(2)
    losses = []
    for labels in (data.labels, (data.labels + 1) % 3):
        method = made("dividemix", num_rows=8, alpha=4.0)
        method.state()["right"].fill_(0.5)  # not above the threshold
        losses.append(method.step(pair(*weights), data._replace(labels=labels), clock(700), seeded()).loss.item())
    assert losses[0] == losses[1]
    method = made("dividemix", num_rows=8, alpha=4.0, threshold=0.49)
    method.state()["right"].fill_(0.5)
    assert method.step(pair(*weights), data, clock(700), seeded()).loss.item() != losses[0]


def test_guesses_leave_no_trace_in_the_running_statistics() -> None:
    def network(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 3)).train()

    data = random_batch(8, 3, 3)
    student = Student(several([network(1), network(2)]), "fp32", False)
    seen = [_record(one) for one in networks_of(student)]
    made("dividemix", num_rows=8, alpha=4.0).step(student, data, clock(700), seeded())
    for number, one in enumerate(networks_of(student)):
        by_hand = network(number + 1)
        assert len(seen[number]) == 3, "two guesses and the mixtures"
        by_hand(seen[number][-1])
        assert len(seen[number][-1]) == 16
        for name, tensor in one.named_buffers():
            assert torch.equal(tensor, by_hand.get_buffer(name)), name
