"""The image store: one copy of each image under its SHA-256, in a folder or at a URL.

Light to import: worker processes use it alone, and what URLs need is imported when one is opened.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from noisyweb.atomic import disk_errors
from noisyweb.errors import SourceError

if TYPE_CHECKING:
    from noisyweb.remote_path import Place
    from noisyweb.remote_store import RemoteStore


def open_store(place: str | Place) -> ImageStore | RemoteStore:
    """The image store in a folder or at an fsspec URL; it is made when the first image comes.

    Raises:
        SourceError: not a plain URL.
    """
    if isinstance(place, Path) or (isinstance(place, str) and "://" not in place):
        return ImageStore(Path(place))
    from noisyweb.remote_path import place_of

    found = place_of(place)
    if isinstance(found, Path):
        return ImageStore(found)
    from noisyweb.remote_store import RemoteStore

    return RemoteStore(found)


class ImageStore:
    """Image bytes as ``<folder>/ab/abcd...``, the file name being the SHA-256 in hex.

    Args:
        folder: made when the first image comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._start = os.path.join(folder, "")
        self._made: set[str] = set()

    def put(self, data: bytes, image_id: str | None = None) -> str:
        """Store image bytes once; return their id (SHA-256, hex). A reader sees the whole file or none.

        Args:
            data: encoded image.
            image_id: its id, where that has been worked out already.
        """
        image_id = image_id or hashlib.sha256(data).hexdigest()
        place = f"{self._start}{image_id[:2]}"  # texts: a pathlib path takes longer than a hash
        path = f"{place}/{image_id}"
        with disk_errors(path):
            if image_id[:2] not in self._made:
                os.makedirs(place, exist_ok=True)
                self._made.add(image_id[:2])
            if not _is_whole(path, len(data)):
                temporary = f"{place}/.{image_id}.{os.getpid()}.tmp"
                try:
                    with open(temporary, "wb") as handle:
                        handle.write(data)
                    os.replace(temporary, path)
                except BaseException:
                    Path(temporary).unlink(missing_ok=True)
                    raise
        return image_id

    def __contains__(self, image_id: str) -> bool:
        """Whether an image is there, and not empty."""
        try:
            return self.path(image_id).stat().st_size > 0
        except (FileNotFoundError, SourceError):
            return False

    def get(self, image_id: str) -> bytes:
        """The stored bytes of an image.

        Raises:
            SourceError: the store does not hold it.
        """
        try:
            return self.path(image_id).read_bytes()
        except FileNotFoundError:
            raise missing_image(self.folder, image_id) from None

    def path(self, image_id: str) -> Path:
        """Where an image is, or would be, stored."""
        check_image_id(image_id)
        return self.folder / image_id[:2] / image_id

    def load(self, image_ids: Sequence[str]) -> Iterator[bytes | None]:
        """The stored bytes of images; None where a file is gone."""
        for image_id in image_ids:
            try:
                yield self.path(image_id).read_bytes()
            except FileNotFoundError:
                yield None


def _is_whole(path: str, num_bytes: int) -> bool:
    try:
        return os.stat(path).st_size == num_bytes
    except FileNotFoundError:
        return False


def check_image_id(image_id: str) -> None:
    """Let nothing but an image id become a part of a path.

    Raises:
        SourceError: it is none.
    """
    if len(image_id) != 64 or not set(image_id) <= set("0123456789abcdef"):
        raise SourceError(f"{image_id!r}: not an image id; expected 64 hexadecimal digits (SHA-256)")


def missing_image(folder: Place, image_id: str) -> SourceError:
    """What to say of an image that a store does not hold."""
    return SourceError(
        f"workspace {folder.parent}: image {image_id} is not in the store; crawl with --refresh, or restore store/"
    )
