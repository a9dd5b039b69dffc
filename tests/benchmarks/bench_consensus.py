"""Consensus methods against the truth of CIFAR-10N, and against the clock on a million votes.

Usage: python tests/benchmarks/bench_consensus.py [--data ../shared/data] [--skip-glad] [--seeds 10] [--votes 1000000]

Prints rows of Markdown tables. CIFAR-10N (Wei et al., Learning with Noisy Labels Revisited, ICLR 2022) has three
answers of ten classes to each of the 50,000 training images of CIFAR-10, and a majority published with them. Each
timing on synthetic votes is of a process of its own, so that its peak memory is its own, too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from noisyweb.consensus import verdicts_of
from noisyweb.consensus.methods import dawid_skene, glad
from noisyweb.consensus.methods._crowd import crowdkit, quiet
from noisyweb.consensus.settings import ConsensusSettings
from noisyweb.question_index import codes
from noisyweb.votes import as_votes

NUM_CLASSES, HUMANS = 10, ("human_1", "human_2", "human_3")
NUM_WORKERS, VOTES_EACH = 500, 5
ALONE = "crowd-kit's Dawid-Skene alone"
WAYS = ("dawid-skene", ALONE, "majority")

Ints = npt.NDArray[np.int64]


def crowdkit_alone(task: Ints, worker: Ints, answer: Ints) -> npt.NDArray[np.float64]:
    """Posteriors by crowd-kit's Dawid-Skene as it comes."""
    import pandas as pd

    frame = pd.DataFrame({"task": task, "worker": worker, "label": answer})
    with quiet():
        found = crowdkit("a benchmark").DawidSkene().fit_predict_proba(frame)
    return np.asarray(found.sort_index(axis=0).sort_index(axis=1).to_numpy())


def real_people(data: Path, with_glad: bool) -> None:
    table = pq.read_table(data / "cifar10" / "train.parquet", columns=["label", *HUMANS, "human_majority"])
    truth = table["label"].to_numpy().astype(np.int64)
    answers = np.stack([table[name].to_numpy().astype(np.int64) for name in HUMANS], axis=1)
    task, worker = np.repeat(np.arange(len(truth)), len(HUMANS)), np.tile(np.arange(len(HUMANS)), len(truth))

    def row(name: str, wrong: float, seconds: float | None, note: str = "") -> None:
        took = "" if seconds is None else f"{seconds:.2f}"
        print(f"| {name} | {wrong:.2%} | {took} | {note} |", flush=True)

    print(f"CIFAR-10N, {answers.size:,} answers to {len(truth):,} images:\n")
    print("| method | wrong | seconds | |\n|---|---|---|---|")
    row("published human_majority", float((table["human_majority"].to_numpy() != truth).mean()), None)

    start = time.perf_counter()
    counts = np.zeros((len(truth), NUM_CLASSES), np.int64)
    np.add.at(counts, (task, answers.ravel()), 1)
    top = counts == counts.max(axis=1, keepdims=True)
    tied = top.sum(axis=1) > 1
    wrong = counts.argmax(axis=1) != truth
    seconds = time.perf_counter() - start
    part = f"decided and wrong {(wrong & ~tied).mean():.2%}, undecided {tied.mean():.2%} of all images"
    row("majority, ties to the lowest class", float(wrong.mean()), seconds, part)
    row("majority, a tie counted half wrong", float(np.where(tied, 0.5, wrong).mean()), None)
    at_random = 1 - top[np.arange(len(truth)), truth] / top.sum(axis=1)
    row("majority, ties drawn at random", float(np.where(tied, at_random, wrong).mean()), None)

    models: list[tuple[str, Callable[[], npt.NDArray[np.float64]]]] = [
        ("Dawid-Skene", lambda: dawid_skene.posteriors(task, worker, answers.ravel(), NUM_CLASSES)),
        (ALONE, lambda: crowdkit_alone(task, worker, answers.ravel())),
    ]
    if with_glad:
        models.append(("GLAD", lambda: glad.posteriors(task, worker, answers.ravel(), NUM_CLASSES)))
    crowdkit("a benchmark")  # importing it takes seconds
    for name, model in models:
        start = time.perf_counter()
        found = model()
        row(name, float((found.argmax(axis=1) != truth).mean()), time.perf_counter() - start)


CROWDS = {
    # questions, people, votes a question, share of right images, skills from and to
    "three votes a person": (300, 300, 3, 0.5, 0.75, 1.0),
    "nine votes a person": (300, 100, 3, 0.5, 0.7, 0.9),
    "nearly all images right": (300, 30, 3, 0.95, 0.75, 0.95),
    "hundreds of votes a person": (2_000, 10, 3, 0.5, 0.6, 0.98),
}


def small_crowds(num_seeds: int) -> None:
    """What the prior is for: Dawid-Skene with and without it where people have answered little or one way."""
    print(f"\nErrors in simulated crowds, mean of {num_seeds} seeds; a tie of the majority is counted half wrong:\n")
    print("| crowd | majority | crowd-kit's Dawid-Skene alone | ours |\n|---|---|---|---|")
    for name, (num, people, each, share, low, high) in CROWDS.items():
        errors = np.zeros((num_seeds, 3))
        for seed in range(num_seeds):
            rng = np.random.default_rng(seed)
            truth, skill = rng.random(num) < share, rng.uniform(low, high, people)
            task = np.repeat(np.arange(num), each)
            worker = np.concatenate([np.sort(rng.choice(people, each, replace=False)) for _ in range(num)])
            answer = ((rng.random(len(task)) < skill[worker]) == truth[task]).astype(np.int64)
            _, worker = np.unique(worker, return_inverse=True)
            votes = np.bincount(task, 2 * answer - 1, num)
            errors[seed, 0] = np.where(votes == 0, 0.5, (votes > 0) != truth).mean()
            for place, model in ((1, crowdkit_alone), (2, lambda *votes: dawid_skene.posteriors(*votes, 2))):
                errors[seed, place] = ((model(task, worker, answer)[:, 1] > 0.5) != truth).mean()
        print(f"| {name} | " + " | ".join(f"{error:.1%}" for error in errors.mean(axis=0)) + " |", flush=True)


def synthetic(num_votes: int) -> tuple[pa.Table, npt.NDArray[np.bool_]]:
    """Yes-or-no votes of people of unequal skill on images of 196 classes, and the truth."""
    rng = np.random.default_rng(0)
    num = num_votes // VOTES_EACH
    truth = rng.random(num) < 0.55
    task = np.repeat(np.arange(num), VOTES_EACH)
    worker = (rng.integers(0, NUM_WORKERS, (num, 1)) + 7 * np.arange(VOTES_EACH)).ravel() % NUM_WORKERS
    skill = rng.uniform(0.7, 0.98, NUM_WORKERS)
    answer = np.where((rng.random(len(task)) < skill[worker]) == truth[task], 0, 1)
    answer[rng.random(len(task)) < 0.03] = 2
    ids, people = (pa.array([f"{n:0{width}}" for n in range(size)]) for size, width in ((num, 64), (NUM_WORKERS, 12)))
    columns = {
        "image_id": ids.take(pa.array(task)),
        "label": pa.array((task % 196).astype(np.int32)),
        "annotator": people.take(pa.array(worker)),
        "answer": pa.array(["yes", "no", "unsure"]).take(pa.array(answer)),
        "backend": pa.repeat("file", len(task)),
    }
    return as_votes(columns), truth


def peak_mb() -> float:
    """Most memory that this process has had; what getrusage gives is the parent's where that had more."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def one_way(way: str, num_votes: int) -> None:
    """Time one way in this process, and print what it took as JSON."""
    votes, truth = synthetic(num_votes)
    if way != "majority":
        crowdkit("a benchmark")
    before_mb = peak_mb()
    if way == ALONE:  # given numbers, which is what it is fastest with
        decisive = votes.filter(pc.not_equal(votes["answer"], "unsure"))
        (images, task), (_, worker), (_, answer) = (codes(decisive[c]) for c in ("image_id", "annotator", "answer"))
        start = time.perf_counter()
        posterior = crowdkit_alone(task, worker, answer)
        seconds = time.perf_counter() - start
        says_yes = posterior[:, 1] > 0.5  # answers are in the order no, yes
        wrong = float((says_yes != truth[images.to_numpy(zero_copy_only=False).astype(np.int64)]).mean())
    else:
        start = time.perf_counter()
        verdicts = verdicts_of(votes, ConsensusSettings(way))
        seconds = time.perf_counter() - start
        decided = verdicts.filter(verdicts["is_clean"].is_valid())
        right = decided["is_clean"].to_numpy() == truth[decided["image_id"].to_numpy().astype(np.int64)]
        wrong = float(1 - right.mean())
    print(json.dumps({"seconds": seconds, "wrong": wrong, "before_mb": before_mb, "peak_mb": peak_mb()}))


def million(num_votes: int) -> None:
    print(f"\n{num_votes:,} synthetic votes on {num_votes // VOTES_EACH:,} questions by {NUM_WORKERS} people:\n")
    print("| way | seconds | against crowd-kit alone | wrong | peak memory, MB (before) |\n|---|---|---|---|---|")
    results = {}
    for way in (ALONE, *(way for way in WAYS if way != ALONE)):
        command = [sys.executable, __file__, "--one", way, "--votes", str(num_votes)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results[way] = json.loads(done.stdout)
        found, base = results[way], results[ALONE]["seconds"]
        print(
            f"| {way} | {found['seconds']:.2f} | {found['seconds'] / base:.2f} | {found['wrong']:.2%} "
            f"| {found['peak_mb']:,.0f} ({found['before_mb']:,.0f}) |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared" / "data")
    parser.add_argument("--skip-glad", action="store_true", help="it takes minutes")
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one_way(options.one, options.votes)
        return
    if (options.data / "cifar10" / "train.parquet").exists():
        real_people(options.data, not options.skip_glad)
    else:
        print(f"no CIFAR-10N in {options.data}; name its folder with --data")
    small_crowds(options.seeds)
    million(options.votes)


if __name__ == "__main__":
    main()
