"""Crawl: class names -> candidates -> fetched images, in a workspace.

Both halves (`noisyweb.crawl_search`, `noisyweb.crawl_images`) write each row as it comes. A killed crawl loses the
downloads in flight and nothing else; the same call again asks only what is still open.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from types import ModuleType

from noisyweb.addresses import LOOPBACK, AddressPolicy, Network, Resolve, system_resolve
from noisyweb.archive import BASE_URL as ARCHIVE_URL
from noisyweb.archive import Archive
from noisyweb.crawl_images import Read, fetch_all
from noisyweb.crawl_plan import CrawlPlan, Provider
from noisyweb.crawl_report import CrawlReport, crawl_report, write_attribution
from noisyweb.crawl_search import Searcher, Wanted, add_candidate, is_licensed, search_all
from noisyweb.crawl_stats import CrawlStats
from noisyweb.crawl_work import CrawlWork
from noisyweb.fetch import Fetcher, Limits
from noisyweb.image_pool import ImagePool
from noisyweb.image_work import ImageWork
from noisyweb.places import text_of
from noisyweb.providers._api import Api
from noisyweb.providers._protocol import Hit, HostLimit
from noisyweb.scale.engine import Engine
from noisyweb.scale.fetch_setting import FetchSetting
from noisyweb.scale.shared import check_shared
from noisyweb.scale.spread_fetch import CHECKPOINT_S, fetch_all_on, num_buckets
from noisyweb.store import ImageStore
from noisyweb.tabledb import Database
from noisyweb.workspace import Workspace

ROWS_A_TRANSACTION = 2_000
OPEN_FILES = 16_384


async def crawl(
    workspace: Workspace,
    plan: CrawlPlan,
    *,
    contact: str | None = None,
    allow_loopback: bool = False,
    limits: Limits | None = None,
    processes: int | None = None,
    engine: Engine | None = None,
    stats: CrawlStats | None = None,
    allowed: Sequence[Network] = (),
    resolve: Resolve = system_resolve,
    tls: ssl.SSLContext | None = None,
) -> CrawlReport:
    """Search for every class's images and fetch them.

    Args:
        workspace: where rows and images go; its vocabulary is set to the plan's class names.
        plan: what to look for, where, and what to keep.
        contact: mail address or web page of the user; public hosts are not talked to without one.
        allow_loopback: also talk to this machine.
        limits: sizes, times and paces.
        processes: that decode; None: one a core.
        engine: where images are fetched from the web; None: in this process. Its workers resolve names themselves, and
            none of them asks a host that another one asks.
        stats: kept up to date while the crawl goes on.
        allowed: further networks to talk to that are not public.
        resolve: how names become addresses.
        tls: another TLS context.

    Raises:
        CrawlError: no contact for a public host, a licence that a provider cannot filter by, or a list that cannot
            be read.
        SourceError: the workspace holds another vocabulary, or another process writes to it.
    """
    stats = stats or CrawlStats()
    stats.num_classes = len(plan.class_names)
    plan.check()
    if engine is not None:
        check_shared(engine, workspace.folder)
    policy = AddressPolicy(contact, (*(LOOPBACK if allow_loopback else ()), *allowed), resolve)
    _allow_open_files()
    listings = [provider.module.listing(plan.class_names, provider.options) for provider in plan.listed]
    with workspace.locked(), _rare_collections():
        workspace.set_class_names(plan.class_names)
        with workspace.database() as database:
            images = ImageWork(text_of(workspace.store.folder), plan.min_side, plan.image_size, plan.decode)
            # The workers start while lists are read and providers asked.
            async with (
                Fetcher(policy, limits, tls=tls) as fetcher,
                ImagePool(images, processes if engine is None else 1) as pool,
            ):
                async with _checkpoints(workspace, database):
                    _add_lists(database, plan, listings, stats)
                    searchers = [_searcher(provider, fetcher) for provider in plan.searched]
                    problems = dict(await search_all(database, searchers, _wanted(plan), stats)) if searchers else {}
                    archive = _archive(plan, fetcher)
                    readers = {p.name: _reader(p) for p in plan.listed if hasattr(p.module, "read")}
                    work = CrawlWork(
                        database,
                        local=readers,
                        not_read=plan.unread(readers),
                        refresh=plan.refresh,
                        is_stored=_is_stored(workspace),
                        only_local=engine is not None,
                    )
                    stats.start_fetch(work.num_urls, work.num_retried)
                    await fetch_all(
                        work,
                        fetcher,
                        pool,
                        host_limits=_host_limits(plan),
                        readers=readers,
                        archive=archive,
                        stats=stats,
                    )
                if engine is not None:
                    setting = FetchSetting(
                        os.urandom(8).hex(),
                        replace(policy, resolve=system_resolve),
                        fetcher.limits,
                        images,
                        _host_limits(plan),
                        num_buckets(engine),
                        None if plan.archive is None else plan.archive or ARCHIVE_URL,
                    )
                    with _ctrl_c_at_once():
                        problem = fetch_all_on(
                            engine, database, work, setting, stats, checkpoint=lambda: workspace.checkpoint(database)
                        )
                    problems |= {"archive": problem} if problem else {}
                stats.end_fetch()
            if archive is not None and archive.problem:
                problems["archive"] = archive.problem
            report = crawl_report(database, plan.class_names, stats, work.slowest(10), list(problems.values()))
            work.close()
            write_attribution(database, workspace.folder / "ATTRIBUTION.md")
            report.write(workspace.folder / "crawl-report.json")
    return report


@contextlib.asynccontextmanager
async def _checkpoints(workspace: Workspace, database: Database) -> AsyncIterator[None]:
    """Write what has changed to a workspace at a URL every few seconds meanwhile, so that another machine can go on."""

    async def keep_writing() -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_S)
            changes = workspace.changes(database)
            if changes is not None:
                await asyncio.to_thread(changes.send)
                changes.forget(database)

    writing = asyncio.create_task(keep_writing())
    try:
        yield
    finally:
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing


def _add_lists(
    database: Database, plan: CrawlPlan, listings: Sequence[Iterable[tuple[int, Hit]]], stats: CrawlStats
) -> None:
    """Candidates of lists and folders, in their order."""
    counts = dict(database.sql.execute("SELECT label, count(*) FROM candidates GROUP BY label").fetchall())
    for provider, listing in zip(plan.listed, listings, strict=True):
        ranks: dict[int, int] = {}
        module, hits = provider.module, iter(listing)
        more = True
        while more:
            more = False
            with database.transaction():
                for number, (label, hit) in enumerate(hits, start=1):
                    rank = ranks[label] = ranks.get(label, -1) + 1
                    is_full = plan.per_class is not None and counts.get(label, 0) >= plan.per_class
                    if not is_full and is_licensed(hit, plan.licenses, module):
                        query = plan.class_names[label]
                        added = add_candidate(database, stats, label, provider.name, query, rank, hit)
                        counts[label] = counts.get(label, 0) + added
                    if number == ROWS_A_TRANSACTION:
                        more = True
                        break


def _wanted(plan: CrawlPlan) -> Wanted:
    return Wanted(plan.class_names, plan.wording, plan.per_class_searched, plan.licenses, plan.related, plan.image_size)


def _searcher(provider: Provider, fetcher: Fetcher) -> Searcher:
    module: ModuleType = provider.module
    keys = getattr(module, "KEYS", {})
    limits = module.limits(provider.options)
    return Searcher(provider.name, module, Api(provider.name, fetcher.web.api, provider.options, keys, limits))


def _archive(plan: CrawlPlan, fetcher: Fetcher) -> Archive | None:
    if plan.archive is None:
        return None
    return Archive(Api("archive", fetcher.web.api), plan.archive or ARCHIVE_URL)


def _reader(provider: Provider) -> Read:
    return lambda url: provider.module.read(url, provider.options)


def _is_stored(workspace: Workspace) -> Callable[[str], bool]:
    """Whether an image is in the store; taken for granted at a URL, where each look takes tens of milliseconds."""
    store = workspace.store
    return store.__contains__ if isinstance(store, ImageStore) else lambda image_id: True


def _host_limits(plan: CrawlPlan) -> dict[str, HostLimit]:
    return {host: limit for provider in plan.providers for host, limit in getattr(provider.module, "HOSTS", {}).items()}


def _allow_open_files() -> None:
    """A crawl of many hosts holds many sockets; ask for as many as we may have."""
    with contextlib.suppress(ValueError, OSError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextlib.contextmanager
def _ctrl_c_at_once() -> Iterator[None]:
    """Ctrl-C raises where it comes: the event loop, which would end the crawl, is not heard while an engine works."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Python's cycle collector, run seldom: it takes a tenth of a crawl to find the few cycles of its requests."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
