"""Dead images in the Internet Archive: an optional look-up, recorded in the row."""

from __future__ import annotations

import re
from dataclasses import dataclass

from noisyweb.addresses import NoContactError
from noisyweb.errors import CrawlError
from noisyweb.providers._api import Api
from noisyweb.urls import host_of

BASE_URL = "https://archive.org"
DEAD = frozenset({"http-404", "http-410", "dns", "connection", "timeout", "host-down"})
"""Reasons that say an image is gone, and not that its owner wants to be left alone."""


@dataclass(frozen=True)
class Copy:
    """An archived image: its address (the bytes as they were) and its date, YYYYMMDDhhmmss."""

    url: str
    timestamp: str


class Archive:
    """Looks images up.

    Args:
        api: its availability API.
        base_url: where that is.

    Attributes:
        host: host and port of the look-ups.
        problem: why it is not asked any more in this run, or None.
    """

    def __init__(self, api: Api, base_url: str = BASE_URL) -> None:
        self._api, self._base_url = api, base_url.rstrip("/")
        self.host = host_of(self._base_url)
        self.problem: str | None = None

    def is_worth_asking(self, reason: str) -> bool:
        """Whether an image that failed for this reason may be in the archive."""
        return reason in DEAD and self.problem is None

    async def copy_of(self, url: str) -> Copy | None:
        """The archived copy nearest to now, or None."""
        try:
            answer = await self._api.get_json(f"{self._base_url}/wayback/available", {"url": url})
        except NoContactError:
            raise
        except CrawlError as error:
            self.problem = str(error)
            return None
        snapshots = answer.get("archived_snapshots") if isinstance(answer, dict) else None
        closest = snapshots.get("closest") if isinstance(snapshots, dict) else None
        if not isinstance(closest, dict) or closest.get("available") is not True:
            return None
        if str(closest.get("status")) != "200":
            return None
        address, timestamp = str(closest.get("url", "")), str(closest.get("timestamp", ""))
        if not re.fullmatch(r"\d{4,14}", timestamp) or f"/web/{timestamp}/" not in address:
            return None
        return Copy(address.replace(f"/web/{timestamp}/", f"/web/{timestamp}id_/", 1), timestamp)
