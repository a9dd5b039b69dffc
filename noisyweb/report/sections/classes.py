"""How noise is shared out among classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from noisyweb.report.inputs import ReportInputs
from noisyweb.report.section import Figure, Fold, Section, Table
from noisyweb.report.style import SMALL_PX, kind_colours, label, legend_above, new_figure, percent_axis, plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

ORDER = 20
TITLE = "Noise by class"

FEW_CLASSES, MANY_CLASSES = 40, 400
"""Up to the first, all classes are shown by name; up to the second, behind a click."""

_EXTREMES = 5
_LEGEND_CHARACTERS = 44


def draw(inputs: ReportInputs) -> Section:
    """The share of wrong labels of each class, for one training set a kind."""
    data = _data(inputs)
    if data.num_rows == 0:
        return Section(TITLE, "", missing="The training sets have no rows; build them again with `noisyweb build`.")
    if all(one.level == 0 for one in inputs.examples):
        why = "No label is wrong in these sets, so in no class; `noisyweb build --noise 0.4` makes such sets."
        return Section(TITLE, "", missing=why)
    num_classes = len(inputs.class_names)
    frame = data.to_pandas()
    blocks: list[Figure | Table | Fold | str] = []
    by_name = (
        Figure(
            "classes-by-name",
            "Share of each class's images whose label is wrong, by name, the most noisy first.",
            _by_name(frame),
            data,
        )
        if num_classes <= MANY_CLASSES
        else None
    )
    if num_classes > FEW_CLASSES:
        blocks.append(
            Figure(
                "classes",
                f"Share of wrong labels in all {num_classes:,} classes, from the most to the least noisy: above by the "
                "class that an image stands for, below by the label that it bears.",
                _sorted(frame),
                data,
            )
        )
        blocks.append(_extremes(frame))
        if by_name is not None:
            blocks.append(Fold(f"All {num_classes:,} classes by name", (by_name,)))
    elif by_name is not None:
        blocks.append(by_name)
    if num_classes == 1:
        blocks.append("There is one class only: nothing to compare.")
    return Section(TITLE, _lead(frame), blocks)


def _data(inputs: ReportInputs) -> pa.Table:
    audited = {one.name: one for one in inputs.audit.audited.sets}
    num_classes = len(inputs.class_names)
    tables = []
    for one in inputs.examples:
        known, wrong = audited[one.name].by_class(num_classes)
        given = np.bincount(one.images.labels, minlength=num_classes)
        given_wrong = np.bincount(one.images.labels[~one.images.is_clean], minlength=num_classes)
        there = known > 0
        tables.append(
            pa.table(
                {
                    "kind": pa.array([one.kind] * int(there.sum()), pa.string()),
                    "asked": np.full(int(there.sum()), one.asked),
                    "class": pa.array(np.array(inputs.class_names, dtype=object)[there].tolist(), pa.string()),
                    "label": np.flatnonzero(there),
                    "images": known[there],
                    "wrong": wrong[there],
                    "share": wrong[there] / known[there],
                    "given": given[there],
                    "given_wrong": given_wrong[there],
                    "given_share": pa.array(given_wrong[there] / np.maximum(1, given[there]), mask=given[there] == 0),
                }
            )
        )
    return pa.concat_tables(tables)


def _lead(frame: pd.DataFrame) -> str:
    by_class, by_label = [], []
    for name, mine in _sets(frame):
        ordered = mine.sort_values(["share", "label"], kind="stable").to_dict("records")
        least, most = ordered[0], ordered[-1]
        by_class.append(f"{name}: {least['share']:.1%} ({least['class']}) to {most['share']:.1%} ({most['class']})")
        shares = mine["given_share"].dropna()
        by_label.append(f"{name}: {shares.min():.1%} to {shares.max():.1%}")
    return (
        f"Share of wrong labels in the least and the most noisy class, by the class that an image stands for: "
        f"{'; '.join(by_class)}. By the label that it bears: {'; '.join(by_label)}."
    )


def _sets(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Kind and level, and the rows of it."""
    for kind, mine in frame.groupby("kind", sort=False):
        yield f"{kind} {100 * mine['asked'].iloc[0]:g}%", mine


def _short(name: str) -> str:
    """The name of a set for a legend: of a long mixture the beginning, and its level."""
    kind, _, level = name.rpartition(" ")
    return f"{label(kind, _LEGEND_CHARACTERS)} {level}"


def _order(frame: pd.DataFrame) -> Sequence[int]:
    """Labels by their share over all kinds, the most noisy first."""
    return [
        int(one) for one in frame.groupby("label")["share"].mean().sort_values(ascending=False, kind="stable").index
    ]


def _sorted(frame: pd.DataFrame) -> Drawing:
    titles = {"share": "of the images that stand for a class", "given_share": "of the images that bear a label"}
    figure = new_figure(460, len(titles))
    colours = kind_colours(frame["kind"])
    top = min(1.0, 1.12 * max(frame[column].max() for column in titles))
    for axes, (column, title) in zip(figure.axes, titles.items(), strict=True):
        sets = list(_sets(frame))
        for place, (name, mine) in enumerate(sets):
            shares = np.sort(mine[column].dropna().to_numpy())[::-1]
            # The first is drawn thickest, so that lines that lie on each other are all seen.
            colour, width = colours[mine["kind"].iloc[0]], 2 + 4 * (len(sets) - 1 - place)
            axes.step(
                np.arange(1, len(shares) + 1), shares, where="mid", color=colour, linewidth=width, label=_short(name)
            )
        axes.set_title(title)
        axes.set_ylim(0, top)
        axes.set_xlim(0, frame["label"].nunique() + 1)
        percent_axis(axes)
    figure.axes[-1].set_xlabel("classes, the most noisy first")
    figure.axes[0].legend(loc="lower left")
    return figure


def _by_name(frame: pd.DataFrame) -> Drawing:
    order = _order(frame)
    names = dict(zip(frame["label"], frame["class"], strict=True))
    figure = new_figure(70 + 17 * max(4, len(order)))
    axes = figure.axes[0]
    plain(axes, "both")
    colours = kind_colours(frame["kind"])
    y = {one: len(order) - 1 - place for place, one in enumerate(order)}
    for place, (name, mine) in enumerate(_sets(frame)):
        size, colour = 9 - 3 * min(place, 2), colours[mine["kind"].iloc[0]]
        axes.plot(mine["share"], mine["label"].map(y), "o", color=colour, markersize=size, label=_short(name))
    axes.set_yticks([y[one] for one in order], [label(names[one], 26) for one in order], fontsize=SMALL_PX)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.8, len(order) - 0.2)
    axes.set_xlim(-0.01, min(1.02, 1.1 * frame["share"].max() + 0.01))
    axes.set_xlabel("share of wrong labels")
    percent_axis(axes, "x")
    legend_above(figure, "outside upper right")
    return figure


def _extremes(frame: pd.DataFrame) -> Table:
    rows = []
    for name, mine in _sets(frame):
        order = mine.sort_values(["share", "label"], ascending=[False, True], kind="stable")
        for _, row in [*order.head(_EXTREMES).iterrows(), *order.tail(_EXTREMES).iterrows()]:
            what = (name, row["class"], f"{row['images']:,}", f"{row['wrong']:,}")
            rows.append((*what, f"{row['share']:.1%}"))
    caption = f"The {_EXTREMES} most and the {_EXTREMES} least noisy classes of each kind."
    return Table("classes-extremes", caption, ("set", "class", "images", "wrong", "share"), rows)
