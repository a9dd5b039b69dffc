"""Images of one's own: a folder with one sub-folder per class.

Options:
    path: the folder. A class whose name has a ``/`` is looked for with ``-`` in its place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from noisyweb.errors import CrawlError
from noisyweb.providers._protocol import Hit, Options

SUMMARY = "a local folder with one sub-folder per class: folder=PATH"


def listing(class_names: Sequence[str], options: Options) -> Iterator[tuple[int, Hit]]:
    """The files of each class's sub-folder, sorted by path, at any depth; hidden ones left out.

    Raises:
        CrawlError: no such folder, or sub-folders that are no class.
    """
    root = _root(options)
    names: dict[str, str] = {}
    for name in class_names:
        other = names.setdefault(name.replace("/", "-"), name)
        if other != name:
            raise CrawlError(f"folder {root}: classes {other!r} and {name!r} have one sub-folder; rename one of them")
    found = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    unknown = [name for name in found if name not in names]
    if unknown:
        raise CrawlError(
            f"folder {root}: sub-folder {unknown[0]!r} is none of the {len(names)} classes ({len(unknown)} are not); "
            "name sub-folders like classes, or move the others away"
        )
    return _listed(root, class_names)


def _listed(root: Path, class_names: Sequence[str]) -> Iterator[tuple[int, Hit]]:
    for label, name in enumerate(class_names):
        folder = root / name.replace("/", "-")
        for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
            if path.is_file() and not path.name.startswith("."):
                yield label, Hit(url=path.as_uri(), title=path.stem)


def read(url: str, options: Options) -> bytes:
    """The bytes of a file that `listing` gave.

    Raises:
        OSError: it is gone, cannot be read, or lies (through a link) outside the folder.
    """
    root = _root(options)
    path = Path(os.fsdecode(unquote_to_bytes(urlsplit(url).path))).resolve()
    if not path.is_relative_to(root):
        raise PermissionError(f"{path} is outside {root}")
    return path.read_bytes()


def _root(options: Options) -> Path:
    root = Path(options.get("path") or "").expanduser().resolve()
    if not options.get("path") or not root.is_dir():
        raise CrawlError(f"folder {options.get('path', '')!r}: no such folder; give it as --source folder=PATH")
    return root
