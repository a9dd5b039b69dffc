"""The layout of the CNWL release with images in it, as PropMix, InstanceGM and others read it.

    <set>-annotations.json                     web images: address, id, class, is_clean
    <set>/class_names.txt                      K lines
    <set>/split/<kind>_noise_nl_<level>        lines of image file name and class number
    <set>/split/clean_validation
    <set>/all_images/<id>.jpg                  the training images of all splits, each once
    <set>/validation/<class number>/<id>.jpg

``<set>`` is the data set's name, or the release's: cars are ``stanford_cars``, annotated in
``stanford-cars-annotations.json``. PropMix and InstanceGM read ``all_images/`` and ``validation/<class number>/`` by
the lines of the split files; benchmarks of long-tailed noise also need ``blue_noise_nl_0.0`` and ``red_noise_nl_0.8``.
What names of files mean to such code is in `noisyweb.exporters._layout`.
"""

from __future__ import annotations

from pathlib import Path

from noisyweb.export import Builds, Options
from noisyweb.exporters._images import class_lines, encoded_rows
from noisyweb.exporters._layout import CLEAN_SPLIT, RELEASE_NAMES, Annotations, FileNames

SUMMARY = "the CNWL release's folders and split files (PropMix, InstanceGM)"


def export(builds: Builds, target: Path, options: Options) -> list[str]:
    """Write images, split files and annotations.

    Raises:
        SourceError: a row has no image, or two training sets have the same kind and level.
    """
    splits = builds.split_names()
    folder_name, annotated_as = RELEASE_NAMES.get(builds.dataset, (builds.dataset, builds.dataset))
    root = target / folder_name
    for folder in ("split", "all_images", "validation"):
        (root / folder).mkdir(parents=True)
    (root / "class_names.txt").write_text(class_lines(builds.class_names), encoding="utf-8")
    files, annotations = FileNames(), Annotations()
    for manifest in builds.train():
        names = files.split(manifest)
        with (root / "split" / splits[manifest.folder.name]).open("w", encoding="ascii") as lines:
            for row, data, _ in encoded_rows(manifest, "cnwl", options.progress):
                name = names.name(row)
                lines.write(f"{name} {row['label']}\n")
                annotations.add(name, row)
                path = root / "all_images" / name
                if not path.exists():
                    path.write_bytes(data)
    for manifest in builds.validations():
        names = FileNames().split(manifest)  # the release numbers these anew: a name may be another image's there
        with (root / "split" / CLEAN_SPLIT).open("w", encoding="ascii") as lines:
            for row, data, _ in encoded_rows(manifest, "cnwl", options.progress):
                name = names.name(row)
                lines.write(f"{name} {row['label']}\n")
                path = root / "validation" / str(row["label"]) / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
    annotations.write(target / f"{annotated_as}-annotations.json", annotated_as)
    return []
