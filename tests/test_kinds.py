"""Every kind of noise, and mixtures of them: exact, nested, class by class; and what happens on a shortage."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from noisyweb.blend import Blend, blend_levels, blending
from noisyweb.confusion import read_confusion, read_hierarchy
from noisyweb.draws import bits, integers, row_keys, uniforms
from noisyweb.errors import LevelError, ShortageError, SourceError, UnknownNameError
from noisyweb.levels import num_wrong
from noisyweb.mixture import parse_mix
from noisyweb.plan import BlendInput, Pixels
from noisyweb.quota import class_order, evened, loosened, wrong_per_class
from noisyweb.turns import drawn, turns

KINDS = ("red", "blue", "pair", "asymmetric", "instance", "nearest", "open-set", "human")
REPLACING = ("red", "open-set")


def make_source(sizes: list[int], pool: list[int] | None = None, others: int = 500) -> BlendInput:
    """Labels of classes of these sizes, with everything that any kind asks for."""
    num_classes = len(sizes)
    labels = np.repeat(np.arange(num_classes), sizes).astype(np.int32)
    keys = row_keys(f"train/{i}" for i in range(len(labels)))
    labels = labels[np.argsort(keys)]  # in no order of classes
    pool_labels = np.repeat(np.arange(num_classes), sizes if pool is None else pool).astype(np.int32)
    human = np.stack(
        [np.where(uniforms(keys, a, "w") < 0.7, integers(keys, num_classes, a, "l"), labels) for a in (0, 1)]
    )
    confusion = uniforms(np.arange(num_classes**2, dtype=np.uint64), 5, "confusion").reshape(num_classes, num_classes)
    confusion += np.eye(num_classes)

    def pixels(side: int) -> Pixels:
        shape = (len(labels), side, side, 3)
        noise = bits(np.arange(np.prod(shape), dtype=np.uint64), 1, "pixels") % np.uint64(160)
        shade = (labels * 40 % 96).astype(np.uint64)[:, None, None, None]
        return (noise.reshape(shape) + shade).astype(np.uint8)

    return BlendInput(
        labels,
        keys,
        [f"class {k}" for k in range(num_classes)],
        pool_labels,
        row_keys(f"pool/{i}" for i in range(len(pool_labels))),
        human.T.astype(np.int32),
        row_keys(f"other/{i}" for i in range(others)),
        confusion / confusion.sum(axis=1, keepdims=True),
        pixels,
    )


def check(source: BlendInput, blend: Blend, kind: str, balance: str) -> None:
    """What holds of every level of every kind."""
    labels = source.all_labels()
    assert blend.is_wrong.sum() == num_wrong(blend.level, len(labels))
    assert (blend.labels[~blend.is_wrong] == labels[~blend.is_wrong]).all()
    assert (blend.pool_row[~blend.is_wrong] == -1).all()
    assert ((blend.noise > 0) == blend.is_wrong).all()
    sizes = source.class_sizes()
    wrong = np.bincount(labels[blend.is_wrong], minlength=len(sizes))
    if balance == "class" and kind != "asymmetric":
        assert all(abs(int(w) - Fraction(blend.level) * int(s)) < 1 for w, s in zip(wrong, sizes, strict=True))
    used = blend.pool_row[blend.pool_row >= 0]
    assert len(set(used.tolist())) == len(used), "an image stands in twice"
    red = used[used < len(source.pool_labels)]
    assert (source.pool_labels[:][red] == labels[np.isin(blend.pool_row, red)]).all()
    flipped = blend.is_wrong & (blend.pool_row < 0)
    assert (blend.labels[flipped] != labels[flipped]).all(), "a wrong label is the right one"
    assert (blend.labels[~flipped] == labels[~flipped]).all()
    assert blend.labels.min(initial=0) >= 0
    assert blend.labels.max(initial=0) < len(sizes)


def check_nested(lower: Blend, higher: Blend) -> None:
    was = lower.is_wrong
    for name in ("is_wrong", "labels", "pool_row", "noise"):
        assert (getattr(higher, name)[was] == getattr(lower, name)[was]).all(), name


mixes = st.sampled_from(
    [*KINDS, "red=0.7,blue=0.3", "red=0.5,blue=0.25,pair=0.25", "open-set=0.1,red=0.9", "nearest=0.5,human=0.5"]
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=7),
    st.lists(st.decimals(0, 1, places=3), min_size=2, max_size=4),
    st.integers(0, 2**40),
    mixes,
    st.sampled_from(["class", "global"]),
)
def test_every_kind_is_exact_and_nested(
    sizes: list[int], levels: list[Decimal], seed: int, kind: str, balance: str
) -> None:
    assume(balance == "class" or "=" not in kind)
    source = make_source(sizes)
    try:
        whole = blending(kind, source, levels, seed, balance=balance)
    except ShortageError:
        assert kind in ("asymmetric", "human") or "human" in kind
        return
    blends = {blend.level: blend for blend in map(whole.blend, range(len(levels)))}
    for blend in blends.values():
        check(source, blend, kind, balance)
    ordered = [blends[level] for level in sorted(blends)]
    for lower, higher in itertools.pairwise(ordered):
        check_nested(lower, higher)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=8).filter(lambda sizes: sum(sizes) > 1),
    st.sampled_from(["red=0.7,blue=0.3", "red=0.05,pair=0.95", "blue=0.2,pair=0.3,red=0.5"]),
    st.integers(0, 99),
)
def test_each_kind_of_a_mixture_has_its_share_at_every_level(sizes: list[int], mix: str, seed: int) -> None:
    assume(len(sizes) > 1)
    source = make_source(sizes)
    shares = list(parse_mix(mix).shares.values())
    for blend in blend_levels(mix, source, [Decimal(step) / 7 // Decimal("0.001") / 1000 for step in range(8)], seed):
        total = int(blend.is_wrong.sum())
        for number, share in enumerate(shares, start=1):
            assert abs(int((blend.noise == number).sum()) - Fraction(share) * total) < 1


def test_a_mixture_spreads_its_kinds_over_classes() -> None:
    source = make_source([1000] * 10)
    (blend,) = blend_levels("red=0.7,blue=0.3", source, [Decimal("0.8")], 0)
    labels = source.all_labels()
    share = [float((blend.noise[blend.is_wrong & (labels == k)] == 1).mean()) for k in range(10)]
    assert min(share) > 0.69
    assert max(share) < 0.71
    with pytest.raises(LevelError, match=r"sum to 0\.9; expected 1"):
        parse_mix("red=0.7,blue=0.2")
    with pytest.raises(LevelError, match="share of blue is ''"):
        parse_mix("red=0.7,blue=")
    with pytest.raises(LevelError, match="twice"):
        parse_mix("red=0.7,red=0.3")
    with pytest.raises(UnknownNameError, match="did you mean 'blue'"):
        parse_mix("red=0.7,bleu=0.3")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=2, max_size=9), st.integers(0, 99), st.data())
def test_loosened_orders_are_exact_in_every_prefix(weights: list[int], seed: int, data: st.DataObject) -> None:
    whole = np.array(weights)
    total = data.draw(st.integers(0, int(whole.sum())))
    order = loosened(class_order(whole, total), whole, seed, "test")
    counts = np.cumsum(order[:, None] == np.arange(len(weights)), axis=0)
    t = np.arange(1, total + 1)[:, None]
    assert (np.abs(counts * whole.sum() - t * whole) < whole.sum()).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=9).filter(any), st.data())
def test_orders_in_blocks_are_the_same_order(sizes: list[int], data: st.DataObject) -> None:
    from noisyweb import quota

    whole = np.array(sizes)
    total = data.draw(st.integers(0, int(whole.sum())))
    expected = class_order(whole, total)
    before, quota.BLOCK = quota.BLOCK, data.draw(st.integers(1, 30))
    try:
        assert (class_order(whole, total) == expected).all()
    finally:
        quota.BLOCK = before


def test_streams_give_what_whole_blends_give() -> None:
    source = make_source([31, 17, 52], pool=[20, 17, 40])
    for kind in ("red", "asymmetric", "red=0.4,blue=0.6"):
        whole = blending(kind, source, [Decimal("0.2"), Decimal("0.5")], 3, on_shortage="cap")
        parts = list(whole.stream(7))
        for place in range(2):
            blend = whole.blend(place)
            for name in ("labels", "is_wrong", "pool_row", "rows", "noise"):
                streamed = np.concatenate([getattr(part[place], name) for part in parts])
                assert (streamed == getattr(blend, name)).all()


class Lazy:
    """Values that are only there by slices, as of a file."""

    def __init__(self, values: npt.NDArray[np.generic]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, part: slice) -> npt.NDArray[np.generic]:
        assert isinstance(part, slice)
        return self._values[part]


@pytest.mark.parametrize("kind", ["red", "blue", "pair", "asymmetric", "open-set"])
def test_columns_need_not_be_arrays(kind: str) -> None:
    source = make_source([31, 17, 52])
    lazy = BlendInput(
        Lazy(source.all_labels()),
        Lazy(source.all_keys()),
        source.class_names,
        Lazy(np.asarray(source.pool_labels[:])),
        Lazy(np.asarray(source.pool_keys[:])),
        other_keys=Lazy(np.asarray(source.other_keys[:])),
        confusion=source.confusion,
    )
    (ours,) = blend_levels(kind, lazy, [Decimal("0.3")], 1)
    (theirs,) = blend_levels(kind, source, [Decimal("0.3")], 1)
    assert (ours.labels == theirs.labels).all()
    assert (ours.pool_row == theirs.pool_row).all()


def test_turns_are_sorted_by_priority_within_classes_and_last_ones_last() -> None:
    labels = np.array([1, 0, 1, 1, 0, 2, 1], np.int32)
    keys = row_keys(map(str, range(7)))
    last = np.array([0, 0, 1, 0, 1, 0, 0], bool)
    found = turns(labels, 4, drawn(keys, 3, "x"), last)
    priority = bits(keys, 3, "x")
    expected = sorted(range(7), key=lambda row: (labels[row], last[row], priority[row]))
    assert found.order.tolist() == expected
    assert found.start.tolist() == [0, 2, 6, 7, 7]
    rank = found.rank()
    assert [rank[row] for row in expected] == [0, 1, 0, 1, 2, 3, 0]


# -- one kind each ---------------------------------------------------------------------------------------------


def test_pair_goes_to_the_next_class() -> None:
    source = make_source([10, 20, 5])
    (blend,) = blend_levels("pair", source, [Decimal(1)], 0)
    assert (blend.labels == (source.all_labels() + 1) % 3).all()


def test_asymmetric_realises_its_matrix_to_the_cell() -> None:
    source = make_source([40, 100, 60])
    matrix = np.array([[0.5, 0.3, 0.2], [0.0, 0.9, 0.1], [0.25, 0.25, 0.5]])
    source = BlendInput(source.labels, source.keys, source.class_names, confusion=matrix)
    (blend,) = blend_levels("asymmetric", source, [Decimal("0.3")], 0)  # 20 + 10 + 30 of 200: the matrix's own level
    table = np.zeros((3, 3), int)
    np.add.at(table, (source.all_labels(), blend.labels), 1)
    assert table.tolist() == [[20, 12, 8], [0, 90, 10], [15, 15, 30]]
    (half,) = blend_levels("asymmetric", source, [Decimal("0.15")], 0)
    np.add.at(table := np.zeros((3, 3), int), (source.all_labels(), half.labels), 1)
    assert table.tolist() == [[30, 6, 4], [0, 95, 5], [8, 7, 45]] or table.tolist() == [
        [30, 6, 4],
        [0, 95, 5],
        [7, 8, 45],
    ]
    with pytest.raises(ShortageError, match=r"for 2 of 3 classes: 'class 2' has 60 and needs 70, .*at most 0\.6"):
        next(blend_levels("asymmetric", source, [Decimal("0.7")], 0))


def test_a_hierarchy_confuses_siblings_only(tmp_path: Path) -> None:
    names = ["cat", "dog", "oak", "elm", "rock"]
    file = tmp_path / "tree.csv"
    file.write_text("class,parent\ncat,animal\ndog,animal\noak,tree\nelm,tree\nrock,stone\n", encoding="utf-8")
    matrix = read_hierarchy(file).matrix(names)
    source = make_source([20] * 5)
    source = BlendInput(source.labels, source.keys, names, confusion=matrix)
    (blend,) = blend_levels("asymmetric", source, [Decimal("0.4")], 0)
    labels = source.all_labels()
    assert blend.is_wrong.sum() == 40
    assert np.bincount(labels[blend.is_wrong], minlength=5).tolist() == [10, 10, 10, 10, 0]
    sibling = np.array([1, 0, 3, 2, 4])
    assert (blend.labels[blend.is_wrong] == sibling[labels[blend.is_wrong]]).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2\n3,4\n", "2 rows; expected 3"),
        ("1,0,0\n0,1,0\n0,0\n", "'c' has 2 numbers; expected 3"),
        ("1,0,0\n0,x,0\n0,0,1\n", "could not convert"),
        ("1,0,0\n0,-1,0\n0,0,1\n", "none below 0"),
        ("1,0,0\n0,nan,0\n0,0,1\n", "none below 0"),
        ("1,0,0\n0,0,0\n0,0,1\n", "'b' has a row of zeros"),
        (",a,b,d\na,1,0,0\nb,0,1,0\nd,0,0,1\n", "first row names 'd'"),
        (",a,b,c\na,1,0,0\nb,0,1,0\nb,0,0,1\n", "first column lacks a class"),
    ],
)
def test_a_matrix_that_does_not_fit(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "matrix.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=words):
        read_confusion(file).matrix(["a", "b", "c"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\n", "1 cells; expected"),
        ("a,x\na,y\n", "two parents"),
        ("a,x\nb,x\n", "1 classes have no parent, the first 'c'"),
    ],
)
def test_a_hierarchy_that_does_not_fit(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "tree.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=words):
        read_hierarchy(file).matrix(["a", "b", "c"])
    with pytest.raises(SourceError, match="cannot be read"):
        read_hierarchy(tmp_path / "none.csv")


def test_a_named_matrix_may_be_in_any_order(tmp_path: Path) -> None:
    file = tmp_path / "matrix.csv"
    file.write_text(",b,a\nb,3,1\na,1,1\n", encoding="utf-8")
    assert read_confusion(file).matrix(["a", "b"]).tolist() == [[0.5, 0.5], [0.25, 0.75]]


def test_instance_noise_depends_on_the_picture_and_rates_spread_around_the_level() -> None:
    source = make_source([200, 200, 200])
    (blend,) = blend_levels("instance", source, [Decimal("0.4")], 0)
    (other,) = blend_levels("instance", source, [Decimal("0.4")], 1)
    assert (blend.is_wrong != other.is_wrong).any()
    pixels = source.pixels(32)  # type: ignore[misc]
    twins = BlendInput(
        source.labels, source.keys, source.class_names, pixels=lambda side: np.broadcast_to(pixels[:1], pixels.shape)
    )
    (same,) = blend_levels("instance", twins, [Decimal("0.4")], 0)
    for k in range(3):  # the very same picture of a class all but always becomes the same class
        given = np.bincount(same.labels[same.is_wrong & (source.all_labels() == k)], minlength=3)
        assert given.max() > 0.95 * given.sum()
    spread = np.bincount(blend.labels[blend.is_wrong], minlength=3)
    assert spread.min() > 0


def test_nearest_noise_takes_what_looks_like_another_class() -> None:
    labels = np.repeat(np.arange(3), 30).astype(np.int32)
    shade = np.array([40, 120, 200])[labels]
    odd = [3, 40, 70]  # one of each class that looks like the next
    shade[odd] = [120, 200, 40]
    pictures = np.broadcast_to(shade[:, None, None, None], (90, 8, 8, 3)).astype(np.uint8)
    source = BlendInput(labels, row_keys(map(str, range(90))), ["a", "b", "c"], pixels=lambda side: pictures)
    (blend,) = blend_levels("nearest", source, [Decimal(3) / 90], 0)
    assert np.flatnonzero(blend.is_wrong).tolist() == odd
    assert blend.labels[odd].tolist() == [1, 2, 0]
    with pytest.raises(SourceError, match="only paths"):
        next(
            blend_levels(
                "nearest", make_source([3, 3]).__class__(labels, source.keys, ["a", "b", "c"]), [Decimal(0)], 0
            )
        )


def test_open_set_images_go_to_classes_by_their_sizes() -> None:
    source = make_source([40, 20, 20], others=40)
    (blend,) = blend_levels("open-set", source, [Decimal("0.5")], 0)
    assert sorted((blend.pool_row[blend.is_wrong] - len(source.pool_labels)).tolist()) == list(range(40))
    with pytest.raises(ShortageError, match=r"has 20 and needs 21|has 10 and needs 11"):
        next(blend_levels("open-set", source, [Decimal("0.52")], 0))


# -- shortage --------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=2, max_size=6),
    st.decimals(0, 1, places=2),
    st.integers(0, 99),
)
def test_cap_gives_the_best_level_that_all_classes_reach(
    classes: list[tuple[int, int]], level: Decimal, seed: int
) -> None:
    sizes, pool = [size for size, _ in classes], [wrong for _, wrong in classes]
    source = make_source(sizes, pool)
    (blend,) = blend_levels("red", source, [level], seed, on_shortage="cap")
    check(source, blend, "red", "class")
    assert blend.asked == level
    assert blend.level <= level
    if blend.level < level:  # the next one of four decimals is out of reach
        with pytest.raises(ShortageError):
            next(blend_levels("red", source, [blend.level + Decimal("0.0001")], seed))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=2, max_size=6),
    st.lists(st.decimals("0.05", 1, places=2), min_size=1, max_size=3),
    st.integers(0, 99),
)
def test_shrink_keeps_the_same_rows_at_all_levels_and_each_is_exact(
    classes: list[tuple[int, int]], levels: list[Decimal], seed: int
) -> None:
    sizes, pool = [size for size, _ in classes], [wrong for _, wrong in classes]
    source = make_source(sizes, pool)
    blends = sorted(blend_levels("red", source, levels, seed, on_shortage="shrink"), key=lambda blend: blend.level)
    kept = blends[0].rows
    labels = source.all_labels()[kept]
    for k, count in enumerate(np.bincount(labels, minlength=len(sizes)).tolist()):
        assert count == min(sizes[k], int(pool[k] // Fraction(max(levels))))
    smaller = BlendInput(labels, source.keys, source.class_names, source.pool_labels)
    for blend in blends:
        assert (blend.rows == kept).all()
        check(smaller, blend, "red", "class")
    for lower, higher in itertools.pairwise(blends):
        check_nested(lower, higher)


def test_shortages_that_no_policy_mends() -> None:
    source = make_source([10, 10], pool=[10, 0])
    with pytest.raises(ShortageError, match=r"1 classes have no wrong web images.*'class 1'"):
        next(blend_levels("red", source, [Decimal("0.5")], 0, on_shortage="shrink"))
    (blend,) = blend_levels("red", source, [Decimal("0.5")], 0, on_shortage="cap")
    assert blend.is_wrong.sum() <= 1
    with pytest.raises(ShortageError, match="leave out the mix"):
        next(blend_levels("red=0.5,blue=0.5", source, [Decimal("0.5")], 0, on_shortage="shrink"))
    with pytest.raises(ShortageError, match=r"10 can be wrong and 12 should be.*at most 0\.5"):
        next(blend_levels("red", source, [Decimal("0.6")], 0, balance="global"))
    (blend,) = blend_levels("red", source, [Decimal("0.6")], 0, balance="global", on_shortage="cap")
    assert blend.is_wrong.sum() == 10
    for wrong, words in (({"balance": "clas"}, "did you mean 'class'"), ({"on_shortage": "crop"}, "unknown policy")):
        with pytest.raises(UnknownNameError, match=words):
            next(blend_levels("red", source, [Decimal("0.1")], 0, **wrong))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 50), min_size=2, max_size=6),
    st.lists(st.integers(1, 40), min_size=1, max_size=9),
    st.integers(0, 99),
)
def test_evened_orders_are_exact_in_every_prefix(shares: list[int], sizes: list[int], seed: int) -> None:
    total = sum(sizes)
    weights = np.array(shares) * total
    classes = class_order(np.array(sizes), total)
    order = evened(class_order(weights, total), weights, classes, len(sizes))
    counts = np.cumsum(order[:, None] == np.arange(len(shares)), axis=0)
    t = np.arange(1, total + 1)[:, None]
    assert (np.abs(counts * weights.sum() - t * weights) < weights.sum()).all()


def test_classes_of_a_mixture_are_exact_at_levels_between_rows() -> None:
    """0.327 x 26 = 8.502 is rounded to 9; the class of 21 has 6.867 of them, so 6 or 7."""
    source = make_source([2, 3, 21])
    for seed in range(20):
        (blend,) = blend_levels("red=0.7,blue=0.3", source, [Decimal("0.327")], seed)
        check(source, blend, "red=0.7,blue=0.3", "class")


@pytest.mark.parametrize(("mix", "pool", "level"), [("red=0.5,blue=0.5", 12, "0.9"), ("red=0.3,blue=0.7", 9, "1")])
def test_a_mixture_uses_up_its_pool(mix: str, pool: int, level: str) -> None:
    """A class of 20 has 9 red rows of 18 (or 6 of 20), give or take the few that prefixes ask for."""
    source = make_source([20] * 6)
    source = replace(source, pool_labels=np.repeat(np.arange(6), pool), pool_keys=np.arange(6 * pool, dtype=np.uint64))
    (blend,) = blend_levels(mix, source, [Decimal(level)], 0)
    assert int(blend.is_wrong.sum()) == num_wrong(Decimal(level), 120)
    assert len(set(blend.pool_row[blend.pool_row >= 0].tolist())) == int((blend.noise == 1).sum())


def test_blue_leaves_the_rows_that_people_mislabelled_to_them() -> None:
    """Six of twelve rows of a class carry a wrong human label; all six are needed, and blue takes the others."""
    source = make_source([12, 12])
    labels = source.all_labels()
    human = np.where(np.arange(24) % 2 == 0, 1 - labels, labels)[:, None]
    (blend,) = blend_levels("human=0.5,blue=0.5", replace(source, human_labels=human), [Decimal(1)], 0)
    assert blend.is_wrong.all()
    assert (np.arange(24)[blend.noise == 1] % 2 == 0).all()


def test_global_balance_with_a_pool_larger_than_a_class() -> None:
    source = make_source([7, 20, 4])
    pools = replace(source, pool_labels=np.repeat(np.arange(3), 50), pool_keys=np.arange(150, dtype=np.uint64))
    for level in ("0.5", "0.9", "1"):
        (blend,) = blend_levels("red", pools, [Decimal(level)], 0, balance="global")
        assert int(blend.is_wrong.sum()) == num_wrong(Decimal(level), 31)


@pytest.mark.slow
def test_a_mixture_of_more_than_a_million_rows() -> None:
    """More rows than the shares have decimals, and more than are worked on at a time."""
    source = make_source([600_000, 600_000])
    (blend,) = blend_levels("blue=0.5,pair=0.5", source, [Decimal("0.01")], 0)
    assert np.bincount(blend.noise).tolist() == [1_188_000, 6_000, 6_000]


def test_global_balance_draws_from_all_rows_alike() -> None:
    source = make_source([3000, 1000])
    found = set()
    for seed in range(4):
        (blend,) = blend_levels("blue", source, [Decimal("0.5")], seed, balance="global")
        wrong = np.bincount(source.all_labels()[blend.is_wrong])
        assert wrong.sum() == 2000
        assert 1420 < wrong[0] < 1580  # hypergeometric: 1500, standard deviation 13.7
        found.add(int(wrong[0]))
    assert len(found) > 1


def test_the_same_in_any_process() -> None:
    code = (
        "import hashlib\nfrom decimal import Decimal\nfrom noisyweb.blend import blend_levels\n"
        "from tests.test_kinds import KINDS, make_source\nd = hashlib.sha256()\n"
        "for kind in (*KINDS, 'red=0.7,blue=0.3'):\n"
        "    for balance in ('class', 'global') if '=' not in kind else ('class',):\n"
        "        for b in blend_levels(kind, make_source([30, 21, 17]), [Decimal('0.2')], 11, balance=balance):\n"
        "            d.update(b.labels.tobytes() + b.pool_row.tobytes())\nprint(d.hexdigest())"
    )
    found = set()
    for hash_seed, threads in (("0", "1"), ("77", "2")):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=100
        )
        found.add(done.stdout)
    assert len(found) == 1


def test_cell_counts_are_what_largest_remainder_gives() -> None:
    assert wrong_per_class(np.array([6, 6, 2]), 7).tolist() == [3, 3, 1]
