"""Images that are nearly the same: within the training sets, and between them and the clean validation set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from noisyweb.decode import pillow_in_bounds
from noisyweb.gallery_tiles import bits_text
from noisyweb.report.inputs import ReportInputs
from noisyweb.report.near import Hashed, Ints, Place, closest_pairs, hash_sets, nearest
from noisyweb.report.photos import NO_PIXELS, encoded, thumbnail
from noisyweb.report.section import Figure, Section, Table
from noisyweb.report.sheet import PAIR_PICTURE, PairOf, Tile, pair_sheet
from noisyweb.report.style import CLEAN, INK, PALE, SERIES, WRONG, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

ORDER = 42
TITLE = "Near duplicates and leaks"

NUM_PAIRS = 8
_BIN_BITS = 4
"""Of the chart. Distances of hashes cut at their median are even."""
_WEB, _CLEAN, _TRAIN = "web and validation", "clean training and validation", "training and training"
_COLOURS = {_WEB: WRONG, _CLEAN: CLEAN, _TRAIN: SERIES[0]}


@dataclass(frozen=True)
class _Compared:
    """The nearest of ``right`` of each of ``left``: ``distance`` in bits, and where in ``right``, both (N,)."""

    what: str
    left: Sequence[str]
    right: Sequence[str]
    distance: Ints
    place: Ints

    def num_within(self, radius: int) -> int:
        return int((self.distance <= radius).sum())


def draw(inputs: ReportInputs) -> Section:
    """Distances of perceptual hashes, the nearest pairs in pictures, and whether any training image leaks."""
    sets = [(one.images, one.manifest.rows["source"].to_pylist()) for one in inputs.manifests]
    train = hash_sets(sets, inputs.seed)
    if train.num_looked_at == train.num_unreadable:
        return Section(TITLE, "", missing=NO_PIXELS)
    clean = inputs.validation
    validation = hash_sets([(clean, ["clean"] * len(clean))] if clean is not None else [], inputs.seed)
    radius = _radius(inputs)
    within = _within(train)
    across = _across(train, validation)
    blocks: list[Figure | Table | str] = []
    compared = [*across, *within]
    if compared:
        blocks.append(_chart(compared, radius))
    if across:
        blocks += _pairs(
            "validation", "The nearest pairs of a training and a validation image", across, train, radius, validation
        )
    if within:
        blocks += _pairs("train", "The nearest pairs of two training images", within, train, radius, train)
    if compared:
        blocks.append(_table(compared, radius))
    blocks += _notes(inputs, train, validation)
    return Section(TITLE, _lead(train, validation, across, within, radius), blocks)


def _radius(inputs: ReportInputs) -> int:
    """Bits within which the builds call images copies; the same for all of them, or the largest."""
    from noisyweb.dedup import DEFAULT_RADIUS

    found = []
    for one in inputs.manifests:
        check = one.lock.get("inputs", {}).get("pool", {}).get("leak_check")
        radius = check.get("radius") if isinstance(check, dict) else None
        found += [radius] if isinstance(radius, int) and 0 <= radius <= 256 else []
    return max(found, default=DEFAULT_RADIUS)


def _within(train: Hashed) -> list[_Compared]:
    if len(train.ids) < 2:
        return []
    return [_Compared(_TRAIN, train.ids, train.ids, *nearest(train.hashes, train.hashes, is_same=True))]


def _across(train: Hashed, validation: Hashed) -> list[_Compared]:
    """Images of others and clean training images, against validation."""
    found = []
    for what, is_clean in ((_WEB, False), (_CLEAN, True)):
        rows = train.of_source(is_clean)
        if len(rows) and len(validation.ids):
            ids = [train.ids[row] for row in rows.tolist()]
            pair = nearest(train.hashes[rows], validation.hashes)
            found.append(_Compared(what, ids, validation.ids, *pair))
    return found


def _lead(
    train: Hashed, validation: Hashed, across: Sequence[_Compared], within: Sequence[_Compared], radius: int
) -> str:
    some = "a sample of " if train.is_sample or validation.is_sample else ""
    parts = []
    if not validation.places:
        parts.append("There is no clean validation set beside these sets, so leaks into it cannot be looked for.")
    same = len(train.places.keys() & validation.places.keys())
    if same:
        parts.append(f"{same:,} training images are validation images, byte for byte.")
    for one in across:
        num = one.num_within(radius)
        what, own = (
            ("web images", "") if one.what == _WEB else ("clean training images", " (the clean set's own pairs)")
        )
        found = (
            f"{num:,} {'is' if num == 1 else 'are'} within {bits_text(radius)} of one"
            if num
            else (f"none is within {bits_text(radius)} of any")
        )
        parts.append(
            f"Of {some}{len(one.left):,} {what}, {found} of {len(one.right):,} validation images{own if num else ''}; "
            f"the nearest is {bits_text(int(one.distance.min()))} of 256 away."
        )
    for one in within:
        num = one.num_within(radius)
        parts.append(f"{num:,} of {some}{len(one.left):,} training images have another one within the radius.")
    return " ".join(parts) or "No two images can be compared: they are too flat for a hash, damaged or not there."


def _notes(inputs: ReportInputs, train: Hashed, validation: Hashed) -> list[str]:
    notes = []
    num_flat = train.num_flat + validation.num_flat
    if num_flat:
        notes.append(
            f"{num_flat:,} images are too flat to be told from others by a hash; only their bytes are compared."
        )
    for what, one in (("training", train), ("validation", validation)):
        if one.num_unreadable:
            notes.append(f"{one.num_unreadable:,} {what} images are damaged or not there, and were not compared.")
        if one.is_sample:
            notes.append(
                f"{one.num_looked_at:,} of {len(one.places):,} {what} images were compared, drawn by seed; "
                "`noisyweb verify` looks for leaks of all web images."
            )
    twice = {one.name: len(one.images) - len(set(one.images.ids)) for one in inputs.manifests}
    repeated = {name: count for name, count in twice.items() if count}
    if repeated:
        most = max(repeated, key=lambda name: (repeated[name], name))
        notes.append(
            f"{len(repeated)} of {len(twice)} training sets hold an image more than once, byte for byte; {most} has "
            f"{repeated[most]:,} such rows."
        )
    return notes


def _chart(compared: Sequence[_Compared], radius: int) -> Figure:
    columns: dict[str, list[str | int]] = {"compared": [], "bits": [], "images": []}
    for one in compared:
        for bits, count in enumerate(np.bincount(one.distance).tolist()):
            if count:
                for name, value in zip(columns, (one.what, bits, count), strict=True):
                    columns[name].append(value)
    caption = (
        f"How far images are from the nearest other one, in bits of 256 that their perceptual hashes differ by, "
        f"{_BIN_BITS} bits a step; images within {bits_text(radius)} (dashed) count as copies."
    )
    return Figure("duplicates-distances", caption, _histogram(compared, radius), pa.table(columns))


def _histogram(compared: Sequence[_Compared], radius: int) -> Drawing:
    figure = new_figure(360)
    axes = figure.axes[0]
    top = max(radius, *(int(one.distance.max()) for one in compared)) + 2 * _BIN_BITS
    edges = np.arange((radius + 0.5) % _BIN_BITS - _BIN_BITS, top + _BIN_BITS, _BIN_BITS)  # one ends at the radius
    for one in compared:
        counts, _ = np.histogram(one.distance, edges)
        axes.stairs(counts, edges, color=_COLOURS[one.what], linewidth=2, label=one.what)
    axes.axvline(radius + 0.5, color=PALE, linewidth=1.5, linestyle=(0, (4, 3)))
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
    axes.set_ylim(0, None)
    axes.set_xlim(0, top)
    axes.set_xlabel("bits to the nearest other image")
    axes.set_ylabel("images")
    figure.legend(loc="outside upper left")
    return figure


def _pairs(
    name: str, title: str, compared: Sequence[_Compared], train: Hashed, radius: int, others: Hashed
) -> list[Figure | Table | str]:
    is_same = others is train
    found = []
    for one in compared:
        for bits, i, j in closest_pairs(one.distance, one.place, NUM_PAIRS, is_same=is_same):
            found.append((bits, one.left[i], one.right[j]))
    found = sorted(found, key=lambda pair: pair[0])[:NUM_PAIRS]
    pairs = []
    for bits, left, right in found:
        ends = train.places[left], others.places[right]
        frames = WRONG if bits <= radius else PALE
        role = "" if is_same else "validation"
        tiles = [_tile(end, frames, said) for end, said in zip(ends, ("", role), strict=True)]
        pairs.append(PairOf(f"{bits_text(bits)}{', within the radius' if bits <= radius else ''}", INK, *tiles))
    data = pa.table(
        {
            "bits": [pair[0] for pair in found],
            "train_id": [pair[1] for pair in found],
            "train_class": [train.places[pair[1]].shows for pair in found],
            "train_source": [train.places[pair[1]].source for pair in found],
            "other_id": [pair[2] for pair in found],
            "other_class": [others.places[pair[2]].shows for pair in found],
        }
    )
    caption = f"{title}, no image twice; below each its true class and where it is from."
    return [Figure(f"duplicates-{name}", caption, pair_sheet(pairs), data, "jpeg")]


def _tile(place: Place, frame: str, role: str) -> Tile:
    [data] = encoded(place.images, [place.row])
    with pillow_in_bounds():
        picture = thumbnail(data, PAIR_PICTURE)
    return Tile(picture, [place.shows, role or f"training, {place.source}"], frame)


def _table(compared: Sequence[_Compared], radius: int) -> Table:
    head = ("compared", "images", "with", "nearest, bits", "median, bits", f"within {radius} bits")
    rows = [
        (
            one.what,
            f"{len(one.left):,}",
            f"{len(one.right) - (one.left is one.right):,}",
            f"{int(one.distance.min())}",
            f"{np.median(one.distance):g}",
            f"{one.num_within(radius):,}",
        )
        for one in compared
    ]
    return Table("duplicates-table", "Distances to the nearest other image.", head, rows)
