"""Blending at any size, labels only and in a stream: ten levels, red and blue, time a million rows and peak memory.

Usage: python tests/benchmarks/bench_scale.py [--rows 1000000,10000000,100000000] [--classes 1000]

Labels and keys are worked out when asked for, as a reader of files would give them; what comes out is counted and
checked to be exact. Each size runs in a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
import numpy.typing as npt

from noisyweb.blend import blending
from noisyweb.draws import bits
from noisyweb.levels import PAPER_LEVELS, num_wrong
from noisyweb.plan import BlendInput

BOUND_BYTES = 4e9


class Keys:
    """Row keys by arithmetic."""

    def __init__(self, num_rows: int, purpose: str) -> None:
        self._num_rows, self._purpose = num_rows, purpose

    def __len__(self) -> int:
        return self._num_rows

    def __getitem__(self, part: slice) -> npt.NDArray[np.uint64]:
        return bits(np.arange(*part.indices(self._num_rows), dtype=np.uint64), 0, self._purpose)


class Labels(Keys):
    """Labels of random classes of unequal sizes."""

    def __init__(self, num_rows: int, num_classes: int, purpose: str) -> None:
        super().__init__(num_rows, purpose)
        self._num_classes = num_classes

    def __getitem__(self, part: slice) -> npt.NDArray[np.int32]:  # type: ignore[override]
        share = (super().__getitem__(part) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return (self._num_classes * (share + share**2) / 2).astype(np.int32)


def run(rows: int, classes: int) -> None:
    """One size."""
    names = [str(k) for k in range(classes)]
    labels = Labels(rows, classes, "labels")
    source = BlendInput(labels, Keys(rows, "rows"), names, labels, Keys(rows, "pool"))
    seconds = {}
    for kind in ("red", "blue"):
        start = time.perf_counter()
        whole = blending(kind, source, PAPER_LEVELS, seed=0)
        planned = time.perf_counter() - start
        wrong = [0] * len(PAPER_LEVELS)
        for blends in whole.stream():
            for place, blend in enumerate(blends):
                wrong[place] += int(blend.is_wrong.sum())
        assert wrong == [num_wrong(level, rows) for level in PAPER_LEVELS]
        seconds[kind] = time.perf_counter() - start
        print(
            f"{kind}: {rows:,} rows, {len(PAPER_LEVELS)} levels in {seconds[kind]:.1f} s, "
            f"of it {planned:.1f} s planning",
            flush=True,
        )
        del whole
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    print(
        f"{rows:,} rows: {sum(seconds.values()) / rows * 1e6:.2f} s a million rows for both kinds, "
        f"peak memory {peak / 1e6:,.0f} MB, {peak / BOUND_BYTES:.2f} of the bound {BOUND_BYTES / 1e6:,.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default="1000000,10000000,100000000")
    parser.add_argument("--classes", type=int, default=1_000)
    options = parser.parse_args()
    sizes = [int(text) for text in options.rows.split(",")]
    if len(sizes) == 1:
        run(sizes[0], options.classes)
        return
    for size in sizes:
        subprocess.run([sys.executable, __file__, "--rows", str(size), "--classes", str(options.classes)], check=True)


if __name__ == "__main__":
    main()
