"""What a million images cost at each stage: processor seconds, requests to the object store, bytes there and back.

Usage: python tests/benchmarks/bench_costs.py [--images 2000] [--workers 2]

The workspace is at s3:// of a server on loopback in a process of its own, which counts; the web is nginx on loopback
(`crawl_web.py`). Processor seconds are those of the driver and all that it starts, start-up included in a column of its
own (an engine that does nothing). Near pairs are a matter of the number of images: see bench_pairs_growth.py.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import crawl_web
import pyarrow as pa
from bench_crawl import write_url_list

from noisyweb.crawl import crawl
from noisyweb.crawl_classes import read_class_names
from noisyweb.crawl_plan import CrawlPlan, Provider
from noisyweb.crawl_stats import CrawlStats
from noisyweb.dedup import dedup
from noisyweb.export import Options, open_builds
from noisyweb.fetch import Limits
from noisyweb.hosts import Pace
from noisyweb.manifest import manifest_schema, write_shards
from noisyweb.remote_path import RemotePath
from noisyweb.scale.engine import Engine, open_engine
from noisyweb.scale.tar_shards import export_webdataset
from noisyweb.workspace import Workspace

BUCKET = "costs"


def serve(link: Connection) -> None:
    """An S3 server that tells what it has served since it was last asked."""
    from tests.s3_server import S3Server

    with S3Server() as server:
        server.client().create_bucket(Bucket=BUCKET)
        link.send(server.environment)
        while link.recv():
            sizes = sum(entry["Size"] for entry in _listed(server.client()))
            link.send((Counter(method for method, _ in server.requests), server.served, sizes))
            server.requests.clear()
            server.served = 0


def _listed(client: Any) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        yield from page.get("Contents", [])


def cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@contextmanager
def s3() -> Iterator[Connection]:
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    os.environ.update(ours.recv())
    yield ours
    ours.send(False)
    server.kill()


def crawled(engine: Engine, place: Workspace, listed: Path, classes: Path, per_class: int) -> int:
    plan = CrawlPlan(read_class_names(str(classes)), [Provider("url-list", {"path": str(listed)})], per_class)
    limits = Limits(pace=Pace(concurrency=16, rate=0), connections=32)
    stats = CrawlStats()
    asyncio.run(crawl(place, plan, allow_loopback=True, limits=limits, processes=1, engine=engine, stats=stats))
    return stats.num_bytes


def built(place: Workspace, root: Path) -> int:
    """A manifest of the images at the URL."""
    folder = root / "clean_validation"
    folder.mkdir()
    schema = manifest_schema(["one"], {"dataset": "bench", "title": "b", "edition": "own", "split": "validation"})
    ids = sorted(i for i in place.read("images")["image_id"].to_pylist() if i)
    same = {"label": 0, "is_clean": True, "true_label": 0, "noise": "none", "source": "clean"}

    def batches() -> Iterator[pa.RecordBatch]:
        for n in range(0, len(ids), 500):
            part = ids[n : n + 500]
            pairs = zip(part, place.load(part), strict=True)
            rows = [{"image_id": i, "image": {"bytes": data, "path": i}, **same} for i, data in pairs]
            yield pa.RecordBatch.from_pylist(rows, schema=schema)

    for file in write_shards(folder, "validation", schema, batches()):
        RemotePath(f"s3://{BUCKET}/clean_validation/{file.name}").upload(file)
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    photos = crawl_web.photographs(args.images)
    with (
        tempfile.TemporaryDirectory(prefix="noisyweb-bench-") as temporary,
        crawl_web.web(photos, args.images, hosts=200) as urls,
        s3() as server,
    ):
        root = Path(temporary)
        os.environ["NOISYWEB_SCRATCH"] = str(root / "scratch")
        classes, listed, per_class = write_url_list(urls, root)
        place = Workspace(f"s3://{BUCKET}/w", create=True)
        manifest, tars = RemotePath(f"s3://{BUCKET}/clean_validation"), RemotePath(f"s3://{BUCKET}/tars")
        stages: dict[str, Callable[[Engine], object]] = {
            "start-up": lambda engine: 0,
            "crawl": lambda engine: crawled(engine, place, listed, classes, per_class),
            "dedup (views, pairs, proofs)": lambda engine: dedup(place, engine=engine) and 0,
            "build (images into Parquet)": lambda engine: built(place, root),
            "export (WebDataset)": lambda engine: export_webdataset(engine, open_builds(manifest), tars, Options()),
        }
        print(f"{args.images:,} photographs, {args.workers} workers; a million of them take:")
        print("| stage | CPU s | PUT | GET | HEAD, list | DELETE | GB read | GB kept | GB from the web |")
        print("|---|---|---|---|---|---|---|---|---|")
        before, kept_before = 0.0, 0
        for name, run in stages.items():
            start_s = cpu_s()
            with open_engine("local", None, args.workers) as engine:
                web_bytes = run(engine)
            used_s = cpu_s() - start_s
            server.send(True)
            counts, served, kept = server.recv()
            each = 1e6 / args.images
            lists = counts["HEAD"] + sum(counts[m] for m in counts if m not in ("PUT", "GET", "POST", "DELETE", "HEAD"))
            numbers = [counts["PUT"], counts["GET"], lists, counts["DELETE"] + counts["POST"]]
            sizes = [served, kept - kept_before, web_bytes if isinstance(web_bytes, int) else 0]
            print(
                f"| {name} | {(used_s - before) * each if name != 'start-up' else used_s:,.0f} | "
                + " | ".join(f"{number * each:,.0f}" for number in numbers)
                + " | "
                + " | ".join(f"{size * each / 1e9:,.2f}" for size in sizes)
                + " |",
                flush=True,
            )
            kept_before = kept


if __name__ == "__main__":
    main()
