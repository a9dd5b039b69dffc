"""One folder per given label, as `torchvision.datasets.ImageFolder` reads: ``<label>_<class name>/<row>_<id>.jpg``."""

from __future__ import annotations

import re
from pathlib import Path

from noisyweb.errors import SourceError
from noisyweb.manifest import Manifest

SUMMARY = "one folder per given label"
_SUFFIXES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"RIFF": ".webp", b"BM": ".bmp"}


def export(manifest: Manifest, target: Path) -> None:
    """Write every image under its given label, wrong ones included; folders sort in label order.

    Raises:
        SourceError: a row has no image bytes.
    """
    width = len(str(max(len(manifest.class_names) - 1, 0)))
    folders = []
    for label, name in enumerate(manifest.class_names):
        folder = target / f"{label:0{width}d}_{re.sub(r'[^A-Za-z0-9._-]+', '_', name)[:100]}"
        folder.mkdir()
        folders.append(folder)
    rows = manifest.rows.select(["image_id", "label"]).to_pylist()
    for number, (row, (data, path)) in enumerate(zip(rows, manifest.images(), strict=True)):
        if data is None:
            raise SourceError(f"{manifest.folder}: row {number} carries only the path {path!r}; nothing to export")
        suffix = next((s for magic, s in _SUFFIXES.items() if data.startswith(magic)), ".bin")
        (folders[row["label"]] / f"{number:07d}_{row['image_id'][:16]}{suffix}").write_bytes(data)
