from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisyweb.consensus.agreement import Alpha, agreement, alpha
from noisyweb.consensus.tally import tally
from noisyweb.schemas import VOTES
from tests.test_consensus import table, weak


def test_the_textbook_example() -> None:
    """Krippendorff (2011), section C: four observers, twelve units, five values, some missing."""
    units = np.zeros((12, 5), np.int64)
    for said in ("123321412...", "1233224125.3", ".3332342251.", "12332441251."):
        for unit, value in enumerate(said):
            if value != ".":
                units[unit, int(value) - 1] += 1
    assert alpha(units).value == pytest.approx(0.743, abs=5e-4)
    assert alpha(units).num_questions == 11  # one unit has one value only


def by_pairs(units: list[list[str]]) -> float | None:
    """Alpha from its definition: the pairs of values within units, and of all of these values."""
    pairable = [unit for unit in units if len(unit) >= 2]
    values = [value for unit in pairable for value in unit]
    observed = sum(sum(a != b for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in pairable)
    expected = sum(a != b for a, b in permutations(values, 2))
    if not expected:
        return None
    return 1 - (observed / len(values)) / (expected / (len(values) * (len(values) - 1)))


@given(st.lists(st.lists(st.sampled_from(["yes", "no", "unsure"]), max_size=5), max_size=8))
def test_alpha_is_what_its_definition_says(said: list[list[str]]) -> None:
    rows = [(f"{n}", n % 2, f"{who}", answer) for n, unit in enumerate(said) for who, answer in enumerate(unit)]
    found = agreement(tally(table(rows)))
    decisive = [[answer for answer in unit if answer != "unsure"] for unit in said]
    assert set(found.by_class) == {n % 2 for n, unit in enumerate(said) if unit}
    for result, units in [(found.overall, decisive), *((part, decisive[k::2]) for k, part in found.by_class.items())]:
        expected = by_pairs(units)
        assert result.value == (None if expected is None else pytest.approx(expected))
        assert result.num_questions == sum(len(unit) >= 2 for unit in units)


def test_full_agreement_and_none() -> None:
    rows = [(f"{n}", 0, f"{who}", "yes" if n % 2 else "no") for n in range(10) for who in range(3)]
    assert agreement(tally(table(rows))).overall == Alpha(1.0, 10)
    rows = [(f"{n}", 0, f"{who}", "yes" if who else "no") for n in range(10) for who in range(2)]
    value = agreement(tally(table(rows))).overall.value
    assert value is not None
    assert value < 0


def test_not_defined() -> None:
    nothing = agreement(tally(VOTES.empty_table()))
    assert (nothing.overall, nothing.by_class, nothing.lowest(5)) == (Alpha(None, 0), {}, [])
    same = agreement(tally(table([(f"{n}", 0, f"{who}", "yes") for n in range(4) for who in range(3)])))
    assert (same.overall, same.lowest(5)) == (Alpha(None, 4), [])
    assert agreement(tally(table([("a", 0, "x", "yes"), ("b", 0, "y", "no")]))).overall == Alpha(None, 0)


def test_weak_votes_take_part_where_they_count() -> None:
    rows = [(f"{n}", 0, who, "yes" if n % 2 else "no") for n in range(4) for who in ("x", "y")]
    rows += [(f"{n}", 0, "machine", "no") for n in range(4)]
    votes = weak(table(rows), "machine")
    assert agreement(tally(votes)).overall == Alpha(1.0, 4)
    value = agreement(tally(votes, count_weak=True)).overall.value
    assert value is not None
    assert value < 0.6


def test_the_classes_that_agree_least_come_first() -> None:
    def questions(label: int, differ: int) -> list[tuple[str, int, str, str]]:
        return [
            (f"{n}", label, f"{who}", "no" if n < 4 or (who == 0 and n >= 8 - differ) else "yes")
            for n in range(8)
            for who in range(3)
        ]

    found = agreement(tally(table([*questions(0, 1), *questions(1, 3), *questions(2, 0), *questions(7, 2)])))
    assert [label for label, _ in found.lowest(3)] == [1, 7, 0]
    values = [part.value for _, part in found.lowest(9)]
    assert values == sorted(values)
