"""Images a second that training reaches, beside a loop fed by a DataLoader, in one run on one machine.

    python tests/benchmarks/bench_throughput.py                                  small net, 32 px, CPU or GPU
    python tests/benchmarks/bench_throughput.py --model wrn32 --tflops 989       and of the FLOP bound, on a GPU

The DataLoader-fed loop is what one writes first: PIL images from the manifest, pad, crop and flip one by one, worker
processes, then the same network, optimizer and plain cross-entropy in the same precision. ``loading`` leaves the
network out on both sides. The bound is 3 forwards of 2 FLOP a multiplication an image (4 forwards for MentorMix).
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from records import record_batch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from noisyweb.data import NoisyImages
from noisyweb.manifest import manifest_schema, write_shards
from noisyweb.training.augment import STRENGTHS, augment
from noisyweb.training.config import Wishes
from noisyweb.training.data import decode_all
from noisyweb.training.images import Resident
from noisyweb.training.plan import make_plan
from noisyweb.training.run import run
from noisyweb.training.state import TrainingState
from noisyweb.training.student import Student

CLASSES = [f"class {number}" for number in range(10)]


def main() -> None:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="small")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--images", type=int, default=5_000)
    parser.add_argument("--epochs", type=int, default=2, help="the first is not counted")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default=None)
    parser.add_argument("--compile", default="none")
    parser.add_argument("--tflops", type=float, help="dense bf16 TFLOP/s of the device")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "random" / "clean"
        write(folder, asked.images, asked.image_size)
        speeds = {}
        for method in ("standard", "mentormix"):
            plan = make_plan(folder, wishes(asked, method), out=Path(temporary) / method)
            rows: list[dict[str, Any]] = []
            run(plan, epoch_done=rows.append)
            speeds[method] = rows[-1]["images_per_s"]
        images = NoisyImages(folder)
        state = TrainingState(plan.config, 10, torch.from_numpy(images.labels.astype(np.int64)))
        speeds["DataLoader-fed loop"] = loader_fed(images, state, asked)
        device = torch.device(plan.config.device)
        resident = Resident(decode_all(images, asked.image_size, "images").to(device))
        speeds["loading: here"] = per_second(ours(resident, asked.batch_size), asked)
        speeds["loading: DataLoader"] = per_second(theirs(images, device, asked), asked)
    config, slow = plan.config, speeds["DataLoader-fed loop"]
    print(
        f"{config.model}, {config.image_size} px, batch {config.batch_size}, {config.precision}, {config.device}, "
        f"compile {config.compile}, {asked.workers} workers, {torch.get_num_threads()} threads\n"
    )
    flop = 2 * multiplications(state.network, asked.image_size, device)
    print("| | images/s | of the DataLoader-fed loop | of the FLOP bound |\n|---|---|---|---|")
    for name, speed in speeds.items():
        forwards = 4 if name == "mentormix" else 3
        bound = f"{speed * forwards * flop / asked.tflops / 1e12:.2f}" if asked.tflops and "loading" not in name else ""
        over = speeds["loading: DataLoader"] if "loading" in name else slow
        print(f"| {name} | {speed:,.0f} | {speed / over:.1f} | {bound} |")


def wishes(asked: argparse.Namespace, method: str) -> Wishes:
    """A short training."""
    return Wishes(
        method=method,
        options={"burn_in": 0} if method == "mentormix" else {},
        model=asked.model,
        image_size=asked.image_size,
        batch_size=asked.batch_size,
        epochs=asked.epochs,
        lr=1e-3,
        augmentation="crop",
        device=asked.device,
        compile=asked.compile,
    )


class PadCropFlip:
    """On one image, by PIL; a tensor in [-1, 1]."""

    def __init__(self, pad: int) -> None:
        self.pad = pad

    def __call__(self, image: Image.Image) -> Tensor:
        side = image.width
        x, y = random.randint(0, 2 * self.pad), random.randint(0, 2 * self.pad)
        image = ImageOps.expand(image, self.pad).crop((x, y, x + side, y + side))
        if random.random() < 0.5:
            image = ImageOps.mirror(image)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(127.5).sub_(1)


def loader(images: NoisyImages, asked: argparse.Namespace, device: torch.device) -> DataLoader[Any]:
    """What one writes first."""
    images.transform = PadCropFlip(asked.image_size // 8)
    return DataLoader(
        images,
        asked.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=asked.workers,
        pin_memory=device.type == "cuda",
    )


def loader_fed(images: NoisyImages, state: TrainingState, asked: argparse.Namespace) -> float:
    """Images a second of plain training in the last epoch."""
    config = state.config
    student = Student(state.network, config.precision, config.channels_last)
    device = torch.device(config.device)
    for _ in range(asked.epochs):
        started, done = time.perf_counter(), 0
        for x, labels in loader(images, asked, device):
            loss = F.cross_entropy(student(x.to(device)), labels.to(device))
            state.descend(loss)
            done += len(labels)
        loss.item()
        seconds = time.perf_counter() - started
    return done / seconds


def ours(resident: Resident, size: int) -> Iterator[Tensor]:
    """Augmented batches."""
    generator = torch.Generator(resident.labels.device)
    for _, plain in resident.batches(resident.order(0), size):
        yield augment(plain, STRENGTHS["crop"], generator)


def theirs(images: NoisyImages, device: torch.device, asked: argparse.Namespace) -> Iterator[Tensor]:
    """Augmented batches."""
    return (x.to(device) for x, _ in loader(images, asked, device))


def per_second(batches: Iterator[Tensor], asked: argparse.Namespace) -> float:
    """Images a second."""
    started = time.perf_counter()
    looked_at = [x[0, 0, 0, 0] for x in itertools.islice(batches, asked.images // asked.batch_size)]
    float(looked_at[-1])  # waits for the device
    return asked.images // asked.batch_size * asked.batch_size / (time.perf_counter() - started)


def multiplications(network: nn.Module, side: int, device: torch.device) -> int:
    """Of one forward of one image."""
    counted: list[int] = []

    def count(module: Any, inputs: object, output: Tensor) -> None:
        counted.append(module.weight.numel() * (output.shape[2] * output.shape[3] if output.dim() == 4 else 1))

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, side, side, device=device))
    for hook in hooks:
        hook.remove()
    return sum(counted)


def write(folder: Path, num: int, side: int) -> None:
    """A manifest of random pictures, as PNG."""
    folder.mkdir(parents=True)
    info = {"dataset": "random", "title": "Random", "edition": "drawn", "kind": "clean", "level": "0", "seed": 0}
    schema = manifest_schema(CLASSES, {**info, "split": "train"})
    rng = np.random.default_rng(0)
    data = []
    for _ in range(num):
        out = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(out, "PNG", compress_level=1)
        data.append(out.getvalue())
    labels = [row % len(CLASSES) for row in range(num)]
    columns = {
        "image_id": [f"{row:064x}" for row in range(num)],
        "image": [{"bytes": image, "path": f"{row}.png"} for row, image in enumerate(data)],
        "label": labels,
        "is_clean": [row % 5 != 0 for row in range(num)],
        "true_label": labels,
        "noise": ["none"] * num,
        "source": ["clean"] * num,
    }
    write_shards(folder, "train", schema, iter([record_batch(schema, columns)]))


if __name__ == "__main__":
    main()
