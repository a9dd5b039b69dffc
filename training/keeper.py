"""Keeps what a training has done in its run folder: checkpoints, metrics, row history, TensorBoard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from noisyweb.training import checkpoint
from noisyweb.training.board import Board
from noisyweb.training.metrics import write_loss_curve, write_metrics
from noisyweb.training.row_history import write_rows
from noisyweb.training.run_folder import RunFolder
from noisyweb.training.state import TrainingState


class FolderKeeper:
    """Writes a training's files; see `noisyweb.training.loop.Keeper`.

    Args:
        state: the training.
        folder: where its files go.
        board: TensorBoard's files; None if they are not wanted.
        epoch_done: called with each epoch's row of metrics.
    """

    def __init__(
        self,
        state: TrainingState,
        folder: RunFolder,
        board: Board | None,
        epoch_done: Callable[[dict[str, Any]], None],
    ) -> None:
        self._state, self._folder, self._board, self._epoch_done = state, folder, board, epoch_done

    def keep_rows(self, epoch: int) -> None:
        """Write the epoch's rows, if they are wanted."""
        if self._state.config.row_history:
            seen = (self._state.row_loss, self._state.row_predicted, self._state.row_weight)
            write_rows(self._folder.path, epoch, *(values.cpu().numpy() for values in seen))

    def save(self) -> None:
        """Write a checkpoint."""
        checkpoint.save(self._folder.checkpoint, self._state.tensors(), self._state.info())

    def report(self, row: dict[str, Any]) -> None:
        """Write the metrics."""
        write_metrics(self._folder.path, self._state.history)
        write_loss_curve(self._folder.path, self._state.losses[: self._state.step].cpu().numpy())
        if self._board is not None:
            self._board.write(row)
        self._epoch_done(row)


class NoKeeper:
    """Keeps nothing: for the processes of a team that do not lead."""

    def keep_rows(self, epoch: int) -> None:
        """Nothing."""

    def save(self) -> None:
        """Nothing."""

    def report(self, row: dict[str, Any]) -> None:
        """Nothing."""
