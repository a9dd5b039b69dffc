"""How time and memory of dedup's comparisons grow with the number of images, in one go and in blocks over an engine.

Usage: python tests/benchmarks/bench_pairs_growth.py [--sizes 10000,...] [--block 250000] [--views 2500,...]
    [--view-block 5000] [--pairs 30000,...] [--budget 600]

(a) pairs of 256-bit hashes within 32 bits by `noisyweb.hamming.neighbours`, one thread; (b) the same pairs in blocks
over the local engine with one worker; (c) candidates by views, in one go and in blocks; (d) seconds of one pair of
different blocks against their rows. Every measurement is a process of its own.

Hashes have the skew of real ones: a Gaussian copula with the marginals and the pairwise correlations of the bits of
CIFAR-10's (../shared/data), mirrored too; 2 % are copies of others, within 0 to 32 bits, some images far more often
than most (Zipf). Views are those of real images as far as there are, and beyond of pictures drawn with the mean and the
covariance of real ones; both kinds are measured where both are there.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

REPO = Path(__file__).parents[2]
CIFAR = REPO.parent / "shared" / "data" / "cifar10"
CACHE = Path(tempfile.gettempdir()) / "noisyweb-bench"
RADIUS = 32

PEAKS = """
import json, resource, sys, tempfile, time
from pathlib import Path
import numpy as np

def peak():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

def tell(**figures):
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(json.dumps(figures | {"peak": peak(), "worker": worker}))
"""
ONE_GO = """
from noisyweb.hamming import choose, neighbours
left = np.load(sys.argv[1])[: int(sys.argv[2])]
right = np.load(sys.argv[1])[int(sys.argv[2]) :][: int(sys.argv[3])] if len(sys.argv) > 3 else None
start = time.perf_counter()
pairs = sum(len(i) for i, _, _ in neighbours(left, right, 32, threads=1))
seconds = time.perf_counter() - start
chunks = choose(left, right, 32)
tell(seconds=seconds, pairs=pairs, method=f"{len(chunks)} x {len(chunks[0].bits)} bits" if chunks else "each with each")
"""
BLOCKS = """
from noisyweb.scale.local import LocalEngine
from noisyweb.scale.pair_blocks import NearPairs
if __name__ == "__main__":
    hashes = np.load(sys.argv[1])[: int(sys.argv[2])]
    with tempfile.TemporaryDirectory() as folder:
        with LocalEngine(1) as engine:
            start = time.perf_counter()
            pairs = sum(len(i) for i, _, _ in NearPairs(engine, Path(folder), hashes, None, 32, int(sys.argv[3])).all())
            seconds = time.perf_counter() - start
        written = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    tell(seconds=seconds, pairs=pairs, written=written)
"""
LOAD_VIEWS = """
from noisyweb.copies import Index, candidate_rows
from noisyweb.packed_views import HeldViews, PackedViews
def load(path, count):
    with np.load(path) as held:
        found = PackedViews(held["faces"].astype(np.int16), held["probes"], held["targets"])
    return found.take(np.arange(count))
"""
VIEWS = (
    LOAD_VIEWS
    + """
index = Index.of_packed(load(sys.argv[1], int(sys.argv[2])))
start = time.perf_counter()
rows = candidate_rows(index, None, threads=1)
seconds = time.perf_counter() - start
tell(seconds=seconds, pairs=len(set(map(tuple, rows[:, :2].tolist()))))
"""
)
VIEW_BLOCKS = (
    LOAD_VIEWS
    + """
from noisyweb.described import Looks
from noisyweb.scale.local import LocalEngine
from noisyweb.scale.view_blocks import view_candidates
if __name__ == "__main__":
    count = int(sys.argv[2])
    held = HeldViews(load(sys.argv[1], count))
    none = np.zeros((count, 4), "<u8")
    images = Looks(none.view("S32").ravel(), none, np.ones(count, bool), held, lambda ids: ()).all()
    with tempfile.TemporaryDirectory() as folder, LocalEngine(1) as engine:
        start = time.perf_counter()
        pairs = sum(map(len, view_candidates(engine, Path(folder), images, None, int(sys.argv[3])).parts.all()))
        seconds = time.perf_counter() - start
    tell(seconds=seconds, pairs=pairs)
"""
)


def run(script: str, *arguments: object) -> dict[str, Any]:
    """One measurement; the script is a file, since the engine's workers import it again."""
    with tempfile.NamedTemporaryFile("w", suffix=".py", dir=CACHE) as file:
        file.write(PEAKS + script)
        file.flush()
        command = [sys.executable, file.name, *map(str, arguments)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPO)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def pictures() -> npt.NDArray[np.uint8]:
    """Grey pictures of CIFAR-10, shape (N, 32, 32)."""
    import pyarrow.parquet as pq
    from PIL import Image

    rows = [row for name in ("train", "test") for row in pq.read_table(CIFAR / f"{name}.parquet")["image"].to_pylist()]
    return np.stack([np.asarray(Image.open(io.BytesIO(row["bytes"])).convert("L")) for row in rows])


def hashes_like(greys: npt.NDArray[np.uint8], count: int) -> Path:
    """Hashes with the marginals and correlations of real ones, and copies."""
    from PIL import Image

    from noisyweb.phash import phash_of

    path = CACHE / f"growth-{count}.npy"
    if path.exists():
        return path
    both = [picture for grey in greys for picture in (grey, grey[:, ::-1])]
    real = b"".join(phash_of(Image.fromarray(picture), False)[0] for picture in both)
    bits = np.unpackbits(np.frombuffer(real, np.uint8).reshape(len(both), -1), axis=1).astype(np.float32)
    share = bits.mean(axis=0)
    varies = (share > 1e-3) & (share < 1 - 1e-3)
    correlations = np.corrcoef(bits[:, varies].T)
    values, vectors = np.linalg.eigh(np.sin(np.pi / 2 * correlations))  # exact where half of the bits are set
    factor = (vectors * np.sqrt(np.maximum(values, 1e-6))).astype(np.float32)
    factor /= np.linalg.norm(factor, axis=1, keepdims=True)
    draws = np.random.default_rng(0)
    sample = draws.standard_normal((1 << 16, factor.shape[1]), np.float32) @ factor.T
    limits = np.array(
        [np.quantile(column, 1 - p) for column, p in zip(sample.T, share[varies], strict=True)], np.float32
    )
    hashes = np.empty((count, 4), "<u8")
    for start in range(0, count, 1 << 16):
        size = min(1 << 16, count - start)
        drawn = np.tile(share > 0.5, (size, 1))
        drawn[:, varies] = draws.standard_normal((size, factor.shape[1]), np.float32) @ factor.T > limits
        hashes[start : start + size] = np.packbits(drawn, axis=1).view("<u8")
    copies = draws.permutation(count)[: count // 50]
    flips = draws.random((len(copies), 256)) < draws.integers(0, 33, (len(copies), 1)) / 256
    sources = (draws.zipf(1.3, len(copies)) - 1) % count
    hashes[copies] = hashes[sources] ^ np.packbits(flips, axis=1).view("<u8")
    np.save(path, hashes)
    return path


def views_like(greys: npt.NDArray[np.uint8], count: int, is_real: bool) -> Path:
    """Views of real pictures, or of such with the mean and the covariance of real ones."""
    from PIL import Image

    from noisyweb.faces import faces_of
    from noisyweb.views import NUM_TARGETS, views

    path = CACHE / f"growth-views-{'real' if is_real else 'drawn'}-{count}.npz"
    if path.exists():
        return path
    shown: Any = greys[:count]
    if not is_real:
        flat = greys.reshape(len(greys), -1).astype(np.float32)
        values, vectors = np.linalg.eigh(np.cov(flat.T))
        factor = (vectors * np.sqrt(np.maximum(values, 0))).astype(np.float32)
        noise = np.random.default_rng(1).standard_normal((count, flat.shape[1]), np.float32)
        shown = np.clip(flat.mean(axis=0) + noise @ factor.T, 0, 255).astype(np.uint8).reshape(-1, 32, 32)
    found = [views(faces_of(Image.fromarray(picture))) for picture in shown]
    np.savez(
        path,
        each=NUM_TARGETS,
        faces=np.array([len(one.probes) // 8 for one in found]),
        probes=np.concatenate([one.probes for one in found]),
        targets=np.concatenate([one.targets for one in found]),
    )
    return path


def exponent(rows: list[tuple[int, float]]) -> str:
    """Of the growth between the last two sizes, and over all of them."""
    if len(rows) < 2:
        return "-"
    sizes, seconds = np.log(np.array(rows, float).T)
    last = (seconds[-1] - seconds[-2]) / (sizes[-1] - sizes[-2])
    return f"{np.polyfit(sizes, seconds, 1)[0]:.2f} over all, {last:.2f} between the last two"


def told(name: str, size: int, figures: dict[str, Any], more: str = "") -> None:
    print(
        f"{name:<28} {size:>9,} {figures['pairs']:>11,} pairs {figures['seconds']:9.2f} s  "
        f"{figures['peak'] / 1e6:6,.0f} MB, worker {figures['worker'] / 1e6:6,.0f} MB  {more}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="10000,30000,100000,300000,1000000,2000000")
    parser.add_argument("--block", type=int, default=250_000)
    parser.add_argument("--views", default="2500,5000,10000,20000")
    parser.add_argument("--view-block", type=int, default=5_000)
    parser.add_argument("--pairs", default="30000,100000,300000,1000000")
    parser.add_argument("--budget", type=float, default=600, help="seconds after which no larger size is begun")
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()

    def is_late(expected_s: float) -> bool:
        late = time.perf_counter() - began + expected_s > options.budget
        if late:
            print(f"left out: it would take some {expected_s:,.0f} s more than the budget leaves", flush=True)
        return bool(late)

    greys = pictures()
    sizes = [int(size) for size in options.sizes.split(",") if size]
    path = hashes_like(greys, max(sizes, default=10_000))
    print(f"{len(greys):,} real images; made in {time.perf_counter() - began:.0f} s")
    began = time.perf_counter()
    rows: dict[str, list[tuple[int, float]]] = {}
    for size in sizes:
        last = rows.get("one go", [(size, 0.1)])[-1]
        if is_late(3 * last[1] * (size / last[0]) ** 1.8):
            break
        one, many = run(ONE_GO, path, size), run(BLOCKS, path, size, options.block)
        rows.setdefault("one go", []).append((size, one["seconds"]))
        rows.setdefault("blocks", []).append((size, many["seconds"]))
        told("256 bits, one go", size, one, one["method"])
        ratio = many["seconds"] / one["seconds"]
        told(f"256 bits, blocks of {options.block:,}", size, many, f"{ratio:.2f} of one go; {many['written']:,} bytes")
        if one["pairs"] != many["pairs"]:
            raise SystemExit("not the same pairs")
    counts = [int(size) for size in options.views.split(",") if size]
    for size in counts:
        last = rows.get("views, drawn, one go", [(size, 1)])[-1]
        if is_late(3 * last[1] * (size / last[0]) ** 2):
            break
        for kind in ("real", "drawn") if size <= len(greys) else ("drawn",):
            file = views_like(greys, size, kind == "real")
            one, many = run(VIEWS, file, size), run(VIEW_BLOCKS, file, size, options.view_block)
            for way, figures in (("one go", one), (f"blocks of {options.view_block:,}", many)):
                rows.setdefault(f"views, {kind}, {way}", []).append((size, figures["seconds"]))
                told(f"views, {kind}, {way}", size, figures, f"{figures['seconds'] / one['seconds']:.2f} of one go")
            if one["pairs"] != many["pairs"]:
                raise SystemExit("not the same candidates")
    for size in [int(size) for size in options.pairs.split(",") if size and 2 * int(size) <= max(sizes, default=0)]:
        last = rows.get("pair of blocks", [(size, 0.1)])[-1]
        if is_late(last[1] * (size / last[0]) ** 2):
            break
        figures = run(ONE_GO, path, size, size)
        rows.setdefault("pair of blocks", []).append((size, figures["seconds"]))
        told(
            "a pair of blocks",
            size,
            figures,
            f"{figures['method']}; {figures['seconds'] / size**2 * 1e12:.2f} ps a pair",
        )
    for name, those in rows.items():
        print(f"{name}: exponent {exponent(those)}")


if __name__ == "__main__":
    main()
