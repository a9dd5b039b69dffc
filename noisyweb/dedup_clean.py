"""The clean images' side of dedup: their ids and bytes, and descriptions for those that have none yet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from noisyweb.errors import SourceError
from noisyweb.hashes import describe_new
from noisyweb.imageset import ImageSet
from noisyweb.progress import Progress
from noisyweb.proof import Load
from noisyweb.workspace import Workspace


@dataclass(frozen=True)
class CleanImages:
    """A clean set as dedup sees it.

    Attributes:
        images: the set.
        ids: the image id of each of its rows.
    """

    images: ImageSet
    ids: list[str]

    def rows(self) -> dict[str, int]:
        """A row for each image id, the first where there are several."""
        return {image_id: row for row, image_id in reversed(list(enumerate(self.ids)))}

    def digest(self) -> str:
        """SHA-256 over the ids, sorted: which images they are."""
        return ids_digest(self.ids)


def ids_digest(ids: list[str]) -> str:
    """SHA-256 over different image ids, sorted."""
    return hashlib.sha256("\n".join(sorted(set(ids))).encode()).hexdigest()


def loader(images: ImageSet, rows: Mapping[str, int]) -> Load:
    """Loads images of a set by their ids, in the set's own order, since sources read forwards fastest."""

    def load(ids: Sequence[str]) -> Iterator[bytes | None]:
        order = sorted(range(len(ids)), key=lambda place: rows[ids[place]])
        loaded = dict(zip(order, images.load([rows[ids[place]] for place in order]), strict=True))
        return (loaded[place] for place in range(len(ids)))

    return load


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
    ids: list[str] = []

    def read() -> Iterator[tuple[str, bytes]]:
        for index, data in enumerate(images.load(range(len(images)))):
            if data is None:
                raise SourceError(
                    f"clean {against} image {images.names[index]!r} has no bytes; leaks cannot be looked for without"
                )
            ids.append(hashlib.sha256(data).hexdigest())
            yield ids[-1], data
            progress(f"read {against}", index + 1, len(images))

    describe_new(workspace, read(), method, with_views=with_views, processes=processes, progress=progress)
    return CleanImages(images, ids)
