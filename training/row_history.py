"""What each epoch saw of each training row: ``rows/epoch-NNNN.parquet`` in the run folder.

``pandas.read_parquet(run / "rows")`` reads all of them as one table: epoch, row (of the manifest), loss, predicted
and weight, null where the method did not look at the row or gives no weights.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.atomic import replacing_file

FOLDER = "rows"

SCHEMA = pa.schema(
    [
        pa.field("epoch", pa.int32(), nullable=False),  # 1-based
        pa.field("row", pa.int32(), nullable=False),  # of the manifest
        pa.field("loss", pa.float32()),  # cross-entropy of the unmixed image with its given label
        pa.field("predicted", pa.int32()),  # class, for the unmixed image
        pa.field("weight", pa.float32()),  # 0..1: how far the method trusts the label
    ]
)
"""Key: epoch, row."""


def write_rows(
    run: Path,
    epoch: int,
    loss: npt.NDArray[np.float32],
    predicted: npt.NDArray[np.int64],
    weight: npt.NDArray[np.float32],
) -> None:
    """Write one epoch.

    Args:
        run: the run folder.
        epoch: 1-based.
        loss, weight: [N], NaN where there is none.
        predicted: [N], -1 where there is none.
    """
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    columns = [
        pa.array(np.full(len(loss), epoch, np.int32)),
        pa.array(np.arange(len(loss), dtype=np.int32)),
        pa.array(loss, mask=np.isnan(loss)),
        pa.array(predicted.astype(np.int32), mask=predicted < 0),
        pa.array(weight, mask=np.isnan(weight)),
    ]
    with replacing_file(folder / f"epoch-{epoch:04d}.parquet") as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), temporary, compression="zstd")
