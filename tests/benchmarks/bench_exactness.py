"""Asked against realised noise, beside cleanlab's generator, on sets of the sizes of Stanford Cars and CIFAR-10.

Usage: python tests/benchmarks/bench_exactness.py [--peer PYTHON]

Both are asked for symmetric noise at ten levels and are given the same labels; cleanlab gets the noise matrix that
says so (1 - level on the diagonal, the rest even). ``--peer`` names an interpreter with cleanlab; else an environment
is made.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from peers import peer_python

from noisyweb.blend import blend_levels
from noisyweb.draws import row_keys
from noisyweb.levels import PAPER_LEVELS, level_text
from noisyweb.plan import BlendInput

SETS = {"196 classes x 41": (196, 41), "10 classes x 5,000": (10, 5_000)}

PEER = """
import json, sys
import numpy as np
from cleanlab.benchmarking.noise_generation import generate_noisy_labels
found = {}
for name, (classes, size) in json.loads(sys.argv[1]).items():
    truth = np.repeat(np.arange(classes), size)
    np.random.seed(0)
    found[name] = []
    for level in json.loads(sys.argv[2]):
        matrix = np.full((classes, classes), level / (classes - 1))
        np.fill_diagonal(matrix, 1 - level)
        found[name].append(int((generate_noisy_labels(truth, matrix) != truth).sum()))
print(json.dumps(found))
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer")
    options = parser.parse_args()
    python = peer_python(options.peer, Path(tempfile.gettempdir()) / "noisyweb-bench/cleanlab", ["cleanlab==2.9.0"])
    levels = [float(level) for level in PAPER_LEVELS]
    done = subprocess.run(
        [python, "-c", PEER, json.dumps(SETS), json.dumps(levels)], check=True, capture_output=True, text=True
    )
    theirs = json.loads(done.stdout)
    for name, (classes, size) in SETS.items():
        labels = np.repeat(np.arange(classes), size).astype(np.int32)
        source = BlendInput(labels, row_keys(map(str, range(len(labels)))), [str(k) for k in range(classes)])
        print(f"{name}\n{'asked':>8} {'noisyweb':>18} {'cleanlab 2.9.0':>18}")
        for blend, their in zip(blend_levels("blue", source, PAPER_LEVELS, 0), theirs[name], strict=True):
            ours, rows = int(blend.is_wrong.sum()), len(labels)
            print(f"{level_text(blend.level):>8} {ours:>8,} = {ours / rows:6.2%} {their:>8,} = {their / rows:6.2%}")


if __name__ == "__main__":
    main()
