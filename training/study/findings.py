"""The findings of "Beyond Synthetic Noise" (Jiang et al., ICML 2020), asked of a study's own runs.

Every answer rests on a number with a 95 % interval whose independent values are seeds (networks, for the correlation):
runs of one seed share their draws, and levels share images, so that neither counts as evidence of its own. A finding is
supported when the whole interval is on its side of zero, not supported when it is not, and not answered with fewer than
two seeds (four networks).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from noisyweb.training.study.cells import CLEAN
from noisyweb.training.study.statistics import Interval, correlation_interval, mean_interval

Answer = Literal["supported", "not supported", "not enough runs"]

REAL = ("red", "human")
"""Kinds whose wrong labels were made by the web or by people."""

SYNTHETIC = "blue"
PLAIN, MENTORMIX = "standard", "mentormix"


@dataclass(frozen=True)
class Finding:
    """One of the paper's findings, answered.

    Attributes:
        name: a short name.
        question: what was asked.
        answer: supported, not supported, or not enough runs.
        sentence: the answer in words, with its numbers.
        numbers: those that it rests on, by name.
    """

    name: str
    question: str
    answer: Answer
    sentence: str
    numbers: dict[str, Any]

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def findings(cells: pa.Table) -> list[Finding]:
    """All findings, for each way to start (from scratch, fine-tuned) and kind that there are runs of.

    Args:
        cells: in the columns of `noisyweb.training.study.results.CELLS`.
    """
    frame = cells.to_pandas()
    done = frame[frame["status"] == "done"]
    starts = sorted(frame["start"].unique(), reverse=True)
    return [
        finding
        for ask in (_generalisation, _early_stopping, _architectures, _mentormix)
        for start in starts
        for finding in ask(done[done["start"] == start], start)
    ]


def _generalisation(done: pd.DataFrame, start: str) -> Iterator[Finding]:
    """Final accuracy under noise of the real world minus that under symmetric noise, plain training."""
    for kind in _real_kinds(done):
        yield _against_synthetic(
            done,
            start,
            kind,
            "final",
            name="generalisation",
            question=f"Do networks generalise better under {kind} noise than under symmetric noise of the same level?",
            claim=f"Final accuracy of plain training under {kind} noise minus under symmetric noise",
        )


def _early_stopping(done: pd.DataFrame, start: str) -> Iterator[Finding]:
    """The drop from the best to the last accuracy: larger under symmetric noise?"""
    for kind in _real_kinds(done):
        yield _against_synthetic(
            done,
            start,
            kind,
            "drop",
            name="early-stopping",
            question=f"Does early stopping help less under {kind} noise, is the drop from peak to final smaller?",
            claim=f"Drop of plain training under {kind} noise minus under symmetric noise",
            sign=-1,
        )


def _against_synthetic(
    done: pd.DataFrame, start: str, kind: str, value: str, *, name: str, question: str, claim: str, sign: int = 1
) -> Finding:
    plain = done[done["method"] == PLAIN]
    pairs = _paired(plain[plain["kind"] == kind], plain[plain["kind"] == SYNTHETIC], value)
    missing = f"at least two seeds of {PLAIN} under {kind} and under {SYNTHETIC} noise of a same level"
    levels = {level: {kind: mine, SYNTHETIC: other} for level, mine, other in _means(pairs, value)}
    return _compared(name, f"{question} ({start})", pairs, sign, claim, start, kind, levels, missing)


def _architectures(done: pd.DataFrame, start: str) -> Iterator[Finding]:
    """Accuracy on clean labels against accuracy on noisy ones, a point a network."""
    plain = done[done["method"] == PLAIN]
    clean = plain[plain["kind"] == CLEAN].groupby("model")["final"].mean()
    for kind in sorted(set(plain["kind"]) - {CLEAN}):
        noisy = plain[plain["kind"] == kind]
        common = _common_levels(noisy, "model")
        by_model = noisy[noisy["level"].isin(common)].groupby("model")["final"].mean()
        models = sorted(set(clean.index) & set(by_model.index))
        found = correlation_interval([clean[one] for one in models], [by_model[one] for one in models])
        numbers = {
            "start": start,
            "kind": kind,
            **_numbers(found),
            "models": {one: {"clean": float(clean[one]), kind: float(by_model[one])} for one in models},
        }
        question = f"Do networks that are better with clean labels also do better under {kind} noise? ({start})"
        said = ""
        if found is not None:
            said = (
                f"Pearson's correlation over {found.num} networks is {found.value:.2f} "
                f"(95% interval {found.low:.2f} to {found.high:.2f})."
            )
        missing = f"at least four --models trained with {PLAIN} at level 0 and under {kind} noise"
        yield _answered("architectures", question, found, 1, said, numbers, missing)


def _mentormix(done: pd.DataFrame, start: str) -> Iterator[Finding]:
    """Final accuracy of MentorMix minus plain training, same data and seed."""
    mine, plain = done[done["method"] == MENTORMIX], done[done["method"] == PLAIN]
    if mine.empty:
        return
    for kind in sorted(set(mine["kind"]) - {CLEAN}):
        pairs = _paired(mine[mine["kind"] == kind], plain[plain["kind"] == kind], "final")
        pairs["peak gain"] = pairs["peak"] - pairs["peak_other"]
        levels = {level: {MENTORMIX: own, PLAIN: other} for level, own, other in _means(pairs, "final")}
        for level, one in _levels(pairs):
            levels[level]["peak gain"] = float(one["peak gain"].mean())
        missing = f"at least two seeds of {MENTORMIX} and {PLAIN} under {kind} noise"
        question = f"Is MentorMix better than plain training under {kind} noise? ({start})"
        claim = f"Final accuracy of MentorMix minus that of plain training under {kind} noise"
        yield _compared("mentormix", question, pairs, 1, claim, start, kind, levels, missing)


def _paired(mine: pd.DataFrame, other: pd.DataFrame, value: str) -> pd.DataFrame:
    """Runs of the same level, network and seed side by side; ``gain``: a column of the one minus that of the other."""
    pairs = mine.merge(other, on=["level", "model", "seed"], suffixes=("", "_other"))
    pairs["gain"] = pairs[value] - pairs[f"{value}_other"]
    return pairs


def _means(pairs: pd.DataFrame, value: str) -> Iterator[tuple[float, float, float]]:
    """Level, and the mean of both sides."""
    for level, one in _levels(pairs):
        yield level, float(one[value].mean()), float(one[f"{value}_other"].mean())


def _real_kinds(done: pd.DataFrame) -> list[str]:
    return [kind for kind in REAL if kind in set(done["kind"])]


def _by_seed(pairs: pd.DataFrame) -> list[float]:
    """A value a seed: the mean over the levels and networks that all seeds have."""
    places = pairs.groupby(["level", "model"])["seed"].nunique()
    common = places[places == pairs["seed"].nunique()].index
    kept = pairs.set_index(["level", "model"]).loc[lambda frame: frame.index.isin(common)]
    return [float(one) for one in kept.groupby("seed")["gain"].mean()]


def _common_levels(noisy: pd.DataFrame, what: str) -> list[float]:
    have = noisy.groupby("level")[what].nunique()
    return [float(level) for level in have[have == noisy[what].nunique()].index]


def _levels(pairs: pd.DataFrame) -> list[tuple[float, pd.DataFrame]]:
    return [(float(level), pairs[pairs["level"] == level]) for level in sorted(pairs["level"].unique())]


def _compared(
    name: str,
    question: str,
    pairs: pd.DataFrame,
    sign: int,
    claim: str,
    start: str,
    kind: str,
    levels: dict[float, dict[str, float]],
    missing: str,
) -> Finding:
    """The answer that pairs of runs give."""
    mean = mean_interval(_by_seed(pairs))
    by_level = {
        f"{level:g}": {**levels[level], "difference": float(one["gain"].mean()), "seeds": len(one)}
        for level, one in _levels(pairs)
    }
    said = ""
    if mean is not None:
        each = ", ".join(f"{100 * one['gain'].mean():+.1f} at {100 * level:g}%" for level, one in _levels(pairs))
        said = (
            f"{claim}: {100 * mean.value:+.1f} points (95% interval {100 * mean.low:+.1f} to {100 * mean.high:+.1f}, "
            f"{mean.num} seeds; {each})."
        )
    numbers = {"start": start, "kind": kind, **_numbers(mean), "levels": by_level}
    return _answered(name, question, mean, sign, said, numbers, missing)


def _answered(
    name: str,
    question: str,
    found: Interval | None,
    sign: int,
    said: str,
    numbers: dict[str, Any],
    missing: str,
) -> Finding:
    """Supported where the whole interval is beyond zero on the side of ``sign``."""
    if found is None:
        return Finding(name, question, "not enough runs", f"It needs {missing}.", numbers)
    low, high = (found.low, found.high) if sign > 0 else (-found.high, -found.low)
    holds = low > 0
    if not holds:
        said += " It is the other way round." if high < 0 else " The interval reaches zero: more runs would narrow it."
    return Finding(name, question, "supported" if holds else "not supported", said, numbers)


def _numbers(found: Interval | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {"value": found.value, "low": found.low, "high": found.high, "num": found.num}
