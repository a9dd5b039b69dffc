"""What stores say of a file, each in its own words: when it was put there, and which version it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_TIMES = ("LastModified", "last_modified", "mtime", "updated", "created")
_VERSIONS = ("size", "ETag", "etag", "generation", *_TIMES)


def when_put(info: Mapping[str, Any]) -> datetime | None:
    """When a file was put there, by the store's clock; None where the store does not say."""
    for value in (info[name] for name in _TIMES if info.get(name)):
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
    return None


def version_of(info: Mapping[str, Any] | None) -> tuple[Any, ...]:
    """What changes when a file is replaced."""
    return tuple((info or {}).get(name) for name in _VERSIONS)
