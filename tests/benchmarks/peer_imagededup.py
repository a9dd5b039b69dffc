"""imagededup's hashes, in the environment that has them; started by `bench_dedup_accuracy.py` and `bench_hash.py`.

Usage: PEER_PYTHON peer_imagededup.py hash OUT.npy PACK.bin...
       PEER_PYTHON peer_imagededup.py time FOLDER [--processes 2]

hash: the 64-bit hashes of packed images (`pictures.py`), one column a method, in the order of METHODS. time: PHash of
the files of a folder, one by one by `encode_image`, or by `encode_images` in so many processes; the last line printed
is a JSON object. imagededup imports its neural network's library even for hashes; where torchvision cannot load its
compiled operators (it was built for another torch), two of their declarations are supplied: hashes use none of them.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import peers

METHODS = ("PHash", "DHash", "WHash", "AHash")
DEFAULT_THRESHOLD = 10
"""Bits, `find_duplicates`'s default."""
PACKAGE = "imagededup==0.3.3.post2"
PROCESSES = 2


def peer_python(given: str | None) -> str | None:
    """The interpreter that has imagededup; its environment is made if there is none. None: "none" was given.

    Raises:
        SystemExit: the given one is not there.
    """
    if given == "none":
        return None
    folder = Path(tempfile.gettempdir()) / "noisyweb-bench" / "imagededup"
    constraints = Path(__file__).resolve().parents[2] / "constraints.txt"  # a torch without CUDA
    return peers.peer_python(given, folder, [PACKAGE], constraints=constraints)


def methods() -> list[Any]:
    """One of each method."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        globals()["_library"] = library  # it is undone when it is collected
    import imagededup.methods  # type: ignore[import-not-found,unused-ignore]

    logging.disable(logging.INFO)
    return [getattr(imagededup.methods, name)(verbose=False) for name in METHODS]


_methods: list[Any] = []


def hash_all(packs: list[Path], out: Path) -> None:
    _methods.extend(methods())
    with ProcessPoolExecutor(PROCESSES) as pool:  # forked: the methods are there
        rows = list(pool.map(_hashes, images(packs), chunksize=64))
    np.save(out, np.array(rows, np.uint64))


def images(packs: list[Path]) -> Iterator[bytes]:
    for path in packs:
        data, ends = np.memmap(path, np.uint8, "r"), np.load(path.with_suffix(".npy"))
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            yield data[start:end].tobytes()


def _hashes(data: bytes) -> list[int]:
    """Each method's hash, of pixels decoded once: the same as of a file."""
    from imagededup.utils.image_utils import load_image  # type: ignore[import-not-found,unused-ignore]

    pixels = load_image(image_file=io.BytesIO(data))
    return [int(method.encode_image(image_array=pixels), 16) for method in _methods]


def time_all(folder: Path, processes: int) -> None:
    method = methods()[0]
    files = sorted(folder.iterdir())
    start_s = time.perf_counter()
    if processes > 1:
        count = len(method.encode_images(image_dir=folder, num_enc_workers=processes))
    else:
        count = sum(method.encode_image(image_file=path) is not None for path in files)
    seconds = time.perf_counter() - start_s
    if count != len(files):
        raise SystemExit(f"{len(files) - count} of {len(files)} files were not hashed")
    print(json.dumps({"seconds": seconds, "count": count}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=["hash", "time"])
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("TQDM_DISABLE", "1")
    if options.task == "hash":
        hash_all(options.paths[1:], options.paths[0])
    else:
        time_all(options.paths[0], options.processes)


if __name__ == "__main__":
    main()
