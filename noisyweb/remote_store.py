"""The image store of a workspace at a URL: one object an image. See `noisyweb.store`, which opens it."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from noisyweb.errors import SourceError
from noisyweb.places import AT_ONCE
from noisyweb.remote_path import RemotePath
from noisyweb.store import check_image_id, missing_image

_AHEAD = 2 * AT_ONCE
_MOST_KNOWN = 1_000_000


class RemoteStore:
    """Image bytes as ``<folder>/ab/abcd...``; may be used by several threads at once.

    Args:
        folder: where; nothing has to be there.
    """

    def __init__(self, folder: RemotePath) -> None:
        self.folder = folder
        self._known: set[bytes] = set()  # put by this process

    def put(self, data: bytes, image_id: str | None = None) -> str:
        """Store image bytes; return their id (SHA-256, hex).

        Nobody asks whether it is there already: that would cost as much as to put it again, which changes nothing.

        Args:
            data: encoded image.
            image_id: its id, where that has been worked out already.
        """
        image_id = image_id or hashlib.sha256(data).hexdigest()
        mark = bytes.fromhex(image_id)
        if mark not in self._known:
            self.path(image_id).write_bytes(data)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known.add(mark)
        return image_id

    def get(self, image_id: str) -> bytes:
        """The stored bytes of an image.

        Raises:
            SourceError: the store does not hold it.
        """
        data = self._get(image_id)
        if data is None:
            raise missing_image(self.folder, image_id)
        return data

    def path(self, image_id: str) -> RemotePath:
        """Where an image is, or would be, stored."""
        check_image_id(image_id)
        return self.folder / f"{image_id[:2]}/{image_id}"

    def load(self, image_ids: Sequence[str]) -> Iterator[bytes | None]:
        """The stored bytes of images, in this order, some twenty fetched ahead; None where one is gone."""
        if len(image_ids) == 1:
            yield self._get(image_ids[0])
            return
        ahead: deque[Future[bytes | None]] = deque()
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            for image_id in image_ids:
                ahead.append(pool.submit(self._get, image_id))
                if len(ahead) >= _AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _get(self, image_id: str) -> bytes | None:
        place = self.path(image_id)
        try:
            return place.read_bytes()
        except SourceError:  # there is nothing
            return None
