"""Croissant 1.1: the builds as they are, and a ``croissant.json`` beside them that says what they hold.

``mlcroissant.Dataset("croissant.json").records("red_noise_nl_0.4")`` gives the rows. Its paths are relative: it goes
where the folder goes.
"""

from __future__ import annotations

import json
from pathlib import Path

from noisyweb.card import credits_of
from noisyweb.croissant import croissant_of
from noisyweb.export import Builds, Options
from noisyweb.exporters._parquet import copy_builds
from noisyweb.manifest import open_manifest

SUMMARY = "the builds with Croissant 1.1 metadata beside them"


def export(builds: Builds, target: Path, options: Options) -> list[str]:
    """Copy the builds and describe them; rows need no image."""
    copy_builds(builds, builds.folder_names(), target, options)
    copies = [open_manifest(folder) for folder in sorted(path for path in target.iterdir() if path.is_dir())]
    described = json.dumps(croissant_of(builds.dataset, copies, credits_of(copies)), ensure_ascii=False, indent=1)
    (target / "croissant.json").write_text(described + "\n", encoding="utf-8")
    return []
