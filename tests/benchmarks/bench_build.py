"""The main job from a warm install: seconds and peak memory against their bounds.

Usage: python tests/benchmarks/bench_build.py [--runs 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

BOUND_S, BOUND_BYTES = 30.0, 1.5e9
PROGRAM = Path(sys.executable).parent / "noisyweb"


def one_run(folder: str) -> tuple[float, float]:
    """Wall seconds and peak resident bytes of one build in a process of its own."""
    start = time.perf_counter()
    command = [str(PROGRAM), "build", "--dataset", "cars", "--noise", "0.4", "--out", folder]
    process = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, 1, 0)])
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    runs = []
    for _ in range(parser.parse_args().runs):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(one_run(folder))
    seconds, peak = (statistics.median(column) for column in zip(*runs, strict=True))
    print(
        f"build cars at 0.4: {seconds:.1f} s (median of {len(runs)}), {seconds / BOUND_S:.2f} of the bound {BOUND_S} s"
    )
    print(f"peak memory {peak / 1e6:,.0f} MB, {peak / BOUND_BYTES:.2f} of the bound {BOUND_BYTES / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
