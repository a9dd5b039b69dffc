"""The crawler beside img2dataset with an imagehash pass, in turn in the same run, to the same state.

Usage: python tests/benchmarks/bench_crawl.py [--only a,b,c,d] [--rounds 1] [--images 10000] [--peer-python PYTHON]

a: originals kept. b: re-encoded at 256 px. c: fetch, SHA-256 and store alone. d: as a, with 20 % dead and 5 % stalled
hosts. The web is nginx on loopback (`crawl_web.py`), 200 hosts, photographs of ../shared/data/photos, warm in the page
cache. The peer's interpreter is --peer-python or NOISYWEB_BENCH_PEER; without these an environment with
img2dataset is made in the cache folder.

Seconds are those of the whole process, start-up included; beside the ratio of these stands the one without the
peer's start-up, which is several seconds, by its own count. Memory is the greatest sum of proportional set sizes (PSS)
over the process tree.
"""

from __future__ import annotations

import argparse
import atexit
import csv
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crawl_web
import pyarrow.parquet as pq
from measured import Measured, measure, wait_for_disk
from peers import peer_python

PROGRAM = Path(sys.executable).parent / "noisyweb"
PEER_SCRIPT = Path(__file__).with_name("peer_img2dataset.py")
PEER_PACKAGES = ("img2dataset==1.47.0", "imagehash")
HOSTS, DEAD, STALLED = 200, 40, 10
NUM_CLASSES = 20
MEMORY_SLACK = 1.0  # no higher than the peer's


@dataclass(frozen=True)
class Scenario:
    """One comparison: what it is, its bound, and the options of each side."""

    title: str
    bound: float
    ours: tuple[str, ...] = ()
    peer: tuple[str, ...] = ()
    ill: bool = False  # with dead and stalled hosts
    hashed: bool = True


SCENARIOS = {
    "a": Scenario("originals kept", 2.0),
    "b": Scenario("re-encoded at 256 px", 1.1, ours=("--image-size", "256"), peer=("--image-size", "256")),
    "c": Scenario("fetch, SHA-256, store alone", 2.0, ours=("--no-decode",), peer=("--no-hash",), hashed=False),
    "d": Scenario("as a, 20 % dead, 5 % stalled hosts", 3.0, ours=("--timeout", "10"), ill=True),
}


def crawl_command(classes: Path, urls: Path, workspace: Path, per_class: int, extra: Sequence[str] = ()) -> list[str]:
    """Our command line; the only place that spells it."""
    return [
        *(str(PROGRAM), "crawl", "--classes", str(classes), "--source", f"url-list={urls}"),
        *("--workspace", str(workspace), "--per-class", str(per_class), "--allow-loopback", "--rate", "0"),
        *("--per-host", "16", "--connections", "64", "--processes", "2", *extra),
    ]


def write_url_list(urls: Sequence[str], folder: Path, num_classes: int = NUM_CLASSES) -> tuple[Path, Path, int]:
    """The class names and URLs of a crawl as files, and how many URLs the largest class has."""
    classes, listed = folder / "classes.txt", folder / "urls.csv"
    classes.write_text("".join(f"class {i}\n" for i in range(num_classes)))
    with listed.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["url", "class"])
        writer.writerows((url, f"class {i % num_classes}") for i, url in enumerate(urls))
    return classes, listed, -(-len(urls) // num_classes)


@dataclass(frozen=True)
class Outcome:
    """What one side did.

    Attributes:
        measured: time and memory.
        ok: images stored.
        hashes: rows of perceptual hashes.
        stored: image files, None if they are packed.
        stored_bytes: of the whole output.
        failed: count by reason.
        own_s: seconds without start-up, if told.
        notes: seconds of parts, if told.
    """

    measured: Measured
    ok: int
    hashes: int
    stored: int | None
    stored_bytes: int
    failed: dict[str, int]
    own_s: float | None = None
    notes: str = ""

    @property
    def images_per_s(self) -> float:
        return self.ok / self.measured.seconds


def run_peer(
    python: str, urls: Sequence[str], scenario: Scenario, extra: Sequence[str], folder: Path, quiet_s: float
) -> Outcome:
    listed, out = folder / "urls.txt", folder / "out"
    listed.write_text("".join(f"{url}\n" for url in urls))
    command = [python, str(PEER_SCRIPT), str(listed), str(out), *scenario.peer, *extra]
    measured = measure(command, folder / "peer.log", quiet_s=quiet_s)
    told: dict[str, Any] = json.loads([line for line in measured.output.splitlines() if line.startswith("{")][-1])
    failed = dict(told["failed"])
    if told.get("unreadable"):
        failed["unreadable"] = told["unreadable"]
    files = sum(1 for _ in out.glob("*/*.jpg")) or None
    hash_s = told.get("hash_s", 0.0)
    notes = f"download {told['download_s']:.1f} s, {told['own_s']:.1f} s by its own count; hash pass {hash_s:.1f} s"
    own_s = told["own_s"] + hash_s
    return Outcome(measured, told["ok"], told.get("hashes", 0), files, folder_bytes(out), failed, own_s, notes)


def run_ours(urls: Sequence[str], scenario: Scenario, extra: Sequence[str], folder: Path, quiet_s: float) -> Outcome:
    classes, listed, per_class = write_url_list(urls, folder)
    workspace = folder / "workspace"
    command = crawl_command(classes, listed, workspace, per_class, (*scenario.ours, *extra))
    measured = measure(command, folder / "ours.log", quiet_s=quiet_s)
    return outcome_of(workspace, measured)


def outcome_of(workspace: Path, measured: Measured) -> Outcome:
    """What a workspace holds after a crawl."""
    images = pq.read_table(workspace / "images.parquet", columns=["status", "reason"])
    by_status = Counter(zip(*(column.to_pylist() for column in images.columns), strict=True))
    failed = {str(reason): n for (status, reason), n in by_status.most_common() if status != "ok"}
    ok = sum(n for (status, _), n in by_status.items() if status == "ok")
    hashes = workspace / "hashes.parquet"
    num_hashes = 0
    if hashes.exists():
        column = pq.read_table(hashes, columns=["phash"]).column("phash")
        num_hashes = len(column) - column.null_count
    store = workspace / "store"
    stored = sum(1 for path in store.rglob("*") if path.is_file()) if store.exists() else 0
    return Outcome(measured, ok, num_hashes, stored, folder_bytes(workspace), failed)


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def run_folder(cache: Path) -> Iterator[Path]:
    """A folder for one run. Gone only when all runs are over: ext4 makes files slowly where many were just deleted."""
    cache.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="noisyweb-run-", dir=cache.parent))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    yield folder


def show(side: str, outcomes: Sequence[Outcome]) -> None:
    """One line of the figures' table, and one of what was reached."""
    last = outcomes[-1]
    speed = statistics.median(outcome.images_per_s for outcome in outcomes)
    seconds = statistics.median(outcome.measured.seconds for outcome in outcomes)
    peak = statistics.median(outcome.measured.peak_bytes for outcome in outcomes)
    cores, web_cores = last.measured.cores, last.measured.web_cores
    others = max(outcome.measured.others for outcome in outcomes)
    failed = ", ".join(f"{reason} {n:,}" for reason, n in last.failed.items()) or "none"
    files = "packed" if last.stored is None else f"{last.stored:,}"
    print(f"  {side:<12} {speed:8,.0f} images/s {seconds:8.1f} s {peak / 1e6:8,.0f} MB peak  {last.notes}")
    print(
        f"  {'':<12} {cores:.2f} cores used, the web and sampling {web_cores:.2f}, other programs {others:.2f} at most"
    )
    print(
        f"  {'':<12} ok {last.ok:,}, hashes {last.hashes:,}, files {files}, {last.stored_bytes / 1e6:,.0f} MB on disk; "
        f"failed: {failed}",
        flush=True,
    )


def compare(scenario: Scenario, ours: Sequence[Outcome], peer: Sequence[Outcome]) -> None:
    ratios = [mine.images_per_s / theirs.images_per_s for mine, theirs in zip(ours, peer, strict=True)]
    ratio = statistics.median(ratios)
    strict = statistics.median(
        mine.images_per_s / (theirs.ok / (theirs.own_s or theirs.measured.seconds))
        for mine, theirs in zip(ours, peer, strict=True)
    )
    memory = statistics.median(mine.measured.peak_bytes for mine in ours) / statistics.median(
        theirs.measured.peak_bytes for theirs in peer
    )
    same = all(mine.ok == theirs.ok for mine, theirs in zip(ours, peer, strict=True)) and (
        not scenario.hashed or all(o.hashes == o.ok for o in (*ours, *peer))
    )
    spread = f", {min(ratios):.2f}-{max(ratios):.2f}" if len(ratios) > 1 else ""
    print(
        f"  ratio {ratio:.2f} (bound {scenario.bound}{spread}): {'met' if ratio >= scenario.bound else 'MISSED'}; "
        f"{strict:.2f} without the peer's start-up; "
        f"peak memory {memory:.2f} of the peer's: {'met' if memory <= MEMORY_SLACK else 'MISSED'}; "
        f"same state: {'yes' if same else 'NO'}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="a,b,c,d", help="scenarios, comma-separated")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--sides", default="peer,ours", help="only one of the two: peer or ours")
    parser.add_argument("--cache", type=Path, default=crawl_web.CACHE, help="photographs and runs")
    parser.add_argument("--peer-python", default=os.environ.get("NOISYWEB_BENCH_PEER"))
    parser.add_argument("--peer-args", default="", help="more options of peer_img2dataset.py, such as '--threads 256'")
    parser.add_argument("--our-args", default="", help="more options of noisyweb crawl")
    parser.add_argument("--quiet-s", type=float, default=60.0, help="longest wait for other programs before each run")
    parser.add_argument("--disk-s", type=float, default=480.0, help="longest wait for a disk that makes files slowly")
    options = parser.parse_args()
    sides = options.sides.split(",")
    python = ""
    if "peer" in sides:
        folder = options.cache / "img2dataset"
        python = peer_python(options.peer_python, folder, PEER_PACKAGES, option="--peer-python")
    folder = crawl_web.photographs(options.images, options.cache)
    for letter in options.only.split(","):
        scenario = SCENARIOS[letter]
        outcomes: dict[str, list[Outcome]] = {side: [] for side in sides}
        dead, stalled = (DEAD, STALLED) if scenario.ill else (0, 0)
        file_s = wait_for_disk(options.cache, options.disk_s)
        print(
            f"({letter}) {scenario.title}, {options.images:,} URLs, {options.rounds} rounds; "
            f"the disk takes {file_s * 1e6:.0f} us to make a file",
            flush=True,
        )
        with crawl_web.web(folder, options.images, hosts=HOSTS, dead=dead, stalled=stalled) as urls:
            for _ in range(options.rounds):
                for side in sides:
                    with run_folder(options.cache) as run:
                        if side == "peer":
                            outcome = run_peer(python, urls, scenario, options.peer_args.split(), run, options.quiet_s)
                        else:
                            outcome = run_ours(urls, scenario, options.our_args.split(), run, options.quiet_s)
                    outcomes[side].append(outcome)
        for side, found in outcomes.items():
            show({"peer": "img2dataset", "ours": "noisyweb"}[side], found)
        if len(sides) == 2:
            compare(scenario, outcomes["ours"], outcomes["peer"])


if __name__ == "__main__":
    main()
