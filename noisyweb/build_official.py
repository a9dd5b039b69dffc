"""Build the official edition: the release's own splits as manifests, with the right ``is_clean``.

The folders are those of `noisyweb.build`; the rows, and so the level, are the release's. What level it has is said
beside the one that it was made for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from noisyweb.blend import Blend
from noisyweb.build_folder import VALIDATION_IMAGE, Built, FolderPlan, check_target, write_folder
from noisyweb.documents import check_documents, write_documents
from noisyweb.levels import level_text
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.official.edition import NOISE_NAMES, OfficialEdition, OfficialSplit
from noisyweb.progress import Progress, silent

TITLES = {"cars": "Stanford Cars (official CNWL release)", "mini-imagenet": "Mini-ImageNet (official CNWL release)"}


def build_official(
    edition: OfficialEdition,
    kind: str,
    levels: Sequence[Decimal],
    *,
    out: Path = Path("builds"),
    overwrite: bool = False,
    progress: Progress = silent,
) -> Iterator[Built]:
    """Build the release's validation set and some of its training splits.

    All splits are read, and refilled, before the first folder is written.

    Args:
        edition: of `noisyweb.official.edition`.
        kind: red or blue.
        levels: such as the release has.
        out: parent folder of all builds.
        overwrite: replace folders that hold a build with other options.
        progress: told how many rows of each folder are done.

    Yields:
        What was built, the validation set first.

    Raises:
        SourceError: the release has no such split, or not all of it is known.
        ShortageError: too few stand-ins for dead web images.
        LeakError: a web image is byte for byte a validation image.
        OutputError: a target folder holds something else, or the disk is full.
    """
    dataset = edition.release.dataset
    root = out / dataset
    common = {"dataset": dataset, "title": TITLES[dataset], "edition": "official"}
    info: dict[str, Any] = {**common, "split": "validation"}
    check_documents(root)
    check_target(root / VALIDATION_FOLDER, info, overwrite)
    splits: dict[Path, tuple[dict[str, Any], Decimal, OfficialSplit]] = {}
    for level in dict.fromkeys(levels):
        folder = root / f"{kind}_noise_nl_{level_text(level)}"
        options = {**common, "split": "train", "kind": kind, "level": level_text(level)}
        check_target(folder, options, overwrite)
        splits[folder] = (options, level, edition.split(kind, level))
    layout = {"layout": edition.copies.layout} if edition.copies is not None else {}
    plan = _plan(root / VALIDATION_FOLDER, info, Decimal(0), edition.validation(), "validation", layout)
    built, ids = write_folder(plan, {}, overwrite, progress)
    yield built
    clean_ids = dict.fromkeys(ids, VALIDATION_IMAGE)
    for folder, (options, level, split) in splits.items():
        built, _ = write_folder(_plan(folder, options, level, split, "train", layout), clean_ids, True, progress)
        yield built
    write_documents(root)


def _plan(
    folder: Path, info: dict[str, Any], level: Decimal, split: OfficialSplit, role: str, layout: dict[str, Any]
) -> FolderPlan:
    rows = np.arange(len(split.labels))
    blend = Blend(level, split.labels, split.is_wrong, split.web_row, rows, split.noise, NOISE_NAMES, level)
    return FolderPlan(
        folder,
        info,
        split.clean,
        blend,
        split.web,
        inputs={role: layout},
        notes=split.notes,
        result={"substitutions": [asdict(each) for each in split.substitutions]} if split.substitutions else {},
        may_repeat=True,
    )
