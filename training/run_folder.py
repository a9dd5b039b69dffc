"""Run folders: one training run each, never two mixed.

config.json             what is run, on which data, with which digests
checkpoint.safetensors  all that is needed to go on
metrics.jsonl, .parquet one row an epoch
loss_curve.parquet      one row a step
rows/, tensorboard/     if they were asked for: what each epoch saw of each row; TensorBoard's files
classes.parquet         one row a class, once finished
model.safetensors       the averaged weights, once finished
summary.json            written last: the run is finished
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from noisyweb import __version__
from noisyweb.atomic import disk_errors, replacing_file
from noisyweb.errors import CorruptFileError, OutputError, TrainingError
from noisyweb.training.config import TrainConfig
from noisyweb.training.facts import Facts

_LOCK = ".lock"
_FILES = (
    "summary.json",  # first to go: a run without it is not finished
    "model.safetensors",
    "metrics.jsonl",
    "metrics.parquet",
    "loss_curve.parquet",
    "classes.parquet",
    "checkpoint.safetensors",
    "config.json",
)
_FOLDERS = ("rows", "tensorboard")


def default_folder(facts: Facts, method: str, seed: int) -> Path:
    """``runs/<dataset>-<kind>-<level>-<method>-s<seed>``, under the current folder."""
    name = f"{facts.dataset}-{facts.kind}-{facts.level:g}-{method}-s{seed}"
    return Path("runs") / "".join(letter if letter.isalnum() or letter in "-_.+" else "_" for letter in name)


class RunFolder:
    """The files of one run.

    Args:
        path: the folder; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint.safetensors"
        self.model = path / "model.safetensors"

    @property
    def is_started(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / "config.json").exists()

    @property
    def is_finished(self) -> bool:
        """Whether the run here has come to its end."""
        return (self.path / "summary.json").exists()

    def check_free(self, overwrite: bool) -> None:
        """Check that a new run may go here.

        Raises:
            TrainingError: a run is here and may not be overwritten.
            OutputError: the folder holds something else.
        """
        if self.is_started and not overwrite:
            if self.is_finished:
                raise TrainingError(
                    f"{self.path}: this run is finished; --overwrite to train again, or name another folder with --out"
                )
            raise TrainingError(
                f"{self.path}: a run was begun here and not finished; --resume to go on, --overwrite to begin again"
            )
        if self.path.exists() and not self.is_started:
            others = self._others() if self.path.is_dir() else [self.path.name]
            if others:
                raise OutputError(f"{self.path}: holds something else ({others[0]}); name another folder with --out")

    def read_config(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What was written at the start: the training configuration and the facts of the data.

        Raises:
            TrainingError: no run was begun here.
            CorruptFileError: it cannot be read.
        """
        if not self.is_started:
            raise TrainingError(f"{self.path}: no run to resume; train without --resume to begin one")
        saved = self._read_json("config.json")
        try:
            return dict(saved["train"]), dict(saved["data"])
        except (KeyError, TypeError, ValueError):
            raise CorruptFileError(f"{self.path}/config.json: not a run's configuration; begin again") from None

    def begin(self, config: TrainConfig, facts: Facts, where: str) -> None:
        """Clear what an earlier run left, and write down what this one is, and where its training set lies."""
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for name in _FILES:
                (self.path / name).unlink(missing_ok=True)
            for name in _FOLDERS:
                if (self.path / name).is_dir():
                    shutil.rmtree(self.path / name)
        content = {
            "noisyweb": __version__,
            "config_digest": config.digest,
            "train": dataclasses.asdict(config),
            "data": {**dataclasses.asdict(facts), "where": where},
        }
        self._write_json("config.json", content)

    def read_summary(self) -> dict[str, Any]:
        """The summary of a finished run."""
        return self._read_json("summary.json")

    def finish(self, summary: dict[str, Any]) -> None:
        """Write the summary, which marks the run as finished."""
        self._write_json("summary.json", summary)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training into this folder meanwhile.

        Raises:
            TrainingError: another one is.
        """
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / _LOCK).open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TrainingError(f"{self.path}: another process is training here; wait for it to end") from None
            yield

    def _others(self) -> list[str]:
        """What is neither a lock nor a temporary file left by a run that died before it was begun."""
        names = sorted(entry.name for entry in self.path.iterdir())
        return [name for name in names if name != _LOCK and not (name.startswith(".") and name.endswith(".tmp"))]

    def _read_json(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads((self.path / name).read_text())
        except (OSError, ValueError) as error:
            raise CorruptFileError(
                f"{self.path / name}: cannot be read ({error}); begin again with --overwrite"
            ) from error
        if not isinstance(content, dict):
            raise CorruptFileError(f"{self.path / name}: not a JSON object; begin again with --overwrite")
        return content

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        with replacing_file(self.path / name) as temporary:
            temporary.write_text(json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")
