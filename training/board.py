"""Metrics for TensorBoard."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from noisyweb.errors import MissingExtraError
from noisyweb.training.metrics import METRICS

FOLDER = "tensorboard"
_GROUPS = {"train": "training rows", "detector": "wrong labels found", "val": "validation"}


class Board:
    """Writes the rows of `noisyweb.training.metrics.METRICS` as scalars.

    Args:
        run: the run folder.
        next_epoch: what was written of this epoch and later ones, by a process that died, is taken back.
    """

    def __init__(self, run: Path, next_epoch: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError:
            raise MissingExtraError("tensorboard", "train", "--tensorboard") from None
        self._writer = SummaryWriter(str(run / FOLDER), purge_step=next_epoch)

    def write(self, row: Mapping[str, Any]) -> None:
        """One epoch."""
        for name in METRICS.names:
            if row[name] is not None and name not in ("epoch", "step"):
                head, _, tail = name.partition("_")
                tag = f"{_GROUPS[head]}/{tail}" if head in _GROUPS else f"training/{name}"
                self._writer.add_scalar(tag, row[name], row["epoch"])
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


@contextlib.contextmanager
def board(run: Path, next_epoch: int, wanted: bool) -> Iterator[Board | None]:
    """A board for the length of a block; None if it is not wanted."""
    opened = Board(run, next_epoch) if wanted else None
    try:
        yield opened
    finally:
        if opened is not None:
            opened.close()
