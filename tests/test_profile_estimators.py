"""Every estimator of a profile on data whose answer is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.profile.interval import below, standard_error, wilson
from noisyweb.profile.likeness import likeness
from noisyweb.profile.names import tf_idf
from noisyweb.profile.nearness import nearness
from noisyweb.profile.pictures import pictures
from noisyweb.profile.votes import Ballots, variance_parts, votes

CLASSES = 8


def cast(concentration: float | None, asks_again: bool, seed: int, each: int = 60) -> tuple[Ballots, float]:
    """Votes whose image share is known: beta rates in a class, or the class's rate (None), or 0 and 1 alone (0.0)."""
    rng = np.random.default_rng(seed)
    rate = np.linspace(0.2, 0.7, CLASSES)
    label = np.repeat(np.arange(CLASSES), each)
    within = float((rate * (1 - rate)).mean())
    if concentration is None:
        chance, images = rate[label], 0.0
    elif concentration == 0:
        chance, images = (rng.random(len(label)) < rate[label]).astype(float), within
    else:
        chance = rng.beta(rate[label] * concentration, (1 - rate[label]) * concentration)
        images = within / (concentration + 1)
    yes, total = rng.binomial(3, chance), np.full(len(label), 3)
    if asks_again:
        split = (yes > 0) & (yes < 3)
        yes, total = yes + np.where(split, rng.binomial(2, chance), 0), total + 2 * split
    return Ballots.of(label, yes, total), images / (rate.mean() * (1 - rate.mean()))


@pytest.mark.parametrize("asks_again", [False, True])
@pytest.mark.parametrize("concentration", [None, 0.0, 0.5, 2.0, 8.0])
def test_the_share_of_images_is_unbiased_and_its_interval_covers(concentration: float | None, asks_again: bool) -> None:
    found, hits, truth = [], 0, 0.0
    for seed in range(150):
        ballots, truth = cast(concentration, asks_again, seed)
        parts = variance_parts(ballots)
        assert parts is not None
        found.append(parts[0])
        hits += abs(parts[0] - truth) <= 1.96 * parts[2]
    assert np.mean(found) == pytest.approx(truth, abs=4 * np.std(found) / 150**0.5)
    assert hits >= 132  # of 150 where 95 % are to be expected: 4 standard deviations


def test_more_votes_on_split_images_would_look_like_split_images() -> None:
    """What the correction is for: without it, votes that hang on the class alone seem to hang on the image."""
    ballots, _ = cast(None, True, 0, each=400)
    assert ballots.first == 3
    plain, right = variance_parts(Ballots(ballots.label, ballots.yes, ballots.total, 0)), variance_parts(ballots)
    assert plain is not None
    assert right is not None
    assert plain[0] > 0.1
    assert abs(right[0]) < 0.03


def verdicts(label: list[int], yes: list[int], total: list[int]) -> pa.Table:
    return pa.table({"label": label, "votes_yes": yes, "votes_total": total})


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.lists(st.booleans(), min_size=10, max_size=40), st.integers(0, 9))
def test_people_of_one_mind_leave_nothing_to_people(num_votes: int, minds: list[bool], seed: int) -> None:
    yes = [num_votes * mind for mind in minds]
    found = votes(verdicts([0] * len(yes), yes, [num_votes] * len(yes)), 0, "a test", seed)
    if len(set(minds)) == 1:
        assert found.value is None
        assert "are the same" in str(found.missing)
    else:  # one class: all of the variance, whatever the votes
        assert found.value == pytest.approx(1.0)
        assert found.high == 1.0


def test_votes_that_hang_on_the_class_alone_are_blue_noise() -> None:
    ballots, _ = cast(None, False, 3, each=200)
    table = verdicts(ballots.label.tolist(), ballots.yes.tolist(), ballots.total.tolist())
    found = votes(table, 0, "a test", 0)
    assert found.low is not None
    assert found.low <= 0.01
    assert not found.is_unlike_blue
    assert "not to be told from blue noise" in found.sentence
    assert votes(table, 0, "a test", 0) == found


def scene(share: float, seed: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Vectors, given labels and verdicts: a share of the wrong images are of the given class, others of any other."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(CLASSES, 24)) * 0.6
    right, given_ = np.repeat(np.arange(CLASSES), 40), np.repeat(np.arange(CLASSES), 25)
    strays = (given_ + rng.integers(1, CLASSES, len(given_))) % CLASSES
    shown = np.concatenate([right, np.where(rng.random(len(given_)) < share, given_, strays)])
    vectors = means[shown] + rng.normal(size=(len(shown), 24))
    return vectors.astype(np.float32), np.concatenate([right, given_]), np.arange(len(shown)) >= len(right)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_likeness_is_the_share_of_images_of_the_class_and_its_interval_covers(share: float) -> None:
    found, errors, hits = [], [], 0
    for seed in range(40):
        vectors, label, wrong = scene(share, seed)
        first, second = likeness(nearness(vectors, label, wrong, seed), label, seed)
        assert first.value is not None
        assert first.low is not None
        assert first.high is not None
        found.append(first.value)
        errors.append((first.high - first.low) / (2 * 1.96))
        hits += first.low <= share <= first.high
        assert second.value is not None
        assert (second.value > 0.55) == (share > 0)
    assert np.mean(found) == pytest.approx(share, abs=0.03)
    assert np.std(found) == pytest.approx(np.mean(errors), rel=0.35)
    assert hits >= 32  # of 40; of 1,000 seeds 95 % for each share


def test_likeness_does_not_care_what_is_odd_for_every_class() -> None:
    """Wrong images from another camera, all moved the same way, are as near as before."""
    vectors, label, wrong = scene(0.3, 5)
    moved = vectors + 5 * wrong[:, None] * np.random.default_rng(0).normal(size=24).astype(np.float32)
    plain, _ = likeness(nearness(vectors, label, wrong, 0), label, 0)
    other, _ = likeness(nearness(moved, label, wrong, 0), label, 0)
    assert plain.value is not None
    assert other.value == pytest.approx(plain.value, abs=0.06)


def test_vectors_that_say_nothing_give_no_scale() -> None:
    _, label, wrong = scene(0.3, 0)
    nothing = np.random.default_rng(1).normal(size=(len(label), 24)).astype(np.float32)
    for found in likeness(nearness(nothing, label, wrong, 0), label, 0):
        assert found.value is None
        assert "no scale" in found.sentence


@pytest.mark.parametrize("depends", [False, True])
def test_pictures_tell_whether_odd_images_are_mislabelled(depends: bool) -> None:
    hits = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        means = rng.normal(size=(CLASSES, 24)) * 0.6
        true = np.repeat(np.arange(CLASSES), 50)
        noise = rng.normal(size=(len(true), 24))
        vectors = (means[true] + noise).astype(np.float32)
        along = (noise * means[true]).sum(axis=1) / np.linalg.norm(means[true], axis=1)  # how typical each is
        wrong = rng.random(len(true)) < (np.where(along < 0, 0.5, 0.1) if depends else 0.3)
        label = np.where(wrong, (true + rng.integers(1, CLASSES, len(true))) % CLASSES, true)
        found = pictures(nearness(vectors, label, wrong, seed), true, np.ones(len(true), bool), seed)
        assert found.low is not None
        assert found.high is not None
        assert found.reference == pytest.approx(0.5, abs=0.02)
        hits += found.low > 0.5 if depends else found.low <= 0.5 <= found.high
    assert hits >= 33


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_below_counts_pairs(values: list[int], others: list[int]) -> None:
    found = below(np.array(values, float), np.array(others, float))
    assert found.tolist() == pytest.approx(
        [sum((o < v) + 0.5 * (o == v) for o in others) / len(others) for v in values]
    )


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_share(counts: tuple[int, int]) -> None:
    low, high = wilson(*counts)
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1
    assert low < high


def test_a_standard_error_is_that_of_a_mean_in_strata() -> None:
    rng = np.random.default_rng(0)
    values, strata = rng.normal(size=300), np.repeat([0, 1, 2], [100, 180, 20])
    by_hand = sum(np.var(values[strata == s], ddof=1) * (strata == s).sum() for s in range(3)) ** 0.5 / 300
    assert standard_error(values / 300, strata) == pytest.approx(by_hand)
    alone = standard_error(values / 300, np.arange(300))  # strata of one image are one stratum
    assert alone == pytest.approx(np.std(values, ddof=1) / 300**0.5)


def test_names_are_alike_by_words_and_letters() -> None:
    vectors = tf_idf(["Audi A4 Sedan", "Audi A6 Sedan", "audi a4 sedan", "Volvo 240", "", "犬 柴犬", "<b>"])
    alike = (vectors @ vectors.T).toarray()
    assert alike[0, 2] == pytest.approx(1.0)
    assert 1 > alike[0, 1] > alike[0, 3] == 0
    assert alike[4].tolist() == [0.0] * 7
    assert np.allclose(alike, alike.T)
