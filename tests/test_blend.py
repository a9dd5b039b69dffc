"""Blends: exact, nested, class sizes kept, the same everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.blend import Blend, blend_levels
from noisyweb.draws import bits, integers, row_keys, uniforms
from noisyweb.errors import ShortageError, SourceError, UnknownNameError
from noisyweb.levels import num_wrong
from noisyweb.plan import BlendInput


def make_input(sizes: list[int], pool: list[int] | None = None, human: int = 0) -> BlendInput:
    labels = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    pool_labels = np.repeat(np.arange(len(sizes)), pool or sizes).astype(np.int32)
    keys = row_keys(f"train/{i}" for i in range(len(labels)))
    given_labels = None
    if human:
        columns = [
            np.where(uniforms(keys, a, "wrong") < 0.5, integers(keys, len(sizes), a, "which"), labels)
            for a in range(human)
        ]
        given_labels = np.stack(columns, axis=1).astype(np.int32)
    return BlendInput(
        labels,
        keys,
        [f"class {k}" for k in range(len(sizes))],
        pool_labels,
        row_keys(f"pool/{i}" for i in range(len(pool_labels))),
        given_labels,
    )


def check_exact(source: BlendInput, blend: Blend) -> None:
    n = len(source.labels)
    assert blend.is_wrong.sum() == num_wrong(blend.level, n)
    sizes = source.class_sizes()
    wrong = np.bincount(source.labels[blend.is_wrong], minlength=len(sizes))
    for k, size in enumerate(sizes):
        assert abs(int(wrong[k]) - Fraction(blend.level) * int(size)) < 1
    assert (blend.labels[~blend.is_wrong] == source.labels[~blend.is_wrong]).all()
    assert (blend.pool_row[~blend.is_wrong] == -1).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 50), min_size=2, max_size=9),
    st.lists(st.decimals(0, 1, places=3), min_size=2, max_size=5),
    st.integers(0, 2**40),
    st.sampled_from(["red", "blue"]),
)
def test_exact_nested_and_consistent(sizes: list[int], levels: list[Decimal], seed: int, kind: str) -> None:
    source = make_input(sizes)
    blends = {b.level: b for b in blend_levels(kind, source, levels, seed)}
    previous: Blend | None = None
    for level in sorted(blends):
        blend = blends[level]
        check_exact(source, blend)
        used = blend.pool_row[blend.is_wrong]
        if kind == "red":
            assert len(set(used.tolist())) == len(used), "a pool image is used twice"
            assert (source.pool_labels[used] == source.labels[blend.is_wrong]).all()
            assert (blend.labels == source.labels).all(), "class sizes are kept"
        else:
            assert (blend.labels[blend.is_wrong] != source.labels[blend.is_wrong]).all()
            assert (used == -1).all()
        if previous is not None:
            was = previous.is_wrong
            assert blend.is_wrong[was].all(), "what is wrong at a level is wrong at every higher one"
            assert (blend.labels[was] == previous.labels[was]).all()
            assert (blend.pool_row[was] == previous.pool_row[was]).all()
        previous = blend


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(5, 60), min_size=2, max_size=6), st.integers(0, 1000))
def test_human_labels_are_ones_that_annotators_gave(sizes: list[int], seed: int) -> None:
    source = make_input(sizes, human=3)
    assert source.human_labels is not None
    try:
        (blend,) = blend_levels("human", source, [Decimal("0.2")], seed)
    except ShortageError:
        return
    check_exact(source, blend)
    for row in np.flatnonzero(blend.is_wrong):
        assert blend.labels[row] in source.human_labels[row]
        assert blend.labels[row] != source.labels[row]


def test_missing_human_labels_are_never_drawn() -> None:
    source = make_input([10, 10])
    human = np.full((20, 2), -1, np.int32)
    human[:, 1] = 1 - source.labels
    source = BlendInput(source.labels, source.keys, source.class_names, source.pool_labels, source.pool_keys, human)
    (blend,) = blend_levels("human", source, [Decimal(1)], 0)
    assert (blend.labels == 1 - source.labels).all()


def test_blue_draws_every_other_class_equally_often() -> None:
    source = make_input([4000] * 5)
    (blend,) = blend_levels("blue", source, [Decimal("0.8")], 3)
    table = np.zeros((5, 5))
    np.add.at(table, (source.labels[blend.is_wrong], blend.labels[blend.is_wrong]), 1)
    assert (np.diag(table) == 0).all()
    expected = 3200 / 4
    chi_square = ((table[~np.eye(5, dtype=bool)] - expected) ** 2 / expected).sum()
    assert chi_square < 50  # 15 degrees of freedom: the 99.999 % point is 46


def test_shortage_names_class_has_and_needs_and_the_level_to_reach() -> None:
    source = make_input([10, 10, 10], pool=[10, 3, 10])
    with pytest.raises(ShortageError, match=r"'class 1' has 3 and needs 5.*at most 0\.3"):
        list(blend_levels("red", source, [Decimal("0.5")], 0))
    (blend,) = blend_levels("red", source, [Decimal("0.3")], 0)
    assert blend.is_wrong.sum() == 9


def test_a_shortage_at_one_level_gives_no_level_at_all() -> None:
    source = make_input([10, 10], pool=[10, 3])
    with pytest.raises(ShortageError):
        next(blend_levels("red", source, [Decimal("0.1"), Decimal("0.8")], 0))


def test_what_a_kind_needs() -> None:
    with pytest.raises(SourceError, match="at least 2 classes"):
        list(blend_levels("blue", make_input([5]), [Decimal("0.2")], 0))
    with pytest.raises(SourceError, match="human_labels"):
        list(blend_levels("human", make_input([5, 5]), [Decimal("0.2")], 0))
    with pytest.raises(UnknownNameError, match=r"did you mean 'blue'.*blue, human, .*pair, red"):
        list(blend_levels("bleu", make_input([5, 5]), [Decimal("0.2")], 0))


def test_rows_keep_their_draws_when_others_are_added_or_moved() -> None:
    names = [f"image {i}" for i in range(50)]
    alone = bits(row_keys(names), 7, "x")
    shuffled = bits(row_keys([*reversed(names), "another"]), 7, "x")
    assert (alone == shuffled[:50][::-1]).all()
    assert (alone != bits(row_keys(names), 8, "x")).all()
    assert (alone != bits(row_keys(names), 7, "y")).all()


def test_uniforms_are_uniform() -> None:
    from scipy.stats import kstest

    values = uniforms(row_keys(map(str, range(20_000))), 0, "test")
    assert kstest(values, "uniform").pvalue > 1e-4


DIGEST = """
import hashlib, numpy as np
from tests.test_blend import make_input
from noisyweb.blend import blend_levels
from noisyweb.levels import PAPER_LEVELS
d = hashlib.sha256()
for kind in ("red", "blue", "human"):
    for b in blend_levels(kind, make_input([40, 31, 17], human=3), PAPER_LEVELS[:5], 11):
        d.update(b.labels.astype("<i4").tobytes() + b.pool_row.astype("<i8").tobytes())
print(d.hexdigest())
"""
GOLDEN = "82e5744f66c7cccdf962b2533eab3ef15381db9554b65b13d8b0c0c80080543d"


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_the_same_in_every_process_and_for_ever(hash_seed: str) -> None:
    """The digest is part of the promise: if it changes, every published seed means something else."""
    done = subprocess.run(
        [sys.executable, "-c", DIGEST],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == GOLDEN
