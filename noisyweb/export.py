"""What is exported: training sets of one data set, and the clean validation set that they share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from noisyweb import plugins
from noisyweb.card import attribution, card, credits_of
from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.facts import facts_of
from noisyweb.levels import level_text, parse_level
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.manifest import SHARD_BYTES, Manifest, manifest_folders, open_manifest
from noisyweb.progress import Progress, silent
from noisyweb.remote_path import Place


@dataclass(frozen=True)
class Options:
    """What a user may choose.

    Attributes:
        shard_bytes: a WebDataset shard holds at most this many bytes, or one image.
        progress: told how many rows of each build are done.
    """

    shard_bytes: int = SHARD_BYTES
    progress: Progress = silent


@dataclass(frozen=True)
class Builds:
    """Manifests of one data set with one vocabulary.

    Attributes:
        dataset: the data set's name.
        class_names: the K classes.
        folders: of the training sets; empty where a validation set alone is exported.
        validation: folder of the clean validation set; None if there is none.
    """

    dataset: str
    class_names: tuple[str, ...]
    folders: tuple[Place, ...]
    validation: Place | None

    @property
    def is_single(self) -> bool:
        """Whether there is no need for a folder per training set."""
        return len(self.folders) < 2

    def train(self) -> Iterator[Manifest]:
        """The training sets; opened afresh, so that the labels of one at a time are in memory."""
        return map(open_manifest, self.folders)

    def validations(self) -> Iterator[Manifest]:
        """The validation set, or nothing."""
        return map(open_manifest, [self.validation] if self.validation else [])

    def manifests(self) -> Iterator[Manifest]:
        """All of them, the training sets first."""
        yield from self.train()
        yield from self.validations()

    def config_names(self) -> dict[str, str]:
        """A short name of each training set, by the name of its folder: ``red_40``, ``blue_2_5``.

        It is the kind and the level in percent; where several have the same, the cleaned names of their folders.
        """
        short = {}
        for manifest in self.train():
            percent = f"{(parse_level(manifest.info['level']) * 100).normalize():f}"
            short[manifest.folder.name] = f"{_cleaned(manifest.info['kind'])}_{percent}".replace(".", "_")
        many = Counter(short.values())
        return _distinct({folder: name if many[name] == 1 else _cleaned(folder) for folder, name in short.items()})

    def folder_names(self) -> dict[str, str]:
        """The names of the training sets' folders without anything that a path or a glob pattern could trip over."""
        return _distinct({folder.name: _cleaned(folder.name) for folder in self.folders})

    def split_names(self) -> dict[str, str]:
        """The names that the CNWL release gives splits, by the name of the folder: ``red_noise_nl_0.4``.

        Raises:
            SourceError: two training sets have the same kind and level.
        """
        names: dict[str, str] = {}
        for manifest in self.train():
            level: Decimal = parse_level(manifest.info["level"])
            name = f"{_cleaned(manifest.info['kind'])}_noise_nl_{level_text(level)}"
            if name in names.values():
                raise SourceError(
                    f"{manifest.folder}: it is not the only {name} here, and this format tells training sets apart by "
                    "kind and level alone; export one of them at a time"
                )
            names[manifest.folder.name] = name
        return names


def open_builds(place: Place, validation: Place | None = None) -> Builds:
    """The builds at a place.

    Args:
        place: one manifest, or a folder of them.
        validation: the clean validation set of one manifest, if it is not the folder beside it.

    Raises:
        SourceError: there is no manifest, or they are not of one data set with one vocabulary.
    """
    if isinstance(place, Path) and place.name in ("", ".."):
        place = place.resolve()  # what is exported is named by its folder
    inner = manifest_folders(place)
    alone = any(place.glob("*-of-*.parquet")) or not inner
    if alone and not any(place.glob("*-of-*.parquet")) and (deeper := _files_in(place, "*/*/*-of-*.parquet")):
        raise SourceError(f"{place}: it holds data sets, not builds; did you mean {deeper[0].parent.parent}?")
    manifests = [open_manifest(place)] if alone else [open_manifest(folder) for folder in inner]
    beside = validation or (place.resolve() if isinstance(place, Path) else place).parent / VALIDATION_FOLDER
    if alone and manifests[0].info["split"] == "train" and any(beside.glob("*-of-*.parquet")):
        manifests.append(open_manifest(beside))
    first = manifests[0]
    for manifest in manifests[1:]:
        for what in ("dataset", "class_names"):
            if manifest.info[what] != first.info[what]:
                raise SourceError(
                    f"{manifest.folder}: it has another {what.replace('_', ' ')} than {first.folder}; an export holds "
                    "one data set: name one manifest, or a folder of builds such as builds/cars"
                )
    folders = {split: [m.folder for m in manifests if m.info["split"] == split] for split in ("train", "validation")}
    if sum(map(len, folders.values())) < len(manifests):
        odd = next(m for m in manifests if m.info["split"] not in folders)
        raise SourceError(f"{odd.folder}: its split is {odd.info['split']!r}; expected train or validation")
    if len(folders["validation"]) > 1:
        raise SourceError(f"{place}: it holds {len(folders['validation'])} validation sets; expected one")
    shared = folders["validation"][0] if folders["validation"] else None
    return Builds(first.info["dataset"], tuple(first.class_names), tuple(folders["train"]), shared)


def _files_in(place: Place, pattern: str) -> list[Place]:
    found: list[Place] = list(place.glob(pattern))
    return sorted(found)


def export_builds(builds: Builds, to: str, target: Path, options: Options | None = None) -> list[str]:
    """Write builds in another tool's format, with their card (README.md) and credits (ATTRIBUTION.md).

    Args:
        builds: of `open_builds`.
        to: a plug-in of `noisyweb.exporters`.
        target: an empty folder.
        options: what the user chose.

    Returns:
        What the user should know, one line each.

    Raises:
        UnknownNameError: no such format.
        SourceError: rows carry no pixels and the format needs them.
        CorruptFileError: a file is not what it should be.
    """
    exporter = plugins.load("noisyweb.exporters", "export format", to)
    try:
        told: list[str] = exporter.export(builds, target, options or Options())
        if not (target / "README.md").exists():
            for name, text in documents_of(builds).items():
                (target / name).write_text(text, encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CorruptFileError(
            f"{builds.dataset}: a manifest holds text that is not UTF-8 ({error.reason}); build it again"
        ) from error
    return told


def documents_of(builds: Builds) -> dict[str, str]:
    """The credits and, last, the card of an export, by their file names."""
    facts = {manifest.folder.name: facts_of(manifest) for manifest in builds.manifests()}
    credits = credits_of(builds.manifests())
    return {"ATTRIBUTION.md": attribution(credits), "README.md": card(builds.dataset, facts, credits, {})}


def _cleaned(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:100].lstrip(".") or "_"


def _distinct(names: dict[str, str]) -> dict[str, str]:
    """Number the names that are there twice."""
    taken: set[str] = set()
    distinct = {}
    for key, name in names.items():
        number, found = 1, name
        while found in taken:
            number += 1
            found = f"{name}_{number}"
        taken.add(found)
        distinct[key] = found
    return distinct
