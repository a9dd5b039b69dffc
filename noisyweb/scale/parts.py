"""Running a stage's shards: what comes of each is a file, failed ones are tried again, poisonous items set aside.

    <folder>/<name>/<key>.parquet     the rows of one shard; it is there: the shard is done
    <folder>/<name>/<key>.cut         the shard was cut in two, <key>-0 and <key>-1
    <folder>/<name>/<key>.aside       a shard of one item that was given up: the reason

A shard that fails three times by its own fault is cut in two, and so on down to the one item, which is set aside. A
shard that went down with its machine is simply run again. Any process that runs the same work in the same folder goes
on where the last one was killed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.errors import NoisywebError, RemoteError
from noisyweb.places import names_in, read_bytes, remove_tree, write_file, write_whole
from noisyweb.progress import Progress, silent
from noisyweb.remote_path import Place, open_parquet
from noisyweb.scale.engine import DONE, FAILED, Engine

TRIES = 3
"""Times that a shard may fail by its own fault."""
MAX_LOST = 100
"""Shards in a row that may go down with their machines: then something is wrong with all of them."""

PART, CUT, ASIDE = ".parquet", ".cut", ".aside"


@dataclass(frozen=True)
class Work:
    """One kind of work.

    Attributes:
        name: of its folder: a plain file name, with a digest of whatever the shards depend on.
        function: called with a shard's items and ``common``; yields batches of rows, few at a time. A function of a
            module, pure: the same rows whenever and wherever it runs.
        schema: of the rows.
        common: what all shards share; small, or where to read it.
    """

    name: str
    function: Callable[[Sequence[Any], Any], Iterable[pa.RecordBatch]]
    schema: pa.Schema
    common: Any = None


@dataclass(frozen=True)
class Shard:
    """A piece of it.

    Attributes:
        key: a plain file name, the same in every run.
        items: what it has to work on: ids, or whatever can be pickled; a list that can be cut in two.
    """

    key: str
    items: Sequence[Any]


@dataclass
class Done:
    """What a run of shards came to.

    Attributes:
        parts: the files of all shards, in the order of their keys.
        aside: items given up, and why.
    """

    parts: list[Place] = field(default_factory=list)
    aside: list[tuple[Any, str]] = field(default_factory=list)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, a batch at a time, in the order of the parts."""
        for part in self.parts:
            yield from open_parquet(part).iter_batches()


def run_shards(
    engine: Engine,
    work: Work,
    shards: Iterable[Shard],
    folder: Place,
    progress: Progress = silent,
    what: str = "",
    num_items: int = 0,
) -> Done:
    """Run all shards that are not done yet.

    Args:
        engine: where.
        work: what.
        shards: consumed as they are started.
        folder: of all such work.
        progress: told of ``what``, the items done and ``num_items``, each time a shard ends.
        num_items: of all shards; 0: counted, where they are a list.

    Raises:
        NoisywebError: a shard failed for a reason that the user can act on, or machines keep dying.
    """
    if isinstance(shards, Sequence):
        num_items = num_items or sum(len(shard.items) for shard in shards)
    run = _Run(engine, work, folder / work.name)
    for num_done in run.all(iter(shards)):
        progress(what or work.name, num_done, num_items)
    return run.done


def forget(work: Work, folder: Place) -> None:
    """Remove the parts of a work, once they have been taken in."""
    remove_tree(folder / work.name)


class _Run:
    """One call of `run_shards`."""

    def __init__(self, engine: Engine, work: Work, home: Place) -> None:
        self._engine, self._work, self._home = engine, work, home
        self._there = set(names_in(home))
        self._running: dict[str, Shard] = {}
        self._failures: dict[str, int] = {}
        self._again: deque[Shard] = deque()
        self._num_lost = 0
        self._ends: dict[str, Shard] = {}  # pieces that are done or given up
        self.done = Done()

    def all(self, shards: Iterator[Shard]) -> Iterator[int]:
        """Run everything; yield how many items are done, again and again."""
        num_items = 0
        has_more = True
        while has_more or self._running or self._again:
            while (has_more or self._again) and len(self._running) <= self._engine.num_workers:
                shard = self._again.popleft() if self._again else next(shards, None)
                if shard is None:
                    has_more = False
                    break
                if self._is_there(shard):
                    num_items += self._end(shard)
                    yield num_items
                elif f"{shard.key}{CUT}" in self._there:
                    self._again.extend(_halves(shard))
                else:
                    self._start(shard)
            event = self._engine.wait(None) if self._running else None
            if event is not None and event.kind == DONE:
                self._num_lost = 0
                self._engine.tally.num_done += 1
                shard = self._running.pop(event.key)
                self._there.add(f"{shard.key}{PART}")
                num_items += self._end(shard)
                yield num_items
            elif event is not None and event.kind == FAILED:
                self._failed(self._running.pop(event.key), event.reason, event.is_own, event.error)
        self._collect()

    def _start(self, shard: Shard) -> None:
        key = f"{self._work.name}/{shard.key}"
        self._running[key] = shard
        part = self._home / f"{shard.key}{PART}"
        self._engine.submit(key, _make_part, (self._work, list(shard.items), part))

    def _is_there(self, shard: Shard) -> bool:
        return f"{shard.key}{PART}" in self._there or f"{shard.key}{ASIDE}" in self._there

    def _end(self, shard: Shard) -> int:
        self._ends[shard.key] = shard
        return len(shard.items)

    def _failed(self, shard: Shard, reason: str, is_own: bool, error: Exception | None) -> None:
        """Try again, or cut it, or set it aside."""
        self._num_lost = 0 if is_own else self._num_lost + 1
        if self._num_lost > MAX_LOST:
            raise NoisywebError(f"{self._work.name}: machines keep dying ({reason}); look at the cluster, then go on")
        failures = self._failures[shard.key] = self._failures.get(shard.key, 0) + is_own
        if isinstance(error, NoisywebError) and (failures == TRIES or not isinstance(error, RemoteError)):
            raise error  # a full disk, say: no fault of the items
        if failures < TRIES:
            self._again.append(shard)
        elif len(shard.items) > 1:
            write_whole(self._home / f"{shard.key}{CUT}", b"")
            self._again.extend(_halves(shard))
        else:
            write_whole(self._home / f"{shard.key}{ASIDE}", reason.encode())
            self._there.add(f"{shard.key}{ASIDE}")
            self._end(shard)
            return
        self._engine.tally.num_retried += 1

    def _collect(self) -> None:
        for key in sorted(self._ends):
            if f"{key}{ASIDE}" in self._there:
                reason = read_bytes(self._home / f"{key}{ASIDE}").decode(errors="replace")
                self.done.aside.append((self._ends[key].items[0], reason))
            else:
                self.done.parts.append(self._home / f"{key}{PART}")
        self._engine.tally.num_aside += len(self.done.aside)


def _halves(shard: Shard) -> list[Shard]:
    middle = len(shard.items) // 2
    return [Shard(f"{shard.key}-0", shard.items[:middle]), Shard(f"{shard.key}-1", shard.items[middle:])]


def _make_part(argument: tuple[Work, Sequence[Any], Place]) -> Iterator[int]:
    """Run a shard's function and write its part, which appears whole; in the worker process."""
    work, items, part = argument
    num_rows = 0
    with write_file(part) as temporary, pq.ParquetWriter(temporary, work.schema, compression="zstd") as writer:
        for batch in work.function(items, work.common):
            writer.write_batch(batch)
            num_rows += len(batch)
    yield num_rows
