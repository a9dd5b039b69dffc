"""The clean images' side of dedup: their ids, and hashes for those that have none yet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from noisyweb.errors import SourceError
from noisyweb.hashes import add_hashes, known_hashes
from noisyweb.imageset import ImageSet
from noisyweb.progress import Progress
from noisyweb.workspace import Workspace


def clean_ids(workspace: Workspace, images: ImageSet, against: str, progress: Progress) -> list[str]:
    """Image ids of a clean set; images new to the workspace are hashed, the others only read.

    Args:
        workspace: whose ``hashes`` table keeps the hashes.
        images: the clean set; it must have bytes.
        against: what the set is called, train or validation.
        progress: told how far it is.

    Raises:
        SourceError: an image has no bytes, so that nobody can say whether it leaks.
    """
    known = set(known_hashes(workspace))
    ids: list[str] = []

    def new_ones() -> Iterator[tuple[str, bytes | None]]:
        for index, data in enumerate(images.load(range(len(images)))):
            if data is None:
                raise SourceError(
                    f"clean {against} image {images.names[index]!r} has no bytes; leaks cannot be looked for without"
                )
            ids.append(hashlib.sha256(data).hexdigest())
            if ids[-1] not in known:
                known.add(ids[-1])
                yield ids[-1], data
            progress(f"read {against}", index + 1, len(images))

    add_hashes(workspace, new_ones(), num_images=0, progress=progress)
    return ids
