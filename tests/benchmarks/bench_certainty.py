"""Do 95 % intervals of the level cover the truth 95 times in 100? Simulated and real annotators; and the time it takes.

Prints a Markdown row for each crowd. ``plain`` is the two-coin model without a shared ease (spread 0), for comparison.

Usage: python tests/benchmarks/bench_certainty.py [--seeds 40] [--only WORD] [--cifar path/of/train.parquet] [--big]

The CIFAR-10 file has the columns label and human_1, human_2, human_3 (CIFAR-10N: Wei et al., ICLR 2022). Half of the
images tell which classes people take for which; of the other half, one image in two is asked about under its own class
and one under a class that its class is taken for.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit

from noisyweb.certainty import NUM_DRAWS, WrongDraws, posterior, wrong_draws
from noisyweb.certainty.ballots import Ballots
from noisyweb.certainty.gibbs import draw_wrong
from noisyweb.certainty.spread import Spreads
from noisyweb.certainty.two_coin import TwoCoin
from noisyweb.labelling.simulated import Crowd, vote
from noisyweb.votes import as_votes

LEVELS = (0.2, 0.4, 0.8)
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """Votes and the truth: questions as in ``asked``, sorted; which are in the pool, which are about wrong images."""

    votes: pa.Table
    asked: pa.Table
    in_pool: Flags
    is_wrong: Flags

    @classmethod
    def of(
        cls, names: Sequence[str], labels: Numbers, is_wrong: Flags, question: Numbers, who: Numbers, yes: Flags
    ) -> Case:
        """From votes by question and annotator, with majorities of at least three."""
        columns = {
            "image_id": pa.array(np.array(names, dtype=object)[question], pa.string()),
            "label": pa.array(labels[question], pa.int32()),
            "annotator": pa.array([f"a{person}" for person in who.tolist()]),
            "answer": pa.array(np.where(yes, "yes", "no").astype(object), pa.string()),
            "backend": pa.array(["simulated"] * len(yes)),
        }
        order = np.lexsort((np.array(names), labels))
        count, agree = (np.bincount(question, weights=w, minlength=len(names)) for w in (np.ones(len(yes)), yes))
        pool = (2 * agree < count) & (count >= 3)
        asked = pa.table(
            {"image_id": np.array(names, dtype=object)[order], "label": pa.array(labels[order], pa.int32())}
        )
        return cls(as_votes(columns), asked, pool[order], is_wrong[order])


def people(
    seed: int, spread: float = 0.0, classes: float = 0.0, num: int = 2000, annotators: int = 25, more: int = 2
) -> Case:
    """People of unlike skill: three answer, and ``more`` where these do not agree.

    ``spread`` makes questions unlike for all people, ``classes`` makes classes so.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 20, num)
    wrong = (rng.random(num) >= rng.beta(4, 4, 20)[labels]).astype(int)
    rate = rng.normal(2.5, 0.5, (2, annotators))
    ease = spread * rng.standard_normal(num) + classes * rng.standard_normal((2, 20))[wrong, labels]
    asked = np.argsort(rng.random((num, annotators)), axis=1)[:, : 3 + more]
    right = rng.random(asked.shape) < expit(rate[wrong[:, None], asked] + ease[:, None])
    yes = right != (wrong == 1)[:, None]
    agree = (yes[:, :3] == yes[:, :1]).all(axis=1)
    question, place = np.nonzero(np.arange(3 + more) < np.where(agree, 3, 3 + more)[:, None])
    names = [f"{i:06d}" for i in range(num)]
    return Case.of(names, labels, wrong == 1, question, asked[question, place], yes[question, place])


def crowd(seed: int, num: int = 2000, **how: float) -> Case:
    """The simulated backend's crowd; half of the wrong images look like the class."""
    rng = np.random.default_rng(seed)
    labels, right = rng.integers(0, 20, num), rng.random(num) < 0.3
    names = [f"{seed}/{i:06d}" for i in range(num)]
    hard = ~right & (rng.random(num) < 0.5)
    votes = vote(names, labels.tolist(), right, hard, Crowd(**how), seed)  # type: ignore[arg-type]
    votes = votes.filter(pa.array([answer != "unsure" for answer in votes["answer"].to_pylist()]))
    question = np.array([int(name.partition("/")[2]) for name in votes["image"].to_pylist()])
    who = np.array([int(name.rpartition("-")[2]) for name in votes["annotator"].to_pylist()])
    yes = np.array([answer == "yes" for answer in votes["answer"].to_pylist()])
    return Case.of(names, labels, ~right, question, who, yes)


def cifar(file: Path) -> Callable[[int], Case]:
    """Questions to the annotators of CIFAR-10N."""
    columns = pq.read_table(file, columns=["label", "human_1", "human_2", "human_3"])
    truth = columns["label"].to_numpy().astype(np.int64)
    human = np.stack([columns[f"human_{n}"].to_numpy().astype(np.int64) for n in (1, 2, 3)], axis=1)

    def case(seed: int) -> Case:
        rng = np.random.default_rng(seed)
        told, used = np.array_split(rng.permutation(len(truth)), 2)
        confusion = np.zeros((10, 10))
        np.add.at(confusion, (truth[told][:, None], human[told]), 1.0)
        np.fill_diagonal(confusion, 0.0)
        labels = truth[used].copy()
        wrong = rng.random(len(used)) < 0.5
        for k in range(10):
            rows = wrong & (truth[used] == k)
            labels[rows] = rng.choice(10, np.count_nonzero(rows), p=confusion[k] / confusion[k].sum())
        yes = (human[used] == labels[:, None]).ravel()
        names = [f"{row:05d}" for row in used.tolist()]
        question = np.repeat(np.arange(len(used)), 3)
        return Case.of(names, labels, wrong, question, np.tile([1, 2, 3], len(used)), yes)

    return case


def plain(votes: pa.Table, asked: pa.Table, num: int) -> WrongDraws:
    """Draws of the two-coin model without a shared ease."""
    ballots = Ballots.of(votes)
    model = TwoCoin(ballots)
    at, _ = model.most_probable(0.0, model.start())
    column = np.searchsorted(model.voted, ballots.index.places(asked))
    packed = [
        np.packbits(wrong[column])
        for wrong in draw_wrong(model, Spreads(np.array([0.0, 1e-9]), np.zeros(2), (at, at)), num, 0)
    ]
    return WrongDraws(np.stack(packed), len(asked), len(ballots.question), len(ballots.annotators))


def coverage(name: str, make: Callable[[int], Case], seeds: int) -> None:
    """One row a model: how often intervals cover, for blends of three levels made of the pool."""
    rows: dict[str, list[tuple[float, ...]]] = {"two-coin, shared ease": [], "plain": []}
    for seed in range(seeds):
        case = make(seed)
        asked = case.asked.filter(pa.array(case.in_pool))
        wrong = case.is_wrong[case.in_pool]
        size, order = int(len(wrong) / 0.9), np.random.default_rng(seed).permutation(len(wrong))
        ours = wrong_draws(case.votes, asked)
        assert ours is not None
        for model, draws in zip(rows, (ours, plain(case.votes, asked, NUM_DRAWS)), strict=True):
            for level in LEVELS:
                used = order[: round(level * size)]
                found = draws.certainty(used, size)
                truth = round(wrong[used].sum() / size, 6)
                inside = found.low <= truth <= found.high
                rows[model].append((level, inside, found.high - found.low, found.mean - truth, 1 - wrong[used].mean()))
    for model, values in rows.items():
        of = np.array(values, float)
        cells = [f"{of[of[:, 0] == level, 1].mean():.1%}" for level in LEVELS]
        top = of[of[:, 0] == LEVELS[-1]]
        print(
            f"| {name} | {model} | {' | '.join(cells)} | {100 * top[:, 2].mean():.2f} | {100 * top[:, 3].mean():+.2f} "
            f"| {top[:, 4].mean():.2%} |",
            flush=True,
        )


def big(num_votes: int = 1_000_000) -> None:
    """Time and memory of a million votes."""
    rng = np.random.default_rng(0)
    question, who = np.arange(num_votes) // 3, rng.integers(0, 500, num_votes)
    num = int(question[-1]) + 1
    labels, wrong = rng.integers(0, 1000, num), rng.random(num) < 0.6
    yes = (rng.random(num_votes) < rng.beta(20, 2, 500)[who]) != wrong[question]
    case = Case.of([f"{i:064d}" for i in range(num)], labels, wrong, question, who, yes)
    asked = case.asked.filter(pa.array(case.in_pool))
    start = time.perf_counter()
    posterior(case.votes)
    middle = time.perf_counter()
    wrong_draws(case.votes, asked)
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    print(
        f"{num_votes:,} votes: posterior {middle - start:.1f} s (bound 10 s), draws {end - middle:.1f} s (bound 60 s)"
    )
    print(f"peak memory {peak / 1e6:,.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--only", default="", help="Rows whose name has this in it.")
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--big", action="store_true")
    options = parser.parse_args()
    print("| annotators | model | level 0.2 | 0.4 | 0.8 | width at 0.8, points | mean error, points | right in pool |")
    print("|---|---|---|---|---|---|---|---|")
    cases: dict[str, Callable[[int], Case]] = {
        "independent": lambda seed: people(seed),
        "independent, the same three": lambda seed: people(seed, annotators=3, more=0),
        "hard questions (0.5)": lambda seed: people(seed, spread=0.5),
        "hard questions (1.0)": lambda seed: people(seed, spread=1.0),
        "hard questions (1.0), the same three": lambda seed: people(seed, spread=1.0, annotators=3, more=0),
        "hard classes (0.5)": lambda seed: people(seed, classes=0.5),
        "hard questions (0.7) and classes (0.5)": lambda seed: people(seed, spread=0.7, classes=0.5),
        "simulated crowd with lookalikes": lambda seed: crowd(seed),
        "the same, skill 0.8, lookalikes 0.2 less": lambda seed: crowd(seed, skill=0.8, lookalike=0.2),
    }
    if options.cifar is not None:
        cases["people (CIFAR-10N)"] = cifar(options.cifar)
    if options.cifar is not None:
        cases["people (CIFAR-10N)"] = cifar(options.cifar)
    for name, make in cases.items():
        if options.only in name:
            coverage(name, make, options.seeds)
    if options.big:
        big()


if __name__ == "__main__":
    main()
