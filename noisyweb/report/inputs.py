"""What a report is made of: manifests, a workspace, training runs and a study, opened once for all sections."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisyweb.errors import SourceError
from noisyweb.lock import LOCK_NAME, VALIDATION_FOLDER, read_lock
from noisyweb.manifest import Manifest, manifest_folders, open_manifest
from noisyweb.report.runs import Run, Study, open_runs, open_study

if TYPE_CHECKING:
    from noisyweb.audit.report import AuditReport
    from noisyweb.data import NoisyImages

EXAMPLE_LEVEL = 0.4
"""What is shown of one manifest a kind is shown of the one that is nearest to this level."""

_CACHE_BYTES = 200_000_000


@dataclass(frozen=True)
class ReportManifest:
    """One training set.

    Attributes:
        path: its folder.
        manifest: its rows.
        images: the same with pixels, decoded when asked for.
        kind: of its noise.
        level: the share of rows whose `is_clean` is false.
        asked: the level that it was built for.
        lock: what its build says of itself; empty if there is no lock file.
    """

    path: Path
    manifest: Manifest
    images: NoisyImages
    kind: str
    level: float
    asked: float
    lock: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.path.name

    @property
    def title(self) -> str:
        """Kind and level in words, for captions."""
        return f"{self.kind} {100 * self.asked:g}%"


@dataclass(frozen=True)
class ReportInputs:
    """Everything that a report may show.

    Attributes:
        title: of the report.
        path: what was given: a data set's folder or one manifest.
        manifests: training sets by kind and level, all of one vocabulary.
        validation: the clean validation set beside them.
        workspace: the workspace that the images come from.
        runs: training runs, those of the study left out.
        study: a study's results.
        seed: of everything that is drawn.
    """

    title: str
    path: Path
    manifests: Sequence[ReportManifest]
    validation: NoisyImages | None = None
    workspace: Path | None = None
    runs: Sequence[Run] = ()
    study: Study | None = None
    seed: int = 0

    @property
    def class_names(self) -> Sequence[str]:
        """The vocabulary; names are hostile text."""
        return self.manifests[0].images.class_names

    @cached_property
    def examples(self) -> Sequence[ReportManifest]:
        """One manifest a kind: with wrong rows where there is such, and nearest to `EXAMPLE_LEVEL`."""
        kinds = dict.fromkeys(one.kind for one in self.manifests if one.level > 0) or {self.manifests[0].kind: None}
        return [
            min(
                (one for one in self.manifests if one.kind == kind),
                key=lambda one: (one.level == 0, abs(one.asked - EXAMPLE_LEVEL), one.asked),
            )
            for kind in kinds
        ]

    @cached_property
    def audit(self) -> AuditReport:
        """The audit of the manifests, without pixels."""
        from noisyweb.audit.read_manifests import read_manifests
        from noisyweb.audit.report import AuditReport

        return AuditReport.of(dataclasses.replace(read_manifests(self.path), leaks=None))


def open_inputs(
    builds: Path,
    *,
    runs: Sequence[Path] = (),
    study: Path | None = None,
    workspace: Path | None = None,
    title: str | None = None,
    seed: int = 0,
) -> ReportInputs:
    """Open what a report is made of.

    Args:
        builds: a data set's folder with manifests in it, or one manifest.
        runs: run folders, or folders of them.
        study: a study's folder.
        workspace: the workspace behind the web images.
        title: of the report; if not given, that of the data set.
        seed: of everything that is drawn.

    Raises:
        SourceError: there is no training set, they have not one vocabulary, or there is no run, study or workspace
            where one was named.
        CorruptFileError: files are damaged.
    """
    folders = _folders(builds)
    if workspace is not None and not workspace.is_dir():
        raise SourceError(f"{workspace}: no such folder; expected the workspace that the images were crawled into")
    found = [_opened(folder) for folder in folders]
    train = [one for one in found if isinstance(one, ReportManifest)]
    if not train:
        raise SourceError(f"{builds}: no training set in it; expected such as builds/cars or one manifest of it")
    for one in train:
        if one.manifest.class_names != train[0].manifest.class_names:
            raise SourceError(f"{one.path}: it has other classes than {train[0].path}; make a report of each")
    beside = [one for one in found if not isinstance(one, ReportManifest)]
    info = train[0].manifest.info
    return ReportInputs(
        title=title if title is not None else str(info["title"]),
        path=builds,
        manifests=sorted(train, key=lambda one: (one.kind, one.asked, one.name)),
        validation=beside[0] if beside else None,
        workspace=workspace,
        runs=open_runs(runs),
        study=open_study(study) if study is not None else None,
        seed=seed,
    )


def _folders(builds: Path) -> list[Path]:
    if any(builds.glob("*-of-*.parquet")):
        beside = builds.resolve().parent / VALIDATION_FOLDER
        return [builds, *([beside] if any(beside.glob("*-of-*.parquet")) and beside != builds.resolve() else [])]
    inner = manifest_folders(builds)
    if inner:
        return inner
    sets = sorted({file.parents[1].name for file in builds.glob("*/*/*-of-*.parquet")})
    if sets:
        raise SourceError(f"{builds}: it is a folder of data sets; name one, such as {builds / sets[0]}")
    raise SourceError(f"{builds}: there is no manifest in it; expected such as builds/cars, made by `noisyweb build`")


def _opened(folder: Path) -> ReportManifest | NoisyImages:
    from noisyweb.data import NoisyImages  # imports torch where it is installed

    manifest = open_manifest(folder)
    images = NoisyImages(folder, cache_bytes=_CACHE_BYTES)
    if manifest.info["split"] != "train":
        return images
    lock = read_lock(folder) if (folder / LOCK_NAME).exists() else {}
    level = float((~images.is_clean).mean()) if len(images) else 0.0
    return ReportManifest(
        folder, manifest, images, str(manifest.info["kind"]), level, float(manifest.info["level"]), lock
    )
