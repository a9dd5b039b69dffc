"""How many copies dedup finds, by what was done to them, and how many false pairs; beside imagehash and imagededup.

Usage: python tests/benchmarks/bench_dedup_accuracy.py [--half report|tune] [--quick] [--peer PYTHON | --peer none]

Each photograph of a half of ../shared/data/photos gives one copy by each transformation of `copies.COPIES`. Every copy
is compared with all originals of its half and with distractors (`pictures.DISTRACTORS`); only its own original is
right, every other pair found is false. All false pairs are listed and drawn side by side into a file. noisyweb's pairs
are those within 32 bits, or whose views are alike and that are proven then; a copy's views are looked up even where
the hash has found it. Thresholds of noisyweb were chosen on the half "tune", the peers' are chosen here on the same
half: the largest that gives no false pair there. Their own defaults are in the second table.

imagededup's interpreter is --peer or NOISYWEB_BENCH_PEER_IMAGEDEDUP; without these an environment is made. Its CNN is
left out: its weights would have to be downloaded. imagehash names no threshold: equal hashes stand for its default.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import peer_imagededup
from copies import GEOMETRIC, PHOTOMETRIC
from pictures import CACHE, HALVES, NAMES, PROCESSES, Pack, Pairs, Pictures, distractors, draw
from PIL import Image

from noisyweb.copies import Index, candidates
from noisyweb.decode import pillow_in_bounds
from noisyweb.describe import Description
from noisyweb.hamming import neighbours
from noisyweb.proof import Prover
from noisyweb.workers import Job, describe_all

RADIUS = 32
PHOTOMETRIC_BOUND, GEOMETRIC_BOUND = 0.995, 0.95
UNBOUND = ("crop 20 %", "rotate 10 degrees")
IMAGEHASH = {
    "imagehash phash 64": ("phash", 8),
    "imagehash phash 256": ("phash", 16),
    "imagehash dhash 256": ("dhash", 16),
}
MIN_NEGATIVES = 100_000_000
QUICK_PHOTOS, QUICK_DISTRACTORS = 8, 400

Hashes = npt.NDArray[np.uint64]


@dataclass
class Column:
    """What one method found in the reported half.

    Attributes:
        found: shape (photographs, transformations).
        false_pairs: how many.
        note: its threshold.
    """

    name: str
    found: npt.NDArray[np.bool_]
    false_pairs: int
    note: str

    def recall(self, names: Iterable[str]) -> float:
        return float(self.found[:, [NAMES.index(name) for name in names]].mean())


def column(name: str, pairs: Pairs, of: Pictures, note: str) -> Column:
    found = np.zeros((len(of.names), len(NAMES)), bool)
    for query, reference in pairs:
        if reference == query // len(NAMES):
            found[divmod(query, len(NAMES))] = True
    return Column(name, found, len(pairs) - int(found.sum()), note)


def noisyweb(of: Pictures) -> tuple[list[Column], Pairs]:
    """Its three columns, and the false pairs of all of them."""
    every = [of.copies, *of.references]
    total = sum(map(len, every))
    described: dict[str, list[Description]] = {}
    for method, with_views in (("phash", True), ("dhash", False)):
        start_s = time.perf_counter()
        all_images = (data for pack in every for data in pack)
        described[method] = list(describe_all(all_images, Job(method, with_views), processes=PROCESSES))
        seconds = time.perf_counter() - start_s
        flat = sum(one.is_flat for one in described[method])
        flat_copies = sum(one.is_flat for one in described[method][: len(of.copies)])
        unreadable = sum(not one.is_readable for one in described[method])
        print(
            f"noisyweb: {total:,} images described by {method}{' and views' * with_views}: {seconds:.1f} s, "
            f"{total / seconds:,.0f} a second; {flat:,} flat, {flat_copies} of them copies; {unreadable} unreadable",
            flush=True,
        )
    hashed = {method: near(found, len(of.copies)) for method, found in described.items()}
    proven = by_views(described["phash"], of)
    columns = [
        column("noisyweb", proven | hashed["phash"], of, f"{RADIUS}, views"),
        column("noisyweb phash", hashed["phash"], of, str(RADIUS)),
        column("noisyweb dhash", hashed["dhash"], of, str(RADIUS)),
    ]
    every_pair = proven | hashed["dhash"] | hashed["phash"]
    return columns, {pair: how for pair, how in every_pair.items() if pair[1] != pair[0] // len(NAMES)}


def near(described: Sequence[Description], num_queries: int) -> Pairs:
    """Pairs by the hash, flat images left out as `noisyweb.dedup` does."""
    usable = np.array([one.hash is not None and not one.is_flat for one in described])
    hashes = np.frombuffer(b"".join(one.hash or bytes(32) for one in described), "<u8").reshape(-1, 4)
    rows = np.flatnonzero(usable)
    queries, references = rows[rows < num_queries], rows[rows >= num_queries]
    pairs = {}
    for i, j, distances in neighbours(hashes[queries], hashes[references], RADIUS):
        found = zip(queries[i].tolist(), (references[j] - num_queries).tolist(), distances.tolist(), strict=True)
        pairs.update({(query, reference): f"{distance} bits" for query, reference, distance in found})
    return pairs


def by_views(described: Sequence[Description], of: Pictures) -> Pairs:
    """Pairs whose views are alike and that are proven then."""
    start_s = time.perf_counter()
    num_queries = len(of.copies)
    left, right = (Index.of([one.views for one in part]) for part in (described[:num_queries], described[num_queries:]))
    found = candidates(left, right)
    middle_s = time.perf_counter()
    prover = Prover(RADIUS)
    questions = [(f"q{i}", f"r{j}", guesses) for (i, j), guesses in found.items()]
    verdicts = prover.prove_all(questions, of.load)
    end_s = time.perf_counter()
    own = sum(j == i // len(NAMES) for i, j in found)
    print(
        f"noisyweb: {len(left.probes):,} and {len(right.probes):,} probes with {len(right.targets):,} and "
        f"{len(left.targets):,} targets: {middle_s - start_s:.1f} s, {len(found):,} candidates ({own:,} of them a copy "
        f"and its original), decided in {end_s - middle_s:.1f} s, {len(found) / (end_s - middle_s):,.0f} a second",
        flush=True,
    )
    return {
        pair: f"{match.kind}, {match.distance} bits, {match.agreement} agree"
        for pair, match in zip(found, verdicts, strict=True)
        if match is not None
    }


def imagehash_of(data: bytes) -> list[bytes]:
    import imagehash

    image = Image.open(io.BytesIO(data))
    image.load()
    return [np.packbits(getattr(imagehash, name)(image, size).hash).tobytes() for name, size in IMAGEHASH.values()]


def peer_hashes(packs: Sequence[Pack], python: str | None) -> dict[str, Hashes]:
    """The peers' hashes of all images of some packs, shape (N, words) by name."""
    start_s = time.perf_counter()
    with ProcessPoolExecutor(PROCESSES) as pool:
        parts = [row for pack in packs for row in pool.map(imagehash_of, pack, chunksize=64)]
    hashes: dict[str, Hashes] = {}
    for name, values in zip(IMAGEHASH, zip(*parts, strict=True), strict=True):
        hashes[name] = np.frombuffer(b"".join(values), "<u8").reshape(len(parts), -1)
    print(f"imagehash: {len(parts):,} images by three hashes: {time.perf_counter() - start_s:.1f} s", flush=True)
    if python:
        start_s = time.perf_counter()
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            out = Path(folder) / "hashes.npy"
            command = [python, peer_imagededup.__file__, "hash", str(out), *(str(pack.path) for pack in packs)]
            subprocess.run(command, check=True)
            columns = np.load(out)
        hashes |= {f"imagededup {name}": columns[:, [i]] for i, name in enumerate(peer_imagededup.METHODS)}
        seconds = time.perf_counter() - start_s
        print(f"imagededup: {len(columns):,} images by four hashes: {seconds:.1f} s", flush=True)
    return hashes


def peer_columns(reported: Pictures, tuned: Pictures, python: str | None) -> tuple[list[Column], list[Column]]:
    """The peers at the thresholds that the tuned half allows, and at their defaults."""
    halves = {of.half: of for of in (reported, tuned)}
    packs = [pack for of in halves.values() for pack in (of.copies, of.originals)] + [*reported.distractors.values()]
    starts = dict(zip([pack.path for pack in packs], np.cumsum([0, *map(len, packs)]).tolist(), strict=False))
    at_best, by_default = list[Column](), list[Column]()
    for name, hashes in peer_hashes(packs, python).items():
        apart = {}
        for half, of in halves.items():
            parts = [hashes[starts[pack.path] :][: len(pack)] for pack in (of.copies, *of.references)]
            apart[half] = distances(parts[0], np.concatenate(parts[1:]), len(of.names))
        own, others = apart[reported.half]
        best = int(np.flatnonzero(apart[tuned.half][1])[0]) - 1
        default = peer_imagededup.DEFAULT_THRESHOLD if name.startswith("imagededup") else 0
        for columns, threshold in ((at_best, best), (by_default, default)):
            note = str(threshold) if threshold >= 0 else "none"  # even equal hashes are false pairs
            columns.append(Column(name, own <= threshold, int(others[: threshold + 1].sum()), note))
    return at_best, by_default


def distances(queries: Hashes, references: Hashes, num_photos: int) -> tuple[Any, Any]:
    """Of each copy to its original, shape (photographs, kinds); and how many other pairs are how far apart."""
    num_bits = 64 * queries.shape[1]
    own = np.zeros(len(queries), np.int64)
    others = np.zeros(num_bits + 1, np.int64)
    step = 16
    for begin in range(0, len(queries), step):
        part = queries[begin : begin + step]
        apart = np.zeros((len(part), len(references)), np.uint16)
        for word in range(queries.shape[1]):
            apart += np.bitwise_count(part[:, word, None] ^ references[None, :, word])
        rows = np.arange(len(part))
        own[begin : begin + step] = apart[rows, (begin + rows) // len(NAMES)]
        others += np.bincount(apart.ravel(), minlength=num_bits + 1)
    others -= np.bincount(own, minlength=num_bits + 1)
    return own.reshape(num_photos, -1), others


def table(columns: Sequence[Column], rows: Sequence[tuple[str, Sequence[str]]], num_negatives: int) -> None:
    def show(*cells: str) -> None:
        print(f"| {' | '.join(cells)} |")

    show("copies found, %", *(one.name for one in columns))
    show("---", *("---:" for _ in columns))
    for title, names in rows:
        show(title, *(f"{100 * one.recall(names):.1f}" for one in columns))
    show("threshold, bits", *(one.note for one in columns))
    show(f"false pairs of {num_negatives / 1e6:,.0f} million", *(f"{one.false_pairs:,}" for one in columns))
    found = [(int(one.found.sum()), one.false_pairs) for one in columns]
    show("precision", *(f"{right / (right + wrong):.5f}" if right + wrong else "-" for right, wrong in found))
    print()


def bounds(ours: Column, of: Pictures) -> None:
    """Whether the bounds hold, and every copy that is missed."""

    def show(title: str, value: str, is_met: bool) -> None:
        print(f"{title}: {value}: {'ok' if is_met else 'MISSED'}")

    show("negative pairs", f"{of.num_negatives:,} (bound {MIN_NEGATIVES:,})", of.num_negatives >= MIN_NEGATIVES)
    show("false pairs", f"{ours.false_pairs} (bound 0)", ours.false_pairs == 0)
    together = ours.recall(PHOTOMETRIC)
    title = f"photometric and resized, {len(PHOTOMETRIC)} kinds together"
    show(title, f"{100 * together:.2f} % (bound {100 * PHOTOMETRIC_BOUND} %)", together >= PHOTOMETRIC_BOUND)
    below = [
        f"{name} {100 * ours.recall([name]):.1f} %" for name in PHOTOMETRIC if ours.recall([name]) < PHOTOMETRIC_BOUND
    ]
    print(f"  of these below the bound by themselves: {', '.join(below) or 'none'}")
    for name in GEOMETRIC:
        if name not in UNBOUND:
            recall = ours.recall([name])
            show(name, f"{100 * recall:.2f} % (bound {100 * GEOMETRIC_BOUND:.0f} %)", recall >= GEOMETRIC_BOUND)
    print("copies that are missed:")
    for kind, name in enumerate(NAMES):
        missed = [of.names[row] for row in np.flatnonzero(~ours.found[:, kind])]
        if missed:
            print(f"  {name}: {', '.join(missed)}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--half", choices=HALVES, default="report")
    parser.add_argument("--quick", action="store_true", help="a few photographs and distractors, under a minute")
    parser.add_argument("--peer", default=os.environ.get("NOISYWEB_BENCH_PEER_IMAGEDEDUP"), help="interpreter, or none")
    options = parser.parse_args()
    python = peer_imagededup.peer_python(options.peer)
    start_s = time.perf_counter()
    num_photos, num_distractors = (QUICK_PHOTOS, QUICK_DISTRACTORS) if options.quick else (None, None)
    others = distractors(num_distractors)
    of = Pictures.of(options.half, num_photos, others)
    tuned = of if options.half == "tune" else Pictures.of("tune", num_photos, others)
    print(
        f"{len(of.copies):,} copies of {len(of.names)} photographs (half: {of.half}); {of.num_references:,} references "
        f"({', '.join(f'{len(pack):,} {name}' for name, pack in {'originals': of.originals, **others}.items())}); "
        f"{of.num_negatives:,} negative pairs; pictures made in {time.perf_counter() - start_s:.1f} s",
        flush=True,
    )
    with pillow_in_bounds():
        ours, false_pairs = noisyweb(of)
    at_best, by_default = peer_columns(of, tuned, python)
    print()
    groups = [("photometric and resized", [*PHOTOMETRIC]), *((name, [name]) for name in GEOMETRIC)]
    table([*ours, *at_best], [*((name, [name]) for name in NAMES), *groups[:1], ("all", NAMES)], of.num_negatives)
    print("Peers at their defaults:\n")
    table(by_default, [*groups, ("all", NAMES)], of.num_negatives)
    bounds(ours[0], of)
    for (query, reference), how in false_pairs.items():
        print(f"false: {of.title(f'q{query}')} and {of.title(f'r{reference}')}: {how}")
    if false_pairs:
        draw(false_pairs, of, CACHE / "dedup" / f"false-{of.half}.png")
    print(f"{os.cpu_count()} processors, in all {time.perf_counter() - start_s:,.0f} s")


if __name__ == "__main__":
    main()
