"""The questions that a dedup drops, and why: columns, of which rows of the ``duplicates`` table are made at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from noisyweb.copied import Copied
from noisyweb.dedup_order import Questions
from noisyweb.described import Described
from noisyweb.image_ids import NONE, Ids, Ints, find, ids_of, text_of
from noisyweb.schemas import DUPLICATE_KINDS, DUPLICATES
from noisyweb.workspace import Workspace

_ROW = np.dtype(
    [
        ("question", np.int64),
        ("kept", NONE.dtype),
        ("kept_label", np.int64),  # _NO_LABEL: none
        ("kind", np.int8),  # of DUPLICATE_KINDS
        ("distance", np.int16),  # -1: none
        ("agreement", np.float32),  # NaN: none
        ("against", np.int8),  # of _AGAINST
    ]
)
_NO_LABEL = -(2**40)
_AGAINST = ("web", "train", "validation")
_BATCH_ROWS = 1 << 16


class Dropped:
    """What is dropped of the questions of a workspace.

    Args:
        ids: of the images, ascending.
        questions: best first.
    """

    def __init__(self, ids: Ids, questions: Questions) -> None:
        self._ids, self._questions = ids, questions
        self._is_dropped = np.zeros(len(questions), bool)
        self._rows = [np.empty(0, _ROW)]

    def __len__(self) -> int:
        return int(self._is_dropped.sum())

    @property
    def num_questions(self) -> int:
        """How many there are, dropped ones included."""
        return len(self._questions)

    def left(self) -> Ints:
        """The images of the questions that are left, in their order."""
        return self._questions.images[~self._is_dropped]

    def unreadable(self, is_readable: npt.NDArray[np.bool_]) -> None:
        """Drop images that cannot be decoded."""
        places = self._left_places()
        places = places[~is_readable[self._questions.images[places]]]
        images, labels = self._questions.images[places], self._questions.labels[places]
        self._drop(places, self._ids[images], labels, "unreadable")

    def earlier_leaks(self, workspace: Workspace, renewed: Container[str]) -> None:
        """Drop what an earlier run found to be clean images of sets that are not looked at now."""
        order = np.lexsort((self._questions.labels, self._questions.images))
        images, labels = self._questions.images[order], self._questions.labels[order]
        for batch in workspace.scan("duplicates"):
            is_leak = [against != "web" and against not in renewed for against in batch["against"].to_pylist()]
            batch = batch.filter(pa.array(is_leak, pa.bool_()))
            for image, row in zip(find(self._ids, ids_of(batch["image_id"])).tolist(), batch.to_pylist(), strict=True):
                first, last = np.searchsorted(images, (image, image + 1))
                place = first + np.searchsorted(labels[first:last], row["label"])
                if place < last and labels[place] == row["label"]:
                    how = row["kind"], _or(row["distance"], -1), _or(row["agreement"], np.nan)
                    label, kept = _or(row["kept_label"], _NO_LABEL), ids_of([row["kept_id"]])
                    self._drop(order[place : place + 1], kept, label, *how, row["against"])

    def leaks(self, against: str, clean: Ids, web: Described, found: Copied, others: Described) -> None:
        """Drop images that are clean ones, by their bytes or by their looks.

        Args:
            against: what the clean set is called.
            clean: its ids, ascending.
            web, found, others: which of some images are copies of which others.
        """
        left = self._left_places()
        ids = self._ids[self._questions.images[left]]
        is_same = find(clean, ids) >= 0
        self._drop(left[is_same], ids[is_same], _NO_LABEL, "exact", 0, against=against)
        self._copies(left[~is_same], web, found, others, None, against)

    def copies(self, web: Described, found: Copied) -> None:
        """Drop copies among the images that are left, and further classes of the same bytes."""
        left = self._left_places()
        images, labels = self._questions.images[left], self._questions.labels[left]
        first_labels = np.empty(len(self._ids), np.int32)
        first_labels[images[::-1]] = labels[::-1]  # the last one written is the first
        further = left[first_labels[images] != labels]
        self._copies(left, web, found, web, first_labels, "web")
        further = further[~self._is_dropped[further]]
        images = self._questions.images[further]
        self._drop(further, self._ids[images], first_labels[images], "exact", 0)

    def counts(self) -> Counter[tuple[str, str]]:
        """How many are dropped, by against and kind."""
        rows = [np.stack([part["against"], part["kind"]], axis=1) for part in self._rows]
        pairs, counts = np.unique(np.concatenate(rows), axis=0, return_counts=True)
        found = zip(pairs.tolist(), counts.tolist(), strict=True)
        return Counter({(_AGAINST[against], DUPLICATE_KINDS[kind]): count for (against, kind), count in found})

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows of the table, by label, then by image."""
        rows = np.concatenate(self._rows)
        images, labels = self._questions.images[rows["question"]], self._questions.labels[rows["question"]]
        order = np.lexsort((images, labels))
        for start in range(0, len(order), _BATCH_ROWS):
            places = order[start : start + _BATCH_ROWS]
            part = rows[places]
            columns = [
                text_of(self._ids[images[places]]),
                pa.array(labels[places], pa.int32()),
                text_of(part["kept"]),
                pa.array(part["kept_label"], mask=part["kept_label"] == _NO_LABEL).cast(pa.int32()),
                pa.array(DUPLICATE_KINDS).take(pa.array(part["kind"])),
                pa.array(part["distance"].astype(np.int32), mask=part["distance"] < 0),
                pa.array(part["agreement"], mask=np.isnan(part["agreement"])),
                pa.array(_AGAINST).take(pa.array(part["against"])),
            ]
            yield pa.record_batch(columns, schema=DUPLICATES)

    def _left_places(self) -> Ints:
        return np.flatnonzero(~self._is_dropped)

    def _copies(
        self,
        places: Ints,
        web: Described,
        found: Copied,
        others: Described,
        kept_labels: npt.NDArray[np.int32] | None,
        against: str,
    ) -> None:
        """Drop those of some questions whose images are copies."""
        place_of = np.full(len(self._ids), -1)
        there = np.flatnonzero(found.is_copy)
        place_of[web.rows[there]] = there
        copies = place_of[self._questions.images[places]]
        places, copies = places[copies >= 0], copies[copies >= 0]
        kept = others.rows[found.others[copies]]
        labels = _NO_LABEL if kept_labels is None else kept_labels[kept]
        how = found.kinds[copies], found.distances[copies], found.agreements[copies]
        self._drop(places, others.looks.ids[kept], labels, *how, against)

    def _drop(
        self,
        places: Ints,
        kept: Ids,
        labels: Any,
        kind: Any,
        distance: Any = -1,
        agreement: Any = np.nan,
        against: str = "web",
    ) -> None:
        """Drop questions; what is said of how is one value for all, or one for each."""
        rows = np.empty(len(places), _ROW)
        rows["question"], rows["kept"], rows["kept_label"] = places, kept, labels
        rows["kind"] = DUPLICATE_KINDS.index(kind) if isinstance(kind, str) else kind
        rows["distance"], rows["agreement"], rows["against"] = distance, agreement, _AGAINST.index(against)
        self._rows.append(rows)
        self._is_dropped[places] = True


def _or(value: Any, none: float) -> Any:
    return none if value is None else value
