"""The documents beside the builds of a data set: card, credits and Croissant metadata, worked out afresh from them."""

from __future__ import annotations

import json
from pathlib import Path

from noisyweb import lock
from noisyweb.atomic import replacing_file
from noisyweb.attribution import CREDITS
from noisyweb.card import CARD_TAG, attribution, card, credits_of
from noisyweb.croissant import CONFORMS_TO, CROISSANT_NAME, croissant_of
from noisyweb.errors import OutputError
from noisyweb.facts import facts_of
from noisyweb.manifest import open_manifest

_MARKS = {"README.md": CARD_TAG, "ATTRIBUTION.md": CREDITS, CROISSANT_NAME: CONFORMS_TO[0]}


def check_documents(root: Path) -> None:
    """Refuse to overwrite documents that are not ours.

    Raises:
        OutputError: ``root`` holds a file of such a name by somebody else.
    """
    for name, mark in _MARKS.items():
        path = root / name
        if path.exists() and mark not in path.read_text(encoding="utf-8", errors="replace"):
            raise OutputError(f"{path}: not written by noisyweb; name another place with --out, or move it away")


def write_documents(root: Path) -> None:
    """Write README.md, ATTRIBUTION.md and croissant.json for the builds directly below ``root``."""
    manifests = [open_manifest(folder) for folder in lock.locked_folders(root)]
    credits = credits_of(manifests)
    facts = {manifest.folder.name: facts_of(manifest) for manifest in manifests}
    texts = {
        "README.md": card(root.name, facts, credits),
        "ATTRIBUTION.md": attribution(credits),
        CROISSANT_NAME: json.dumps(croissant_of(root.name, manifests, credits), ensure_ascii=False, indent=1) + "\n",
    }
    for name, text in texts.items():
        with replacing_file(root / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
