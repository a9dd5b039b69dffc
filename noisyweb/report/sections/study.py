"""A study: accuracy against level, its table, and the paper's findings with their answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from noisyweb.report.inputs import ReportInputs
from noisyweb.report.section import Figure, Fold, Section, Table
from noisyweb.report.style import kind_colours, label, method_words, new_figure, percent_axis, series_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

ORDER = 120
TITLE = "The study"
CLEAN = "clean"


def draw(inputs: ReportInputs) -> Section:
    """Accuracy against level by kind and by method, for each way to start and network."""
    study = inputs.study
    if study is None:
        return Section(
            TITLE,
            "",
            missing="No study was given; `noisyweb study --manifest-root DIR` makes one, `--study DIR` shows it here.",
        )
    statuses = study.cells["status"].to_pylist()
    frame = study.table.to_pandas()
    if frame.empty:
        return Section(
            TITLE, "", missing=f"None of the study's {len(statuses):,} runs is done; `noisyweb study` goes on with it."
        )
    blocks: list[Figure | Table | Fold | str] = []
    if study.findings:
        blocks.append(_findings(study.findings))
    for place, ((start, model), mine) in enumerate(frame.groupby(["start", "model"], sort=False), 1):
        where, data = f"{model}, {start}", pa.Table.from_pandas(mine, preserve_index=False)
        blocks.append(
            Figure(
                f"study-kinds-{place}",
                f"{where}: accuracy on clean validation images against the noise level, by kind of noise. Solid: "
                "final; dotted: peak; band: one standard deviation over seeds.",
                _panels(mine, "method", "kind"),
                data,
            )
        )
        if mine["method"].nunique() > 1:
            caption = f"{where}: the same, methods against each other. Solid: final; dotted: peak; band: one deviation."
            blocks.append(Figure(f"study-methods-{place}", caption, _panels(mine, "kind", "method"), data))
    blocks.append(_table(frame, study.table))
    return Section(TITLE, _lead(statuses, study.findings), blocks)


def _lead(statuses: list[str], findings: Sequence[Mapping[str, Any]]) -> str:
    done = statuses.count("done")
    lead = f"{done:,} of {len(statuses):,} runs are done."
    answers = [one["answer"] for one in findings]
    said = [
        f"{answers.count(one)} {one}" for one in ("supported", "not supported", "not enough runs") if one in answers
    ]
    if said:
        lead += f" Of the paper's findings, asked of these runs: {', '.join(said)}."
    return lead


def _findings(findings: Sequence[Mapping[str, Any]]) -> Table:
    rows = [(one["question"], one["answer"], one["sentence"]) for one in findings]
    caption = "The paper's findings, asked of these runs; supported means that the whole 95% interval is on that side."
    return Table("study-findings", caption, ("question", "answer", "numbers"), rows)


def _panels(frame: pd.DataFrame, panel: str, line: str) -> Drawing:
    """A panel for each value of one column, in it a line for each value of the other."""
    panels, lines = ([one for one in _in_order(frame[by]) if one != CLEAN] for by in (panel, line))
    if not panels or not lines:  # nothing but clean runs
        panels, lines = panels or [CLEAN], lines or [CLEAN]
    colours = kind_colours(lines) if line == "kind" else series_colours(lines)
    figure = new_figure(80 + 210 * len(panels), len(panels))
    for axes, one in zip(figure.axes, panels, strict=True):
        for name in lines:
            kind, method = (one, name) if panel == "kind" else (name, one)
            mine = frame[frame["kind"].isin([kind, CLEAN]) & (frame["method"] == method)].sort_values("level")
            if len(mine):
                _line(axes, mine, colours[name], method_words(name))
        axes.set_title(f"{label(method_words(one), 40)}{' noise' if panel == 'kind' and one != CLEAN else ''}")
        axes.set_ylim(0, min(1.02, 1.15 * max(0.1, frame["peak_mean"].max())))
        percent_axis(axes)
    figure.axes[-1].set_xlabel("noise level")
    percent_axis(figure.axes[-1], "x")
    found = {
        words: handle for axes in figure.axes for handle, words in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(found.values()), list(found), loc="outside upper left", ncols=3)
    return figure


def _in_order(values: Iterable[str]) -> list[str]:
    """Each once, plain training first."""
    return sorted(dict.fromkeys(values), key=lambda one: (one != "standard", one))


def _line(axes: Axes, mine: pd.DataFrame, colour: str, words: str) -> None:
    level, final = mine["level"], mine["final_mean"]
    spread = mine["final_std"].fillna(0.0)
    axes.fill_between(level, final - spread, final + spread, color=colour, alpha=0.2, linewidth=0)
    axes.plot(level, mine["peak_mean"], ":", color=colour, linewidth=1.5)
    axes.plot(level, final, "-o", color=colour, markersize=5, label=label(words, 24))


def _table(frame: pd.DataFrame, data: pa.Table) -> Table:
    head = ("kind", "level", "start", "network", "method", "runs", "peak", "final", "drop")
    rows = [
        (
            one["kind"],
            f"{100 * one['level']:g}%",
            one["start"],
            one["model"],
            one["method"],
            str(one["runs"]),
            *(_percent(one[f"{name}_mean"], one[f"{name}_std"]) for name in ("peak", "final", "drop")),
        )
        for one in frame.to_dict("records")
    ]
    caption = "Accuracy in %, mean ± standard deviation over seeds; drop is peak minus final."
    return Table("study-table", caption, head, rows, data)


def _percent(mean: float, deviation: float) -> str:
    return f"{100 * mean:.1f}" if pd.isna(deviation) else f"{100 * mean:.1f} ± {100 * deviation:.1f}"
