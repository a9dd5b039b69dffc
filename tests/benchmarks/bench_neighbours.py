"""All pairs of 256-bit hashes within a radius: time and memory against bounds, brute force and faiss, and exactness.

Usage: python tests/benchmarks/bench_neighbours.py [--sizes 10000,...,2000000] [--real FILE.npy] [--plot FILE.png]
    [--peer PYTHON | --peer none] [--peer-sizes 212588] [--threads N]

Random hashes have 1 % planted near duplicates, with 1..radius flipped bits. Real ones are `noisyweb.phash` of CIFAR-10
with mirror images (../shared/data), Fashion-MNIST (Debian's dataset-fashion-mnist, if installed) and random crops of
photographs (../shared/data), shuffled; --real names others, shape (N, 4), uint64. All is kept in the temporary folder.

Each measurement is a process of its own; its memory is its greatest resident set, interpreter and hashes included.
Seconds are those of the search, faiss's with the building of its index. Brute force in numpy compares some rows with
all, scaled to all pairs. Every run is checked against the distances of 300 rows to all, and of all planted pairs.
faiss's interpreter is --peer or NOISYWEB_BENCH_PEER_FAISS; without these an environment with faiss-cpu is made.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from peers import peer_python

REPO = Path(__file__).parents[2]
SHARED = REPO.parent / "shared" / "data"
FASHION = Path("/usr/share/datasets/fashion-mnist")
CACHE = Path(tempfile.gettempdir()) / "noisyweb-bench"
PEER_PACKAGES = ("faiss-cpu", "numpy")
NUM_REAL = 212_588  # the images of the web pool
BOUNDS = {212_588: (20.0, 1e9), 2_000_000: (900.0, 6e9)}  # seconds, bytes
NUM_CHECKED = 300
BRUTE_PAIRS = 5e8

Hashes = npt.NDArray[np.uint64]

COMMON = '''
import json, sys, time
import numpy as np

def digest(rows, columns, distances):
    """A sum over pairs, whatever their order."""
    mixed = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + columns.astype(np.uint64)
    mixed = (mixed ^ mixed >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9) + distances.astype(np.uint64)
    mixed = (mixed ^ mixed >> np.uint64(32)) * np.uint64(0x94D049BB133111EB)
    return int(mixed.sum(dtype=np.uint64))

def peak_bytes():
    """Of this program alone: `getrusage` also counts the one that started it."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

def tell(**figures):
    print(json.dumps(figures | {"peak_bytes": peak_bytes()}))
'''

OURS = """
from noisyweb.hamming import choose, neighbours
path, radius, threads, checked_path, found_path = sys.argv[1:]
hashes, radius, checked = np.load(path), int(radius), np.load(checked_path)
start_s = time.perf_counter()
total = mixed = 0
kept = []
for rows, columns, distances in neighbours(hashes, None, radius, threads=int(threads) or None):
    total += len(rows)
    mixed += digest(rows, columns, distances)
    here = checked[rows] | checked[columns]
    kept.append(np.stack((rows[here], columns[here], distances[here])))
seconds = time.perf_counter() - start_s
chunks = choose(hashes, None, radius)
method = f"{len(chunks)} x {len(chunks[0].bits)} bits, {chunks[0].threshold}" if chunks else "each with each"
tell(seconds=seconds, pairs=total, digest=mixed % 2**64, method=method)
np.save(found_path, np.concatenate(kept, axis=1) if kept else np.zeros((3, 0), np.int64))
"""

BRUTE = """
from noisyweb.hamming import by_blocks
path, radius, num_pairs = sys.argv[1:]
hashes = np.load(path)
rows = max(1, min(len(hashes), int(float(num_pairs) / len(hashes))))
start_s = time.perf_counter()
for _ in by_blocks(hashes[:rows], hashes, int(radius), 1 << 17):
    pass
seconds = time.perf_counter() - start_s
tell(seconds=seconds * (len(hashes) - 1) / 2 / rows, rows=rows)
"""

FAISS = """
import faiss
path, radius, kind = sys.argv[1:]
hashes, radius = np.load(path), int(radius)
codes = hashes.view(np.uint8).reshape(len(hashes), -1)
num_bits = codes.shape[1] * 8
start_s = time.perf_counter()
if kind == "flat":
    index = faiss.IndexBinaryFlat(num_bits)
else:  # exact by the same pigeonhole: 11 parts of 23 bits, of which two may differ
    index = faiss.IndexBinaryMultiHash(num_bits, 11, 23)
    index.nflip = radius // 11
    assert 11 * (index.nflip + 1) > radius
index.add(codes)
total = mixed = 0
step = 8192
for begin in range(0, len(codes), step):
    limits, distances, columns = index.range_search(codes[begin : begin + step], radius + 1)  # less than
    rows = np.repeat(np.arange(begin, begin + len(limits) - 1), np.diff(limits.astype(np.int64)))
    above = rows < columns
    total += int(above.sum())
    mixed += digest(rows[above], columns[above], distances[above])
seconds = time.perf_counter() - start_s
tell(seconds=seconds, pairs=total, digest=mixed % 2**64)
"""


def run(python: str, script: str, *arguments: object) -> dict[str, Any]:
    """One measurement in a process of its own.

    Raises:
        SystemExit: it failed.
    """
    command = [python, "-c", COMMON + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPO)
    if done.returncode:
        raise SystemExit(f"exit status {done.returncode}\n{done.stderr[-3000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def random_hashes(count: int, radius: int) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Random hashes, the last of them near duplicates of the first; and the pairs planted, shape (P, 2)."""
    draws = np.random.default_rng(count)
    hashes = draws.integers(0, 1 << 64, (count, 4), dtype=np.uint64)
    planted = np.arange(count // 100)
    bits = np.zeros((len(planted), 256), np.uint8)
    for row in bits:
        row[draws.choice(256, draws.integers(1, radius + 1), replace=False)] = 1
    twins = count - 1 - planted
    hashes[twins] = hashes[planted] ^ np.packbits(bits, axis=1, bitorder="little").view("<u8")
    return hashes, np.stack((planted, twins), axis=1)


def real_hashes(count: int = NUM_REAL) -> Path:
    """The file of real hashes, made if it is not there."""
    import pyarrow.parquet as pq

    path = CACHE / f"real-{count}.npy"
    if path.exists():
        return path
    photos = sorted((SHARED / "photos").glob("*.jpg"))
    if not photos:
        raise SystemExit("no photographs in ../shared/data/photos: give --real FILE.npy")
    print(f"hashing {count:,} images into {path}", flush=True)
    parts: list[bytes] = []
    with ProcessPoolExecutor() as pool:
        for name in ("train", "test"):
            table = pq.read_table(SHARED / "cifar10" / f"{name}.parquet", columns=["image"])
            images = [row["bytes"] for row in table.column("image").to_pylist()]
            parts += pool.map(hash_with_mirror, [images[i : i + 500] for i in range(0, len(images), 500)])
        for file in sorted(FASHION.glob("*images-idx3-ubyte.gz")):
            pixels = np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28)
            parts += pool.map(hash_pixels, np.array_split(pixels, 40))
        left = max(count - sum(map(len, parts)) // 32, 0)
        shares = [left // len(photos) + (i < left % len(photos)) for i in range(len(photos))]
        parts += pool.map(hash_crops, photos, shares, range(len(photos)))
    hashes = np.frombuffer(b"".join(parts), "<u8").reshape(-1, 4)
    order = np.random.default_rng(0).permutation(len(hashes))[:count]
    np.save(path, hashes[order])
    return path


def hash_with_mirror(images: Sequence[bytes]) -> bytes:
    from PIL import Image, ImageOps

    decoded = (Image.open(io.BytesIO(data)).convert("RGB") for data in images)
    return hash_images(image for plain in decoded for image in (plain, ImageOps.mirror(plain)))


def hash_pixels(pixels: npt.NDArray[np.uint8]) -> bytes:
    from PIL import Image

    return hash_images(map(Image.fromarray, pixels))


def hash_crops(path: Path, count: int, seed: int) -> bytes:
    """Random crops of a photograph, each half to nineteen twentieths as wide and as high."""
    from PIL import Image

    draws = np.random.default_rng(seed)
    photo = Image.open(path).convert("RGB")
    photo.thumbnail((512, 512))
    boxes = []
    for _ in range(count):
        scale = draws.uniform(0.5, 0.95)
        width, height = int(photo.width * scale), int(photo.height * scale)
        x, y = (int(draws.integers(0, room + 1)) for room in (photo.width - width, photo.height - height))
        boxes.append((x, y, x + width, y + height))
    return hash_images(photo.crop(box) for box in boxes)


def hash_images(images: Iterable[Any]) -> bytes:
    from noisyweb.phash import phash_of

    return b"".join(phash_of(image, False)[0] for image in images)


@dataclass
class Row:
    """The figures of one set of hashes."""

    kind: str
    size: int
    ours: dict[str, Any]
    brute_s: float
    is_exact: bool
    peers: dict[str, dict[str, Any]]


def checked_run(
    hashes: Hashes, planted: npt.NDArray[np.int64], path: Path, options: argparse.Namespace
) -> tuple[dict[str, Any], bool]:
    """Our figures, and whether the pairs of the checked and of the planted rows are what they should be."""
    draws = np.random.default_rng(1)
    sample = np.unique(draws.integers(0, len(hashes), NUM_CHECKED))
    checked = np.zeros(len(hashes), bool)
    checked[sample] = True
    checked[planted.ravel()] = True
    checked_path, found_path = path.with_suffix(".checked.npy"), path.with_suffix(".found.npy")
    np.save(checked_path, checked)
    ours = run(sys.executable, OURS, path, options.radius, options.threads, checked_path, found_path)
    rows, columns, distances = np.load(found_path)
    found = {(int(i), int(j)): int(d) for i, j, d in zip(rows, columns, distances, strict=True)}
    expected = {}
    for row in sample:
        distance = np.bitwise_count(hashes ^ hashes[row]).sum(axis=1, dtype=np.uint16)
        for near in np.flatnonzero(distance <= options.radius):
            if near != row:
                expected[min(int(row), int(near)), max(int(row), int(near))] = int(distance[near])
    is_sample = np.zeros(len(hashes), bool)
    is_sample[sample] = True
    of_sample = {pair: d for pair, d in found.items() if is_sample[pair[0]] or is_sample[pair[1]]}
    apart = np.bitwise_count(hashes[planted[:, 0]] ^ hashes[planted[:, 1]]).sum(axis=1, dtype=int)
    is_exact = (
        len(found) == len(rows)  # none came twice
        and of_sample == expected
        and all(found.get((int(i), int(j))) == d for (i, j), d in zip(planted, apart, strict=True))
    )
    return ours, is_exact


def measure(kind: str, hashes: Hashes, planted: npt.NDArray[np.int64], options: argparse.Namespace) -> Row:
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        path = Path(folder) / "hashes.npy"
        np.save(path, hashes)
        ours, is_exact = checked_run(hashes, planted, path, options)
        brute = run(sys.executable, BRUTE, path, options.radius, BRUTE_PAIRS)
        row = Row(kind, len(hashes), ours, brute["seconds"], is_exact, {})
        if options.peer and len(hashes) in options.peer_sizes:
            for peer in options.engines.split(","):
                row.peers[peer] = run(options.peer, FAISS, path, options.radius, peer)
    show(row, brute["rows"])
    return row


def show(row: Row, brute_rows: int) -> None:
    ours = row.ours
    print(
        f"{row.kind:<6} {row.size:>9,} {ours['pairs']:>9,} pairs {ours['seconds']:8.2f} s "
        f"{ours['peak_bytes'] / 1e6:7,.0f} MB  {ours['method']:<18} "
        f"brute force {row.brute_s:9,.1f} s (of {brute_rows:,} rows, scaled), "
        f"{row.brute_s / ours['seconds']:6.1f} times ours; {'exact' if row.is_exact else 'NOT EXACT'}",
        flush=True,
    )
    if row.size in BOUNDS:
        bound_s, bound_bytes = BOUNDS[row.size]
        shares = ours["seconds"] / bound_s, ours["peak_bytes"] / bound_bytes
        print(
            f"{'':<17}{shares[0]:.2f} of the bound {bound_s:.0f} s, {shares[1]:.2f} of the bound "
            f"{bound_bytes / 1e6:,.0f} MB: {'met' if max(shares) <= 1 else 'MISSED'}",
            flush=True,
        )
    for name, peer in row.peers.items():
        is_same = (peer["pairs"], peer["digest"]) == (ours["pairs"], ours["digest"])
        print(
            f"{'':<17}faiss {name} {peer['seconds']:.2f} s, {peer['peak_bytes'] / 1e6:,.0f} MB: "
            f"{peer['seconds'] / ours['seconds']:.1f} times our time, "
            f"{peer['peak_bytes'] / ours['peak_bytes']:.2f} times our memory; "
            f"same pairs and distances: {'yes' if is_same else 'NO'}",
            flush=True,
        )


def plot(rows: Sequence[Row], path: Path, radius: int) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for kind, marker in (("random", "o"), ("real", "s")):
        own = [row for row in rows if row.kind == kind]
        if own:
            axes.plot([r.size for r in own], [r.ours["seconds"] for r in own], marker=marker, label=f"noisyweb, {kind}")
    brute = [row for row in rows if row.kind == "random"] or list(rows)
    axes.plot([r.size for r in brute], [r.brute_s for r in brute], "--", color="grey", label="numpy, each with each")
    for number, name in enumerate(dict.fromkeys(name for row in brute for name in row.peers)):
        of_peer = [(row.size, row.peers[name]["seconds"]) for row in brute if name in row.peers]
        axes.plot(*zip(*of_peer, strict=True), "^v"[number % 2] + ":", label=f"faiss {name}")
    axes.set(xscale="log", yscale="log", xlabel="hashes", ylabel="seconds")
    axes.set_title(f"all pairs of 256-bit hashes within {radius} bits")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="10000,30000,100000,212588,500000,1000000,2000000")
    parser.add_argument("--kinds", default="random,real")
    parser.add_argument("--radius", type=int, default=32)
    parser.add_argument("--threads", type=int, default=0, help="0: one a processor, four at most")
    parser.add_argument("--real", type=Path, help="real hashes, shape (N, 4), uint64")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--peer", default=os.environ.get("NOISYWEB_BENCH_PEER_FAISS"), help="interpreter, or none")
    parser.add_argument("--peer-sizes", default="212588")
    parser.add_argument("--engines", default="flat,multihash", help="faiss's indices")
    options = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    options.peer = None if options.peer == "none" else peer_python(options.peer, CACHE / "faiss", PEER_PACKAGES)
    options.peer_sizes = [int(size) for size in options.peer_sizes.split(",")]
    kinds = options.kinds.split(",")
    real = np.load(options.real or real_hashes()) if "real" in kinds else np.zeros((0, 4), np.uint64)
    start_s = time.perf_counter()
    rows = []
    for size in map(int, options.sizes.split(",")):
        if "random" in kinds:
            rows.append(measure("random", *random_hashes(size, options.radius), options))
        if size <= len(real):
            rows.append(measure("real", real[:size], np.zeros((0, 2), np.int64), options))
    print(f"{os.cpu_count()} processors, numpy {np.__version__}, in all {time.perf_counter() - start_s:,.0f} s")
    if options.plot:
        plot(sorted(rows, key=lambda row: row.size), options.plot, options.radius)
    if not all(row.is_exact for row in rows):
        raise SystemExit("pairs are missing or wrong")


if __name__ == "__main__":
    main()
