"""How far annotators agree: the votes that the manifests carry and, with a workspace, every annotator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from noisyweb.consensus.agreement import Agreement, agreement
from noisyweb.consensus.annotators import annotators
from noisyweb.consensus.settings import read_settings
from noisyweb.consensus.tally import tally
from noisyweb.report.inputs import ReportInputs
from noisyweb.report.section import Figure, Section, Table
from noisyweb.report.style import CLEAN, PALE, SERIES, WRONG, beside, label, new_figure, percent_axis, plain
from noisyweb.workspace import Workspace

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

ORDER = 44
TITLE = "Annotators' agreement"

MAX_BARS = 12
MAX_ANNOTATORS = 30
NUM_CLASSES = 10

_VERDICTS = {"right": CLEAN, "wrong": WRONG, "undecided": PALE}


def draw(inputs: ReportInputs) -> Section:
    """How votes split, and with a workspace Krippendorff's alpha and every annotator."""
    workspace = Workspace(inputs.workspace) if inputs.workspace is not None else None
    votes = workspace.read("votes") if workspace is not None else None
    if workspace is None or votes is None or not votes.num_rows:
        return _of_manifests(inputs)
    counted = tally(votes, read_settings(workspace.folder).count_weak)
    found = agreement(counted)
    table = annotators(votes, counted, workspace.read("known"), workspace.read("known_votes"))
    verdicts = workspace.read("verdicts")
    verdicts = verdicts.filter(pa.array(verdicts["votes_total"].to_numpy() > 0))
    names = workspace.class_names()
    blocks: list[Figure | Table | str] = []
    if verdicts.num_rows:
        states = [
            "undecided" if one is None else ("right" if one else "wrong") for one in verdicts["is_clean"].to_pylist()
        ]
        blocks.append(
            _splits(verdicts["votes_yes"].to_numpy(), verdicts["votes_total"].to_numpy(), states, "questions")
        )
    blocks += [_skill(table), _annotators(table)]
    if found.lowest(1):
        blocks.append(_classes(found, names))
    alpha = found.overall
    said = "not defined" if alpha.value is None else f"{alpha.value:.3f}"
    lead = (
        f"{votes.num_rows:,} votes by {table.num_rows:,} annotators on {len(counted.index):,} questions. "
        f"Krippendorff's alpha is {said} over {alpha.num_questions:,} questions with two or more yes and no votes "
        f"(1: full agreement, 0: chance)."
    )
    shares = verdicts["agreement"].drop_null().to_numpy()
    if len(shares):
        lead += f" On average {shares.mean():.1%} of an image's yes and no votes are with the majority."
    return Section(TITLE, lead, blocks)


def _of_manifests(inputs: ReportInputs) -> Section:
    """What the rows' own counts say; images that are in several sets count once."""
    seen: dict[tuple[str, int], tuple[int, int, bool]] = {}
    for one in inputs.manifests:
        rows = one.manifest.rows.select(["image_id", "label", "votes_yes", "votes_total", "is_clean"])
        rows = rows.filter(pa.array(rows["votes_total"].fill_null(0).to_numpy() > 0))
        for image_id, given, yes, total, is_clean in zip(*rows.to_pydict().values(), strict=True):
            seen.setdefault((image_id, given), (yes or 0, total, is_clean))
    if not seen:
        why = (
            "No row of these sets has votes: only images that annotators were asked about do. With `--workspace DIR` "
            "the votes of a workspace are shown; `noisyweb label serve` asks people for them."
        )
        return Section(TITLE, "", missing=why)
    yes, total, is_clean = (np.array(column) for column in zip(*seen.values(), strict=True))
    states = np.where(is_clean, "right", "wrong").tolist()
    several = total >= 2
    if not several.any():
        why = f"{len(total):,} images of these sets have a vote, but one each: nobody to agree with."
        return Section(TITLE, "", missing=why)
    share = np.maximum(yes, total - yes)[several] / total[several]
    lead = (
        f"{len(total):,} images of these sets have votes, {total.mean():.2f} on average. On average {share.mean():.1%} "
        f"of an image's votes are on one side, and {np.mean(share == 1):.1%} of the images have all of them there "
        f"(an unsure vote counts as no yes)."
    )
    if all(state == "wrong" for state in states):
        lead += " These are the images that annotators called wrong; those that they called right are not in the sets."
    note = "Alpha and the annotators one by one need the votes themselves: give `--workspace DIR`."
    return Section(TITLE, lead, [_splits(yes, total, states, "images"), note])


def _splits(yes: np.ndarray, total: np.ndarray, states: Sequence[str], what: str) -> Figure:
    """How often votes split how, by verdict."""
    keys = list(zip(total.tolist(), yes.tolist(), strict=True))
    kinds = sorted(set(keys))
    if len(kinds) <= MAX_BARS:
        names = [f"{key[1]} of {key[0]}" for key in kinds]
        places = [kinds.index(key) for key in keys]
    else:
        names = [f"{10 * step} to {10 * step + 10}%" for step in range(10)]
        places = np.clip(10 * yes // total, 0, 9).tolist()
    present = [name for name in _VERDICTS if name in states]
    counts = {name: np.zeros(len(names), np.int64) for name in present}
    for place, state in zip(places, states, strict=True):
        counts[state][place] += 1
    figure = new_figure(90 + 30 * max(3, len(names)))
    axes = figure.axes[0]
    plain(axes, "x")
    left = np.zeros(len(names), np.int64)
    for name in present:
        axes.barh(names, counts[name], left=left, color=_VERDICTS[name], label=name, height=0.7)
        left += counts[name]
    for place, count in enumerate(left.tolist()):
        beside(axes, f"{count:,}", count, place)
    axes.set_xlim(0, 1.18 * max(1, left.max()))
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
    axes.set_xlabel(what)
    axes.set_ylabel("votes for yes")
    figure.legend(loc="outside upper left", ncols=3)
    data = pa.table({"votes_for_yes": names, **{name: counts[name] for name in present}})
    caption = f"How the votes on an image fall: how many say yes, by verdict; number of {what}."
    return Figure("agreement-votes", caption, figure, data)


def _skill(table: pa.Table) -> Figure:
    rows = table.sort_by([("votes", "descending"), ("annotator", "ascending")]).slice(0, MAX_ANNOTATORS).to_pylist()
    some = f"the {len(rows)} annotators with most votes" if table.num_rows > len(rows) else "every annotator"
    has_known = any(row["accuracy"] is not None for row in rows)
    caption = (
        f"How often {some} said what most of the others said"
        f"{', and how often they were right on images whose answer is known' if has_known else ''}."
    )
    return Figure("agreement-annotators", caption, _dots(rows, has_known), table)


def _dots(rows: Sequence[dict[str, object]], has_known: bool) -> Drawing:
    figure = new_figure(100 + 22 * len(rows))
    axes = figure.axes[0]
    plain(axes, "both")
    places = np.arange(len(rows))
    for column, name, colour, marker in (
        ("agreement", "with the others", SERIES[0], "o"),
        ("accuracy", "on known answers", SERIES[1], "D"),
    ):
        if column == "agreement" or has_known:
            shares = np.array([np.nan if row[column] is None else row[column] for row in rows], float)
            axes.plot(shares, places, marker, color=colour, markersize=7, label=name)
    names = [label(str(row["annotator"]), 18) + (" (machine)" if row["is_weak"] else "") for row in rows]
    axes.set_yticks(places, [f"{name}, {row['votes']:,}" for name, row in zip(names, rows, strict=True)])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(right=1.01)
    percent_axis(axes, "x")
    axes.set_ylabel("annotator, votes")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def _annotators(table: pa.Table) -> Table:
    ordered = table.sort_by([("votes", "descending"), ("annotator", "ascending")])
    rows = [
        (
            row["annotator"] + (" (machine)" if row["is_weak"] else ""),
            f"{row['votes']:,}",
            _percent(row["unsure"]),
            _percent(row["agreement"]),
            f"{_percent(row['accuracy'])} of {row['known']:,}" if row["known"] else "",
            "" if row["median_s"] is None else f"{row['median_s']:.1f}",
        )
        for row in ordered.slice(0, MAX_ANNOTATORS).to_pylist()
    ]
    more = f" The {len(rows)} with most votes of {table.num_rows:,}." if table.num_rows > len(rows) else ""
    head = ("annotator", "votes", "unsure", "with the others", "right on known", "median seconds")
    return Table("annotators", f"What is known of each annotator.{more}", head, rows, ordered)


def _classes(found: Agreement, names: Sequence[str]) -> Table:
    rows = [
        (names[place] if place < len(names) else f"class {place}", f"{alpha.value:.3f}", f"{alpha.num_questions:,}")
        for place, alpha in found.lowest(NUM_CLASSES)
    ]
    caption = f"The classes on which annotators agree least, of {len(found.by_class):,} with votes."
    return Table("agreement-classes", caption, ("class", "alpha", "questions"), rows)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
