"""Images in one sub-folder per class: ``<path>/<class name>/<image>``.

Options: ``path``. With no classes declared, the sorted sub-folder names are the classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from noisyweb.dataset import Section
from noisyweb.errors import SourceError
from noisyweb.imageset import ImageSet

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


def read(section: Section) -> ImageSet:
    """Read an image folder.

    Raises:
        SourceError: the folder is missing or unreadable, or its sub-folders are not the classes.
    """
    section.only("path")
    root = section.path("path")
    try:
        folders = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except FileNotFoundError:
        raise SourceError(f"{section.where}: image folder {root} does not exist; mend 'path'") from None
    except (NotADirectoryError, PermissionError) as error:
        raise SourceError(f"{section.where}: image folder {root} cannot be read ({error.strerror})") from error
    classes = list(section.class_names) or folders
    unknown = sorted(set(folders) - set(classes))
    missing = sorted(set(classes) - set(folders))
    if unknown or (missing and section.role != "pool"):
        what = f"folder {unknown[0]!r} is no class" if unknown else f"class {missing[0]!r} has no folder"
        raise SourceError(
            f"{section.where}: the sub-folders of {root} differ from the class names: {what} "
            f"({len(unknown)} unknown, {len(missing)} missing); rename the folders or mend 'classes'"
        )
    paths: list[str] = []
    labels: list[int] = []
    passed_over = 0
    for label, name in enumerate(classes):
        if name in folders:
            entries = sorted((root / name).iterdir())
            files = [_checked(file).name for file in entries if file.suffix.lower() in SUFFIXES]
            passed_over += len(entries) - len(files)
            paths.extend(f"{name}/{file}" for file in files)
            labels.extend([label] * len(files))

    def load(indices: Sequence[int]) -> Iterator[bytes | None]:
        for index in indices:
            yield read_image_file(root / paths[index])

    notes = (f"{passed_over} entries of the {section.role} folders are no images by their names and were passed over",)
    labelled = np.array(labels, np.int32)
    return ImageSet(paths, labelled, classes, load, paths, prefix=section.role, notes=notes if passed_over else ())


def _checked(path: Path) -> Path:
    """Refuse now what could not be read or written into a manifest later."""
    if not path.is_file():
        raise SourceError(f"image {path}: not a file (a broken link, or a folder named like an image); remove it")
    if not path.name.isprintable():
        raise SourceError(f"image {str(path)!r}: its name is not readable text; rename it")
    return path


def read_image_file(path: Path) -> bytes:
    """The bytes of an image file.

    Raises:
        SourceError: it is missing, unreadable or empty.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"image {path}: cannot be read ({error.strerror})") from error
    if not data:
        raise SourceError(f"image {path}: the file is empty; remove it or put the image back")
    return data
