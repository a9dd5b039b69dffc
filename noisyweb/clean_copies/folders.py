"""Walking a user's folder without getting lost in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from noisyweb.errors import SourceError

MAX_ENTRIES = 3_000_000
"""All of ImageNet-1k with its annotations is 1.9 million."""


def files_below(root: Path, *, depth: int, enter: Callable[[str], bool]) -> Iterator[Path]:
    """Regular files below a folder, folder by folder, sorted by name; hidden folders are left out.

    Links are followed, since people link their data from other disks; a folder is entered only once, so that a link
    to a folder above ends the walk instead of going round.

    Args:
        root: the folder; a file is its own and only entry.
        depth: levels of folders below ``root`` that are entered.
        enter: whether a folder of that name is entered.

    Raises:
        SourceError: a folder cannot be read, or there are more than three million entries.
    """
    if not root.is_dir():
        yield root
        return
    seen: set[tuple[int, int]] = set()
    waiting = [(root, 0)]
    num_entries = 0
    while waiting:
        folder, level = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise SourceError(f"folder {folder}: cannot be read ({error.strerror}); mend its permissions") from error
        num_entries += len(found)
        if num_entries > MAX_ENTRIES:
            raise SourceError(f"folder {root}: more than {MAX_ENTRIES} entries; name the data set's own folder")
        inner = []
        for entry in found:
            if entry.is_file():
                yield folder / entry.name
            elif level < depth and not entry.name.startswith(".") and enter(entry.name) and entry.is_dir():
                inner.append((folder / entry.name, level + 1))
        waiting.extend(reversed(inner))
