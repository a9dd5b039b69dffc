"""How much noise was asked for, and how much there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from noisyweb.audit.report import class_levels
from noisyweb.certainty import Certainty
from noisyweb.levels import num_wrong, parse_level
from noisyweb.report.inputs import ReportInputs
from noisyweb.report.section import Figure, Section, Table
from noisyweb.report.style import GRID, PALE, kind_colours, new_figure, percent_axis, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

ORDER = 10
TITLE = "Asked against realised noise"

_SHIFT = 0.012  # of the level axis: kinds stand side by side


def draw(inputs: ReportInputs) -> Section:
    """Levels of all training sets, with the annotators' errors and the spread over classes."""
    if all(not len(one.images) for one in inputs.manifests):
        return Section(TITLE, "", missing="The training sets have no rows; build them again with `noisyweb build`.")
    data = _data(inputs)
    blocks: list[Figure | Table | str] = [
        Figure(
            "levels",
            "Points: wrong labels of each training set; bars: from its least to its most noisy class. On the dashed "
            "line is what was asked for.",
            _against_asked(data),
            data,
        )
    ]
    if any(value is not None for value in data["true_level"].to_pylist()):
        blocks.append(
            Figure(
                "levels-certainty",
                "What annotators' errors do to the level: the true level of sets of web images minus the level that "
                "was asked for, with its 95% interval; clean labels are taken as right.",
                _differences(data),
                data,
            )
        )
    blocks.append(_table(data))
    findings = inputs.audit.findings
    if findings:
        rows = [(one.severity, one.where, one.message) for one in findings]
        blocks.append(Table("audit", "What `noisyweb audit` finds.", ("severity", "where", "finding"), rows))
    else:
        blocks.append("`noisyweb audit` finds nothing wrong with these sets.")
    return Section(TITLE, _lead(data), blocks)


def _lead(data: pa.Table) -> str:
    rows = data.to_pylist()
    off = [row for row in rows if row["wrong"] != num_wrong(parse_level(row["asked"]), row["rows"])]
    num = len(rows)
    if not off:
        sets = "The training set has" if num == 1 else f"All {num} training sets have"
        lead = f"{sets} exactly as many wrong labels as asked for."
    else:
        has = "has" if len(off) == 1 else "have"
        worst = max(off, key=lambda row: abs(row["realised"] - row["asked"]))
        lead = (
            f"{len(off)} of {num} training sets {has} not as many wrong labels as asked for: {worst['set']} has "
            f"{worst['realised']:.2%} instead of {worst['asked']:.2%}."
        )
    sure = [row for row in rows if row["true_level"] is not None]
    if sure:
        widest = max(sure, key=lambda row: row["true_high"] - row["true_low"])
        lead += (
            f" Annotators err: the true level of {widest['set']} is {widest['true_level']:.2%} "
            f"(95% interval {widest['true_low']:.2%} to {widest['true_high']:.2%})."
        )
    return lead


def _data(inputs: ReportInputs) -> pa.Table:
    audited = {one.name: one for one in inputs.audit.audited.sets}
    num_classes = len(inputs.class_names)
    rows = []
    for one in inputs.manifests:
        low, middle, high = class_levels(audited[one.name], num_classes)
        result = one.lock.get("result", {})
        sure = Certainty.of_record(result.get("certainty"))
        rows.append(
            {
                "set": one.name,
                "kind": one.kind,
                "asked": one.asked,
                "rows": len(one.images),
                "wrong": audited[one.name].num_wrong,
                "realised": one.level,
                "true_level": sure.mean if sure else None,
                "true_low": sure.low if sure else None,
                "true_high": sure.high if sure else None,
                "class_low": low,
                "class_median": middle,
                "class_high": high,
            }
        )
    texts = dict.fromkeys(("set", "kind"), pa.string()) | dict.fromkeys(("rows", "wrong"), pa.int64())
    schema = pa.schema([pa.field(name, texts.get(name, pa.float64())) for name in rows[0]])
    return pa.Table.from_pylist(rows, schema=schema)


def _against_asked(data: pa.Table) -> Drawing:
    figure = new_figure(430)
    axes = figure.axes[0]
    plain(axes, "both")
    axes.plot([0, 1], [0, 1], color=PALE, linewidth=1, linestyle=(0, (4, 3)))
    frame = data.to_pandas()
    colours = kind_colours(frame["kind"])
    kinds = list(dict.fromkeys(frame["kind"]))
    for place, kind in enumerate(kinds):
        mine = frame[frame["kind"] == kind]
        x = mine["asked"] + _SHIFT * (place - (len(kinds) - 1) / 2)
        axes.vlines(x, mine["class_low"], mine["class_high"], color=colours[kind], linewidth=2, alpha=0.6)
        axes.plot(x, mine["realised"], "o", color=colours[kind], markersize=7, label=kind)
    top = max(0.1, float(np.nanmax([frame["asked"].max(), frame["class_high"].max()])))
    axes.set_xlim(-0.03, max(0.1, frame["asked"].max()) + 0.05)
    axes.set_ylim(-0.02, min(1.02, top + 0.05))
    axes.set_xlabel("asked")
    axes.set_ylabel("share of wrong labels")
    percent_axis(axes, "x")
    percent_axis(axes)
    axes.legend(loc="upper left")
    return figure


def _differences(data: pa.Table) -> Drawing:
    frame = data.to_pandas().dropna(subset=["true_level"])
    figure = new_figure(70 + 26 * max(3, len(frame)))
    axes = figure.axes[0]
    plain(axes, "x")
    colours = kind_colours(frame["kind"])
    y = np.arange(len(frame))[::-1]
    axes.axvline(0, color=PALE, linewidth=1, linestyle=(0, (4, 3)))
    for place, (_, row) in zip(y, frame.iterrows(), strict=True):
        colour = colours[row["kind"]]
        low, middle, high = (100 * (row[name] - row["asked"]) for name in ("true_low", "true_level", "true_high"))
        axes.plot([low, high], [place, place], color=colour, linewidth=3, solid_capstyle="round")
        axes.plot([middle], [place], "o", color=colour, markersize=7)
    axes.set_yticks(y, [f"{kind} {100 * asked:g}%" for kind, asked in zip(frame["kind"], frame["asked"], strict=True)])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, len(frame) - 0.4)
    axes.spines["left"].set_color(GRID)
    axes.set_xlabel("true level minus asked, in points")
    return figure


def _table(data: pa.Table) -> Table:
    rows = [
        (
            row["set"],
            f"{row['rows']:,}",
            f"{row['wrong']:,}",
            f"{100 * row['asked']:g}%",
            f"{row['realised']:.2%}",
            "" if row["true_level"] is None else f"{row['true_low']:.2%} to {row['true_high']:.2%}",
            "" if np.isnan(row["class_low"]) else f"{row['class_low']:.1%} to {row['class_high']:.1%}",
        )
        for row in data.to_pylist()
    ]
    head = ("set", "rows", "wrong", "asked", "realised", "true level, 95% interval", "by class")
    caption = (
        "Wrong labels by verdicts and by construction; the interval says how far the annotators' verdicts may err."
    )
    return Table("levels-table", caption, head, rows, data)
