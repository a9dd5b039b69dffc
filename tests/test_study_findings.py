"""The table and the findings of a study, from rows with known answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.training.study.findings import Finding, findings
from noisyweb.training.study.results import CELLS, over_levels, percent, table_of
from noisyweb.training.study.statistics import correlation_interval, mean_interval

Accuracy = Callable[[str, float, str, str, int], tuple[float, float]]


def cells(
    accuracy: Accuracy,
    *,
    kinds: tuple[str, ...] = ("red", "blue"),
    levels: tuple[float, ...] = (0.2, 0.4),
    methods: tuple[str, ...] = ("standard", "mentormix"),
    models: tuple[str, ...] = ("small",),
    num_seeds: int = 3,
) -> pa.Table:
    """Rows of a finished study; ``accuracy`` gives peak and final accuracy of a cell."""
    places = [("clean", 0.0), *itertools.product(kinds, levels)]
    rows: list[dict[str, Any]] = []
    for (kind, level), method, model, seed in itertools.product(places, methods, models, range(num_seeds)):
        peak, final = accuracy(kind, level, method, model, seed)
        about = {"kind": kind, "level": level, "method": method, "model": model, "start": "scratch", "seed": seed}
        rows.append({**about, "status": "done", "run": "runs/x", "peak": peak, "final": final, "drop": peak - final})
    return pa.Table.from_pylist(rows, schema=CELLS)


def by_name(table: pa.Table) -> dict[tuple[str, str], Finding]:
    return {(finding.name, finding.numbers["kind"]): finding for finding in findings(table)}


def paper(kind: str, level: float, method: str, model: str, seed: int) -> tuple[float, float]:
    """As the paper has it: symmetric noise costs more, and more at the end; MentorMix helps under both."""
    jitter = (0.002 if kind == "blue" else 0.001) * ((7 * seed + round(10 * level)) % 3)
    peak = 0.9 - (0.6 if kind == "blue" else 0.3) * level + (0.05 if method == "mentormix" else 0) + jitter
    return peak, peak - (0.2 if kind == "blue" and method == "standard" else 0.01) - jitter / 2


def test_the_papers_findings_are_found_where_they_hold() -> None:
    found = by_name(cells(paper))
    assert found["generalisation", "red"].answer == "supported"
    assert found["early-stopping", "red"].answer == "supported"
    assert found["mentormix", "red"].answer == found["mentormix", "blue"].answer == "supported"
    assert found["architectures", "red"].answer == "not enough runs"
    gain = found["mentormix", "red"].numbers
    assert gain["value"] == pytest.approx(0.05, abs=0.002)
    assert gain["num"] == 3  # seeds, not runs
    generalisation = found["generalisation", "red"].numbers
    assert generalisation["low"] < generalisation["value"] < generalisation["high"]
    assert "+5." in found["mentormix", "red"].sentence


def test_they_are_refuted_where_it_is_the_other_way_round() -> None:
    found = by_name(cells(lambda kind, *rest: paper({"red": "blue", "blue": "red"}.get(kind, kind), *rest)))
    assert found["generalisation", "red"].answer == "not supported"
    assert "other way round" in found["generalisation", "red"].sentence
    assert found["early-stopping", "red"].answer == "not supported"


def test_a_difference_within_the_spread_is_not_supported() -> None:
    drawn = np.random.default_rng(0)
    found = by_name(cells(lambda *cell: (0.8, 0.7 + 0.05 * drawn.standard_normal())))
    assert found["mentormix", "red"].answer == "not supported"
    assert "reaches zero" in found["mentormix", "red"].sentence


def test_one_seed_is_not_enough() -> None:
    found = findings(cells(paper, num_seeds=1))
    assert {finding.answer for finding in found} == {"not enough runs"}
    assert all(finding.sentence.startswith("It needs at least") for finding in found)


def test_networks_are_correlated() -> None:
    models = ("a", "b", "c", "d", "e")

    def accuracy(kind: str, level: float, method: str, model: str, seed: int) -> tuple[float, float]:
        strength = models.index(model) / 10
        if kind == "blue":
            strength = (models.index(model) * 3 % 5) / 10  # another order
        return 0.9, 0.4 + strength - 0.3 * level + 0.001 * seed

    found = by_name(cells(accuracy, models=models))
    assert found["architectures", "red"].answer == "supported"
    assert found["architectures", "red"].numbers["value"] == pytest.approx(1.0)
    assert found["architectures", "blue"].answer == "not supported"


def test_only_levels_that_all_seeds_have_count() -> None:
    """A seed that has done only the hard level must not be compared with one that has done only the easy one."""
    table = cells(paper)
    keep = [not (row["seed"] == 2 and row["level"] == 0.4) for row in table.to_pylist()]
    found = by_name(table.filter(pa.array(keep)))
    at_20 = by_name(cells(paper, levels=(0.2,)))
    assert found["generalisation", "red"].numbers["value"] == at_20["generalisation", "red"].numbers["value"]


def test_table() -> None:
    table = table_of(cells(paper))
    row = table[(table.kind == "blue") & (table.level == 0.4) & (table.method == "standard")].iloc[0]
    finals = [paper("blue", 0.4, "standard", "small", seed)[1] for seed in range(3)]
    assert row.runs == 3
    assert row.final_mean == pytest.approx(np.mean(finals))
    assert row.final_std == pytest.approx(np.std(finals, ddof=1))
    summed = over_levels(table, "final").set_index(["kind", "method"])
    blue = table[(table.kind == "blue") & (table.method == "standard")].final_mean
    assert summed.loc[("blue", "standard"), "std"] == pytest.approx(np.std(blue, ddof=1))
    assert ("clean", "standard") not in summed.index
    assert percent(0.6312, 0.0049) == "63.1 ± 0.5"
    assert percent(0.6312, float("nan")) == "63.1"


def test_a_study_without_runs_has_empty_tables() -> None:
    empty = pa.Table.from_pylist([], schema=CELLS)
    assert findings(empty) == []
    assert table_of(empty).empty
    assert over_levels(table_of(empty), "final").empty


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_intervals_cover_the_mean_as_often_as_they_say(num: int, seed: int) -> None:
    draws = np.random.default_rng(seed).standard_normal((400, num))
    found = [mean_interval(list(row)) for row in draws]
    covered = np.mean([one is not None and one.low <= 0 <= one.high for one in found])
    assert 0.90 <= covered <= 0.99  # 95 % within four standard errors


def test_intervals_need_enough_values() -> None:
    assert mean_interval([0.5]) is None
    assert correlation_interval([1, 2, 3], [1, 2, 3]) is None
    assert correlation_interval([1, 1, 1, 1], [1, 2, 3, 4]) is None
    drawn = np.random.default_rng(1)
    covered = []
    for _ in range(400):
        first = drawn.standard_normal(12)
        second = 0.7 * first + np.sqrt(1 - 0.49) * drawn.standard_normal(12)
        found = correlation_interval(list(first), list(second))
        assert found is not None
        covered.append(found.low <= 0.7 <= found.high)
    assert 0.91 <= np.mean(covered) <= 0.99
