"""What a MentorNet learns from data: which labels were right, at which loss. Shapes: M rows.

Jiang et al., "MentorNet", ICML 2018, section 4.1: a small part of the data whose labels somebody has checked gives
the curriculum; v* is 1 for a right label and 0 for a wrong one. The rows come from a table, or from the losses that
`noisyweb.training.row_history` kept of a run on a manifest that knows which of its labels are right.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import torch

from noisyweb.errors import CorruptFileError, SourceError, TrainingError
from noisyweb.manifest import open_manifest
from noisyweb.training.facts import digest_of
from noisyweb.training.mentor_network import NUM_PERCENTS
from noisyweb.training.mentor_training import TargetRows
from noisyweb.training.mentornet import percentile
from noisyweb.training.row_history import FOLDER
from noisyweb.training.run_folder import RunFolder

COLUMNS = ("percent", "loss", "diff", "is_clean")
"""percent 0..100 of the training that is done, loss, diff (loss minus its moving average), is the label right."""

MOST_ROWS = 100_000_000
LARGEST = 1e6
"""Of losses and diffs, in size: far above any cross-entropy, far below what overflows in the network."""

PERCENTILE = 0.7
"""Of an epoch's losses: what the authors take for CIFAR-100 with 20 % noise."""


def read_rows(path: Path) -> TargetRows:
    """The rows of a CSV (``.csv``) or Parquet file with the columns of `COLUMNS`; others are left alone.

    Raises:
        SourceError: there is no such file, a column is missing or of another type, a value is missing or out of
            range, or there are no rows or too many.
        CorruptFileError: it cannot be read.
    """
    table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path, COLUMNS)
    if table.num_rows == 0:
        raise SourceError(f"{path}: it has no rows; expected some with {', '.join(COLUMNS)}")
    percent = _numbers(path, table, "percent", 0, NUM_PERCENTS)
    loss, diff = _numbers(path, table, "loss", 0, LARGEST), _numbers(path, table, "diff", -LARGEST, LARGEST)
    return _target_rows(percent, loss, diff, _flags(path, table))


def run_rows(run: Path, manifest: str | None = None, p: float = PERCENTILE) -> TargetRows:
    """The losses that each epoch of a run saw, with the manifest's knowledge of which labels are right.

    The moving average is not kept; each epoch's p-th percentile stands for it. An epoch's percent is that of its
    middle. Rows that the method did not look at are left out.

    Args:
        run: the folder of a run that kept its rows.
        manifest: what the run trained on: a path or an fsspec URL; None: where it lay then.
        p: a share, 0..1.

    Raises:
        TrainingError: no run is there, it kept no rows, or it was trained on another manifest; or p is out of range.
        SourceError: the manifest cannot be read.
        CorruptFileError: the run's files are damaged.
    """
    if not 0 <= p <= 1:
        raise TrainingError(f"percentile {p!r} is out of range; expected a share 0..1, such as {PERCENTILE}")
    folder = RunFolder(run)
    if not folder.is_started:
        raise TrainingError(f"{run}: no training run is here; name the run folder of `noisyweb train`")
    config, data = folder.read_config()
    epochs = config.get("epochs")
    if not isinstance(epochs, int) or epochs < 1:
        raise CorruptFileError(f"{run}/config.json: epochs {epochs!r}, expected a positive number; train again")
    files = sorted((run / FOLDER).glob("*.parquet"))
    if not files:
        raise TrainingError(f"{run}: the run kept no rows ({FOLDER}/*.parquet); train again with --row-history")
    is_clean = _is_clean(run, data, manifest)
    parts = [_epoch_rows(file, epochs, is_clean, p) for file in files]
    if sum(len(part.loss) for part in parts) == 0:
        raise TrainingError(f"{run}: its method looked at the loss of no row; take a run of another method")
    return TargetRows(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _is_clean(run: Path, data: dict[str, Any], manifest: str | None) -> npt.NDArray[np.bool_]:
    where = manifest if manifest is not None else data.get("where")
    if not isinstance(where, str):
        raise TrainingError(f"{run}: the run does not say where its manifest is; name it with --manifest")
    opened = open_manifest(where)
    labels = opened.rows.column("label").to_numpy().astype(np.int32)
    if digest_of(opened.class_names, opened.rows.column("image_id").to_pylist(), labels) != data.get("digest"):
        raise TrainingError(f"{where}: {run} was trained on another manifest; name its own with --manifest")
    flags: npt.NDArray[np.bool_] = opened.rows.column("is_clean").to_numpy()
    return flags


def _epoch_rows(file: Path, epochs: int, is_clean: npt.NDArray[np.bool_], p: float) -> TargetRows:
    table = _read_parquet(file, ("epoch", "row", "loss"))
    table = table.filter(table.column("loss").is_valid())
    row = _numbers(file, table, "row", 0, len(is_clean) - 1).astype(np.int64)
    epoch = _numbers(file, table, "epoch", 1, epochs)
    loss = _numbers(file, table, "loss", 0, LARGEST)
    if len(np.unique(epoch)) > 1:
        raise CorruptFileError(f"{file}: it has rows of several epochs; train again")
    average = float(percentile(torch.from_numpy(loss), p)) if len(loss) else 0.0
    return _target_rows(100 * (epoch - 0.5) / epochs, loss, loss - average, is_clean[row])


def _target_rows(
    percent: npt.NDArray[np.float64],
    loss: npt.NDArray[np.float64],
    diff: npt.NDArray[np.float64],
    is_clean: npt.NDArray[np.bool_],
) -> TargetRows:
    whole = torch.from_numpy(percent).floor().long().clamp(max=NUM_PERCENTS - 1)
    return TargetRows(
        torch.from_numpy(loss).float(), torch.from_numpy(diff).float(), whole, torch.from_numpy(is_clean).float()
    )


def _read_csv(path: Path) -> pa.Table:
    with _reading(path):
        table = pcsv.read_csv(path)
    _check_columns(path, table.column_names, COLUMNS)
    return table.select(COLUMNS)


def _read_parquet(path: Path, columns: tuple[str, ...]) -> pa.Table:
    with _reading(path):
        file = pq.ParquetFile(path, page_checksum_verification=True)
        _check_columns(path, file.schema_arrow.names, columns)
        for name in columns:
            kind = file.schema_arrow.field(name).type
            if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
                raise SourceError(f"{path}: column {name!r} holds {kind}, expected numbers or true and false")
        if file.metadata.num_rows > MOST_ROWS:
            raise SourceError(f"{path}: {file.metadata.num_rows:,} rows, expected {MOST_ROWS:,} at most; take a sample")
        return file.read(columns=list(columns))


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file; expected a CSV or Parquet table with {', '.join(COLUMNS)}") from None
    except (pa.ArrowException, OSError) as error:
        kind = "CSV" if path.suffix.lower() == ".csv" else "Parquet"
        raise CorruptFileError(f"{path}: cannot be read as {kind} ({(str(error).splitlines() or [''])[0]})") from error


def _check_columns(path: Path, found: list[str], expected: tuple[str, ...]) -> None:
    for name in expected:
        if found.count(name) != 1:
            how = "there is no column" if name not in found else "there are several columns"
            raise SourceError(f"{path}: {how} {name!r}; expected {', '.join(expected)}, found {', '.join(found)}")


def _numbers(path: Path, table: pa.Table, name: str, least: float, most: float) -> npt.NDArray[np.float64]:
    """A column of finite numbers in a range; float64, [M]."""
    column = table.column(name)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise SourceError(f"{path}: column {name!r} holds {column.type}, expected numbers")
    values: npt.NDArray[np.float64] = column.to_numpy().astype(np.float64)  # null becomes NaN
    is_fine = (values >= least) & (values <= most)
    if not is_fine.all():
        row = int(np.argmin(is_fine))
        found = column[row].as_py()
        found = "missing" if found is None else found
        raise SourceError(f"{path}: {name} of row {row} is {found}, expected a number from {least:g} to {most:g}")
    return values


def _flags(path: Path, table: pa.Table) -> npt.NDArray[np.bool_]:
    """The column ``is_clean``, [M]: true and false, or 1 and 0."""
    column = table.column("is_clean")
    if not pa.types.is_boolean(column.type):
        return _whole_flags(path, table)
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise SourceError(f"{path}: is_clean of row {row} is missing, expected true or false")
    flags: npt.NDArray[np.bool_] = column.to_numpy()
    return flags


def _whole_flags(path: Path, table: pa.Table) -> npt.NDArray[np.bool_]:
    values = _numbers(path, table, "is_clean", 0, 1)
    if not np.isin(values, (0.0, 1.0)).all():
        raise SourceError(f"{path}: is_clean holds {values[~np.isin(values, (0, 1))][0]:g}, expected true or false")
    return values.astype(bool)
