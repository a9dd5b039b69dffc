"""Exact, nested counts per class."""

from __future__ import annotations

import itertools
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.errors import LevelError
from noisyweb.levels import level_text, num_wrong, parse_level
from noisyweb.quota import class_order, wrong_per_class

sizes_strategy = st.lists(st.integers(0, 60), min_size=1, max_size=12).filter(any)


@settings(max_examples=200, deadline=None)
@given(sizes_strategy)
def test_at_every_level_every_class_has_its_share_rounded_down_or_up(sizes: list[int]) -> None:
    n = sum(sizes)
    order = class_order(np.array(sizes), n)
    counts = np.cumsum(order[:, None] == np.arange(len(sizes)), axis=0)
    assert counts[-1].tolist() == sizes
    # shares change at multiples of 1 / size, totals at odd multiples of 1 / 2n: look there and in between
    edges = {Fraction(j, s) for s in sizes if s for j in range(s + 1)} | {Fraction(2 * t + 1, 2 * n) for t in range(n)}
    ordered = sorted(edges)
    for level in [*ordered, *((a + b) / 2 for a, b in itertools.pairwise(ordered))]:
        total = int(level * n + Fraction(1, 2))
        count = counts[total - 1] if total else np.zeros(len(sizes), int)
        for k, size in enumerate(sizes):
            assert (level * size).__floor__() <= count[k] <= (level * size).__ceil__()


def test_plain_largest_remainder_would_lose_a_row_where_this_does_not() -> None:
    """The Alabama paradox: sizes for which Hamilton's method takes a row away as the total grows."""
    sizes = np.array([6, 6, 2])

    def hamilton(total: int) -> list[int]:
        shares = [Fraction(total * int(s), 14) for s in sizes]
        counts = [s.__floor__() for s in shares]
        by_remainder = sorted(range(3), key=lambda k: (counts[k] - shares[k], k))
        for k in by_remainder[: total - sum(counts)]:
            counts[k] += 1
        return counts

    assert hamilton(10)[2] > hamilton(11)[2]
    ours = [wrong_per_class(sizes, total).tolist() for total in range(15)]
    assert all(a <= b for lower, upper in itertools.pairwise(ours) for a, b in zip(lower, upper, strict=True))


@given(st.integers(0, 10**7), st.decimals(0, 1, places=4))
def test_total_is_level_times_rows_rounded_half_up(rows: int, level: Decimal) -> None:
    total = num_wrong(level, rows)
    assert abs(total - Fraction(level) * rows) <= Fraction(1, 2)
    assert total - Fraction(level) * rows != Fraction(-1, 2)


def test_the_numbers_of_stanford_cars() -> None:
    assert num_wrong(parse_level("0.4"), 8144) == 3258
    assert num_wrong(parse_level("0.15"), 8144) == 1222


@pytest.mark.parametrize(
    ("text", "shown"), [("0", "0.0"), ("0.40", "0.4"), (".05", "0.05"), ("1", "1.0"), ("1e-1", "0.1"), ("-0", "0.0")]
)
def test_level_text(text: str, shown: str) -> None:
    assert level_text(parse_level(text)) == shown


@pytest.mark.parametrize("text", ["-0.1", "1.01", "40", "nan", "inf", "forty", "", "0,4", "1e-13", "1E-99999999"])
def test_what_is_no_level(text: str) -> None:
    with pytest.raises(LevelError, match=r"expected|share|decimals"):
        parse_level(text)


def test_a_percentage_gets_a_hint() -> None:
    with pytest.raises(LevelError, match=r"did you mean 0\.4\?"):
        parse_level("40")
