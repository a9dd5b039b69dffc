"""Reading a manifest through the torch data set, beside Pillow decoding the same bytes in the same run.

Usage: python tests/benchmarks/bench_read.py [MANIFEST] [--rows 5000] [--rounds 7]
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
    parser.add_argument("manifest", type=Path, nargs="?", default=Path("builds/cars/red_noise_nl_0.4"))
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    data = NoisyImages(options.manifest)
    rows = range(min(options.rows, len(data)))
    encoded = [bytes(data.encoded(i) or b"") for i in rows]
    ratios, speeds = [], []
    for _ in range(options.rounds):
        ours_s, pillow_s = one_round(options.manifest, encoded)
        ratios.append(pillow_s / ours_s)
        speeds.append(len(rows) / ours_s)
    print(f"{len(rows):,} images, median of {options.rounds} rounds: {statistics.median(speeds):,.0f} images/s")
    print(
        f"ratio to Pillow alone: {statistics.median(ratios):.3f} (bound {BOUND}), {min(ratios):.3f}-{max(ratios):.3f}"
    )


def one_round(manifest: Path, encoded: list[bytes], chunk: int = 250) -> tuple[float, float]:
    """Seconds of each, in turn chunk by chunk, so that a machine that changes its speed changes it for both.

    Ours opens the data set afresh and reads Parquet; Pillow has the same bytes in memory already.
    """
    data = NoisyImages(manifest)
    ours_s = pillow_s = 0.0
    for first in range(0, len(encoded), chunk):
        rows = range(first, min(first + chunk, len(encoded)))
        start = time.perf_counter()
        for i in rows:
            data[i]
        middle = time.perf_counter()
        for i in rows:
            Image.open(io.BytesIO(encoded[i])).convert("RGB")
        ours_s += middle - start
        pillow_s += time.perf_counter() - middle
    return ours_s, pillow_s


if __name__ == "__main__":
    main()
