"""The first half of a crawl: asking providers, until every class has enough candidates.

The searches of a class take turns, one hit each: the next hit is always taken from the search that has given fewest.
So none crowds out another, those that dry up are made good by the rest, and a search that was stopped at any point
goes on as if nothing had happened: where it stands is in its row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import ModuleType
from typing import Any

from noisyweb.addresses import NoContactError
from noisyweb.crawl_queries import Wording
from noisyweb.crawl_stats import CrawlStats
from noisyweb.errors import CrawlError
from noisyweb.providers._api import Api
from noisyweb.providers._protocol import Hit, Page, Query
from noisyweb.tabledb import Database, storable
from noisyweb.urls import canonical_url

_INT32_MAX = 2**31 - 1
_HIT_COLUMNS = tuple(column.name for column in fields(Hit))
CLASSES_AT_ONCE = 8
SEEDS = 20
"""Images of a class that an image-to-image search starts from, at most."""


@dataclass(frozen=True)
class Searcher:
    """A provider with a search API, ready to be asked."""

    name: str
    module: ModuleType
    api: Api

    @property
    def can_relate(self) -> bool:
        """Whether it has image-to-image search."""
        return bool(getattr(self.module, "RELATED", False))


@dataclass(frozen=True)
class Wanted:
    """What a crawl looks for.

    Attributes:
        class_names: the vocabulary.
        wording: how queries are made of it.
        per_class: candidates wanted for each class.
        licenses: the only licences to accept; empty: any.
        related: share of a class's candidates to be found by image-to-image search.
        image_size: shorter side in pixels that will be kept; None: originals.
    """

    class_names: Sequence[str]
    wording: Wording
    per_class: int
    licenses: tuple[str, ...] = ()
    related: float = 0.0
    image_size: int | None = None


@dataclass
class _Search:
    searcher: Searcher
    label: int
    text: str
    filters: str
    similar_to: str | None = None
    num_hits: int = 0
    num_unlicensed: int = 0
    cursor: str | None = None
    offset: int = 0
    is_exhausted: bool = False
    page: Page | None = None

    def row(self, status: str, reason: str | None = None) -> dict[str, Any]:
        return {
            "label": self.label,
            "provider": self.searcher.name,
            "query": self.text,
            "filters": self.filters,
            "status": status,
            "reason": reason,
            "num_hits": self.num_hits,
            "num_unlicensed": self.num_unlicensed,
            "cursor": self.cursor,
            "offset": self.offset,
        }


@dataclass
class _Run:
    database: Database
    searchers: Sequence[Searcher]
    wanted: Wanted
    stats: CrawlStats
    problems: dict[str, str] = field(default_factory=dict)

    async def search_class(self, label: int) -> None:
        name = self.wanted.class_names[label]
        texts = self.wanted.wording.queries(name)
        searches = [self._restored(searcher, label, text) for searcher in self.searchers for text in texts]
        for_related = round(self.wanted.per_class * self.wanted.related)
        await self._take_turns(label, searches, self.wanted.per_class - for_related)
        if for_related:
            await self._take_turns(label, self._related(label), self.wanted.per_class)
            await self._take_turns(label, searches, self.wanted.per_class)

    def _related(self, label: int) -> list[_Search]:
        """Image-to-image searches from the best hits of the class."""
        able = {searcher.name: searcher for searcher in self.searchers if searcher.can_relate}
        marks = ", ".join("?" * len(able))
        rows = self.database.sql.execute(
            f"SELECT provider, provider_id FROM candidates WHERE label = ? AND provider IN ({marks}) "
            "AND provider_id IS NOT NULL AND query NOT LIKE 'like %' ORDER BY rank, provider, url LIMIT ?",
            (label, *able, SEEDS),
        ).fetchall()
        return [self._restored(able[name], label, f"like {seed}", seed) for name, seed in rows]

    def _restored(self, searcher: Searcher, label: int, text: str, similar_to: str | None = None) -> _Search:
        """A search as it stood when an earlier run stopped."""
        filters = [f"license={','.join(sorted(self.wanted.licenses))}"] if self.wanted.licenses else []
        base_url = searcher.api.options.get("base_url")
        search = _Search(
            searcher, label, text, " ".join(filters + ([f"base_url={base_url}"] if base_url else [])), similar_to
        )
        row = self.database.sql.execute(
            "SELECT status, num_hits, num_unlicensed, cursor, offset FROM searches "
            "WHERE label = ? AND provider = ? AND query = ? AND filters = ?",
            (label, searcher.name, text, search.filters),
        ).fetchone()
        if row is not None:
            status, search.num_hits, search.num_unlicensed, search.cursor, search.offset = row
            search.is_exhausted = status == "exhausted"
        return search

    async def _take_turns(self, label: int, searches: Sequence[_Search], wanted: int) -> None:
        """Take hits until the class has ``wanted`` candidates or no search has more."""
        num_found = self._count(label)
        while num_found < wanted:
            active = [s for s in searches if not s.is_exhausted and s.searcher.name not in self.problems]
            if not active:
                return
            search = min(active, key=lambda s: s.num_hits)
            if search.page is None:
                await self._load_page(search)
                continue
            with self.database.transaction():  # all hits that need no request
                while num_found < wanted and search.page is not None:
                    if search.offset < len(search.page.hits):
                        num_found += self._take(search, search.page.hits[search.offset])
                    is_exhausted = self._turn_page(search)
                    self.database.put("searches", search.row("exhausted" if is_exhausted else "open"))
                    if is_exhausted:
                        break
                    search = min((s for s in active if not s.is_exhausted), key=lambda s: s.num_hits)

    async def _load_page(self, search: _Search) -> None:
        module, api = search.searcher.module, search.searcher.api
        query = Query(
            search.text, self.wanted.per_class, self.wanted.licenses, self.wanted.image_size, search.similar_to
        )
        try:
            search.page = await module.search(query, api, search.cursor)
            with self.database.transaction():
                if self._turn_page(search):
                    self.database.put("searches", search.row("exhausted"))
        except NoContactError:
            raise
        except CrawlError as error:
            self.problems[search.searcher.name] = str(error)
            self.database.put("searches", search.row("failed", str(error)))
        finally:
            self.stats.requests[search.searcher.name] = api.num_requests

    @staticmethod
    def _turn_page(search: _Search) -> bool:
        """Leave a page whose hits are all taken; return whether that was the last."""
        assert search.page is not None
        if search.offset >= len(search.page.hits):
            if search.page.next is None:
                search.is_exhausted = True
            else:
                search.cursor, search.offset, search.page = search.page.next, 0, None
        return search.is_exhausted

    def _take(self, search: _Search, hit: Hit) -> int:
        """Take the next hit of a search; return 1 if it is a new candidate of the class."""
        rank = search.num_hits
        search.num_hits, search.offset = rank + 1, search.offset + 1
        if not is_licensed(hit, self.wanted.licenses, search.searcher.module):
            search.num_unlicensed += 1
            return 0
        return add_candidate(self.database, self.stats, search.label, search.searcher.name, search.text, rank, hit)

    def _count(self, label: int) -> int:
        return int(self.database.sql.execute("SELECT count(*) FROM candidates WHERE label = ?", (label,)).fetchone()[0])


def is_licensed(hit: Hit, licenses: Sequence[str], module: ModuleType) -> bool:
    """Whether a hit has one of the licences; it is not enough that the provider was asked to filter by them."""
    if not licenses or (hit.license is None and not getattr(module, "SAYS_LICENSE", True)):
        return True
    return hit.license in licenses


def add_candidate(
    database: Database, stats: CrawlStats, label: int, provider: str, query: str, rank: int, hit: Hit
) -> int:
    """Add a hit to the candidates of a class, unless its URL is there; return how many were added: 0 or 1."""
    row = {name: _storable(value) for name in _HIT_COLUMNS if (value := getattr(hit, name)) is not None}
    row |= {"url": canonical_url(str(row["url"])), "label": label, "provider": provider, "query": query, "rank": rank}
    added = database.add("candidates", row)
    stats.found[provider] += added
    return added


def _storable(value: str | int) -> str | int | None:
    """Strangers' values made fit for the table: no half characters, no sizes beyond 32 bits."""
    if isinstance(value, str):
        return storable(value).strip()
    return value if 0 < value <= _INT32_MAX else None


async def search_all(
    database: Database, searchers: Sequence[Searcher], wanted: Wanted, stats: CrawlStats
) -> Mapping[str, str]:
    """Add candidates until each class has as many as wanted or no search has more.

    A URL is kept once a class. What was found in earlier runs counts, and no page is asked for twice but the one
    that a search stood in.

    Returns:
        Why providers could not go on, by name.
    """
    run = _Run(database, searchers, wanted, stats)
    labels = iter(range(len(wanted.class_names)))

    async def worker() -> None:
        for label in labels:
            await run.search_class(label)
            stats.searched()

    tasks = [asyncio.create_task(worker()) for _ in range(min(CLASSES_AT_ONCE, len(wanted.class_names)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return run.problems
