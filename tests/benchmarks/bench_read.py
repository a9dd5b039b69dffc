"""Reading a manifest through the torch data set, beside Pillow decoding the same bytes in the same run.

Usage: python tests/benchmarks/bench_read.py MANIFEST [--rows 5000] [--rounds 7]
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from pathlib import Path

from PIL import Image

from noisyweb.data import NoisyImages

BOUND = 0.9


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    data = NoisyImages(options.manifest)
    rows = range(min(options.rows, len(data)))
    encoded = [bytes(data.encoded(i) or b"") for i in rows]
    ratios, speeds = [], []
    for round_number in range(options.rounds):
        if round_number % 2:  # each goes first in turn
            ours, peer = time_ours(options.manifest, rows), time_pillow(encoded)
        else:
            peer, ours = time_pillow(encoded), time_ours(options.manifest, rows)
        ratios.append(peer / ours)
        speeds.append(len(rows) / ours)
    print(f"{len(rows):,} images, median of {options.rounds} rounds: {statistics.median(speeds):,.0f} images/s")
    print(
        f"ratio to Pillow alone: {statistics.median(ratios):.3f} (bound {BOUND}), {min(ratios):.3f}-{max(ratios):.3f}"
    )


def time_ours(manifest: Path, rows: range) -> float:
    """Seconds to read and decode the rows, Parquet included: the data set is opened afresh."""
    data = NoisyImages(manifest)
    start = time.perf_counter()
    for i in rows:
        data[i]
    return time.perf_counter() - start


def time_pillow(encoded: list[bytes]) -> float:
    """Seconds that Pillow needs for the same bytes, in memory already."""
    start = time.perf_counter()
    for data in encoded:
        Image.open(io.BytesIO(data)).convert("RGB")
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
