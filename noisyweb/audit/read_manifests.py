"""Manifests, one or a folder of builds, to be audited."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from noisyweb.audit.rows import UNKNOWN, AuditInput, AuditSet, Finding, some, wrong_by_labels
from noisyweb.errors import SourceError
from noisyweb.levels import parse_level
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.manifest import Manifest, manifest_folders, open_manifest
from noisyweb.progress import Progress


def read_manifests(path: Path) -> AuditInput:
    """A manifest with the clean validation set beside it, or all manifests of a folder.

    Raises:
        SourceError: there is none, or they have not one vocabulary.
    """
    is_one = any(path.glob("*-of-*.parquet"))
    manifests = [open_manifest(path)] if is_one else [open_manifest(folder) for folder in manifest_folders(path)]
    beside = path.resolve().parent / VALIDATION_FOLDER
    if is_one and manifests[0].info["split"] == "train" and any(beside.glob("*-of-*.parquet")):
        manifests.append(open_manifest(beside))
    first = manifests[0]
    for manifest in manifests[1:]:
        if manifest.class_names != first.class_names:
            raise SourceError(f"{manifest.folder}: it has other classes than {first.folder}; audit them one by one")
    train = [manifest for manifest in manifests if manifest.info["split"] == "train"]
    validation = [manifest for manifest in manifests if manifest.info["split"] != "train"]

    def pixels(progress: Progress) -> list[Finding]:
        from noisyweb.audit.pixels import look_at_pixels

        return look_at_pixels(train, validation[0] if validation else None, progress)

    return AuditInput(
        title=f"{first.info['title']}, edition {first.info['edition']}",
        class_names=first.class_names,
        sets=[_audited(manifest) for manifest in train],
        validation=_audited(validation[0]) if validation else None,
        leaks=pixels,
    )


def _audited(manifest: Manifest) -> AuditSet:
    rows = manifest.rows
    given = rows.column("label").to_numpy().astype(np.int64)
    true = rows.column("true_label").fill_null(UNKNOWN).to_numpy().astype(np.int64)
    clean = rows.column("is_clean").to_numpy()
    info = manifest.info
    is_train = info["split"] == "train"
    # A replaced image counts for the class that it stands under, whatever it shows.
    own = np.where(np.array(rows.column("source").to_pylist()) == "clean", true, UNKNOWN)
    ids = rows.column("image_id").to_pylist()
    return AuditSet(
        name=manifest.folder.name,
        ids=ids,
        given=given,
        true=own,
        wrong=(~clean).astype(np.int8),
        kind=info["kind"] if is_train else None,
        asked=parse_level(info["level"]) if is_train else None,
        claims=_claims(manifest.folder.name, rows, ids, given, true, clean),
    )


def _claims(
    where: str, rows: pa.Table, ids: Sequence[str], given: np.ndarray, true: np.ndarray, clean: np.ndarray
) -> tuple[Finding, ...]:
    """Where ``is_clean`` goes against what the other columns say."""
    by_labels = wrong_by_labels(given, true)
    yes = rows.column("votes_yes").fill_null(UNKNOWN).to_numpy()
    total = rows.column("votes_total").fill_null(UNKNOWN).to_numpy()
    asked = (total > 0) & (true < 0)  # where the true class is known, votes do not decide
    most_yes = asked & (2 * yes > total)
    most_no = asked & (2 * yes < total)
    against = {
        "wrong though its label is its true class": ~clean & (by_labels == 0),
        "right though its label is not its true class": clean & (by_labels == 1),
        "wrong though most annotators said yes": ~clean & most_yes,
        "right though most annotators said no": clean & most_no,
    }
    return tuple(
        Finding(
            "is_clean",
            "fault",
            where,
            f"{int(found.sum()):,} rows are called {what}; work `is_clean` out anew from the field that decides",
            int(found.sum()),
            some([ids[row] for row in np.flatnonzero(found)[:3]]),
        )
        for what, found in against.items()
        if found.any()
    )
