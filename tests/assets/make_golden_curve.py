"""Make ``golden_curve.json``: the losses of the first 20 steps of MentorMix and plain training on the toy manifest.

python tests/assets/make_golden_curve.py

Make it anew only when a change is meant to change what is computed, and say so in the commit.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from noisyweb.training.config import Wishes
from noisyweb.training.run import make_plan, run
from tests.toy_manifest import write_toy_manifest

GOLDEN = Path(__file__).with_name("golden_curve.json")
METHODS = ("mentormix", "standard")


def curves() -> dict[str, list[float]]:
    """The losses by method; four epochs of five steps, in float32."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_toy_manifest(Path(folder), num_images=80, num_validation=0, level=0.4)
        for method in METHODS:
            wishes = Wishes(
                method=method,
                options={"burn_in": 50} if method == "mentormix" else {},
                model="small",
                epochs=4,
                batch_size=16,
                image_size=32,
                lr=0.0005,
                optimizer="sgd",
                augmentation="strong",
                precision="fp32",
                device="cpu",
            )
            run(make_plan(manifest, wishes, out=Path(folder) / method))
            found[method] = pq.read_table(Path(folder) / method / "loss_curve.parquet")["loss"].to_pylist()
    return found


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(curves(), indent=1) + "\n")
