"""A Hugging Face data set: ``load_dataset(folder, "red_40")`` gives its train and validation splits, offline too.

    red_40/train-NNNNN-of-NNNNN.parquet      one folder and one configuration a training set: kind and per cent
    clean_validation/validation-NNNNN-of-NNNNN.parquet
    README.md                                the configurations, what each build holds, licences
    ATTRIBUTION.md, croissant.json

The Parquet files are those of the builds, byte for byte; images and class names are typed in them already.
"""

from __future__ import annotations

import json
from pathlib import Path

from noisyweb.card import attribution, card, credits_of
from noisyweb.croissant import croissant_of
from noisyweb.export import Builds, Options
from noisyweb.exporters._parquet import copy_builds
from noisyweb.facts import facts_of
from noisyweb.manifest import open_manifest

SUMMARY = "a Hugging Face data set with a configuration per level"


def export(builds: Builds, target: Path, options: Options) -> list[str]:
    """Copy the builds and write their card; rows need no image."""
    configs = builds.config_names()
    copy_builds(builds, configs, target, options)
    copies = [open_manifest(folder) for folder in sorted(path for path in target.iterdir() if path.is_dir())]
    facts = {manifest.folder.name: facts_of(manifest) for manifest in copies}
    credits = credits_of(copies)
    named = {name: name for name in configs.values()}
    (target / "README.md").write_text(card(builds.dataset, facts, credits, named), encoding="utf-8")
    (target / "ATTRIBUTION.md").write_text(attribution(credits), encoding="utf-8")
    described = json.dumps(croissant_of(builds.dataset, copies, credits), ensure_ascii=False, indent=1)
    (target / "croissant.json").write_text(described + "\n", encoding="utf-8")
    return [f"configurations: {', '.join(sorted(configs.values()))}"] if configs else []
