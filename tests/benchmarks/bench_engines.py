"""The Ray engine beside the local one, in turn in the same run: images/s past start-up, and the same tables.

Usage: python tests/benchmarks/bench_engines.py [--images 3000] [--workers 2] [--rounds 3] [--stages crawl,export]

crawl: photographs of nginx on loopback (`crawl_web.py`) into a workspace. describe: hashes and views of the same ones.
export: WebDataset shards of 50 MB (a tenth of the usual) of them, each six times. Past start-up: from the first tenth
of the images to the last. Bound: the Ray engine does at least 0.85 of what the local one does with as many processes.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import crawl_web
import pyarrow as pa
from bench_crawl import write_url_list

from noisyweb.crawl import crawl
from noisyweb.crawl_classes import read_class_names
from noisyweb.crawl_plan import CrawlPlan, Provider
from noisyweb.crawl_stats import CrawlStats
from noisyweb.export import Options, open_builds
from noisyweb.fetch import Limits
from noisyweb.hosts import Pace
from noisyweb.image_ids import ids_of
from noisyweb.manifest import manifest_schema, write_shards
from noisyweb.scale.describe_shards import describe_in_shards
from noisyweb.scale.engine import Engine, open_engine
from noisyweb.scale.tar_shards import export_webdataset
from noisyweb.workspace import Workspace

BOUND = 0.85
COPIES = 6
"""Of each image in the exported build, so that a round takes seconds."""
ENGINES = ("local", "ray")


class Clock:
    """Notes when a tenth of the work was done, and the last of it."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.marks = [(0.0, 0.0)]  # share and time

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != "search" and not what.endswith("measured") and done / total > self.marks[-1][0]:
            self.marks.append((done / total, time.perf_counter()))

    def speed(self) -> float:
        """Images a second between the first tenth and the end."""
        share, start_s = next(mark for mark in self.marks if mark[0] >= 0.1)
        return self.total * (1 - share) / (self.marks[-1][1] - start_s)


def crawled(engine: Engine, folder: Path, urls: Path, classes: Path, per_class: int, clock: Clock) -> str:
    plan = CrawlPlan(read_class_names(str(classes)), [Provider("url-list", {"path": str(urls)})], per_class)
    limits = Limits(pace=Pace(concurrency=16, rate=0), connections=32)
    place, stats = Workspace(folder, create=True), CrawlStats(progress=clock)
    asyncio.run(crawl(place, plan, allow_loopback=True, limits=limits, processes=1, engine=engine, stats=stats))
    return _digest(place, "images", "hashes")


def described(engine: Engine, folder: Path, clock: Clock) -> str:
    place = Workspace(folder)
    for name in ("hashes", "views"):
        (folder / f"{name}.parquet").unlink(missing_ok=True)
    ids = sorted(i for i in place.read("images")["image_id"].to_pylist() if i)
    describe_in_shards(engine, folder / "parts", place, ids_of(ids), "phash", True, 50, clock)
    return _digest(place, "hashes", "views")


def exported(engine: Engine, build: Path, target: Path, clock: Clock) -> str:
    export_webdataset(engine, open_builds(build), target, Options(shard_bytes=50_000_000, progress=clock))
    content = hashlib.sha256()
    for path in sorted(target.rglob("*.tar")):
        content.update(path.read_bytes())
    shutil.rmtree(target)
    return content.hexdigest()


def write_manifest(folder: Path, place: Workspace) -> None:
    """A build of the images, `COPIES` times, all of one class."""
    schema = manifest_schema(["one"], {"dataset": "bench", "title": "b", "edition": "own", "split": "validation"})
    folder.mkdir()
    ids = sorted(i for i in place.read("images")["image_id"].to_pylist() if i) * COPIES

    def batch(part: list[str]) -> pa.RecordBatch:
        same = {"label": 0, "is_clean": True, "true_label": 0, "noise": "none", "source": "clean"}
        rows = [{"image_id": i, "image": {"bytes": place.get(i), "path": i}, **same} for i in part]
        return pa.RecordBatch.from_pylist(rows, schema=schema)

    write_shards(folder, "validation", schema, (batch(ids[n : n + 200]) for n in range(0, len(ids), 200)))


def _digest(place: Workspace, *names: str) -> str:
    tables = [place.read(name) for name in names]
    rows = [sorted(map(str, table.to_pylist())) for table in tables]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stages", default="crawl,describe,export")
    args = parser.parse_args()
    photos = crawl_web.photographs(args.images)
    with (
        tempfile.TemporaryDirectory(prefix="noisyweb-bench-") as temporary,
        crawl_web.web(photos, args.images, hosts=200) as urls,
    ):
        root = Path(temporary)
        classes, listed, per_class = write_url_list(urls, root)
        kept, build = root / "kept", root / "clean_validation"
        with open_engine("local", None, args.workers) as engine:
            crawled(engine, kept, listed, classes, per_class, Clock(args.images))
        write_manifest(build, Workspace(kept))
        print(f"{args.images:,} photographs, {args.workers} workers each, {args.rounds} rounds")
        print(f"{'stage':<10} {'local/s':>9} {'ray/s':>9} {'ratio':>6}  bound {BOUND}")
        for stage in args.stages.split(","):
            speeds: dict[str, list[float]] = {name: [] for name in ENGINES}
            results = set()
            for number in range(args.rounds):
                for name in ENGINES if number % 2 == 0 else ENGINES[::-1]:
                    clock = Clock(args.images * (COPIES if stage == "export" else 1))
                    fresh = root / f"{stage}-{number}-{name}"
                    run: dict[str, Callable[[Engine], str]] = {
                        "crawl": lambda one: crawled(one, fresh, listed, classes, per_class, clock),  # noqa: B023
                        "describe": lambda one: described(one, kept, clock),  # noqa: B023
                        "export": lambda one: exported(one, build, fresh, clock),  # noqa: B023
                    }
                    with open_engine(name, None, args.workers) as engine:
                        results.add(run[stage](engine))
                    shutil.rmtree(fresh, ignore_errors=True)
                    speeds[name].append(clock.speed())
            assert len(results) == 1, f"{stage}: the engines' results differ"
            local, ray = (statistics.median(speeds[name]) for name in ENGINES)
            print(f"{stage:<10} {local:>9,.0f} {ray:>9,.0f} {ray / local:>6.2f}  {speeds}", flush=True)


if __name__ == "__main__":
    main()
