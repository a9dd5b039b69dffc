"""The images that the page shows: as they are where they are small, else a smaller JPEG, made once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from noisyweb.decode import NotUsableError, sniff
from noisyweb.errors import SourceError
from noisyweb.store import ImageStore
from noisyweb.thumbnail import small_copy

MAX_BYTES = 300_000
"""Larger files are made smaller: annotators may be on a phone."""
MAX_SIDE = 1280
_CACHE_BYTES = 64_000_000
_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}


class Pictures:
    """Images of some stores, ready for a browser.

    Args:
        stores: looked through in this order.
    """

    def __init__(self, *stores: ImageStore) -> None:
        self._stores = stores
        self._made: OrderedDict[str, tuple[bytes, str]] = OrderedDict()
        self._size = 0

    async def get(self, image_id: str) -> tuple[bytes, str] | None:
        """An image's bytes and media type; None if it is nowhere, or cannot be shown."""
        if image_id in self._made:
            self._made.move_to_end(image_id)
            return self._made[image_id]
        found = await asyncio.to_thread(self._read, image_id)
        if found is not None and image_id not in self._made:
            self._made[image_id] = found
            self._size += len(found[0])
            while self._size > _CACHE_BYTES:
                _, (data, _) = self._made.popitem(last=False)
                self._size -= len(data)
        return found

    def _read(self, image_id: str) -> tuple[bytes, str] | None:
        for store in self._stores:
            try:
                data = store.get(image_id)
            except SourceError:
                continue
            if len(data) > MAX_BYTES:
                small = small_copy(data, MAX_SIDE)
                return (small[0], "image/jpeg") if small else None
            try:
                return data, _TYPES[sniff(data)]
            except (NotUsableError, KeyError):
                return None
        return None
