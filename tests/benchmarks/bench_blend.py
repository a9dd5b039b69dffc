"""Blending alone, labels only: a million rows at ten levels, two kinds, against its bounds.

Usage: python tests/benchmarks/bench_blend.py [--rows 1000000] [--classes 1000]
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from noisyweb.blend import blend_levels
from noisyweb.draws import row_keys
from noisyweb.levels import PAPER_LEVELS, num_wrong
from noisyweb.plan import BlendInput

BOUND_S, BOUND_BYTES = 10.0, 2e9


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=1_000)
    options = parser.parse_args()
    labels = np.random.default_rng(0).integers(0, options.classes, options.rows).astype(np.int32)
    pool = np.repeat(np.arange(options.classes), options.rows // options.classes).astype(np.int32)
    names = [f"train/{i:07d}.jpg" for i in range(options.rows)]
    pool_names = [f"https://example.org/{i:07d}.jpg" for i in range(len(pool))]

    total = 0.0
    start = time.perf_counter()
    source = BlendInput(labels, row_keys(names), [str(k) for k in range(options.classes)], pool, row_keys(pool_names))
    keys_s = time.perf_counter() - start
    for kind in ("red", "blue"):
        start = time.perf_counter()
        for blend in blend_levels(kind, source, PAPER_LEVELS, seed=0):
            assert int(blend.is_wrong.sum()) == num_wrong(blend.level, options.rows)
        seconds = time.perf_counter() - start
        total += seconds
        print(f"{kind}: {options.rows:,} rows, {len(PAPER_LEVELS)} levels in {seconds:.2f} s")
    total += keys_s
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    print(f"keys of {2 * options.rows:,} names: {keys_s:.2f} s")
    print(f"in all {total:.2f} s, {total / BOUND_S:.2f} of the bound {BOUND_S:.0f} s")
    print(f"peak memory {peak / 1e6:,.0f} MB, {peak / BOUND_BYTES:.2f} of the bound {BOUND_BYTES / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
