"""img2dataset and then an imagehash pass, in the environment that has them; started by `bench_crawl.py`.

Usage: PEER_PYTHON peer_img2dataset.py URLS.txt FOLDER [--image-size 256] [--no-hash] [--output-format files]

The last line printed is a JSON object: seconds of each part, counts and failures.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROCESSES = 2
HASH_SIZE = 16  # 256 bits


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("urls", type=Path, help="text file, one URL a line")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--image-size", type=int, help="re-encode at this short side; otherwise originals are kept")
    parser.add_argument("--check", action="store_true", help="originals: let img2dataset decode each image")
    parser.add_argument("--no-hash", action="store_true", help="no second pass")
    parser.add_argument("--output-format", choices=["files", "webdataset"], default="webdataset")
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--shard", type=int, default=1_000, help="URLs a shard")
    parser.add_argument("--timeout", type=int, default=10)
    options = parser.parse_args()
    start_s = time.perf_counter()
    fetch(options)
    middle_s = time.perf_counter()
    report: dict[str, Any] = {"download_s": round(middle_s - start_s, 3), **outcome(options.folder)}
    if not options.no_hash:
        report.update(hash_all(options.folder, options.output_format))
        report["hash_s"] = round(time.perf_counter() - middle_s, 3)
    print(json.dumps(report), flush=True)


def fetch(options: argparse.Namespace) -> None:
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else every process asks PyPI for a newer version at its start
    from img2dataset import download

    if options.image_size:
        shape: dict[str, Any] = {"resize_mode": "keep_ratio", "image_size": options.image_size}
    else:
        shape = {"resize_mode": "no", "skip_reencode": True, "disable_all_reencoding": not options.check}
    download(
        url_list=str(options.urls),
        input_format="txt",
        output_folder=str(options.folder),
        output_format=options.output_format,
        processes_count=PROCESSES,
        thread_count=options.threads,
        number_sample_per_shard=options.shard,
        compute_hash="sha256",
        extract_exif=False,  # we do not read it either
        timeout=options.timeout,
        retries=0,
        enable_wandb=False,
        **shape,  # opt-out headers stay at their default: checked
    )


def outcome(folder: Path) -> dict[str, Any]:
    """What became of the URLs, by img2dataset's own tables."""
    import pyarrow.parquet as pq

    ok, failures = 0, Counter[str]()
    for path in sorted(folder.glob("*.parquet")):
        table = pq.read_table(path, columns=["status", "error_message"])
        for status, message in zip(*(column.to_pylist() for column in table.columns), strict=True):
            if status == "success":
                ok += 1
            else:
                failures[message or status] += 1
    stats = [json.loads(path.read_text()) for path in folder.glob("*_stats.json")]
    span_s = max(shard["end_time"] for shard in stats) - min(shard["start_time"] for shard in stats)
    return {"ok": ok, "failed": dict(failures.most_common()), "own_s": round(span_s, 3)}


def hash_all(folder: Path, output_format: str) -> dict[str, Any]:
    """The second pass: `imagehash.phash` of every image written, with its SHA-256, into one Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    image_ids: dict[str, str] = {}
    for path in sorted(folder.glob("*.parquet")):
        table = pq.read_table(path, columns=["key", "sha256"])
        image_ids.update(zip(*(column.to_pylist() for column in table.columns), strict=True))
    packed = output_format == "webdataset"
    sources = sorted(folder.glob("*.tar") if packed else folder.glob("*/*.jpg"))
    hashed: list[tuple[str, bytes]] = []
    unreadable = 0
    with multiprocessing.Pool(PROCESSES) as pool:
        work = hash_tar if packed else hash_file
        for found in pool.imap_unordered(work, sources, chunksize=1 if packed else 50):
            for key, phash in found:
                if phash is None:
                    unreadable += 1
                else:
                    hashed.append((image_ids[key], phash))
    columns = {"image_id": [image_id for image_id, _ in hashed], "phash": [phash for _, phash in hashed]}
    folder.joinpath("hashes").mkdir()
    pq.write_table(pa.table(columns), folder / "hashes/hashes.parquet")
    return {"hashes": len(hashed), "unreadable": unreadable}


def hash_file(path: Path) -> list[tuple[str, bytes | None]]:
    return [(path.stem, phash_bytes(path))]


def hash_tar(path: Path) -> list[tuple[str, bytes | None]]:
    return list(_tar_hashes(path))


def _tar_hashes(path: Path) -> Iterator[tuple[str, bytes | None]]:
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, extension = member.name.partition(".")
            if extension == "jpg":
                yield key, phash_bytes(tar.extractfile(member))


def phash_bytes(source: Any) -> bytes | None:
    """None: a broken image; Pillow refuses truncated ones, too."""
    import imagehash
    import numpy as np
    from PIL import Image

    try:
        with Image.open(source) as image:
            bits = imagehash.phash(image, hash_size=HASH_SIZE).hash
    except (OSError, SyntaxError, ValueError):
        return None
    return np.packbits(bits).tobytes()


if __name__ == "__main__":
    main()
