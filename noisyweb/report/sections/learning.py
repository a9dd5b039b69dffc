"""What training learned: right labels, wrong labels, and how well it does on clean images, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from noisyweb.report.inputs import ReportInputs
from noisyweb.report.runs import Run
from noisyweb.report.section import Figure, Fold, Section, Table
from noisyweb.report.style import CLEAN, INK, PALE, WRONG, label, method_words, new_figure, percent_axis, whole_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

ORDER = 110
TITLE = "What is memorised"

OPEN_FIGURES = 4
"""So many are shown open; the others behind a click."""

_CURVES = {
    "train_accuracy_clean": ("right labels fitted", CLEAN, "-"),
    "train_accuracy_wrong": ("wrong labels fitted", WRONG, "-"),
    "val_accuracy": ("clean validation accuracy", INK, "--"),
}
_SET = ["kind", "level", "start", "model"]


def draw(inputs: ReportInputs) -> Section:
    """Memorisation curves of every run, those of one setting as mean and range over seeds."""
    runs = [*inputs.runs, *(inputs.study.runs if inputs.study else ())]
    if not runs:
        return Section(
            TITLE,
            "",
            missing="No training run was given; `noisyweb train --manifest DIR` makes one, `--runs DIR` shows it here.",
        )
    frame = _frame(runs)
    figures = [
        Figure(
            f"learning-{place}",
            f"{_title(mine)}: share of right and of wrong training labels that the network predicts as given, and its "
            f"accuracy on clean validation images{_over_seeds(mine)}.",
            _curves(mine),
            pa.Table.from_pandas(mine, preserve_index=False),
        )
        for place, (_, mine) in enumerate(frame.groupby(_SET, sort=True), 1)
    ]
    # The sets with most noise say most.
    order = sorted(range(len(figures)), key=lambda place: -_level(figures[place]))
    shown = sorted(order[:OPEN_FIGURES])
    rest = [figures[place] for place in range(len(figures)) if place not in shown]
    blocks: list[Figure | Table | Fold | str] = [figures[place] for place in shown]
    if rest:
        blocks.append(Fold(f"{len(rest)} more training set{'s' if len(rest) > 1 else ''}", rest))
    table = _last(frame)
    blocks.append(_table(table))
    return Section(TITLE, _lead(table, len(runs)), blocks)


def _frame(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each run and epoch."""
    parts = []
    for run in runs:
        part: pd.DataFrame = run.metrics.select(["epoch", *_CURVES]).to_pandas().astype(dict.fromkeys(_CURVES, float))
        about: dict[str, Any] = {
            "run": run.name,
            "kind": run.kind,
            "level": run.level,
            "start": run.start,
            "model": run.model,
        }
        parts.append(part.assign(**about, method=run.method, seed=run.seed))
    return pd.concat(parts, ignore_index=True)


def _title(mine: pd.DataFrame) -> str:
    one = mine.iloc[0]
    kind = "no noise" if one["kind"] == "clean" else f"{one['kind']} {100 * one['level']:g}%"
    return f"{kind}, {one['model']}, {one['start']}"


def _over_seeds(mine: pd.DataFrame) -> str:
    return "; mean and range over seeds" if mine.groupby("method")["run"].nunique().max() > 1 else ""


def _level(figure: Figure) -> float:
    assert figure.data is not None
    return float(figure.data["level"][0].as_py())


def _curves(mine: pd.DataFrame) -> Drawing:
    methods = sorted(dict.fromkeys(mine["method"]), key=lambda one: (one != "standard", one))
    figure = new_figure(70 + 190 * len(methods) + (60 if len(methods) == 1 else 0), len(methods))
    for axes, method in zip(figure.axes, methods, strict=True):
        epochs = mine[mine["method"] == method].groupby("epoch")
        for name, (words, colour, line) in _CURVES.items():
            values = epochs[name].agg(["mean", "min", "max"]).dropna()
            marker = "o" if len(values) == 1 else None  # one point is no line
            axes.plot(values.index, values["mean"], line, marker=marker, color=colour, label=words)
            axes.fill_between(values.index, values["min"], values["max"], color=colour, alpha=0.18, linewidth=0)
        axes.set_title(label(method_words(method), 40))
        axes.set_ylim(-0.02, 1.02)
        percent_axis(axes)
    last = figure.axes[-1]
    last.set_xlabel("epoch")
    whole_numbers(last)
    handles, texts = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside upper left", ncols=2)
    if mine["train_accuracy_wrong"].isna().all():
        figure.axes[0].text(0.99, 0.04, "no wrong labels", ha="right", color=PALE, transform=figure.axes[0].transAxes)
    return figure


def _last(frame: pd.DataFrame) -> pd.DataFrame:
    """Where each setting ends: means over its seeds."""
    by_run = frame.groupby([*_SET, "method", "seed", "run"], sort=True)
    ends = by_run.last()
    ends["peak"] = by_run["val_accuracy"].max()
    ends["epochs"] = by_run["epoch"].max()
    groups = ends.reset_index().groupby([*_SET, "method"], sort=True)
    found = groups[["epochs", "train_accuracy_clean", "train_accuracy_wrong", "peak", "val_accuracy"]].mean()
    found.insert(0, "runs", groups.size())
    return found.reset_index()


def _lead(table: pd.DataFrame, num: int) -> str:
    noisy = table.dropna(subset=["train_accuracy_wrong"])
    said = f"{num} run{'s' if num > 1 else ''}."
    if noisy.empty:
        return f"{said} None of them says how many wrong labels it has fitted."
    noisy = noisy.assign(drop=noisy["peak"] - noisy["val_accuracy"], fitted=noisy["train_accuracy_wrong"].round(2))
    most = noisy.sort_values(["fitted", "drop"], ascending=False, kind="stable").iloc[0]
    where = f"{most['kind']} {100 * most['level']:g}% with {method_words(most['method'])}"
    return (
        f"{said} Most is memorised under {where}: at the end the network"
        f" predicts {most['train_accuracy_wrong']:.0%} of the wrong labels as given, and its clean validation "
        f"accuracy is {most['val_accuracy']:.1%}, {100 * most['drop']:.1f} points below its peak."
    )


def _table(table: pd.DataFrame) -> Table:
    about = ("kind", "level", "network", "start", "method", "runs", "epochs")
    head = (*about, "right fitted", "wrong fitted", "peak", "final")
    rows = [
        (
            one["kind"],
            f"{100 * one['level']:g}%",
            one["model"],
            one["start"],
            one["method"],
            f"{one['runs']}",
            f"{one['epochs']:g}",
            *(
                "" if pd.isna(one[name]) else f"{one[name]:.1%}"
                for name in ("train_accuracy_clean", "train_accuracy_wrong", "peak", "val_accuracy")
            ),
        )
        for one in table.to_dict("records")
    ]
    caption = "Shares of labels fitted and clean validation accuracy at the end, and its peak; means over seeds."
    return Table("learning-table", caption, head, rows, pa.Table.from_pandas(table, preserve_index=False))
