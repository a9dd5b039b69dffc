"""The noise profile: the paper's three differences between web and synthetic noise, measured on these sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from noisyweb.report.inputs import ReportInputs, ReportManifest
from noisyweb.report.section import Figure, Section, Table
from noisyweb.report.style import GRID, PALE, kind_colours, label, legend_above, new_figure, plain
from noisyweb.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

    from noisyweb.profile import Profile

ORDER = 55
TITLE = "Noise profile"

_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("set", "kind", "measure", "title", "difference")]
    + [(name, pa.float64()) for name in ("value", "low", "high", "blue_noise", "blue_noise_low", "blue_noise_high")]
    + [("sentence", pa.string())]
)


def draw(inputs: ReportInputs) -> Section:
    """The measures of `noisyweb.profile`, for one training set a kind."""
    from noisyweb.profile import profile

    shown = [one for one in inputs.examples if one.level > 0]
    if not shown:
        why = "No label is wrong in these sets, so nothing to measure; `noisyweb build --noise 0.4` makes such sets."
        return Section(TITLE, "", missing=why)
    has_verdicts = inputs.workspace is not None and Workspace(inputs.workspace).read("verdicts").num_rows > 0
    workspace = inputs.workspace if has_verdicts else None
    found = [(one, profile(one.path, workspace=workspace, seed=inputs.seed)) for one in shown]
    data = _data(found)
    frame = data.to_pandas()
    measured = frame[frame["value"].notna()]
    if measured.empty:
        reasons = dict.fromkeys(
            f"{title}: {said}" for title, said in zip(frame["title"], frame["sentence"], strict=True)
        )
        return Section(TITLE, "", missing=" ".join(reasons))
    caption = (
        "Each measure with its 95% interval; grey: where 95% of blue noise of the same level lies, drawn from the same "
        "images. What lies clear of the grey is unlike blue noise."
    )
    blocks: list[Figure | Table | str] = [Figure("profile", caption, _intervals(measured), data), _table(frame, data)]
    blocks += dict.fromkeys(f"{note[:1].upper()}{note[1:]}." for _, one in found for note in one.notes)
    return Section(TITLE, _lead(found), blocks)


def _lead(found: list[tuple[ReportManifest, Profile]]) -> str:
    parts = []
    for one, profile in found:
        measured = [measure for measure in profile.measures if measure.value is not None]
        unlike = [measure.title for measure in measured if measure.is_unlike_blue]
        said = f"in {len(unlike)} ({', '.join(unlike)})" if unlike else "in none"
        parts.append(f"{one.title}: {said} of {len(measured)}")
    return f"Measures in which a set is unlike blue noise of its level: {'; '.join(parts)}."


def _data(found: list[tuple[ReportManifest, Profile]]) -> pa.Table:
    from noisyweb.profile.measure import DIFFERENCES

    rows = [
        {
            "set": one.title,
            "kind": one.kind,
            "measure": measure.name,
            "title": measure.title,
            "difference": DIFFERENCES[measure.name],
            "value": measure.value,
            "low": measure.low,
            "high": measure.high,
            "blue_noise": measure.reference,
            "blue_noise_low": measure.reference_low,
            "blue_noise_high": measure.reference_high,
            "sentence": measure.sentence,
        }
        for one, profile in found
        for measure in profile.measures
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _intervals(frame: pd.DataFrame) -> Drawing:
    titles, sets = list(dict.fromkeys(frame["title"])), list(dict.fromkeys(frame["set"]))
    figure = new_figure(80 + len(titles) * (34 + 20 * len(sets)))
    axes = figure.axes[0]
    plain(axes, "x")
    colours = kind_colours(frame["kind"])
    step = 0.6 / len(sets)
    for _, row in frame.iterrows():
        y = -titles.index(row["title"]) - 0.1 - step * (sets.index(row["set"]) + 0.5)
        if not np.isnan(row["blue_noise_low"]):
            axes.plot([row["blue_noise_low"], row["blue_noise_high"]], [y, y], color=PALE, linewidth=9, alpha=0.4)
        colour = colours[row["kind"]]
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2.5)
        axes.plot([row["value"]], [y], "o", color=colour, markersize=7)
    start = axes.get_xlim()[0]
    for place, title in enumerate(titles):
        axes.text(start, -place + 0.02, f" {title}", va="center", fontweight="bold")
        axes.axhline(-place + 0.22, color=GRID, linewidth=1)
    axes.set_xlim(start, None)
    axes.set_ylim(-len(titles) + 0.2, 0.25)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    for name, kind in dict(zip(frame["set"], frame["kind"], strict=True)).items():
        axes.plot([], [], "-o", color=colours[kind], label=label(name))
    axes.plot([], [], color=PALE, linewidth=9, alpha=0.4, label="blue noise")
    legend_above(figure)
    return figure


def _table(frame: pd.DataFrame, data: pa.Table) -> Table:
    rows = [
        (
            one["set"],
            one["title"],
            "" if np.isnan(one["value"]) else f"{one['value']:.3f}",
            "" if np.isnan(one["low"]) else f"{one['low']:.3f} to {one['high']:.3f}",
            "" if np.isnan(one["blue_noise"]) else f"{one['blue_noise']:.3f}",
            one["sentence"],
        )
        for one in frame.to_dict("records")
    ]
    head = ("set", "measure", "value", "95% interval", "blue noise", "meaning")
    return Table("profile-table", "The measures and what they mean.", head, rows, data)
