"""What the crawler and the providers say to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    """One search.

    Attributes:
        text: what to search for, the query template filled in.
        limit: how many hits the crawler wants at most; a hint for page sizes.
        licenses: the only licences to accept, slugs of `noisyweb.licenses`; empty: any.
        image_size: longest side in pixels that will be kept, for providers that serve several sizes; None: no limit.
        similar_to: a provider's own id of an image: search for images like it (image-to-image) instead of ``text``;
            only asked of providers with ``RELATED = True``.
    """

    text: str
    limit: int
    licenses: tuple[str, ...] = ()
    image_size: int | None = None
    similar_to: str | None = None


@dataclass(frozen=True)
class Hit:
    """One image that a provider knows of; columns as in `noisyweb.schemas.CANDIDATES`."""

    url: str
    provider_id: str | None = None
    title: str | None = None
    landing_url: str | None = None
    creator: str | None = None
    license: str | None = None
    license_url: str | None = None
    attribution: str | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Page:
    """One answer of a search API.

    Attributes:
        hits: best first; possibly empty in the middle of a search.
        next: an opaque cursor that asks for the page after this one, also in a later run; None: there is no more.
    """

    hits: Sequence[Hit]
    next: str | None = None


@dataclass(frozen=True)
class ApiLimits:
    """What an API grants; for pacing and for `noisyweb crawl --dry-run`.

    Attributes:
        page_size: hits a request.
        max_hits: hits a query in all; None: no limit.
        quota: how many requests in which period ("minute", "hour", "day"), as documented.
        concurrency: requests at once.
        interval_s: seconds between the starts of two requests.
        note: one line for the user, such as what a key would give; "" for none.
    """

    page_size: int
    max_hits: int | None = None
    quota: tuple[tuple[int, str], ...] = ()
    concurrency: int = 1
    interval_s: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class HostLimit:
    """What an image host asks of crawlers, over the user's own limits.

    Attributes:
        concurrency: downloads at once.
        bytes_per_s: on average.
    """

    concurrency: int
    bytes_per_s: float | None = None


Options = Mapping[str, str]
"""A provider's options: what the user wrote behind its name, its keys, and ``base_url`` in tests."""
