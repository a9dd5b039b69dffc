"""The first half of a crawl: asking providers, until every class has enough candidates."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import httpx

from noisyweb import plugins
from noisyweb.addresses import NoContactError
from noisyweb.errors import CrawlError
from noisyweb.progress import Progress, silent
from noisyweb.providers._protocol import Hit, Query
from noisyweb.workspace import Journal, Workspace

_INT32_MAX = 2**31 - 1


@dataclass(frozen=True)
class Provider:
    """One provider to ask: its plug-in's name and its options."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Search:
    provider: str
    query: Query
    filters: str
    lasting: bool  # exhausted once is exhausted for good; not so for files, which grow
    hits: AsyncGenerator[Hit, None]
    num_hits: int = 0

    @property
    def key(self) -> tuple[int, str, str, str]:
        return self.query.label, self.provider, self.query.text, self.filters


async def search_all(
    workspace: Workspace,
    class_names: Sequence[str],
    providers: Sequence[Provider],
    per_class: int,
    *,
    templates: Sequence[str],
    licenses: Sequence[str],
    client: httpx.AsyncClient,
    progress: Progress = silent,
) -> list[str]:
    """Add candidates until each class has ``per_class`` of them or no search has more.

    The searches of a class take turns, one hit each, so that none crowds out another; a URL is kept once a
    class. What was found in earlier runs counts, and searches that were exhausted then are not asked again.

    Returns:
        One line for each provider that could not go on.
    """
    urls: dict[int, set[str]] = {label: set() for label in range(len(class_names))}
    found = workspace.fold("candidates").select(["url", "label"]).to_pydict()
    for url, label in zip(found["url"], found["label"], strict=True):
        urls[label].add(url)
    exhausted = {
        (row["label"], row["provider"], row["query"], row["filters"])
        for row in workspace.fold("searches").to_pylist()
        if row["status"] == "exhausted"
    }
    problems: dict[str, str] = {}
    with workspace.journal("candidates") as candidates, workspace.journal("searches") as searches:
        for label in range(len(class_names)):
            wanted = per_class - len(urls[label])
            if wanted > 0:
                asked = _searches(label, class_names, providers, wanted, templates, licenses, client)
                open_ones = [s for s in asked if s.key not in exhausted and s.provider not in problems]
                await _search_class(open_ones, per_class, urls[label], candidates, searches, problems)
            progress("search", label + 1, len(class_names))
    workspace.fold("searches")
    workspace.write(
        "candidates",
        workspace.fold("candidates").sort_by(
            [(column, "ascending") for column in ("label", "rank", "provider", "query", "url")]
        ),
    )
    return list(problems.values())


def _searches(
    label: int,
    class_names: Sequence[str],
    providers: Sequence[Provider],
    wanted: int,
    templates: Sequence[str],
    licenses: Sequence[str],
    client: httpx.AsyncClient,
) -> list[_Search]:
    searches = []
    texts = dict.fromkeys(template.replace("{name}", class_names[label]) for template in templates)
    for provider in providers:
        module = plugins.load("noisyweb.providers", "provider", provider.name)
        local = hasattr(module, "read") or "path" in provider.options
        filters = [f"license={','.join(sorted(licenses))}"] if licenses else []
        filters += [f"base_url={provider.options['base_url']}"] if "base_url" in provider.options else []
        # A local provider goes by the class, not by the words of a query.
        for text in [class_names[label]] if local else texts:
            query = Query(text, label, class_names, wanted, tuple(licenses))
            hits = cast("AsyncGenerator[Hit, None]", module.search(query, client, provider.options))
            searches.append(_Search(provider.name, query, " ".join(filters), not local, hits))
    return searches


async def _search_class(
    asked: Sequence[_Search],
    per_class: int,
    urls: set[str],
    candidates: Journal,
    searches: Journal,
    problems: dict[str, str],
) -> None:
    """Take hits in turns from all searches of one class."""
    active = deque(asked)
    try:
        while active and len(urls) < per_class:
            search = active.popleft()
            if search.provider in problems:
                continue
            try:
                hit = await anext(search.hits)
            except StopAsyncIteration:
                if search.lasting:
                    searches.add(_search_row(search, "exhausted", None))
                continue
            except NoContactError:
                raise
            except CrawlError as error:
                problems[search.provider] = str(error)
                searches.add(_search_row(search, "failed", str(error)))
                continue
            active.append(search)
            row = _candidate(hit, search)
            search.num_hits += 1
            if row["url"] not in urls:
                candidates.add(row)
                urls.add(row["url"])
    finally:
        for search in asked:
            await search.hits.aclose()


def _candidate(hit: Hit, search: _Search) -> dict[str, Any]:
    row = {key: _storable(value) for key, value in asdict(hit).items()}
    return {
        **row,
        "label": search.query.label,
        "provider": search.provider,
        "query": search.query.text,
        "rank": search.num_hits,
    }


def _storable(value: str | int | None) -> str | int | None:
    """Strangers' values made fit for the table: no half characters, no sizes beyond 32 bits."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8").strip()
    return value if value is not None and 0 < value <= _INT32_MAX else None


def _search_row(search: _Search, status: str, reason: str | None) -> dict[str, Any]:
    label, provider, query, filters = search.key
    return {
        "label": label,
        "provider": provider,
        "query": query,
        "filters": filters,
        "status": status,
        "reason": reason,
        "num_hits": search.num_hits,
    }
