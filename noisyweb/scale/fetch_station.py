"""What a worker of a crawl keeps from one share to the next: an event loop, connections, and the decoders.

Decoders are processes that take half a second to start, and a crawl has many shares.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from noisyweb.fetch import Fetcher
from noisyweb.image_pool import ImagePool
from noisyweb.scale.fetch_setting import FetchSetting

Task = Callable[[Fetcher, ImagePool], Coroutine[Any, Any, None]]


class Station:
    """Connections and decoders of one crawl in this process, with a thread of their own.

    Args:
        setting: of the crawl.
    """

    _kept: Station | None = None

    def __init__(self, setting: FetchSetting) -> None:
        self._run_id = setting.run_id
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        try:
            self._fetcher, self._pool = self._wait_for(self._open(setting))
        except BaseException:
            self._loop.call_soon_threadsafe(self._loop.stop)
            raise
        atexit.register(self.close)

    @classmethod
    def of(cls, setting: FetchSetting) -> Station:
        """The station of a crawl: the one that is there, or a new one."""
        if cls._kept is not None and cls._kept._run_id != setting.run_id:
            cls._kept.close()
        if cls._kept is None:
            cls._kept = Station(setting)
        return cls._kept

    def start(self, task: Task, ended: Callable[[BaseException | None], None]) -> None:
        """Begin a task; ``ended`` is told, in the station's thread, what it raised, or None."""
        future = asyncio.run_coroutine_threadsafe(task(self._fetcher, self._pool), self._loop)
        future.add_done_callback(lambda done: ended(done.exception()))

    def close(self) -> None:
        """End the decoders and the connections; after an error nobody knows what state they are in."""
        if Station._kept is self:
            Station._kept = None
        atexit.unregister(self.close)
        self._wait_for(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _open(self, setting: FetchSetting) -> tuple[Fetcher, ImagePool]:
        fetcher = await Fetcher(setting.policy, setting.limits).__aenter__()
        return fetcher, await ImagePool(setting.images, setting.decoders).__aenter__()

    async def _close(self) -> None:
        await self._pool.__aexit__(None, None, None)
        await self._fetcher.__aexit__(None, None, None)

    def _wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
