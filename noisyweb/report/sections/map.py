"""A map of the images by their looks: whether wrong labels keep to themselves or lie among the right ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from noisyweb.draws import bits, row_keys
from noisyweb.errors import MissingExtraError
from noisyweb.profile.looks import look
from noisyweb.progress import silent
from noisyweb.report.inputs import ReportInputs, ReportManifest
from noisyweb.report.photos import NO_PIXELS, Rows, draw_order, readable
from noisyweb.report.section import Figure, Section, Table
from noisyweb.report.style import CLEAN, WIDTH_PX, kind_colours, label, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

ORDER = 50
TITLE = "Map of the images"

MAX_IMAGES = 2_500
FEWEST = 30
"""Images below which a map says nothing."""
NEIGHBOURS = 10
MAX_MAPS = 4

_DIMENSIONS, _PERPLEXITY, _STEPS, _SHUFFLES = 30, 30, 500, 200

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Mapped:
    """The rows of one set that are on the map.

    Attributes:
        one: the set.
        rows: of it, shape (R,).
        place: of their images among all on the map, shape (R,).
        is_clean: shape (R,).
        near_wrong, near_right: mean share of wrong labels among the nearest images of wrong and of right rows.
        low, high: where 95% of their differences lie if the verdicts are shuffled among the images.
    """

    one: ReportManifest
    rows: Rows
    place: Rows
    is_clean: npt.NDArray[np.bool_]
    near_wrong: float
    near_right: float
    low: float
    high: float


def draw(inputs: ReportInputs) -> Section:
    """t-SNE of perceptual features, a panel a kind, and how often the neighbours of a wrong image are wrong."""
    ids, vectors = _seen(inputs)
    if not ids and any(len(one.images) for one in inputs.examples):
        return Section(TITLE, "", missing=NO_PIXELS)
    if len(ids) < FEWEST:
        why = f"{len(ids)} images can be shown; a map takes at least {FEWEST} to say anything."
        return Section(TITLE, "", missing=why)
    at = _flat_map(vectors, inputs.seed)
    mapped = [_mapped(one, ids, vectors, inputs.seed) for one in inputs.examples]
    total = len({image_id for one in inputs.examples for image_id in one.images.ids})
    some = f" A sample of {len(ids):,} of {total:,} images, drawn by seed." if len(ids) < total else ""
    caption = (
        f"Each point is an image; images that look alike lie near each other (t-SNE of layout, colours and edges; "
        f"axes have no meaning of their own).{some}"
    )
    colours = kind_colours(one.one.kind for one in mapped)
    blocks: list[Figure | Table] = [
        Figure(f"map-{place}", f"{one.one.title}. {caption}", _panel(one, at, colours), _data(one, at), "png")
        for place, one in enumerate(mapped[:MAX_MAPS], start=1)
    ]
    blocks.append(_table(mapped))
    return Section(TITLE, _lead(mapped), blocks)


def _seen(inputs: ReportInputs) -> tuple[list[str], Floats]:
    """The images on the map and their features: the first of a draw over all sets, so that sets share images."""
    where: dict[str, tuple[int, int]] = {}
    for number, one in enumerate(inputs.examples):
        for row in readable(one.images).tolist():
            where.setdefault(one.images.ids[row], (number, row))
    names = list(where)
    chosen = sorted(where[names[place]] for place in draw_order(names, inputs.seed, "map")[:MAX_IMAGES].tolist())
    ids: list[str] = []
    parts = []
    for number, one in enumerate(inputs.examples):
        rows = np.array([row for of, row in chosen if of == number], np.int64)
        if len(rows):
            seen = look(one.manifest, rows, None, None, silent)
            parts.append(seen.vectors)
            ids += [one.images.ids[row] for row in rows[seen.has].tolist()]
    return ids, np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def _flat_map(vectors: Floats, seed: int) -> Floats:
    """Places on the map, shape (N, 2), the same for the same images and seed.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("sklearn", "threadpoolctl"):
            raise
        raise MissingExtraError("scikit-learn", "report", "the map of the images") from None
    with threadpool_limits(1):  # threads would add up in another order each time
        low = PCA(min(_DIMENSIONS, len(vectors) - 1), svd_solver="covariance_eigh").fit_transform(vectors)
        start = low[:, :2] / (low[:, :1].std() or 1.0) * 1e-4
        perplexity = min(_PERPLEXITY, (len(vectors) - 1) / 3)
        tsne = TSNE(init=start, perplexity=perplexity, max_iter=_STEPS, random_state=seed % 2**32)
        return np.asarray(tsne.fit_transform(low), np.float32)


def _mapped(one: ReportManifest, ids: Sequence[str], vectors: Floats, seed: int) -> _Mapped:
    """The rows of a set whose images are on the map, and what their nearest images are labelled."""
    place_of = {image_id: place for place, image_id in enumerate(ids)}
    found = [(row, place_of[image_id]) for row, image_id in enumerate(one.images.ids) if image_id in place_of]
    rows = np.array([row for row, _ in found], np.int64)
    place = np.array([place for _, place in found], np.int64)
    is_clean = one.images.is_clean[rows]
    wrong = ~is_clean
    if len(rows) <= NEIGHBOURS or not 0 < wrong.sum() < len(rows):
        return _Mapped(one, rows, place, is_clean, math.nan, math.nan, math.nan, math.nan)
    near = _neighbours(vectors[place])
    near_wrong, near_right = _shares(near, wrong)
    keys, chance = row_keys(ids[at] for at in place.tolist()), []
    for time in range(_SHUFFLES):
        among_wrong, among_right = _shares(near, wrong[np.argsort(bits(keys, seed, "map", time), kind="stable")])
        chance.append(among_wrong - among_right)
    low, high = np.quantile(chance, (0.025, 0.975))
    return _Mapped(one, rows, place, is_clean, near_wrong, near_right, float(low), float(high))


def _shares(near: Rows, wrong: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Mean share of wrong ones among the nearest of wrong and of right rows."""
    share = wrong[near].mean(axis=1)
    return float(share[wrong].mean()), float(share[~wrong].mean())


def _neighbours(vectors: Floats) -> Rows:
    """The nearest other rows of each row by the cosine, shape (N, 10)."""
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    return np.argsort(-cosine, axis=1, kind="stable")[:, :NEIGHBOURS]


def _lead(mapped: Sequence[_Mapped]) -> str:
    parts = [
        f"{one.one.title}: {one.near_wrong:.1%} and {one.near_right:.1%}, a difference of "
        f"{_points(one.near_wrong - one.near_right)} points (by chance {_points(one.low)} to {_points(one.high)})"
        for one in mapped
        if not math.isnan(one.near_wrong)
    ]
    if not parts:
        return "The labels on the map are all right, or all wrong: nothing to tell apart."
    return (
        f"Share of wrong labels among the {NEIGHBOURS} images that look most like a wrongly labelled one, and like a "
        f"rightly labelled one: {'; '.join(parts)}. A difference within chance means that looks do not tell wrong "
        "labels from right ones."
    )


def _panel(one: _Mapped, at: Floats, colours: Mapping[str, str]) -> Drawing:
    """One set; the map is the same for all."""
    low, high = at.min(axis=0), at.max(axis=0)
    width, height = np.maximum(high - low, 1e-6)
    figure = new_figure(50 + round(WIDTH_PX * min(1.0, height / width)))
    axes = figure.axes[0]
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_aspect("equal")
    axes.set_xlim(low[0] - 0.02 * width, high[0] + 0.02 * width)
    axes.set_ylim(low[1] - 0.02 * height, high[1] + 0.02 * height)
    right, wrong = at[one.place[one.is_clean]], at[one.place[~one.is_clean]]
    axes.scatter(right[:, 0], right[:, 1], s=12, color=CLEAN, alpha=0.6, linewidths=0, label=f"right, {len(right):,}")
    if len(wrong):
        colour, said = colours[one.one.kind], f"wrong, {len(wrong):,}"
        axes.scatter(wrong[:, 0], wrong[:, 1], s=13, marker="x", linewidths=0.9, color=colour, label=said)
    figure.legend(loc="outside upper left", ncols=2, title=label(one.one.title), alignment="left")
    return figure


def _data(one: _Mapped, at: Floats) -> pa.Table:
    images = one.one.images
    return pa.table(
        {
            "set": pa.array([one.one.name] * len(one.rows), pa.string()),
            "image_id": pa.array([images.ids[row] for row in one.rows.tolist()], pa.string()),
            "class": pa.array([images.class_names[given] for given in images.labels[one.rows].tolist()], pa.string()),
            "is_clean": one.is_clean,
            "x": at[one.place, 0],
            "y": at[one.place, 1],
        }
    )


def _table(mapped: Sequence[_Mapped]) -> Table:
    def text(share: float) -> str:
        return "" if math.isnan(share) else f"{share:.1%}"

    rows = [
        (
            one.one.title,
            f"{len(one.rows):,}",
            f"{int((~one.is_clean).sum()):,}",
            text(one.near_wrong),
            text(one.near_right),
            _points(one.near_wrong - one.near_right),
            "" if math.isnan(one.low) else f"{_points(one.low)} to {_points(one.high)}",
        )
        for one in mapped
    ]
    head = ("set", "on the map", "wrong", "near wrong", "near right", "difference, points", "by chance, 95%")
    caption = f"Share of wrong labels among the {NEIGHBOURS} images that look most like a wrong and like a right one."
    return Table("map-neighbours", caption, head, rows)


def _points(share: float) -> str:
    """A difference of shares in percentage points."""
    return "" if math.isnan(share) else f"{100 * share:+.1f}"
