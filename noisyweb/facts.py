"""What a build says of itself: its lock file, or the same worked out from its rows where there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from noisyweb import lock
from noisyweb.manifest import Manifest

Facts = Mapping[str, Any]
"""options, classes (number), result (rows, wrong, noise, ...), notes and files, as in a lock file."""


def facts_of(manifest: Manifest) -> Facts:
    """The facts of one build.

    Raises:
        SourceError: its metadata or columns are not those of a manifest.
        CorruptFileError: its lock file or a Parquet file is damaged.
    """
    if (manifest.folder / lock.LOCK_NAME).exists():
        return lock.read_lock(manifest.folder)
    rows, info = manifest.rows, manifest.info
    return {
        "options": {key: value for key, value in info.items() if key != "class_names"},
        "classes": {"number": len(info["class_names"]), "sha256": lock.class_digest(info["class_names"])},
        "result": {
            "rows": rows.num_rows,
            "wrong": rows.num_rows - (pc.sum(rows.column("is_clean")).as_py() or 0),
            "noise": dict(Counter(rows.column("noise").to_pylist())),
        },
        "notes": [],
        "files": {file.name: lock.file_digest(file) for file in manifest.files},
    }
