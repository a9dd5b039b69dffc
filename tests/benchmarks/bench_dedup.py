"""A whole dedup of a workspace, by its steps: images of CIFAR-10 as web images, against others as the clean ones.

Usage: python tests/benchmarks/bench_dedup.py [--images 20000] [--clean 10000]

Images are those of ../shared/data/cifar10, 32 x 32, enlarged by nobody: decoding costs next to nothing, so what is
measured is dedup's own work. CIFAR-10 has real copies, cropped, mirrored and of other brightness. A second run with the
same images shows what is kept; the table is the same to the byte.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from noisyweb.dedup import dedup
from noisyweb.imageset import ImageSet
from noisyweb.workspace import Workspace

DATA = Path(__file__).parents[3] / "shared" / "data" / "cifar10"


class Steps:
    """A progress callback that notes when each step was heard of first and last."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.seen: dict[str, list[float]] = {}
        self.counts: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.perf_counter() - self.start
        self.seen.setdefault(what, [now, now])[1] = now
        self.counts[what] = done

    def lines(self) -> list[str]:
        """Each step with its things done and the seconds from its first word to its last."""
        return [
            f"  {what}: {self.counts[what]:,}, from {first:.1f} s to {last:.1f} s"
            for what, (first, last) in self.seen.items()
        ]


def read(name: str, count: int) -> list[bytes]:
    """The first images of one file."""
    column = pq.read_table(DATA / name, columns=["image"]).slice(0, count)["image"]
    return [row["bytes"] for row in column.to_pylist()]


def fill(folder: Path, images: Sequence[bytes]) -> Workspace:
    """A workspace in which these images have been fetched."""
    place = Workspace(folder, create=True)
    place.set_class_names(["any"])
    with place.journal("images") as journal:
        for number, data in enumerate(images):
            row = {"url": f"http://cifar.example/{number}", "label": 0, "status": "ok", "retry": False, "attempts": 1}
            size = {"num_bytes": len(data), "width": 32, "height": 32, "format": "jpeg"}
            journal.add({**row, **size, "image_id": place.put(data)})
    place.fold("images")
    return place


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--clean", type=int, default=10_000)
    options = parser.parse_args()
    clean = read("test.parquet", options.clean)
    names = [f"{number}" for number in range(len(clean))]
    labels = np.zeros(len(clean), np.int32)
    validation = ImageSet(names, labels, ["any"], lambda rows: (clean[row] for row in rows), names, "test")
    with tempfile.TemporaryDirectory() as folder:
        place = fill(Path(folder), read("train.parquet", options.images))
        tables = []
        for run in ("first run", "again"):
            steps = Steps()
            report = dedup(place, validation=validation, progress=steps)
            print(
                f"{run}: {options.images:,} images against {options.clean:,}: {time.perf_counter() - steps.start:.1f} s"
            )
            print("\n".join(steps.lines()))
            tables.append((place.folder / "duplicates.parquet").read_bytes())
        print("\n".join(report.lines()))
        assert tables[0] == tables[1], "the same again must give the same bytes"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    print(f"peak memory {peak:,.0f} MB, a worker process {workers:,.0f} MB")


if __name__ == "__main__":
    main()
