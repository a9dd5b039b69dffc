"""What is in the sets: contact sheets of right and wrong labels, class by class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from noisyweb.decode import pillow_in_bounds
from noisyweb.gallery_draw import printable
from noisyweb.report.inputs import ReportInputs, ReportManifest
from noisyweb.report.photos import NO_PIXELS, Rows, draw_order, encoded, readable, thumbnail
from noisyweb.report.section import Figure, Fold, Section, Table
from noisyweb.report.sheet import COLUMNS, PICTURE, Strip, Tile, class_sheet
from noisyweb.report.style import CLEAN, kind_colours

ORDER = 40
TITLE = "Contact sheets"

OPEN_CLASSES = 4
"""Classes shown without a click; all are if there are no more than these and one."""
OPEN_IMAGES, FOLDED_IMAGES = 2 * COLUMNS, 4
"""Of each strip."""
MAX_IMAGES = 2_400
"""On all folded sheets together, so that the page stays small: a tenth of it is 0.8 MB of page."""

_COLUMNS = [
    "image_id",
    "label",
    "true_label",
    "is_clean",
    "noise",
    "source",
    "license",
    "creator",
    "landing_url",
    "url",
    "attribution",
    "votes_yes",
    "votes_total",
]


@dataclass(frozen=True)
class _Shown:
    """The rows of one label in one set that a sheet shows, and how many there are."""

    one: ReportManifest
    is_clean: bool
    rows: Sequence[int]
    num_rows: int

    @property
    def title(self) -> str:
        if self.is_clean:
            return f"right labels: {len(self.rows)} of {self.num_rows:,}"
        return f"wrong in {self.one.title}: {len(self.rows)} of {self.num_rows:,}"


def draw(inputs: ReportInputs) -> Section:
    """A sheet a class, some shown at once and the others on a click."""
    examples = inputs.examples
    if all(not len(one.images) for one in examples):
        return Section(TITLE, "", missing="The training sets have no rows; build them again with `noisyweb build`.")
    chosen, folded = _classes(inputs)
    choices = _Choices(inputs)
    sheets = {
        **{label: choices.of(label, OPEN_IMAGES) for label in chosen},
        **{label: choices.of(label, FOLDED_IMAGES) for label in folded},
    }
    pictures = _pictures([shown for of_class in sheets.values() for shown in of_class])
    if all(picture is None for picture in pictures.values()):
        return Section(TITLE, "", missing=NO_PIXELS)
    figures = {label: _figure(inputs, label, shown, pictures, label in chosen) for label, shown in sheets.items()}
    blocks: list[Figure | Table | Fold | str] = [figures[label] for label in chosen]
    if folded:
        num_others = sum(_num_rows(inputs) > 0) - len(chosen)
        are_all = len(folded) == num_others
        summary = (
            f"The other classes ({num_others:,})" if are_all else f"{len(folded):,} of {num_others:,} other classes"
        )
        blocks.append(Fold(summary, [figures[label] for label in folded]))
    return Section(TITLE, _lead(inputs, len(chosen)), blocks)


def _lead(inputs: ReportInputs, num_open: int) -> str:
    wrong = "; ".join(
        f"{one.title}: {int((~one.images.is_clean).sum()):,} of {len(one.images):,} labels wrong"
        for one in inputs.examples
    )
    some = f" {num_open} classes drawn by seed come first." if num_open < sum(_num_rows(inputs) > 0) else ""
    return (
        f"What a trainer is shown under each class name. Wrong labels have a cross; below them stands what the image "
        f"is, or how many votes called it right, and its licence and creator. {wrong}.{some}"
    )


def _classes(inputs: ReportInputs) -> tuple[list[int], list[int]]:
    """Labels to show openly and folded: in the order of the vocabulary, drawn by seed where there are too many."""
    num_rows = _num_rows(inputs)
    order = draw_order([f"{label}" for label in range(len(num_rows))], inputs.seed, "classes")
    there = order[num_rows[order] > 0].tolist()
    wrong = [np.bincount(one.images.labels[~one.images.is_clean], minlength=len(num_rows)) for one in inputs.examples]
    full = [label for label in there if all(of_set[label] for of_set in wrong)]  # classes that tell more
    num_open = len(there) if len(there) <= OPEN_CLASSES + 1 else OPEN_CLASSES
    chosen = list(dict.fromkeys([*full, *there]))[:num_open]
    room = MAX_IMAGES // (FOLDED_IMAGES * (1 + len(inputs.examples)))
    return sorted(chosen), sorted([label for label in there if label not in chosen][:room])


def _num_rows(inputs: ReportInputs) -> Rows:
    """Rows that may be shown under each label, shape (K,)."""
    labels = np.concatenate([one.images.labels[readable(one.images)] for one in inputs.examples])
    return np.bincount(labels, minlength=len(inputs.class_names))


class _Choices:
    """Which rows stand for a label: the first ones of a draw."""

    def __init__(self, inputs: ReportInputs) -> None:
        self.examples = inputs.examples
        self.orders: list[Rows] = []
        for one in self.examples:
            order = draw_order(one.images.ids, inputs.seed, "pictures")
            self.orders.append(order[np.isin(order, readable(one.images))])

    def of(self, label: int, count: int) -> list[_Shown]:
        """Right ones of the first set that has such, wrong ones of every set."""
        found: list[_Shown] = []
        for one, order in zip(self.examples, self.orders, strict=True):
            mine = order[one.images.labels[order] == label]
            for is_clean in (True, False):
                rows = mine[one.images.is_clean[mine] == is_clean]
                total = int(((one.images.labels == label) & (one.images.is_clean == is_clean)).sum())
                if len(rows) and not (is_clean and any(shown.is_clean for shown in found)):
                    found.append(_Shown(one, is_clean, rows[:count].tolist(), total))
        return sorted(found, key=lambda shown: not shown.is_clean)


def _pictures(all_shown: Sequence[_Shown]) -> dict[tuple[str, int], Any]:
    """Small images by set and row; None: there is none, or it is damaged. Each set is read once, in row order."""
    wanted: dict[str, tuple[ReportManifest, set[int]]] = {}
    for shown in all_shown:
        wanted.setdefault(shown.one.name, (shown.one, set()))[1].update(shown.rows)
    found = {}
    with pillow_in_bounds():
        for name, (one, some) in wanted.items():
            rows = sorted(some)
            for row, data in zip(rows, encoded(one.images, rows), strict=True):
                found[name, row] = thumbnail(data, PICTURE)
    return found


def _figure(
    inputs: ReportInputs,
    label: int,
    of_class: Sequence[_Shown],
    pictures: Mapping[tuple[str, int], Any],
    is_open: bool,
) -> Figure:
    """One sheet. Words stand below the images, or in the caption of a folded one: text in a photograph is heavy."""
    names, colours = inputs.class_names, kind_colours(one.kind for one in inputs.examples)
    strips, tables, said = [], [], []
    for shown in of_class:
        table = shown.one.manifest.rows.select(_COLUMNS).take(shown.rows)
        colour = CLEAN if shown.is_clean else colours[shown.one.kind]
        words = [list(_words(row, names)) for row in table.to_pylist()]
        tiles = [
            Tile(pictures[shown.one.name, number], below if is_open else (), colour, not shown.is_clean)
            for number, below in zip(shown.rows, words, strict=True)
        ]
        strips.append(Strip(shown.title, colour, tiles))
        tables.append(_data(table, shown, names))
        credits = "; ".join(", ".join(printable(word, 60) for word in below) for below in words if below)
        said.append(f"{shown.title}{f' ({credits})' if credits and not is_open else ''}")
    sheet = class_sheet(names[label], strips, COLUMNS if is_open else FOLDED_IMAGES)
    return Figure(
        f"pictures-{label:04d}",
        f"{printable(names[label])}: {'; '.join(said)}.",
        sheet,
        pa.concat_tables(tables),
        "jpeg",
    )


def _words(row: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    """What stands below an image."""
    if row["is_clean"]:
        pass
    elif row["true_label"] is not None:
        yield f"is {names[row['true_label']]}"
    elif row["votes_total"]:
        yield f"{row['votes_yes']} of {row['votes_total']} yes"
    else:
        yield f"{row['noise']}: true class not known"
    credit = ", ".join(one for one in (row["license"], row["creator"]) if one)
    if credit:
        yield credit


def _data(table: pa.Table, shown: _Shown, names: Sequence[str]) -> pa.Table:
    """The rows of a sheet, with class names."""
    columns: dict[str, Any] = {"set": pa.array([shown.one.name] * table.num_rows, pa.string())}
    for column in ("label", "true_label"):
        given = [None if label is None else names[label] for label in table[column].to_pylist()]
        columns[column.replace("label", "class") if column != "label" else "class"] = pa.array(given, pa.string())
    rest = [name for name in _COLUMNS if name not in ("label", "true_label")]
    return pa.table({**columns, **{name: table[name] for name in rest}})
