"""The views of many images side by side, and where they come from: memory, or a workspace's table in a stream.

An image with one face has 720 bytes of views, more than all else that dedup knows of it. So they are not held for
longer than they are compared, and over an engine only a block at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.image_ids import Ids, Ints, find, ids_of
from noisyweb.views import NUM_TARGETS, PROBES, Views
from noisyweb.workspace import Workspace

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class PackedViews:
    """The views of N images.

    Attributes:
        faces: of each image; 0: it has no views. Shape (N,).
        probes: of all faces, one after the other.
        targets: the same.
    """

    faces: npt.NDArray[np.int16]
    probes: Words
    targets: Words

    @classmethod
    def of(cls, all_views: Iterable[Views | None]) -> PackedViews:
        """Of the views of N images; None: none."""
        parts = [(_EMPTY, _EMPTY) if one is None else (one.probes, one.targets) for one in all_views]
        faces = np.array([len(probes) // len(PROBES) for probes, _ in parts], np.int16)
        return cls(faces, *(np.concatenate([_EMPTY, *(part[side] for part in parts)]) for side in (0, 1)))

    @classmethod
    def joined(cls, parts: Sequence[PackedViews]) -> PackedViews:
        """Several of them, one after the other."""
        faces = np.concatenate([np.empty(0, np.int16), *(part.faces for part in parts)])
        probes = np.concatenate([_EMPTY, *(part.probes for part in parts)])
        return cls(faces, probes, np.concatenate([_EMPTY, *(part.targets for part in parts)]))

    def take(self, rows: Ints) -> PackedViews:
        """Those of some images, in the order asked for."""
        counts = self.faces.astype(np.int64)
        starts = (np.cumsum(counts) - counts)[rows]
        counts = counts[rows]
        ends = np.cumsum(counts)
        faces = np.repeat(starts - ends + counts, counts) + np.arange(ends[-1] if len(ends) else 0)
        return PackedViews(
            self.faces[rows],
            self.probes.reshape(-1, len(PROBES))[faces].reshape(-1),
            self.targets.reshape(-1, NUM_TARGETS)[faces].reshape(-1),
        )


_EMPTY: Words = np.empty(0, np.uint64)

SCAN_ROWS = 1 << 12
"""Rows of the table that are read at once: some megabytes."""


class ViewSource(Protocol):
    """Gives the views of images by their rows."""

    def blocks(self, rows: Ints, size: int) -> Iterator[tuple[Ints, PackedViews]]:
        """Those of ``rows`` that have views, ``size`` at a time, in an order of its own.

        Yields:
            Places among ``rows``, shape (M,), and the views of M images.
        """


class HeldViews:
    """Views that are in memory, row by row."""

    def __init__(self, views: PackedViews) -> None:
        self._views = views

    def blocks(self, rows: Ints, size: int) -> Iterator[tuple[Ints, PackedViews]]:
        """See `ViewSource`."""
        there = np.flatnonzero(self._views.faces[rows])
        for start in range(0, len(there), size):
            yield there[start : start + size], self._views.take(rows[there[start : start + size]])


class StoredViews:
    """Views in a workspace's table, which is read from one end to the other each time.

    Args:
        workspace: whose table.
        ids: of the images, ascending.
    """

    def __init__(self, workspace: Workspace, ids: Ids) -> None:
        self._workspace, self._ids = workspace, ids

    def blocks(self, rows: Ints, size: int) -> Iterator[tuple[Ints, PackedViews]]:
        """See `ViewSource`; in the order of the table."""
        if not len(rows):
            return
        place_of = np.full(len(self._ids) + 1, -1)  # one more, for what is not there
        place_of[rows] = np.arange(len(rows))
        held: list[tuple[Ints, PackedViews]] = []
        num_held = 0
        for batch in self._workspace.scan("views", ["image_id", "probes", "targets"], SCAN_ROWS):
            places = place_of[find(self._ids, ids_of(batch["image_id"]))]
            wanted = (places >= 0) & (faces_of_columns(batch["probes"], batch["targets"]) > 0)
            if not wanted.all():
                places, batch = places[wanted], batch.filter(pa.array(wanted))
            while len(places):
                cut = size - num_held
                held.append((places[:cut], _unpacked(batch.slice(0, cut))))
                num_held += len(held[-1][0])
                places, batch = places[cut:], batch.slice(cut)
                if num_held == size:
                    yield _block(held)
                    held, num_held = [], 0
        if held:
            yield _block(held)


def _block(held: list[tuple[Ints, PackedViews]]) -> tuple[Ints, PackedViews]:
    return np.concatenate([places for places, _ in held]), PackedViews.joined([views for _, views in held])


def faces_of_columns(probes: pa.Array, targets: pa.Array) -> npt.NDArray[np.int16]:
    """How many faces the rows of a workspace's views are of; 0: flat or unreadable, -1: those of a version with other
    views."""
    ours, theirs = (pc.fill_null(pc.binary_length(column), 0).to_numpy() for column in (probes, targets))
    faces = ours // (8 * len(PROBES))
    is_whole = (ours == faces * 8 * len(PROBES)) & (theirs == faces * 8 * NUM_TARGETS)
    return np.where(is_whole, faces, -1).astype(np.int16)


def _unpacked(batch: pa.RecordBatch) -> PackedViews:
    """Rows that all have views; copied, so that they do not hold what they were read from."""
    columns = []
    for name in ("probes", "targets"):
        _, offsets, data = batch[name].buffers()
        ends = np.frombuffer(offsets, np.int32)[batch[name].offset :][: len(batch) + 1]
        columns.append(np.frombuffer(data, np.uint8)[ends[0] : ends[-1]].copy().view(np.uint64))
    return PackedViews(faces_of_columns(batch["probes"], batch["targets"]), *columns)
