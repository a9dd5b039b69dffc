"""Class folders as PLS, DSOS and FaMUS read them.

    training/<kind>_noise_nl_<level>/<class number>/<id>.jpg
    validation/<class number>/<id>.jpg
    split/<kind>_noise_nl_<level>, split/clean_validation       lines of image file name and class number
    <set>-annotations.json                     web images: address, id, class, is_clean

PLS and DSOS (PaulAlbert31, ``datasets/miniimagenet_preset.py``) list the folders of all class numbers from 0, so that a
class without images has an empty one, and take a folder's number for the label. PLS also opens
``mini-imagenet-annotations.json`` here and looks every training image in it whose name does not begin with ``n``. Both
have 100 classes written in. FaMUS (youjiangxu) is given a split file and a folder, such as
``training/red_noise_nl_0.4``, and opens ``<class number>/<file name>`` there; it takes images as they are, and means
32 x 32 pixels. What names of files mean is in `noisyweb.exporters._layout`.
"""

from __future__ import annotations

from pathlib import Path

from noisyweb.export import Builds, Options
from noisyweb.exporters._images import encoded_rows
from noisyweb.exporters._layout import CLEAN_SPLIT, RELEASE_NAMES, Annotations, FileNames, SplitNames
from noisyweb.manifest import Manifest

SUMMARY = "class folders by number, training and validation (PLS, DSOS, FaMUS)"


def export(builds: Builds, target: Path, options: Options) -> list[str]:
    """Write every image under the number of its given label, once for each training set that it is in.

    Raises:
        SourceError: a row has no image, or two training sets have the same kind and level.
    """
    splits = builds.split_names()
    (target / "split").mkdir()
    files, annotations = FileNames(), Annotations()
    num_classes = len(builds.class_names)
    for manifest in builds.train():
        split = splits[manifest.folder.name]
        lists = target / "training" / split, target / "split" / split
        _write(manifest, *lists, num_classes, files.split(manifest), annotations, options)
    for manifest in builds.validations():
        lists = target / "validation", target / "split" / CLEAN_SPLIT
        _write(manifest, *lists, num_classes, FileNames().split(manifest), Annotations(), options)
    annotated_as = RELEASE_NAMES.get(builds.dataset, (builds.dataset, builds.dataset))[1]
    annotations.write(target / f"{annotated_as}-annotations.json", annotated_as)
    return []


def _write(
    manifest: Manifest,
    folder: Path,
    split_file: Path,
    num_classes: int,
    names: SplitNames,
    annotations: Annotations,
    options: Options,
) -> None:
    for label in range(num_classes):
        (folder / str(label)).mkdir(parents=True)
    with split_file.open("w", encoding="ascii") as lines:
        for row, data, _ in encoded_rows(manifest, "pls", options.progress):
            name = names.name(row)
            lines.write(f"{name} {row['label']}\n")
            (folder / str(row["label"]) / name).write_bytes(data)
            annotations.add(name, row)
