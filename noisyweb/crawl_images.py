"""The second half of a crawl: every candidate becomes an image, or a row that says why not."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from noisyweb import plugins, reasons
from noisyweb.crawl_search import Provider
from noisyweb.decode import Decoded, NotUsableError, decode
from noisyweb.fetch import Answer, Fetcher
from noisyweb.progress import Progress, silent
from noisyweb.workspace import Journal, Workspace

Row = dict[str, Any]


@dataclass(frozen=True)
class _Work:
    url: str
    labels: tuple[int, ...]  # every class that it was found for; it is fetched once for all
    read: Callable[[str], bytes] | None  # for images that are not on the web


async def fetch_all(
    workspace: Workspace,
    providers: Sequence[Provider],
    fetcher: Fetcher,
    *,
    min_side: int = 32,
    progress: Progress = silent,
) -> int:
    """Fetch each candidate that has no final row yet; the row is written once the bytes are in the store.

    Args:
        workspace: its candidates are read, its images and store are added to.
        providers: those of this run; the images of a local provider that is not among them are left for later.
        fetcher: fetches URLs.
        min_side: pixels that both sides of an image must have.
        progress: told how many URLs are done.

    Returns:
        How many URLs were tried again after a passing failure in an earlier run.
    """
    earlier = workspace.fold("images").to_pylist()
    work, known, num_retried = _work(workspace, earlier, providers)
    queue = iter(_mixed(work))
    done = 0
    with workspace.journal("images") as journal, ThreadPoolExecutor(os.cpu_count()) as pool:
        for row in known:
            journal.add(row)

        async def worker() -> None:
            nonlocal done
            for item in queue:
                await _finish(item, workspace, fetcher, journal, pool, min_side)
                done += 1
                progress("fetch", done, len(work))

        workers = [asyncio.create_task(worker()) for _ in range(min(fetcher.limits.connections, len(work)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
    workspace.write("images", workspace.fold("images").sort_by([("label", "ascending"), ("url", "ascending")]))
    return num_retried


def _work(
    workspace: Workspace, earlier: Sequence[Row], providers: Sequence[Provider]
) -> tuple[list[_Work], list[Row], int]:
    """What is to be fetched, what another class's row answers already, and how much is tried again."""
    rows = {(row["url"], row["label"]): row for row in earlier}
    final = {row["url"]: row for row in earlier if not row["retry"]}
    options = {provider.name: provider.options for provider in providers}
    labels: dict[str, list[int]] = defaultdict(list)
    readers: dict[str, Callable[[str], bytes] | None] = {}
    known = []
    for candidate in workspace.read("candidates").select(["url", "label", "provider"]).to_pylist():
        url, label, name = candidate["url"], candidate["label"], candidate["provider"]
        if (url, label) in rows and not rows[url, label]["retry"]:
            continue
        if url in final:
            known.append({**final[url], "label": label})
            continue
        read = getattr(plugins.load("noisyweb.providers", "provider", name), "read", None)
        if read is not None and name not in options:
            continue
        readers[url] = None if read is None else _with_options(read, options[name])
        labels[url].append(label)
    work = [_Work(url, tuple(found), readers[url]) for url, found in labels.items()]
    return work, known, sum(any((item.url, label) in rows for label in item.labels) for item in work)


def _with_options(
    read: Callable[[str, Mapping[str, str]], bytes], options: Mapping[str, str]
) -> Callable[[str], bytes]:
    return lambda url: read(url, options)


def _mixed(work: Iterable[_Work]) -> Iterator[_Work]:
    """The same work with hosts taking turns, so that workers do not all wait for one host."""
    hosts: dict[str, deque[_Work]] = defaultdict(deque)
    for item in work:
        hosts[_host(item.url)].append(item)
    turns = deque(hosts.values())
    while turns:
        host = turns.popleft()
        yield host.popleft()
        if host:
            turns.append(host)


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:  # the fetcher will say what is wrong with it
        return ""


async def _finish(
    item: _Work, workspace: Workspace, fetcher: Fetcher, journal: Journal, pool: ThreadPoolExecutor, min_side: int
) -> None:
    """Fetch (or read), decode and store one image, and write its rows."""
    loop = asyncio.get_running_loop()
    if item.read is None:
        answer = await fetcher.fetch(item.url)
    else:
        answer = await loop.run_in_executor(pool, _read, item.read, item.url, fetcher.limits.max_bytes)
    outcome: Row = {"reason": answer.reason}
    if answer.reason is None:
        outcome = await loop.run_in_executor(pool, _store, workspace, answer.body, min_side)
    failed = outcome["reason"] is not None
    for label in item.labels:
        journal.add(
            {
                **outcome,
                "url": item.url,
                "label": label,
                "status": "failed" if failed else "ok",
                "retry": failed and reasons.is_passing(outcome["reason"]),
                "attempts": answer.tries,
                "http_status": answer.http_status,
            }
        )


def _read(read: Callable[[str], bytes], url: str, max_bytes: int) -> Answer:
    try:
        body = read(url)
    except OSError:
        return Answer(reason="unreadable")
    return Answer(body) if len(body) <= max_bytes else Answer(reason="too-large")


def _store(workspace: Workspace, body: bytes, min_side: int) -> Row:
    try:
        image: Decoded = decode(body, min_side=min_side)
    except NotUsableError as error:
        return {"reason": error.reason, "num_bytes": len(body)}
    return {
        "reason": None,
        "image_id": workspace.put(image.data),
        "num_bytes": len(image.data),
        "width": image.width,
        "height": image.height,
        "format": image.format,
    }
