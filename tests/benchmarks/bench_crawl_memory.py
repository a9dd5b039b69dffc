"""Memory of a crawl from 10,000 to 200,000 URLs, drawn into docs/crawl-memory.png.

Usage: python tests/benchmarks/bench_crawl_memory.py [--sizes 10000,50000,100000,200000] [--out docs/crawl-memory.png]

The same 10,000 photographs come again under other URLs, so that the store stays small; every one is fetched, decoded
and hashed. Memory is the sum of proportional set sizes (PSS) over the process tree, five samples a second.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import crawl_web
from bench_crawl import HOSTS, crawl_command, outcome_of, run_folder, write_url_list
from measured import Measured, measure

OUT = Path(__file__).resolve().parents[2] / "docs/crawl-memory.png"
PHOTOS = 10_000
COLOURS = ("#9ecae1", "#4292c6", "#08519c", "#d94801", "#7f2704")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="10000,50000,100000,200000", help="numbers of URLs, comma-separated")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--cache", type=Path, default=crawl_web.CACHE, help="photographs and runs")
    parser.add_argument("--our-args", default="", help="more options of noisyweb crawl")
    parser.add_argument("--quiet-s", type=float, default=60.0, help="longest wait for other programs before each run")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    try:
        import matplotlib.pyplot  # noqa: F401  before the long part
    except ImportError as error:
        raise SystemExit("matplotlib is needed for the plot: pip install matplotlib") from error
    folder = crawl_web.photographs(min(PHOTOS, max(sizes)), options.cache)
    runs: dict[int, Measured] = {}
    for size in sizes:
        with crawl_web.web(folder, size, hosts=HOSTS) as urls, run_folder(options.cache) as run:
            classes, listed, per_class = write_url_list(urls, run)
            del urls[:]
            command = crawl_command(classes, listed, run / "workspace", per_class, options.our_args.split())
            runs[size] = measure(command, run / "ours.log", hz=5.0, quiet_s=options.quiet_s)
            outcome = outcome_of(run / "workspace", runs[size])
        print(
            f"{size:>8,} URLs: peak {outcome.measured.peak_bytes / 1e6:,.0f} MB, {outcome.measured.seconds:,.0f} s, "
            f"{outcome.images_per_s:,.0f} images/s; ok {outcome.ok:,}, hashes {outcome.hashes:,}, "
            f"files {outcome.stored:,}, failed {outcome.failed or 'none'}",
            flush=True,
        )
    smallest, largest = min(sizes), max(sizes)
    ratio = runs[largest].peak_bytes / runs[smallest].peak_bytes
    print(f"peak at {largest:,} URLs / peak at {smallest:,}: {ratio:.2f}")
    draw(runs, options.out)
    print(f"drawn: {options.out}")


def draw(runs: dict[int, Measured], out: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    for (size, run), colour in zip(sorted(runs.items()), itertools.cycle(COLOURS), strict=False):
        share = [100 * at_s / run.seconds for at_s, _ in run.series]
        memory = [used / 1e6 for _, used in run.series]
        label = f"{size:,} URLs: peak {run.peak_bytes / 1e6:,.0f} MB"
        axes.plot(share, memory, color=colour, linewidth=1.4, label=label)
    axes.set_xlabel("share of the run (%)")
    axes.set_ylabel("memory of all processes, PSS (MB)")
    axes.set_title("Memory of noisyweb crawl, two processes", fontsize=11)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 1.15 * max(run.peak_bytes for run in runs.values()) / 1e6)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower center", frameon=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=130)


if __name__ == "__main__":
    main()
