"""What all runs of a study share, written down when it begins: later calls, on other machines too, train the same."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noisyweb.atomic import disk_errors, replacing_file
from noisyweb.data import NoisyImages
from noisyweb.errors import CorruptFileError, OutputError, TrainingError
from noisyweb.training.config import Wishes
from noisyweb.training.facts import digest_of
from noisyweb.training.plan import make_plan
from noisyweb.training.study.cells import FINE_TUNED, Cell

STUDY_FILE = "study.json"
PINNED = (
    *("image_size", "epochs", "batch_size", "lr", "normalisation", "optimizer", "schedule", "augmentation"),
    *("precision", "eval_every"),
)
"""Choices that depend on the machine or the method: the first call makes them, for all runs."""


@dataclass(frozen=True)
class Settings:
    """The training settings of a study.

    Attributes:
        wishes: what is asked for of every run; method, model, seed and weights are the cells'.
        tuned: what is asked for otherwise of fine-tuned runs.
        options: of methods, by method.
        weights: files to fine-tune from, by model; under ``""`` the file for all others.
        recipe: for what is not asked for.
    """

    wishes: Wishes = dataclasses.field(default_factory=Wishes)
    tuned: Wishes = dataclasses.field(default_factory=Wishes)
    options: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    weights: Mapping[str, str] = dataclasses.field(default_factory=dict)
    recipe: str | None = None

    def of(self, cell: Cell) -> Wishes:
        """What is asked for of one run."""
        wishes = dataclasses.replace(
            self.wishes,
            method=cell.method,
            options=dict(self.options.get(cell.method, {})),
            model=cell.model,
            seed=cell.seed,
        )
        if cell.start != FINE_TUNED:
            return wishes
        file = self.weights.get(cell.model, self.weights.get(""))
        named = {name: value for name, value in vars(self.tuned).items() if value is not None and name in PINNED}
        return dataclasses.replace(wishes, **named, weights=file, new_head=True)


def pinned(settings: Settings, cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
    """The choices that are made once, by start and model; epochs are those of the method that gets the fewest.

    Raises:
        NoisywebError: of the class that fits the mistake.
    """
    chosen: dict[str, dict[str, Any]] = {}
    seen = set()
    for cell in cells:
        if (cell.start, cell.model, cell.method) in seen:
            continue
        seen.add((cell.start, cell.model, cell.method))
        config = make_plan(cell.data.folder, settings.of(cell), out=Path("-"), recipe=settings.recipe).config
        mine = {name: getattr(config, name) for name in PINNED}
        others = chosen.setdefault(_place(cell), mine)
        if mine["epochs"] < others["epochs"]:
            chosen[_place(cell)] = mine
    return chosen


class StudyFolder:
    """A study's folder: study.json, runs/, claims/, failed/, and the tables.

    Args:
        path: the folder; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pins: dict[str, dict[str, Any]] = {}
        self.digests: dict[str, str] = {}

    @property
    def exists(self) -> bool:
        """Whether a study was begun here."""
        return (self.path / STUDY_FILE).exists()

    def open(self, settings: Settings, cells: Sequence[Cell]) -> None:
        """Begin the study, or go on with the one that is here.

        Raises:
            TrainingError: the one here was begun with other settings, or on other training sets.
            CorruptFileError: its file cannot be read.
            OutputError: the folder holds something else.
            NoisywebError: the settings cannot be used.
        """
        asked = _record(settings, cells)
        pins = pinned(settings, cells)  # checks every option, too, before anything is trained
        digests = _digests(cells)
        if not self.exists and self.path.exists() and (not self.path.is_dir() or _others(self.path)):
            raise OutputError(f"{self.path}: holds something else than a study; name another folder with --out")
        with self._alone():
            saved = self.read() if self.exists else {"settings": {}, "pins": {}, "data": {}}
            _check_same(self.path, saved["settings"], asked)
            for name, digest in digests.items():
                if saved["data"].get(name, digest) != digest:
                    raise TrainingError(
                        f"{self.path}: this study was begun on another {name}, with other images or labels; "
                        "name another folder with --out"
                    )
            self.pins, self.digests = {**pins, **saved["pins"]}, {**digests, **saved["data"]}
            content = {"settings": _joined(saved["settings"], asked), "pins": self.pins, "data": self.digests}
            if content != saved:
                with replacing_file(self.path / STUDY_FILE) as temporary:
                    temporary.write_text(json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other process opens the study."""
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read(self) -> dict[str, Any]:
        """What study.json says.

        Raises:
            CorruptFileError: it cannot be read.
        """
        file = self.path / STUDY_FILE
        try:
            content = json.loads(file.read_text())
            if not all(isinstance(content[name], dict) for name in ("settings", "pins", "data")):
                raise TypeError
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CorruptFileError(f"{file}: not a study's file; name another folder with --out") from error
        return dict(content)

    def wishes(self, settings: Settings, cell: Cell) -> Wishes:
        """What is asked for of one run, with the choices that were made when the study began."""
        return dataclasses.replace(settings.of(cell), **self.pins[_place(cell)])

    def run(self, cell: Cell) -> Path:
        """The run folder of a cell."""
        return self.path / "runs" / cell.key


def _others(path: Path) -> bool:
    return any(not entry.name.startswith(".") for entry in path.iterdir())


def _digests(cells: Sequence[Cell]) -> dict[str, str]:
    found = {}
    for data in {cell.data.folder.name: cell.data for cell in cells}.values():
        images = NoisyImages(data.folder)
        found[data.folder.name] = digest_of(images.class_names, images.ids, images.labels)
    return found


def _place(cell: Cell) -> str:
    return f"{cell.start} {cell.model}"


def _record(settings: Settings, cells: Sequence[Cell]) -> dict[str, dict[str, Any]]:
    """The settings that matter to these cells, as JSON has them; the device is each machine's own affair."""
    content: dict[str, dict[str, Any]] = {
        "settings": {**_wished(settings.wishes), "recipe": settings.recipe},
        "options": {cell.method: dict(settings.options.get(cell.method, {})) for cell in cells},
    }
    if any(cell.start == FINE_TUNED for cell in cells):
        content["fine-tuned settings"] = _wished(settings.tuned)
        content["weights"] = {
            cell.model: _sha256(Path(settings.weights.get(cell.model, settings.weights.get("", ""))))
            for cell in cells
            if cell.start == FINE_TUNED
        }
    return content


def _wished(wishes: Wishes) -> dict[str, Any]:
    return {name: getattr(wishes, name) for name in PINNED}


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise TrainingError(
            f"{file}: weights that cannot be read ({error.strerror}); name a file with --weights"
        ) from None


def _check_same(path: Path, saved: Mapping[str, Any], asked: Mapping[str, Mapping[str, Any]]) -> None:
    """Check what both tell of; methods and networks that are new are free."""
    for part, values in asked.items():
        for name, now in values.items():
            before = saved.get(part, {}).get(name, now)
            if before != now:
                what = {"options": f"options of {name}", "weights": f"weights of {name}"}.get(part, name)
                raise TrainingError(
                    f"{path}: this study was begun with {what} {_said(before)}, and now it is {_said(now)}; "
                    "ask for the same, or name another folder with --out"
                )


def _joined(saved: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    return {part: {**saved.get(part, {}), **asked.get(part, {})} for part in {**saved, **asked}}


def _said(value: Any) -> str:
    return "not given" if value is None or value == {} else json.dumps(value)
