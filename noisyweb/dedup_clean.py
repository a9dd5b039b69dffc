"""The clean images' side of dedup: their ids and bytes, and descriptions for those that have none yet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from noisyweb.errors import SourceError
from noisyweb.hashes import describe_new
from noisyweb.image_ids import NONE, Ids, Ints, find, ids_of
from noisyweb.imageset import ImageSet
from noisyweb.progress import Progress
from noisyweb.proof import Load
from noisyweb.workspace import Workspace


@dataclass(frozen=True, eq=False)
class CleanImages:
    """A clean set as dedup sees it.

    Attributes:
        images: the set.
        ids: of its different images, ascending.
        rows: for each of these the first row of the set that has it.
    """

    images: ImageSet
    ids: Ids
    rows: Ints

    def load(self, texts: Sequence[str]) -> Iterator[bytes | None]:
        """Images by the texts of their ids."""
        return _in_order(self.images, self.rows[find(self.ids, ids_of(texts))])

    def name(self, place: int) -> str:
        """What the set calls the image that stands at a place of `ids`."""
        return self.images.names[int(self.rows[place])]


def loader(images: ImageSet, rows: Mapping[str, int]) -> Load:
    """Loads images of a set by their ids."""
    return lambda ids: _in_order(images, np.array([rows[image_id] for image_id in ids], np.int64))


def _in_order(images: ImageSet, rows: Ints) -> Iterator[bytes | None]:
    """Rows of a set, loaded in the set's own order, since sources read forwards fastest."""
    order = np.argsort(rows, kind="stable").tolist()
    loaded = dict(zip(order, images.load(rows[order].tolist()), strict=True))
    return (loaded[place] for place in range(len(rows)))


def by_id(sets: Iterable[ImageSet]) -> dict[str, Callable[[], bytes | None]]:
    """What loads each clean image, by its id, for the gallery; all of them are read once for their ids."""

    def loads(images: ImageSet, row: int) -> Callable[[], bytes | None]:
        return lambda: next(iter(images.load([row])))

    return {
        hashlib.sha256(data).hexdigest(): loads(images, row)
        for images in sets
        for row, data in enumerate(images.load(range(len(images))))
        if data is not None
    }


def clean_images(
    workspace: Workspace,
    images: ImageSet,
    against: str,
    method: str,
    *,
    with_views: bool,
    processes: int | None,
    progress: Progress,
) -> CleanImages:
    """Read a clean set; images new to the workspace are described, the others only read.

    Args:
        workspace: whose tables keep what is known of them.
        images: the clean set; it must have bytes.
        against: what the set is called, train or validation.
        method, with_views, processes: see `noisyweb.hashes.describe_new`.
        progress: told how far it is.

    Raises:
        SourceError: an image has no bytes, so that nobody can say whether it leaks.
    """
    pieces: list[bytes] = []

    def read() -> Iterator[tuple[str, bytes]]:
        for index, data in enumerate(images.load(range(len(images)))):
            if data is None:
                raise SourceError(
                    f"clean {against} image {images.names[index]!r} has no bytes; leaks cannot be looked for without"
                )
            digest = hashlib.sha256(data)
            pieces.append(digest.digest())
            yield digest.hexdigest(), data
            progress(f"read {against}", index + 1, len(images))

    describe_new(workspace, read(), method, with_views=with_views, processes=processes, progress=progress)
    ids, rows = np.unique(np.frombuffer(b"".join(pieces), NONE.dtype), return_index=True)
    return CleanImages(images, ids, rows)
