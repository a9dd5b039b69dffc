"""How many images are left at each step, and why the others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.funnel import STEPS, by_class, total
from noisyweb.question_index import QuestionIndex
from noisyweb.reasons import FINAL, PASSING
from noisyweb.report.inputs import ReportInputs, ReportManifest
from noisyweb.report.section import Figure, Fold, Section, Table
from noisyweb.report.style import SERIES, beside, kind_colours, label, new_figure, plain
from noisyweb.votes import questions
from noisyweb.workspace import Workspace

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

ORDER = 48
TITLE = "From search hits to training images"

_WORDS = {
    "found": "found by searches",
    "fetched": "fetched",
    "unique": "no duplicates or leaks",
    "voted": "with votes",
    "decided": "with a verdict",
    "wrong": "called wrong: the pool",
}
_DUPLICATES = {
    "exact": "the same bytes as",
    "near": "nearly the same picture as",
    "crop": "a cropped copy of",
    "pad": "a padded copy of",
    "mirror": "a mirrored copy of",
    "rotate": "a rotated copy of",
    "embedding": "alike, to a model, to",
}
_AGAINST = {"web": "another web image", "train": "a clean training image", "validation": "a validation image"}
_RIGHT = "called right"


@dataclass(frozen=True)
class _Loss:
    """Images lost between two steps, and why."""

    step: str
    reason: str
    meaning: str
    images: int


def draw(inputs: ReportInputs) -> Section:
    """The steps of the workspace, or what the builds say of their inputs."""
    workspace = Workspace(inputs.workspace) if inputs.workspace is not None else None
    if workspace is None or not workspace.read("candidates").num_rows:
        return _of_builds(inputs)
    asked = questions(workspace)
    rows = by_class(workspace, asked)
    counts, names = total(rows), workspace.class_names()
    losses = _losses(workspace, asked, counts)
    steps = [(_WORDS[step], counts[step]) for step in STEPS]
    colours = kind_colours(one.kind for one in inputs.examples)
    bars = [(name, num, SERIES[0]) for name, num in steps]
    bars += [(f"used in {one.title}", num, colours[one.kind]) for one in inputs.examples if (num := _num_web(one))]
    data = pa.table({"step": [name for name, _, _ in bars], "images": [num for _, num, _ in bars]})
    caption = "Images at each step; one found for several classes counts once for each."
    blocks: list[Figure | Table | Fold | str] = [Figure("funnel", caption, _bars(bars), data)]
    told = [(one.step, one.reason, f"{one.images:,}", one.meaning) for one in losses]
    caption = "What was left behind, and why."
    blocks.append(Table("funnel-reasons", caption, ("after", "reason", "images", "meaning"), told))
    by_name = [(name, *(f"{row[step]:,}" for step in STEPS)) for name, row in zip(names, rows, strict=True)]
    table = pa.table({"class": pa.array(names, pa.string()), **{step: [row[step] for row in rows] for step in STEPS}})
    each = Table("funnel-classes", "Images of each class at each step.", ("class", *STEPS), by_name, table)
    blocks.append(Fold("By class", (each,)))
    return Section(TITLE, _lead(counts, losses), blocks)


def _lead(counts: dict[str, int], losses: Sequence[_Loss]) -> str:
    lead = (
        f"Of {counts['found']:,} search hits {counts['fetched']:,} were fetched and {counts['unique']:,} are left "
        f"without duplicates and leaks; {counts['decided']:,} have a verdict, and {counts['wrong']:,} of these were "
        "called wrong: the pool of web noise."
    )
    lost = [one for one in losses if one.reason != _RIGHT]
    if lost:
        most = max(lost, key=lambda one: one.images)
        lead += f" The most frequent reason to be left behind: {most.reason} ({most.meaning}), {most.images:,} times."
    return lead


def _losses(workspace: Workspace, asked: pa.Table, counts: dict[str, int]) -> list[_Loss]:
    """Every image that did not go on; those of a step add up to the difference of its count and the next one's."""
    filtered = pc.sum(workspace.read("searches")["num_unlicensed"]).as_py() or 0
    before = _Loss("searched", "licence", "dropped by the licences that were asked for", filtered)
    images = workspace.read("images").select(["url", "label", "image_id", "reason"])
    failed = Counter(images.filter(pc.is_null(images["image_id"]))["reason"].to_pylist())
    found = [before, *(_Loss("found", reason or "not told", _meaning(reason), num) for reason, num in _sorted(failed))]
    found.append(_Loss("found", "not tried", "the crawl has not come to it", counts["found"] - images.num_rows))

    fetched = images.filter(pc.is_valid(images["image_id"]))
    index = QuestionIndex.of(fetched)
    same = fetched.num_rows - len(index)
    found.append(_Loss("fetched", "same bytes", "another address of the same class gave the same bytes", same))
    duplicates = workspace.read("duplicates")
    duplicates = duplicates.filter(pa.array(index.places(duplicates) >= 0))
    kinds = Counter(zip(duplicates["against"].to_pylist(), duplicates["kind"].to_pylist(), strict=True))
    for (against, kind), num in _sorted(kinds):
        meaning = (
            f"{_DUPLICATES[kind]} {_AGAINST.get(against, against)}" if kind in _DUPLICATES else "cannot be decoded"
        )
        found.append(_Loss("fetched", kind if against == "web" else f"leak, {kind}", meaning, num))

    verdicts = workspace.read("verdicts")
    places = QuestionIndex.of(asked).places(verdicts)
    verdicts = verdicts.filter(pa.array(places >= 0))
    found.append(_Loss("unique", "no votes", "nobody was asked yet", counts["unique"] - counts["voted"]))
    voted = verdicts.filter(pa.array(verdicts["votes_total"].to_numpy() > 0))
    undecided = Counter(voted.filter(pc.is_null(voted["is_clean"]))["reason"].to_pylist())
    found += [_Loss("voted", reason or "not told", "no verdict", num) for reason, num in _sorted(undecided)]
    right = counts["decided"] - counts["wrong"]
    found.append(_Loss("decided", _RIGHT, "it shows its class: no noise", right))
    return [one for one in found if one.images > 0]


def _sorted(counter: Counter[Any]) -> list[tuple[Any, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], str(item[0])))


def _meaning(reason: str | None) -> str:
    known = {**PASSING, **FINAL}
    if reason is not None and reason.startswith("http-"):
        return f"the host answered {reason.removeprefix('http-')}"
    return known.get(reason or "", "")


def _num_web(one: ReportManifest) -> int:
    return int(pc.sum(pc.not_equal(one.manifest.rows["source"], "clean")).as_py() or 0)


def _of_builds(inputs: ReportInputs) -> Section:
    """Without a workspace: what the lock files say that went in."""
    steps, told = [], []
    for one in inputs.examples:
        for role, given in one.lock.get("inputs", {}).items():
            num = given.get("rows") if isinstance(given, dict) else None
            if isinstance(num, int):
                used = len(one.images) - _num_web(one) if role == "train" else _num_web(one)
                what = {"train": "clean training images", "pool": "pool of web images"}.get(role, role)
                steps.append((one.title, what, num, used))
        told += [f"{one.title}: {note}." for note in one.lock.get("notes", []) if isinstance(note, str)]
    if not steps:
        why = (
            "These sets do not say what they were built from; `--workspace DIR` shows the steps of a crawl, and "
            "`noisyweb build` leaves a lock file that tells of the rest."
        )
        return Section(TITLE, "", missing=why)
    pools = [(title, num, used) for title, what, num, used in steps if what.startswith("pool")]
    said = "; ".join(f"{title} takes {used:,} of {num:,}" for title, num, used in pools)
    lead = (f"Of the pool of web images: {said}. " if said else "No set takes images from the web. ") + (
        "What a crawl lost on the way to the pool is shown with `--workspace DIR`."
    )
    rows = [(title, what, f"{num:,}", f"{used:,}") for title, what, num, used in steps]
    caption = "What the sets were built from, by their lock files."
    return Section(TITLE, lead, [Table("funnel-inputs", caption, ("set", "from", "images", "in the set"), rows), *told])


def _bars(bars: Sequence[tuple[str, int, str]]) -> Drawing:
    figure = new_figure(50 + 42 * len(bars))
    axes = figure.axes[0]
    plain(axes, "x")
    top = bars[0][1] or 1
    for place, (name, num, colour) in enumerate(bars):
        axes.barh(place + 0.18, num, height=0.42, color=colour)
        axes.text(0, place - 0.2, label(name), va="center")
        share = f" ({num / top:.1%})" if place else ""
        beside(axes, f"{num:,}{share}", num, place + 0.18)
    axes.set_yticks([])
    axes.set_ylim(len(bars) - 0.4, -0.5)
    axes.set_xlim(0, 1.25 * max(num for _, num, _ in bars))
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
    axes.set_xlabel("images")
    return figure
