"""A training on a manifest ten times as large as the memory that the process may take.

    python tests/benchmarks/bench_stream_memory.py --limit-mb 900

The process is held to ``--limit-mb`` of data (``RLIMIT_DATA``: heap and private mappings, torch's included) and trains one
epoch by streaming; the manifest holds ten times that. The same training in memory is tried under the same limit. Images
are small pictures behind which random bytes make the file as large as a photograph's, so that reading is what is measured.
Prints a Markdown row: bytes of the manifest, the limit, the peak of resident memory, and their ratio.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from noisyweb.manifest import manifest_schema, write_shards

CLASSES = ["red", "green", "blue"]
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))
IMAGE_BYTES = 250_000

TRAINED = """
import json, resource, sys, time
from pathlib import Path
manifest, out, limit, data = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
import torch
torch.set_num_threads(2)
from noisyweb.errors import NoisywebError
from noisyweb.training.config import Wishes
from noisyweb.training.run import make_plan, run
wishes = Wishes(epochs=1, batch_size=64, image_size=32, model="small", device="cpu", data=data or None)
started = time.monotonic()
try:
    plan = make_plan(manifest, wishes, out=out)
    summary = run(plan)
except (NoisywebError, MemoryError) as error:
    print(json.dumps({"error": str(error)}))
    sys.exit()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"data": plan.config.data, "peak": peak, "seconds": time.monotonic() - started, "fitted": summary["train_accuracy_clean"]}))
"""


def main() -> None:
    """Write the manifest, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit-mb", type=int, default=900)
    parser.add_argument("--times", type=float, default=10.0)
    asked = parser.parse_args()
    limit = asked.limit_mb * 1_000_000
    num = round(asked.times * limit / IMAGE_BYTES)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "padded" / "clean"
        write(folder, num)
        size = sum(file.stat().st_size for file in folder.glob("*.parquet"))
        command = [sys.executable, "-c", TRAINED, str(folder), str(Path(temporary) / "run"), str(limit), "stream"]
        environment = {**os.environ, "OMP_NUM_THREADS": "2"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        found = json.loads(done.stdout)
        if "error" in found:
            sys.exit(found["error"])
    print("| images | manifest | limit | manifest / limit | peak resident | peak / limit | seconds | images/s | fitted |")
    print("|---|---|---|---|---|---|---|---|---|")
    print(
        f"| {num:,} | {size / 1e6:,.0f} MB | {limit / 1e6:,.0f} MB | {size / limit:.1f} | {found['peak'] / 1e6:,.0f} MB "
        f"| {found['peak'] / limit:.2f} | {found['seconds']:.0f} | {num / found['seconds']:,.0f} | {found['fitted']:.3f} |"
    )


def write(folder: Path, num: int) -> None:
    """A manifest of padded pictures, a hundred a batch."""
    folder.mkdir(parents=True)
    info = {"dataset": "padded", "title": "Padded", "edition": "drawn", "kind": "clean", "level": "0", "seed": 0}
    schema = manifest_schema(CLASSES, {**info, "split": "train"})
    rng = np.random.default_rng(0)
    write_shards(folder, "train", schema, (batch(schema, range(at, min(at + 100, num)), rng) for at in range(0, num, 100)))


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
    nothing = pa.nulls(len(data))
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else nothing.cast(field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


if __name__ == "__main__":
    main()
