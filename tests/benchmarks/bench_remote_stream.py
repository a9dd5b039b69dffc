"""Streaming a manifest from an S3 server on loopback, beside the same manifest on disk in the same run.

    python tests/benchmarks/bench_remote_stream.py ../shared/data/photos --images 4000

Photographs are reduced to --side pixels (shorter side, JPEG of quality 90) and repeated with other bytes behind them,
so that no two rows are the same. An epoch is read as a training reads it: random row groups, decoding threads, squares
of --size pixels. Local, first and cached epochs take turns for --rounds, each remote first epoch with an empty cache;
the server is a process of its own. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from PIL import Image, ImageOps
from records import record_batch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from noisyweb.data import NoisyImages
from noisyweb.manifest import ROWS_PER_GROUP, manifest_schema, write_shards
from noisyweb.training.shards import read_through, shuffled
from noisyweb.training.streaming import WINDOW_BYTES, Streamed

BATCH = 128
URL = "s3://bench/photos/clean"
SIZES = (10_000, 100_000, 1_000_000, 2_000_000)


class Epoch(NamedTuple):
    """What one pass has cost."""

    seconds: float
    cpu_seconds: float
    requests: int
    num_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--images", type=int, default=4_000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        local, cache = Path(temporary, "clean"), Path(temporary, "cache")
        write(local, photographs(asked.photos, asked.side), asked.images)
        size = sum(file.stat().st_size for file in local.iterdir())
        server, told = serve()
        upload(local)
        epoch(NoisyImages(local), asked, told)  # not counted: the first of anything is slow
        rounds: dict[str, list[Epoch]] = {"local": [], "first": [], "cached": []}
        opened = []
        for _ in range(asked.rounds):
            shutil.rmtree(cache, ignore_errors=True)
            rounds["local"].append(epoch(NoisyImages(local), asked, told))
            counted(told)
            remote = NoisyImages(URL, cache_dir=cache)
            opened.append(counted(told))
            rounds["first"].append(epoch(remote, asked, told))
            rounds["cached"].append(epoch(NoisyImages(URL, cache_dir=cache), asked, told))
        server.terminate()
        server.join()
    print(
        f"{asked.images:,} images of {size / asked.images / 1000:.1f} KB to {asked.size} px, {asked.workers} threads\n"
    )
    print("| epoch | images/s | of local | CPU s a million images | GET requests a million | GB a million |")
    print("|---|---|---|---|---|---|")
    local_s = statistics.median(one.seconds for one in rounds["local"])
    for name, found in rounds.items():
        seconds, cpu, requests, num_bytes = (statistics.median(values) for values in zip(*found, strict=True))
        print(
            f"| {name} | {asked.images / seconds:,.0f} | {local_s / seconds:.2f} | {cpu / asked.images * 1e6:,.0f} "
            f"| {requests / asked.images * 1e6:,.0f} | {num_bytes / asked.images / 1e3:.1f} |"
        )
    requests, num_bytes = (statistics.median(values) for values in zip(*opened, strict=True))
    print(f"\nOpening: {requests:.0f} requests, {num_bytes / 1e6:.2f} MB\n")
    orders()


def epoch(images: NoisyImages, asked: argparse.Namespace, told: Connection) -> Epoch:
    """Read every image once."""
    streamed = Streamed(images, asked.size, torch.device("cpu"), asked.workers)
    counted(told)
    started, cpu = time.perf_counter(), time.process_time()
    num = sum(len(rows) for rows, _ in streamed.batches(streamed.order(0), BATCH))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    assert num == len(images)
    return Epoch(seconds, cpu, *counted(told))


def orders() -> None:
    """What an epoch's order costs, by N."""
    print("| rows | shards | seconds to shuffle | to read through | MB of the order |")
    print("|---|---|---|---|---|")
    for num in SIZES:
        groups = [(range(at, min(at + ROWS_PER_GROUP, num)), 25_000_000) for at in range(0, num, ROWS_PER_GROUP)]
        for shards in (1, 64):
            started = time.perf_counter()
            order = shuffled(groups, shards, WINDOW_BYTES, 0)
            middle = time.perf_counter()
            read_through(groups, shards)
            done = time.perf_counter()
            print(f"| {num:,} | {shards} | {middle - started:.3f} | {done - middle:.3f} | {order.nbytes / 1e6:.1f} |")


def photographs(folder: Path, side: int) -> list[bytes]:
    """All of them, reduced."""
    found = []
    for file in sorted(folder.glob("*.jpg")):
        image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        scale = side / min(image.size)
        out = io.BytesIO()
        image.resize((round(image.width * scale), round(image.height * scale))).save(out, "JPEG", quality=90)
        found.append(out.getvalue())
    return found


def write(folder: Path, photos: list[bytes], num: int) -> None:
    """A manifest of ``num`` rows."""
    folder.mkdir(parents=True)
    info = {"dataset": "photos", "title": "Photos", "edition": "own", "kind": "clean", "level": "0", "seed": 0}
    schema = manifest_schema(["a", "b"], {**info, "split": "train"})
    write_shards(folder, "train", schema, batches(schema, photos, num))


def batches(schema: pa.Schema, photos: list[bytes], num: int) -> Iterator[pa.RecordBatch]:
    """Row groups as `noisyweb build` writes them."""
    chosen = np.random.default_rng(0).integers(0, len(photos), num).tolist()
    for at in range(0, num, ROWS_PER_GROUP):
        rows = range(at, min(at + ROWS_PER_GROUP, num))
        data = [photos[chosen[row]] + b"\0" * 4 + row.to_bytes(8, "little") for row in rows]
        columns = {
            "image_id": [hashlib.sha256(image).hexdigest() for image in data],
            "image": [{"bytes": image, "path": f"{row}.jpg"} for row, image in zip(rows, data, strict=True)],
            "label": [row % 2 for row in rows],
            "is_clean": [True] * len(rows),
            "noise": ["none"] * len(rows),
            "source": ["clean"] * len(rows),
        }
        yield record_batch(schema, columns)


def serve() -> tuple[multiprocessing.process.BaseProcess, Connection]:
    """Start the server; this process's clients know it from now on."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    server = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    os.environ.update(ours.recv())
    return server, ours


def _serve(told: Connection) -> None:
    from tests.s3_server import S3Server

    with S3Server() as s3:
        s3.client().create_bucket(Bucket="bench")
        told.send(s3.environment)
        while told.recv():
            told.send((sum(method == "GET" for method, _ in s3.requests), s3.served))
            s3.forget()


def upload(folder: Path) -> None:
    """By fsspec, as `noisyweb build --out s3://...` does."""
    import fsspec

    fsspec.filesystem("s3").put(f"{folder}/", URL, recursive=True)


def counted(told: Connection) -> tuple[int, int]:
    """GET requests and their bytes since the last call."""
    told.send("?")
    requests, num_bytes = told.recv()
    return int(requests), int(num_bytes)


if __name__ == "__main__":
    main()
