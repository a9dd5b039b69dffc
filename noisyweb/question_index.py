"""The distinct questions of a table, numbered, so that tables are joined by numbers and not row by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class QuestionIndex:
    """Q questions, sorted by (label, image_id), of a table of V rows.

    Attributes:
        image_ids, labels: the questions; shape (Q,).
        row: which question each row of the table is about; shape (V,).
        images: the distinct image ids, sorted.
        keys: label x len(images) + place in ``images``, ascending; shape (Q,).
    """

    image_ids: pa.Array
    labels: npt.NDArray[np.int32]
    row: Places
    images: pa.Array
    keys: Places

    @classmethod
    def of(cls, table: pa.Table) -> QuestionIndex:
        """The questions of a table with the columns image_id and label, none of them null."""
        images, image = codes(table["image_id"])
        size = max(len(images), 1)
        keys, row = np.unique(_labels(table) * size + image, return_inverse=True)
        image_ids = images.take(pa.array(keys % size))
        return cls(image_ids, (keys // size).astype(np.int32), row.reshape(-1).astype(np.int64), images, keys)

    def __len__(self) -> int:
        return len(self.keys)

    def places(self, table: pa.Table) -> Places:
        """Where the questions of another table are among these, -1 for those that are not; shape (N,).

        Args:
            table: the columns image_id and label, N rows in any order.
        """
        image = pc.index_in(_texts(table["image_id"]), self.images).fill_null(-1).to_numpy().astype(np.int64)
        keys = _labels(table) * max(len(self.images), 1) + image
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        if not len(self.keys):
            return np.full(len(keys), -1, np.int64)
        return np.where((image >= 0) & (self.keys[place] == keys), place, -1)


def codes(texts: pa.ChunkedArray) -> tuple[pa.Array, Places]:
    """The distinct texts, sorted by code point, and the place of each text among them."""
    coded = pc.dictionary_encode(_texts(texts))
    order = pc.sort_indices(coded.dictionary).to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return coded.dictionary.take(pa.array(order)), rank[coded.indices.to_numpy().astype(np.int64)]


def _texts(column: pa.ChunkedArray) -> pa.Array:
    """One array, also of a column of no or many chunks."""
    return pa.concat_arrays([pa.array([], pa.string()), *column.cast(pa.string()).chunks])


def _labels(table: pa.Table) -> Places:
    return np.asarray(table["label"].to_numpy(), np.int64)
