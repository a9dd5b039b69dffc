"""What wrong images really show: the class by which they are labelled, and their true one, if it is a class at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from noisyweb.report.inputs import ReportInputs, ReportManifest
from noisyweb.report.section import Figure, Fold, Section, Table
from noisyweb.report.style import PALE, SMALL_PX, kind_colours, label, new_figure, percent_axis, plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

ORDER = 30
TITLE = "Given against true classes"

MAX_HEAT_CLASSES = 30
"""With more classes, the most frequent pairs are shown instead of all."""

_NUM_PAIRS = 12
_NUM_WRITTEN = 12  # classes up to which the heat map has numbers in it
OUTSIDE = "outside or unknown"


def draw(inputs: ReportInputs) -> Section:
    """Pairs of given and true class among the wrong rows, for one training set a kind."""
    shown = [one for one in inputs.examples if one.level > 0]
    if not shown:
        return Section(
            TITLE,
            "",
            missing="No label is wrong in these sets, so nothing is taken for anything else; "
            "`noisyweb build --noise 0.4` makes such sets.",
        )
    pairs = {one.kind: _pairs(one) for one in shown}
    buckets = _buckets(shown, pairs)
    blocks: list[Figure | Table | Fold | str] = []
    if len(shown) > 1 or buckets["outside"].to_pylist()[0]:
        caption = (
            "Where the wrong images of each set belong: to another class of the vocabulary, or to none of it "
            "(or to one that nobody knows)."
        )
        blocks.append(Figure("confusion-vocabulary", caption, _vocabulary(buckets.to_pandas()), buckets))
    colours = kind_colours(pairs)
    for one in shown:
        mine = pairs[one.kind]
        name = f"confusion-{_slug(one.kind)}"
        if len(inputs.class_names) <= MAX_HEAT_CLASSES:
            caption = (
                f"{one.title}: wrong rows by given label (lines) and true class (columns), as a share of the rows "
                "that bear the label."
            )
            picture = _heat_map(one, mine.to_pandas(), inputs, colours[one.kind])
            blocks.append(Figure(name, caption, picture, mine))
        elif any(mine["inside"].to_pylist()):
            num = f"{sum(mine['inside'].to_pylist()):,}"
            caption = f"{one.title}: given labels and what the images really are, the most frequent of {num} pairs."
            blocks.append(Figure(name, caption, _bars(mine.to_pandas(), colours[one.kind]), mine))
        else:
            blocks.append(f"{one.title}: the true class of no wrong row is known to be one of the vocabulary.")
    return Section(TITLE, _lead(shown, buckets), blocks)


def _pairs(one: ReportManifest) -> pa.Table:
    """Counts of wrong rows by given label and true class, the most frequent first; -1 is the bucket."""
    images = one.images
    wrong = ~images.is_clean
    codes = np.stack([images.labels[wrong], images.true_labels[wrong]])
    found, counts = np.unique(codes, axis=1, return_counts=True)
    order = np.lexsort((found[1], found[0], -counts))
    names = [*images.class_names, OUTSIDE]  # -1 is the last one
    given, true = found[0][order].tolist(), found[1][order].tolist()
    return pa.table(
        {
            "given": pa.array([names[place] for place in given], pa.string()),
            "true": pa.array([names[place] for place in true], pa.string()),
            "given_label": pa.array(given, pa.int64()),
            "true_label": pa.array([place if place >= 0 else None for place in true], pa.int64()),
            "inside": pa.array([place >= 0 for place in true], pa.bool_()),
            "rows": pa.array(counts[order].tolist(), pa.int64()),
        }
    )


def _buckets(shown: list[ReportManifest], pairs: dict[str, pa.Table]) -> pa.Table:
    rows = []
    for one in shown:
        frame = pairs[one.kind].to_pandas()
        inside = int(frame.loc[frame["inside"], "rows"].sum())
        wrong = int(frame["rows"].sum())
        rows.append({"set": one.title, "kind": one.kind, "wrong": wrong, "inside": inside, "outside": wrong - inside})
    return pa.Table.from_pylist(rows)


def _lead(shown: list[ReportManifest], buckets: pa.Table) -> str:
    parts = [
        f"{row['set']}: {row['outside']:,} of {row['wrong']:,} wrong images ({row['outside'] / row['wrong']:.0%}) show "
        "none of the classes, or nobody knows which"
        for row in buckets.to_pylist()
    ]
    return f"{'; '.join(parts)}. The others belong to another class."


def _vocabulary(frame: pd.DataFrame) -> Drawing:
    figure = new_figure(80 + 44 * len(frame))
    axes = figure.axes[0]
    plain(axes, "x")
    colours = kind_colours(frame["kind"])
    y = np.arange(len(frame))[::-1]
    inside = frame["inside"] / frame["wrong"]
    mine = [colours[kind] for kind in frame["kind"]]
    axes.barh(y, inside, color=mine, height=0.55)
    axes.barh(y, 1 - inside, left=inside, color=mine, height=0.55, alpha=0.35)
    for place, share in zip(y, inside, strict=True):
        axes.text(0.0, place + 0.33, f"{share:.0%} another class", va="bottom", fontsize=SMALL_PX)
        axes.text(1.0, place + 0.33, f"{1 - share:.0%} {OUTSIDE}", va="bottom", ha="right", fontsize=SMALL_PX)
    axes.set_yticks(y, [label(one, 16) for one in frame["set"]])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.5, len(frame) - 0.2)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the wrong images")
    percent_axis(axes, "x")
    return figure


def _bars(frame: pd.DataFrame, colour: str) -> Drawing:
    top = frame[frame["inside"]].head(_NUM_PAIRS)
    figure = new_figure(20 + 46 * len(top))
    axes = figure.axes[0]
    axes.axis("off")
    y = np.arange(len(top))[::-1]
    axes.barh(y - 0.28, top["rows"], color=colour, height=0.3)
    for place, given, true, rows in zip(y, top["given"], top["true"], top["rows"], strict=True):
        axes.text(0, place + 0.3, label(given, 52), va="center", fontsize=SMALL_PX)
        axes.text(0, place + 0.02, f"really {label(true, 44)}: {rows:,}", va="center", fontsize=SMALL_PX, color=PALE)
    axes.set_ylim(-0.6, len(top) - 0.4)
    return figure


def _heat_map(one: ReportManifest, frame: pd.DataFrame, inputs: ReportInputs, colour: str) -> Drawing:
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    names = [label(name, 14) for name in inputs.class_names]
    num = len(names)
    counts = np.zeros((num, num + 1))
    true = frame["true_label"].fillna(num).astype(int)
    counts[frame["given_label"], true] = frame["rows"]
    given = np.bincount(one.images.labels, minlength=num)
    shares = counts / np.maximum(1, given)[:, None]
    figure = new_figure(140 + 380 * max(num, 4) / (num + 1))
    axes = figure.axes[0]
    axes.grid(False)
    tint = LinearSegmentedColormap.from_list("tint", [to_rgba(colour, 0.0), to_rgba(colour, 1.0)])
    axes.imshow(shares, cmap=tint, vmin=0, vmax=max(0.01, float(shares.max())), aspect="auto")
    axes.axvline(num - 0.5, color=PALE, linewidth=1)
    if num <= _NUM_WRITTEN:
        for (line, column), share in np.ndenumerate(shares):
            if counts[line, column]:
                axes.text(column, line, f"{100 * share:.1f}", ha="center", va="center", fontsize=10)
    axes.set_yticks(range(num), names, fontsize=SMALL_PX if num <= 20 else 10)
    axes.set_xticks(range(num + 1), [*names, OUTSIDE], rotation=90, fontsize=SMALL_PX if num <= 20 else 10)
    axes.tick_params(length=0)
    axes.set_ylabel("given label")
    axes.set_xlabel("true class; in %")
    return figure


def _slug(kind: str) -> str:
    return "".join(one if one.isascii() and one.isalnum() else "-" for one in kind.lower()) or "kind"
