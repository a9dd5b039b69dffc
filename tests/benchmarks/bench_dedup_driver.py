"""The driver of a dedup over an engine: its memory and processor time an image, against the bytes of its columns.

Usage: python tests/benchmarks/bench_dedup_driver.py [--sizes 10000,100000,1000000] [--views 10000,30000,100000]
    [--block 250000] [--view-block 10000]

A workspace of N images that a crawl has fetched and a dedup has described: hashes as in bench_pairs_growth.py, 2 % of
them copies, rows of the other tables of the usual lengths, random views. `noisyweb.dedup.dedup` runs over the local
engine with one worker. What is told is the driver's alone: the most memory that it ever held (VmHWM) above what it
held after a dedup of 1,000 images, and its own processor seconds; the growth is that between two sizes, which whatever
is constant does not touch. The bound is what a driver cannot do without: 32 bytes of an id, 32 of a hash, 4 of a label,
8 of a place in the order. Views, 720 bytes an image, are no part of it: they need not be held.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench_pairs_growth import CACHE, hashes_like, pictures

from noisyweb import schemas

BOUND = 32 + 32 + 4 + 8
WARM_ROWS = 1_000
STEP = 100_000


def fill(folder: Path, hashes: Any, count: int, with_views: bool) -> None:
    """The tables of a workspace; there are no pictures."""
    folder.mkdir()
    (folder / "classes.json").write_text('["one", "two"]')
    draws = np.random.default_rng(count)
    names = ["candidates", "images", "hashes", *(["views"] if with_views else [])]
    writers = {
        name: pq.ParquetWriter(folder / f"{name}.parquet", getattr(schemas, name.upper()), compression="zstd")
        for name in names
    }
    for start in range(0, count, STEP):
        numbers = range(start, min(start + STEP, count))
        for name, rows in _rows(numbers, hashes, draws).items():
            if name in writers:
                schema = getattr(schemas, name.upper())
                blank = {field.name: pa.nulls(len(numbers), field.type) for field in schema}
                columns = blank | {key: pa.array(value, schema.field(key).type) for key, value in rows.items()}
                for batch in pa.table(columns, schema=schema).to_batches(5_000):  # as a crawl writes them
                    writers[name].write_batch(batch)
    for writer in writers.values():
        writer.close()


def _rows(numbers: range, hashes: Any, draws: Any) -> dict[str, dict[str, Any]]:
    count = len(numbers)
    ids = [hashlib.sha256(b"%d" % number).hexdigest() for number in numbers]
    urls = [f"https://images{number % 977}.example.org/photos/{ids[n][:24]}.jpg" for n, number in enumerate(numbers)]
    labels = [number * 2 // (numbers[-1] + 1) for number in numbers]
    pages = [f"https://www.example.org/photo/{number}" for number in numbers]
    candidates = {
        "url": urls,
        "label": labels,
        "provider": ["openverse"] * count,
        "query": ["a query of three words"] * count,
        "rank": draws.integers(0, 500, count),
        "provider_id": [image_id[:32] for image_id in ids],
        "title": [f"A photograph of something, number {number}" for number in numbers],
        "landing_url": pages,
        "creator": [f"creator {number % 5000}" for number in numbers],
        "license": ["by"] * count,
        "license_url": ["https://creativecommons.org/licenses/by/2.0/"] * count,
        "attribution": [
            f'"A photograph of something" by creator {number} is licensed under CC BY' for number in numbers
        ],
    }
    images = {
        "url": urls,
        "label": labels,
        "status": ["ok"] * count,
        "retry": [False] * count,
        "attempts": [1] * count,
        "http_status": [200] * count,
        "etag": [f'"{image_id[:32]}"' for image_id in ids],
        "last_modified": ["Tue, 01 Jan 2030 00:00:00 GMT"] * count,
        "image_id": ids,
        "fetched_id": ids,
        "num_bytes": draws.integers(20_000, 90_000, count),
        "width": draws.integers(300, 1000, count),
        "height": draws.integers(300, 1000, count),
        "format": ["jpeg"] * count,
    }
    found = {"image_id": ids, "phash": [one.tobytes() for one in hashes[numbers[0] : numbers[-1] + 1]]}
    probes, targets = (draws.integers(0, 2**64, (count, each), np.uint64) for each in (8, 82))
    views = {
        "image_id": ids,
        "probes": [one.tobytes() for one in probes],
        "targets": [one.tobytes() for one in targets],
        "inner": np.ones(count, np.float32),
    }
    return {"candidates": candidates, "images": images, "hashes": found | {"flat": [False] * count}, "views": views}


def status(name: str) -> int:
    """Bytes, of a line of this process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def measure(folder: Path, with_views: bool, sizes: list[int]) -> None:
    """One dedup, in this process and one worker."""
    from noisyweb.dedup import dedup
    from noisyweb.scale.local import LocalEngine
    from noisyweb.scale.spread_dedup import Sizes
    from noisyweb.workspace import Workspace

    cut = Sizes(hashes=sizes[0], views=sizes[1])
    with LocalEngine(1) as engine:
        dedup(Workspace(folder / "warm"), views=with_views, engine=engine)
        before = status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        usage, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        report = dedup(Workspace(folder / "w"), views=with_views, engine=engine, sizes=cut)
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    own = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
    digest = hashlib.sha256(json.dumps(pq.read_table(folder / "w" / "duplicates.parquet").to_pylist()).encode())
    figures = {"before": before, "peak": status("VmHWM"), "seconds": seconds, "own": own, "kept": report.num_kept}
    print(json.dumps(figures | {"digest": digest.hexdigest()[:12]}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--views", default="10000,30000,100000", help="sizes that are run with views")
    parser.add_argument("--block", type=int, default=250_000, help="hashes of a block")
    parser.add_argument("--view-block", type=int, default=10_000, help="images of a block of views")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--with-views", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.with_views, [options.block, options.view_block])
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    runs = [(int(size), False) for size in options.sizes.split(",") if size]
    runs += [(int(size), True) for size in options.views.split(",") if size]
    hashes = np.load(hashes_like(pictures(), max(size for size, _ in runs)), mmap_mode="r")
    print("views    images  above the start, MB  bytes an image  of the bound  growth, bytes  own CPU s  whole s  kept")
    last: dict[bool, tuple[int, int]] = {}
    for size, with_views in runs:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for one, count in (("warm", WARM_ROWS), ("w", size)):
                fill(folder / one, hashes, count, with_views)
            command = [sys.executable, __file__, "--measure", folder, "--block", options.block]
            command += ["--view-block", options.view_block]
            command += ["--with-views"] if with_views else []
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        found = json.loads(done.stdout.splitlines()[-1])
        above = found["peak"] - found["before"]
        smaller, less = last.get(with_views, (0, 0))
        growth = (above - less) / (size - smaller)
        last[with_views] = size, above
        print(
            f"{'yes' if with_views else 'no':<5} {size:>9,}  {above / 1e6:>19,.1f}  {above / size:>14,.0f}"
            f"  {above / size / BOUND:>12.1f}  {growth:>13,.0f}  {found['own']:>9.1f}  {found['seconds']:>7.1f}"
            f"  {found['kept']:,} ({found['digest']})",
            flush=True,
        )


if __name__ == "__main__":
    main()
