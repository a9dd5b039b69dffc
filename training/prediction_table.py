"""Predictions as a Parquet table, written by batches. Shapes: B batch, K classes.

The table is what cleanlab and others read::

    rows = pq.read_table("predictions.parquet")
    probs = rows["pred_probs"].combine_chunks().flatten().to_numpy().reshape(len(rows), -1)  # [N, K]
    cleanlab.filter.find_label_issues(rows["label"].to_numpy(), probs)

Confident learning means probabilities of rows that the network was not trained on; those of its own training set know
the wrong labels that it has memorised.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.atomic import replacing_file
from noisyweb.data import NoisyImages
from noisyweb.errors import OutputError

_GROUP_BYTES = 16_000_000
"""Of a row group of the table, before compression."""


def predictions_schema(model: str, images: NoisyImages) -> pa.Schema:
    """The table of what ``model`` says of a manifest: one row a row of it, in its order. Key: row."""
    about = {**images.info, "class_names": images.class_names, "model": model}
    return pa.schema(
        [
            pa.field("row", pa.int64(), nullable=False),  # in the manifest
            pa.field("image_id", pa.string(), nullable=False),
            pa.field("label", pa.int64(), nullable=False),  # as given
            pa.field("predicted", pa.int64(), nullable=False),  # the likeliest class
            pa.field("correct", pa.bool_(), nullable=False),  # predicted is the given label
            pa.field("loss", pa.float32(), nullable=False),  # cross-entropy with the given label, in nats
            pa.field("is_clean", pa.bool_(), nullable=False),  # is the given label right
            pa.field("true_label", pa.int64()),  # null: outside the vocabulary, or nobody knows
            pa.field("pred_probs", pa.list_(pa.float32(), len(images.class_names)), nullable=False),
        ],
        metadata={"noisyweb": json.dumps(about, sort_keys=True)},
    )


def prediction_batch(
    schema: pa.Schema,
    images: NoisyImages,
    rows: slice,
    predicted: npt.NDArray[np.int64],
    loss: npt.NDArray[np.float32],
    probs: npt.NDArray[np.float32],
) -> pa.RecordBatch:
    """Some rows of the table.

    Args:
        schema: of `predictions_schema`.
        images: the manifest.
        rows: which, B of them.
        predicted: [B].
        loss: [B].
        probs: [B, K].
    """
    label, true = images.labels[rows].astype(np.int64), images.true_labels[rows].astype(np.int64)
    columns = [
        pa.array(np.arange(rows.start, rows.stop)),
        pa.array(images.ids[rows], pa.string()),
        pa.array(label),
        pa.array(predicted),
        pa.array(predicted == label),
        pa.array(loss),
        pa.array(images.is_clean[rows]),
        pa.array(true, mask=true < 0),
        pa.FixedSizeListArray.from_arrays(pa.array(probs.reshape(-1)), probs.shape[1]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class PredictionTable:
    """Batches on their way into a file, gathered to row groups."""

    def __init__(self, writer: pq.ParquetWriter | None) -> None:
        self._writer, self._held = writer, list[pa.RecordBatch]()

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the next rows."""
        if self._writer is not None:
            self._held.append(batch)
            if sum(held.nbytes for held in self._held) >= _GROUP_BYTES:
                self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._writer is not None and self._held:
            self._writer.write_table(pa.Table.from_batches(self._held))
            self._held = []


@contextlib.contextmanager
def prediction_table(out: Path | None, schema: pa.Schema) -> Iterator[PredictionTable]:
    """A table that is there in the end, or not at all; none if ``out`` is None.

    Raises:
        OutputError: it cannot be written there.
    """
    if out is None:
        yield PredictionTable(None)
        return
    if out.is_dir():  # now, and not when all images have been looked at
        raise OutputError(f"{out}: is a folder; name a file, such as {out / 'predictions.parquet'}")
    with (
        replacing_file(out) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd", use_dictionary=False, write_page_checksum=True) as file,
    ):
        table = PredictionTable(file)
        yield table
        table.flush()
