"""Hashing speed: noisyweb beside imagehash and imagededup, in turns in the same run; and how far its bits are apart.

Usage: python tests/benchmarks/bench_hash.py [--quick] [--rounds 3] [--images 2000] [--peer PYTHON | --peer none]

Photographs are those of the crawl benchmarks (`crawl_web.photographs`: 500 px long, about 45 KB), and the ones of
../shared/data/photos as they are. All are warm in the page cache. Every measurement is a process tree of its own.
Images a second are by wall time from before the first image, or the start of worker processes, to the last hash;
imports of the measuring process do not count. All run with one thread a process in numpy's linear algebra. Memory is
the greatest sum of proportional set sizes over the tree, interpreter and libraries included.

imagededup's hash has 64 bits; its one-process figure is `encode_image` one by one, the other one `encode_images`. Its
interpreter is --peer or NOISYWEB_BENCH_PEER_IMAGEDEDUP; without these an environment is made.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import crawl_web
import numpy as np
import peer_imagededup
import PIL
from measured import Measured, measure
from PIL import Image

PROCESSES = 2
HASH_SIZE = 16
BOUNDS = {  # ours, the peer, how many times as fast
    "one process": ("noisyweb", "imagehash", 3.0),
    "two processes": ("noisyweb, 2 processes", "imagehash, 2 processes", 1.8),
}


def imagehash_one(files: Sequence[Path]) -> float:
    import imagehash

    start_s = time.perf_counter()
    for path in files:
        imagehash.phash(Image.open(path), hash_size=HASH_SIZE)
    return time.perf_counter() - start_s


def _imagehash(path: Path) -> object:
    import imagehash

    return imagehash.phash(Image.open(path), hash_size=HASH_SIZE)


def imagehash_two(files: Sequence[Path]) -> float:
    import multiprocessing

    import imagehash  # noqa: F401  worker processes are forked and have it

    start_s = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
        for _ in pool.imap(_imagehash, files, chunksize=16):
            pass
    return time.perf_counter() - start_s


def noisyweb_one(files: Sequence[Path]) -> float:
    from noisyweb.phash import phash

    start_s = time.perf_counter()
    for path in files:
        if phash(path.read_bytes()) is None:
            raise SystemExit(f"{path}: not hashed")
    return time.perf_counter() - start_s


def noisyweb_two(files: Sequence[Path], *, with_views: bool = False) -> float:
    from noisyweb.workers import Job, describe_all

    start_s = time.perf_counter()
    for path, one in zip(files, describe_all(files, Job("phash", with_views), processes=PROCESSES), strict=True):
        if one.hash is None:
            raise SystemExit(f"{path}: not hashed")
    return time.perf_counter() - start_s


def noisyweb_views(files: Sequence[Path]) -> float:
    return noisyweb_two(files, with_views=True)


WAYS: dict[str, Callable[[Sequence[Path]], float]] = {
    "imagehash": imagehash_one,
    "noisyweb": noisyweb_one,
    "imagehash, 2 processes": imagehash_two,
    "noisyweb, 2 processes": noisyweb_two,
    "noisyweb with views, 2 processes": noisyweb_views,
}
PEERS = {"imagededup": 1, "imagededup, 2 processes": PROCESSES}


@dataclass(frozen=True)
class Run:
    """One measurement.

    Attributes:
        images_per_s: by wall time.
        peak_bytes: of the process tree.
        others: processors that other programs used meanwhile, on average.
    """

    images_per_s: float
    peak_bytes: int
    others: float

    @classmethod
    def of(cls, measured: Measured, count: int) -> Run:
        seconds = json.loads(measured.output.splitlines()[-1])["seconds"]
        return cls(count / seconds, measured.peak_bytes, measured.others)


def bits(files: Sequence[Path]) -> None:
    """How far our hashes are from imagehash's."""
    import imagehash

    from noisyweb.phash import phash

    apart = []
    for path in files:
        found = phash(path.read_bytes())
        if found is None:
            raise SystemExit(f"{path}: not hashed")
        theirs = imagehash.phash(Image.open(path), hash_size=HASH_SIZE).hash
        ours = np.unpackbits(np.frombuffer(found[0], np.uint8)).reshape(theirs.shape)
        apart.append(int((ours != theirs).sum()))
    print(
        f"bits that differ from imagehash's, of 256: mean {np.mean(apart):.2f}, 99th percentile "
        f"{np.percentile(apart, 99):.0f}, at most {max(apart)}; identical {100 * np.mean(np.array(apart) == 0):.1f} %"
    )


def compare(title: str, files: Sequence[Path], rounds: int, peer: str | None, quiet_s: float) -> None:
    """All ways on the same files, in turns."""
    size = sum(path.stat().st_size for path in files)  # and read, so that they are in the page cache
    if sum(len(path.read_bytes()) for path in files) != size:
        raise SystemExit("the photographs are being changed")
    print(f"{title}: {len(files):,} images, {size / len(files) / 1e3:.0f} KB on average, {rounds} rounds", flush=True)
    runs: dict[str, list[Run]] = {name: [] for name in (*WAYS, *(PEERS if peer else ()))}
    with tempfile.TemporaryDirectory() as folder:
        links = Path(folder) / "images"
        links.mkdir()
        for number, path in enumerate(files):
            (links / f"{number:06d}{path.suffix}").symlink_to(path)
        for _ in range(rounds):
            for name in runs:
                if name in WAYS:
                    command = [sys.executable, __file__, "--measure", name, str(links)]
                else:
                    assert peer is not None
                    task = ["time", str(links), "--processes", str(PEERS[name])]
                    command = [peer, peer_imagededup.__file__, *task]
                measured = measure(command, Path(folder) / "run.log", hz=5.0, quiet_s=quiet_s)
                runs[name].append(Run.of(measured, len(files)))
    for name, found in runs.items():
        speeds = [run.images_per_s for run in found]
        print(
            f"  {name:<33} {statistics.median(speeds):7,.0f} images/s ({min(speeds):,.0f}-{max(speeds):,.0f}), "
            f"{statistics.median(run.peak_bytes for run in found) / 1e6:6,.0f} MB peak; "
            f"other programs used {max(run.others for run in found):.2f} processors at most"
        )
    for where, (ours, theirs, bound) in BOUNDS.items():
        pairs = zip(runs[ours], runs[theirs], strict=True)
        ratios = [mine.images_per_s / other.images_per_s for mine, other in pairs]
        ratio = statistics.median(ratios)
        print(
            f"  {where}: {ratio:.2f} times imagehash ({min(ratios):.2f}-{max(ratios):.2f}; bound {bound}): "
            f"{'ok' if ratio >= bound else 'MISSED'}"
        )
    print("  ", end="")
    bits(files)
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="few images, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=2_000, help="of the 10,000 photographs of the crawl benchmarks")
    parser.add_argument("--quiet-s", type=float, default=20.0, help="longest wait for other programs before each run")
    parser.add_argument("--peer", default=os.environ.get("NOISYWEB_BENCH_PEER_IMAGEDEDUP"), help="interpreter, or none")
    parser.add_argument("--measure", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        way, folder = options.measure
        print(json.dumps({"seconds": WAYS[way](sorted(Path(folder).iterdir()))}))
        return
    if options.quick:
        options.rounds, options.images, options.quiet_s = 1, 100, 0.0
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    peer = peer_imagededup.peer_python(options.peer)
    made = sorted(crawl_web.photographs().glob("*.jpg"))[: options.images]
    originals = sorted(crawl_web.PHOTOS.glob("*.jpg"))[: options.images]
    compare("photographs 500 px long", made, options.rounds, peer, options.quiet_s)
    compare("photographs as they are", originals, options.rounds, peer, options.quiet_s)
    print(f"{os.cpu_count()} processors, Pillow {PIL.__version__}, numpy {np.__version__}")


if __name__ == "__main__":
    main()
