"""Methods on CIFAR-10 photographs with wrong labels: accuracy at the peak and at the end, mean and spread over seeds.

    python tests/benchmarks/bench_cifar.py --data ../shared/data/cifar10

10,000 images and a small net, minutes a run on a CPU; ``--minutes 9`` stops after a piece, run it again to go on. On a
GPU, as the paper but for fewer epochs:

    python tests/benchmarks/bench_cifar.py --data ../shared/data/cifar10 --model wrn32 --images 50000 --seeds 1 \
        --noises 0.2,0.4,0.6,0.8,human --epochs 60 --optimizer sgd --augmentation strong --minutes 9

Runs that are finished in ``--out`` are not run again; one that was cut short goes on where it was, on a CPU to the bit.
Several processes may share a folder: each takes the next run that nobody is at.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from cifar import manifests

from noisyweb.errors import TrainingError
from noisyweb.training.config import Wishes
from noisyweb.training.run import make_plan, run
from noisyweb.training.run_folder import RunFolder


class OutOfTime(Exception):
    """The piece's minutes are over."""


def main() -> None:
    """Run what is missing, then print the table of what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of train.parquet and test.parquet")
    parser.add_argument("--out", type=Path, default=Path("cifar-runs"))
    parser.add_argument("--noises", default="0.4,human")
    parser.add_argument("--methods", default="standard,mixup,mentornet,mentormix")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--model", default="small")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--optimizer", default="adamw")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--augmentation", default="crop")
    parser.add_argument("--schedule", default="cosine")
    parser.add_argument("--weight-decay", type=float)
    parser.add_argument("--option", action="append", default=[], help="of a method: METHOD.NAME=VALUE")
    parser.add_argument("--plot", type=Path, help="draw accuracy and memorisation by epoch into this PNG file")
    asked = parser.parse_args()
    ends = time.monotonic() + 60 * asked.minutes
    folders = manifests(asked.data, asked.out / f"data-{asked.images}", asked.noises.split(","), asked.images)
    try:
        for seed, noise, method in itertools.product(range(asked.seeds), folders, asked.methods.split(",")):
            one_run(asked, folders[noise], noise, method, seed, ends)
    except OutOfTime:
        print("out of time; run the same command again to go on", file=sys.stderr)
    print_table(asked, list(folders))
    if asked.plot is not None:
        plot(asked, list(folders))


def one_run(asked: argparse.Namespace, manifest: Path, noise: str, method: str, seed: int, ends: float) -> None:
    """Begin, go on with, or skip a run."""
    wishes = Wishes(
        method=method,
        options=options_of(method, asked.option),
        model=asked.model,
        image_size=32,
        epochs=asked.epochs,
        batch_size=asked.batch_size,
        lr=asked.lr,
        optimizer=asked.optimizer,
        schedule=asked.schedule,
        weight_decay=asked.weight_decay,
        augmentation=asked.augmentation,
        seed=seed,
        eval_every=max(asked.epochs // 40, 1),
    )
    folder = folder_of(asked, noise, method, seed)
    if RunFolder(folder).is_finished:
        return
    plan = make_plan(manifest, wishes, out=folder, resume=RunFolder(folder).is_started)

    def watch(row: dict[str, Any]) -> None:
        print(f"{folder.name}  epoch {row['epoch']}", *brief(row), flush=True)
        if time.monotonic() > ends:
            raise OutOfTime

    try:
        run(plan, epoch_done=watch)
    except TrainingError as error:
        if "another process" not in str(error):
            raise


def options_of(method: str, given: list[str]) -> dict[str, Any]:
    """Those of the ``--option`` that are for this method, numbers as numbers."""
    options: dict[str, Any] = {}
    for option in given:
        name, _, value = option.partition("=")
        whose, _, name = name.partition(".")
        if whose == method:
            try:
                options[name] = float(value) if "." in value else int(value)
            except ValueError:
                options[name] = {"true": True, "false": False}.get(value, value)
    return options


def folder_of(asked: argparse.Namespace, noise: str, method: str, seed: int) -> Path:
    """Of one run."""
    return Path(asked.out / f"{asked.model}-{asked.epochs}" / f"{noise}-{method}-s{seed}")


def brief(row: dict[str, Any]) -> list[str]:
    """An epoch in a few words."""
    parts = [("right", "train_accuracy_clean"), ("wrong", "train_accuracy_wrong"), ("AUROC", "detector_auroc")]
    known = [f"{title} {row[name]:.3f}" for title, name in [*parts, ("val", "val_accuracy")] if row[name] is not None]
    return [*known, f"{row['images_per_s']:,.0f} images/s"]


def print_table(asked: argparse.Namespace, noises: list[str]) -> None:
    """Accuracy in %, mean ± standard deviation over the seeds that are done."""
    print("| noise | method | seeds | peak | end | wrong labels memorised | AUROC | images/s |")
    print("|---|---|---|---|---|---|---|---|")
    for noise, method in itertools.product(noises, asked.methods.split(",")):
        done = [RunFolder(folder_of(asked, noise, method, seed)) for seed in range(asked.seeds)]
        found = [folder.read_summary() for folder in done if folder.is_finished]
        if not found:
            continue
        cells = [spread([summary[key] for summary in found]) for key in ("peak_val_accuracy", "final_val_accuracy")]
        for key in ("train_accuracy_wrong", "detector_auroc"):
            known = [summary[key] for summary in found if summary[key] is not None]
            cells.append(f"{100 * np.mean(known):.1f}" if known else "")
        speed = np.median([summary["images_per_s"] for summary in found])
        print(f"| {noise} | {method} | {len(found)} | {' | '.join(cells)} | {speed:,.0f} |")


def plot(asked: argparse.Namespace, noises: list[str]) -> None:
    """Validation accuracy, and the share of wrong labels that are predicted as given; means over the seeds."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(noises), figsize=(5 * len(noises), 7), sharex=True, sharey="row", squeeze=False)
    for column, noise in enumerate(noises):
        for number, method in enumerate(asked.methods.split(",")):
            folders = [folder_of(asked, noise, method, seed) for seed in range(asked.seeds)]
            done = [pd.read_parquet(folder / "metrics.parquet") for folder in folders if RunFolder(folder).is_finished]
            if not done:
                continue
            mean = pd.concat(done).groupby("epoch")[["val_accuracy", "train_accuracy_wrong"]].mean()
            for row, name in enumerate(mean):
                if mean[name].notna().any():
                    axes[row, column].plot(100 * mean[name].dropna(), f"C{number}", label=method)
        title = "labels of people (CIFAR-10N, worst)" if noise == "human" else f"symmetric noise {float(noise):.0%}"
        axes[0, column].set_title(title)
        axes[1, column].set_xlabel("epoch")
    axes[0, 0].set_ylabel("validation accuracy, %")
    axes[1, 0].set_ylabel("wrong labels predicted as given, %")
    axes[0, 0].legend()
    axes[1, 0].legend()
    figure.tight_layout()
    figure.savefig(asked.plot, dpi=110)


def spread(values: list[float]) -> str:
    """Mean ± sample standard deviation, in %."""
    deviation = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{deviation}"


if __name__ == "__main__":
    main()
