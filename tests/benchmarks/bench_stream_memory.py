"""A training on a manifest ten times as large as the memory that the process may take.

    python tests/benchmarks/bench_stream_memory.py --limit-mb 1100

The process trains one epoch by streaming and is killed as soon as it holds more than ``--limit-mb`` of memory, torch
and all; the manifest holds ten times that. (`RLIMIT_AS` and `RLIMIT_DATA` count what allocators reserve and never
touch.) Images are small pictures behind which random bytes make the file as large as a photograph's, so that reading is
what is measured. Prints a Markdown row.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
from PIL import Image
from records import record_batch

from noisyweb.manifest import manifest_schema, write_shards

CLASSES = ["red", "green", "blue"]
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))
IMAGE_BYTES = 250_000

TRAINED = """
import json, resource, sys, time
from pathlib import Path
import torch
torch.set_num_threads(2)
from noisyweb.training.config import Wishes
from noisyweb.training.run import make_plan, run
wishes = Wishes(epochs=1, batch_size=64, image_size=32, model="small", device="cpu", data="stream")
started = time.monotonic()
summary = run(make_plan(sys.argv[1], wishes, out=Path(sys.argv[2])))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
seconds = time.monotonic() - started
print(json.dumps({"peak": peak, "seconds": seconds, "fitted": summary["train_accuracy_clean"]}))
"""


def main() -> None:
    """Write the manifest, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit-mb", type=int, default=1_100)
    parser.add_argument("--times", type=float, default=10.0)
    asked = parser.parse_args()
    limit = asked.limit_mb * 1_000_000
    num = round(asked.times * limit / IMAGE_BYTES)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "padded" / "clean"
        write(folder, num)
        size = sum(file.stat().st_size for file in folder.glob("*.parquet"))
        found = json.loads(held_to(limit, [sys.executable, "-c", TRAINED, str(folder), str(Path(temporary) / "run")]))
    print("| images | manifest | limit | ratio | peak resident | of the limit | seconds | images/s | fitted |")
    print("|---|---|---|---|---|---|---|---|---|")
    peak, seconds = found["peak"], found["seconds"]
    print(
        f"| {num:,} | {size / 1e6:,.0f} MB | {limit / 1e6:,.0f} MB | {size / limit:.1f} | {peak / 1e6:,.0f} MB "
        f"| {peak / limit:.2f} | {seconds:.0f} | {num / seconds:,.0f} | {found['fitted']:.3f} |"
    )


def held_to(limit: int, command: list[str]) -> str:
    """What a command prints; it is killed when it holds more bytes than allowed."""
    process = psutil.Popen(command, stdout=subprocess.PIPE, text=True)
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.memory_info().rss > limit:
                process.kill()
                sys.exit(f"killed: it held more than {limit / 1e6:,.0f} MB")
        time.sleep(0.005)
    if process.returncode:
        sys.exit(f"the training failed with code {process.returncode}")
    return str(process.stdout.read())


def write(folder: Path, num: int) -> None:
    """A manifest of padded pictures, a hundred a batch."""
    folder.mkdir(parents=True)
    info = {"dataset": "padded", "title": "Padded", "edition": "drawn", "kind": "clean", "level": "0", "seed": 0}
    schema = manifest_schema(CLASSES, {**info, "split": "train"})
    rng = np.random.default_rng(0)
    parts = (range(at, min(at + 100, num)) for at in range(0, num, 100))
    write_shards(folder, "train", schema, (batch(schema, part, rng) for part in parts))


def batch(schema: pa.Schema, rows: range, rng: np.random.Generator) -> pa.RecordBatch:
    """Some rows."""
    data = []
    for row in rows:
        out = io.BytesIO()
        pixels = np.clip(np.asarray(COLOURS[row % 3]) + rng.normal(0, 30, (32, 32, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(out, "PNG")
        data.append(out.getvalue() + os.urandom(IMAGE_BYTES - out.tell()))
    columns = {
        "image_id": [hashlib.sha256(image[:4000]).hexdigest() for image in data],
        "image": [{"bytes": image, "path": f"{row}.png"} for row, image in zip(rows, data, strict=True)],
        "label": [row % 3 for row in rows],
        "is_clean": [True] * len(data),
        "true_label": [row % 3 for row in rows],
        "noise": ["none"] * len(data),
        "source": ["clean"] * len(data),
    }
    return record_batch(schema, columns)


if __name__ == "__main__":
    main()
