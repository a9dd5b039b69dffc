"""Frozen: build again what a lock file describes, and get the same bytes, or hear exactly what is missing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from noisyweb import lock
from noisyweb.atomic import disk_errors, replacing_folder
from noisyweb.build import Recipe, build
from noisyweb.build_folder import Built, check_target
from noisyweb.build_inputs import InputRow, read_inputs
from noisyweb.build_official import build_official
from noisyweb.confusion import Confusion
from noisyweb.dataset import Dataset
from noisyweb.documents import check_documents, write_documents
from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.imageset import ImageSet
from noisyweb.levels import parse_level
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.mixture import parse_mix
from noisyweb.official.edition import OfficialEdition
from noisyweb.progress import Progress, silent

_SHOWN = 3


@dataclass(frozen=True)
class Frozen:
    """A lock file of a training set, and the list of inputs beside it.

    Attributes:
        folder: where they lie.
        locked: the lock file's content.
        inputs: rows by role and name.
    """

    folder: Path
    locked: Mapping[str, Any]
    inputs: Mapping[str, Mapping[str, InputRow]]

    @property
    def options(self) -> Mapping[str, Any]:
        """Data set, edition, kind, level, seed and the rest."""
        options: Mapping[str, Any] = self.locked["options"]
        return options

    def recipe(self, confusion: Confusion | None) -> Recipe:
        """What was asked for.

        Raises:
            SourceError: it was built with a confusion matrix or hierarchy, and this is none or another one.
        """
        options = self.options
        found = confusion.sha256 if confusion is not None else None
        if options.get("confusion") != found:
            wanted = str(options.get("confusion"))[:16]
            raise SourceError(
                f"{self.folder}: built with a confusion matrix or hierarchy whose SHA-256 begins {wanted}; found "
                f"{found[:16] if found else 'none'}; give that file with --confusion or --hierarchy"
            )
        level = str(options.get("asked", options["level"]))
        shrink_for = options.get("shrunk_for")
        return Recipe(
            parse_mix(str(options.get("mix", options["kind"]))),
            [parse_level(level)],
            int(options["seed"]),
            str(options.get("balance", "class")) if options.get("balance") != "confusion" else "class",
            str(options.get("on_shortage", "error")),
            Decimal(str(shrink_for)) if shrink_for is not None else None,
            confusion,
        )


def read_frozen(path: Path) -> Frozen:
    """Read a lock file, or the one in a build's folder.

    Raises:
        SourceError: it is of no training set, or missing.
        CorruptFileError: it or the list of inputs beside it is damaged.
    """
    folder = path if path.is_dir() else path.parent
    if not path.is_dir() and path.name != lock.LOCK_NAME:
        raise SourceError(f"{path}: not a lock file; expected {lock.LOCK_NAME}, as `noisyweb build` writes it")
    locked = lock.read_lock(folder)
    if locked["options"]["split"] != "train":
        raise SourceError(f"{path}: it is of a validation set, which is built along with any training set")
    is_official = locked["options"]["edition"] == "official"
    if not is_official and not isinstance(locked["options"].get("seed"), int):
        raise CorruptFileError(f"{path}: its options have no seed; restore it from a copy")
    return Frozen(folder, locked, read_inputs(folder))


def rebuild(
    frozen: Frozen,
    dataset: Dataset,
    *,
    confusion: Confusion | None = None,
    out: Path = Path("builds"),
    overwrite: bool = False,
    leak_check: bool = True,
    progress: Progress = silent,
) -> Built:
    """Build it again; the folder appears only if it has the same bytes.

    Args:
        frozen: of `read_frozen`.
        dataset: the data set that it names, in its edition.
        confusion: as it was.
        out: parent folder of all builds.
        overwrite: replace a build with other options.
        leak_check: as for `noisyweb.build.build`.
        progress: told how far it is.

    Raises:
        SourceError: inputs are missing or others, or the bytes differ; says which and why.
        OutputError: the folder holds something else.
    """
    _check_origin(frozen, dataset.name, dataset.edition)
    recipe = frozen.recipe(confusion)
    sets = {"train": dataset.train(), "pool": dataset.pool(), "other": dataset.other()}
    for role, rows in frozen.inputs.items():
        _check_input(frozen.folder, role, rows, _named(sets.get(role)))

    def make(scratch: Path) -> Iterator[Built]:
        return build(dataset, recipe, out=scratch, leak_check=leak_check, progress=progress)

    return _same(frozen, make, out / dataset.name, overwrite)


def rebuild_official(
    frozen: Frozen,
    edition: OfficialEdition,
    *,
    out: Path = Path("builds"),
    overwrite: bool = False,
    progress: Progress = silent,
) -> Built:
    """As `rebuild`, for a split of the official release."""
    _check_origin(frozen, edition.release.dataset, "official")
    options = frozen.options
    kind, level = str(options["kind"]), parse_level(str(options["level"]))

    def make(scratch: Path) -> Iterator[Built]:
        return build_official(edition, kind, [level], out=scratch, progress=progress)

    return _same(frozen, make, out / edition.release.dataset, overwrite)


def _check_origin(frozen: Frozen, dataset: str, edition: str) -> None:
    for key, found in (("dataset", dataset), ("edition", edition)):
        if frozen.options[key] != found:
            raise SourceError(f"{frozen.folder}: built from {key} {frozen.options[key]!r}, and this one is {found!r}")


def _same(frozen: Frozen, make: Callable[[Path], Iterator[Built]], root: Path, overwrite: bool) -> Built:
    """Make a build, and put it in its place if it has the same bytes."""
    check_documents(root)
    root.mkdir(parents=True, exist_ok=True)
    with disk_errors(root), tempfile.TemporaryDirectory(prefix=".frozen.", suffix=".tmp", dir=root) as scratch:
        *_, built = make(Path(scratch))
        _check_bytes(frozen, built.folder)
        for folder in sorted(built.folder.parent.iterdir()):
            if folder.is_dir():
                _put(folder, root / folder.name, overwrite and folder.name != VALIDATION_FOLDER)
    write_documents(root)
    return Built(**{**vars(built), "folder": root / built.folder.name})


def _named(images: ImageSet | None) -> dict[str, int]:
    return dict(zip(images.names, images.labels.tolist(), strict=True)) if images is not None else {}


def _check_input(folder: Path, role: str, rows: Mapping[str, InputRow], now: Mapping[str, int]) -> None:
    """Refuse inputs that are not those of the build."""
    missing = [name for name in rows if name not in now]
    new = [name for name in now if name not in rows]
    moved = [name for name, row in rows.items() if name in now and now[name] != row.label]
    for names, what in ((missing, "missing"), (new, "new"), (moved, "under another label")):
        if names:
            raise SourceError(
                f"{folder}: {len(names):,} of {len(rows):,} {role} images are {what} now, {_some(names)}; "
                "the same bytes need the same inputs"
            )
    if list(rows) != list(now):
        raise SourceError(
            f"{folder}: the {role} images are the same, in another order; the same bytes need the same one"
        )


def _check_bytes(frozen: Frozen, built: Path) -> None:
    """Refuse other bytes, and say where they come from."""
    now = lock.read_lock(built)
    if now["files"] == frozen.locked["files"]:
        return
    changed = []
    inputs = read_inputs(built)
    for role, before in frozen.inputs.items():
        _check_input(frozen.folder, role, before, {name: row.label for name, row in inputs.get(role, {}).items()})
        rows = inputs[role]
        changed += [name for name, row in rows.items() if name in before and before[name].image_id != row.image_id]
    if changed:
        raise SourceError(
            f"{frozen.folder}: {len(changed):,} images have other bytes now, {_some(changed)}; put back those that the "
            "build was made from"
        )
    versions = {name: (old, now["libraries"].get(name)) for name, old in dict(frozen.locked["libraries"]).items()}
    differ = [f"{name} {old} (here {new})" for name, (old, new) in versions.items() if old != new]
    if differ:
        raise SourceError(
            f"{frozen.folder}: the same rows and images, but other bytes: it was written with {', '.join(differ)}; "
            "install these versions"
        )
    files = [name for name, digest in dict(frozen.locked["files"]).items() if now["files"].get(name) != digest]
    raise SourceError(
        f"{frozen.folder}: {_some(files)} would have other bytes; the lock file is not of this build, or was changed"
    )


def _put(folder: Path, target: Path, overwrite: bool) -> None:
    check_target(target, lock.read_lock(folder)["options"], overwrite)
    with replacing_folder(target) as temporary:
        for file in sorted(folder.iterdir()):
            file.rename(temporary / file.name)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more
