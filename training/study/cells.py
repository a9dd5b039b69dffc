"""The cells of a study: one training run each."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from noisyweb.errors import TrainingError, UnknownNameError
from noisyweb.levels import level_text, parse_level
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.manifest import manifest_folders, open_manifest

SCRATCH, FINE_TUNED = "scratch", "fine-tuned"
STARTS = (SCRATCH, FINE_TUNED)
CLEAN = "clean"
"""What a level of 0 counts as, whatever kind of noise it was made for: there is none."""


@dataclass(frozen=True)
class TrainingSet:
    """One manifest of a study.

    Attributes:
        folder: its manifest folder.
        kind: of its noise; ``clean`` at level 0.
        level: share of wrong labels that it was built for.
    """

    folder: Path
    kind: str
    level: Decimal


@dataclass(frozen=True)
class Cell:
    """One run of a study: a training set, a method, a network, where it starts from, and a seed.

    Attributes:
        data: the training set.
        method: one of `noisyweb.training.methods`.
        model: name of a network.
        start: ``scratch`` or ``fine-tuned``.
        seed: of the run.
    """

    data: TrainingSet
    method: str
    model: str
    start: str
    seed: int

    @property
    def key(self) -> str:
        """Name of the cell: of its run folder and its claims."""
        words = (self.data.kind, level_text(self.data.level), self.method, self.model, self.start, f"s{self.seed}")
        return "_".join("".join(c if c.isalnum() or c in "-.+" else "-" for c in word) for word in words)


@dataclass(frozen=True)
class Grid:
    """What a study is asked to cover.

    Attributes:
        kinds, levels: of noise; None: all that were built.
        methods, models, starts, seeds: every combination is a cell.
    """

    methods: Sequence[str]
    models: Sequence[str]
    starts: Sequence[str] = (SCRATCH,)
    seeds: Sequence[int] = (0, 1, 2)
    kinds: Sequence[str] | None = None
    levels: Sequence[Decimal] | None = None


def training_sets(root: Path, grid: Grid) -> list[TrainingSet]:
    """The manifests under a folder that a grid wants, by kind and level; level 0 once.

    Raises:
        SourceError: a manifest cannot be read.
        UnknownNameError: a kind that was not built.
        TrainingError: a level that was not built for any of the kinds, or there is nothing to evaluate on.
    """
    found: dict[tuple[str, Decimal], TrainingSet] = {}
    kinds, levels = set(), set()
    for folder in manifest_folders(root):
        if folder.name == VALIDATION_FOLDER:
            continue
        info = open_manifest(folder).info
        if info["split"] != "train":
            continue
        level = parse_level(info["level"])
        kinds.add(info["kind"])
        levels.add(level)
        if grid.kinds is not None and info["kind"] not in grid.kinds:
            continue
        if grid.levels is not None and level not in grid.levels:
            continue
        kind = str(info["kind"]) if level else CLEAN
        found.setdefault((kind, level), TrainingSet(folder, kind, level))
    for kind in grid.kinds or ():
        if kind not in kinds:
            raise UnknownNameError("kind among the builds", kind, kinds, f"{root} has no other")
    for level in grid.levels or ():
        if level not in levels:
            built = ", ".join(level_text(one) for one in sorted(levels))
            raise TrainingError(f"{root}: no manifest of level {level_text(level)}, only {built}; build it first")
    if not found:
        raise TrainingError(
            f"{root}: no training manifest of what is asked for in its folders; "
            "expected a data set's folder of noisyweb build, such as builds/cars"
        )
    if not any((one.folder.resolve().parent / VALIDATION_FOLDER).is_dir() for one in found.values()):
        raise TrainingError(
            f"{root}: no {VALIDATION_FOLDER} beside the manifests; a study needs clean images to judge by"
        )
    return [found[key] for key in sorted(found, key=lambda key: (key[0] != CLEAN, *key))]


def cells(data: Sequence[TrainingSet], grid: Grid, weights: Mapping[str, str]) -> list[Cell]:
    """All cells, seed by seed, so that a study that is cut short has whole grids of fewer seeds.

    Args:
        data: of `training_sets`.
        grid: the rest.
        weights: files to fine-tune from, by model; under ``""`` the file for all others.

    Raises:
        TrainingError: fine-tuning is asked for and a model has no file; two cells of one name.
    """
    for model in grid.models if FINE_TUNED in grid.starts else ():
        if model not in weights and "" not in weights:
            raise TrainingError(f"to fine-tune {model}, name its weights: --weights {model}=FILE")
    found = [
        Cell(one, method, model, start, seed)
        for seed, start, one, model, method in itertools.product(
            grid.seeds, grid.starts, data, grid.models, grid.methods
        )
    ]
    if len({cell.key for cell in found}) < len(found):
        raise TrainingError("two cells of the study have the same name; name each method, model, start and seed once")
    return found
