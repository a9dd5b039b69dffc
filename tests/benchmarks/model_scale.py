"""From what a million images cost to 10 M, 100 M and 1 B: core hours, storage, requests, money. It measures nothing.

Usage: python tests/benchmarks/model_scale.py

Costs of a million images: docs/scale.md (bench_costs.py); of pairs: bench_pairs_growth.py. Prices
are a large cloud's list prices, rounded: they tell orders of magnitude.
"""

from __future__ import annotations

from dataclasses import dataclass

CORE_HOUR, GB_MONTH, PUT, GET = 0.04, 0.023, 5e-6, 0.4e-6
"""Dollars."""
SIZES = (10e6, 100e6, 1e9)


@dataclass(frozen=True)
class Stage:
    """Linear in the number of images: what a million of them take."""

    name: str
    cpu_s: float
    puts: float
    gets: float
    kept_gb: float


LINEAR = (
    Stage("crawl", 6_900, 1.0e6, 0.006e6, 44.4),
    Stage("describe (hash, views)", 5_200, 0.007e6, 1.0e6, 0.9),
    Stage("build", 3_000, 0.003e6, 1.0e6, 44.2),
    Stage("export", 1_900, 0.007e6, 0.1e6, 47.0),
)
PAIRS = {"pairs of hashes": 85e-12, "candidates by views": 18e-9, "proofs (web's rate)": 1.9e-6 * 2 * 4e-3}
"""Seconds a pair of images, of N x N / 2."""
HOST_RATE, HOST_SHARE = 10.0, 0.05
"""Requests a second that one host is asked, and the share of all URLs that the largest host has."""


def main() -> None:
    print("| | " + " | ".join(f"{size / 1e6:,.0f} M" for size in SIZES) + " |")
    print("|---|" + "---|" * len(SIZES))
    for stage in LINEAR:
        row(f"{stage.name}, core hours", [stage.cpu_s * n / 1e6 / 3600 for n in SIZES])
    for name, seconds in PAIRS.items():
        row(f"{name}, core hours", [seconds * n * n / 2 / 3600 for n in SIZES])
    hours = [
        sum(stage.cpu_s for stage in LINEAR) * n / 1e6 / 3600 + sum(PAIRS.values()) * n * n / 2 / 3600 for n in SIZES
    ]
    row("all, core hours", hours)
    row("16-core machines that do it in a week", [hour / (16 * 168) for hour in hours])
    row("days that the largest host takes", [HOST_SHARE * n / HOST_RATE / 86_400 for n in SIZES])
    row("images and builds kept, TB", [sum(s.kept_gb for s in LINEAR) * n / 1e6 / 1e3 for n in SIZES])
    row("cores, $", [hour * CORE_HOUR for hour in hours])
    row("requests, $", [sum(s.puts * PUT + s.gets * GET for s in LINEAR) * n / 1e6 for n in SIZES])
    row("storage a month, $", [sum(s.kept_gb for s in LINEAR) * n / 1e6 * GB_MONTH for n in SIZES])


def row(name: str, values: list[float]) -> None:
    print(f"| {name} | " + " | ".join(f"{value:,.0f}" if value >= 10 else f"{value:.2g}" for value in values) + " |")


if __name__ == "__main__":
    main()
