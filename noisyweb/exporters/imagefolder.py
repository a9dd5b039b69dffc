"""One folder per given label, as `torchvision.datasets.ImageFolder` and ``load_dataset("imagefolder")`` read.

    train/<label>_<class name>/<row>_<id>.jpg          <build>/train/... if there are several builds
    validation/<label>_<class name>/<row>_<id>.jpg

Folders sort in the order of the labels, so that their readers give each class the label of the manifest. A class
without images keeps its folder, or every label after it would move by one, silently: torchvision then asks for
``ImageFolder(folder, allow_empty=True)``.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from noisyweb.export import Builds, Options
from noisyweb.exporters._images import class_folders, encoded_rows, file_part
from noisyweb.manifest import Manifest

SUMMARY = "one folder per given label, for torchvision's ImageFolder"

_TORCHVISION = {".jpg", ".png", ".bmp", ".tif", ".webp"}  # of the suffixes of _images


def export(builds: Builds, target: Path, options: Options) -> list[str]:
    """Write every image under its given label, wrong ones included.

    Raises:
        SourceError: a row has no image.
    """
    names = builds.folder_names()
    told = []
    for manifest in builds.train():
        folder = target / "train" if builds.is_single else target / names[manifest.folder.name] / "train"
        told += _write(manifest, folder, builds.class_names, options)
    for manifest in builds.validations():
        told += _write(manifest, target / "validation", builds.class_names, options)
    return told


def _write(manifest: Manifest, folder: Path, class_names: tuple[str, ...], options: Options) -> list[str]:
    folders = [folder / name for name in class_folders(class_names)]
    for path in folders:
        path.mkdir(parents=True)
    suffixes: Counter[str] = Counter()
    filled = set()
    for number, (row, data, suffix) in enumerate(encoded_rows(manifest, "imagefolder", options.progress)):
        name = f"{number:07d}_{file_part(row['image_id'], 16)}{suffix}"
        (folders[row["label"]] / name).write_bytes(data)
        suffixes[suffix] += 1
        filled.add(row["label"])
    told = []
    if empty := len(class_names) - len(filled):
        told.append(
            f"{manifest.folder.name}: {empty:,} of {len(class_names):,} classes have no image; open it with "
            "ImageFolder(..., allow_empty=True), so that labels stay as they are"
        )
    if skipped := sum(count for suffix, count in suffixes.items() if suffix not in _TORCHVISION):
        told.append(
            f"{manifest.folder.name}: {skipped:,} images are GIF, which ImageFolder passes over unless it is given "
            "is_valid_file=..."
        )
    return told
