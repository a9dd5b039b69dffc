"""What a MentorMix step costs against a plain step, in one run on one machine.

    python tests/benchmarks/bench_mentormix_step.py --model small --image-size 48 --batch-size 64

A plain step is one forward and one backward (3F with F for a forward); MentorMix adds a forward: 4F / 3F = 1.33 is
ideal. The two take turns, so that both meet the same machine; medians are compared. Both include augmentation,
optimizer and averaging, as in training.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from noisyweb.training.augment import STRENGTHS, augment
from noisyweb.training.auto import resolve
from noisyweb.training.config import Wishes
from noisyweb.training.facts import Facts
from noisyweb.training.machine import this_machine
from noisyweb.training.method import Batch, Clock
from noisyweb.training.state import TrainingState

IDEAL = 4 / 3


def main() -> None:
    """Print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="small")
    parser.add_argument("--image-size", type=int, default=48)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--classes", type=int, default=196)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default=None, choices=("bf16", "fp32"))
    arguments = parser.parse_args()

    facts = Facts("random", "drawn", "red", 0.4, arguments.classes, 4096, 0, arguments.image_size, "")
    machine = this_machine(arguments.device)
    states = {}
    for method in ("standard", "mentormix"):
        wishes = Wishes(
            method=method,
            model=arguments.model,
            image_size=arguments.image_size,
            batch_size=arguments.batch_size,
            precision=arguments.precision,
            epochs=10,
        )
        config = resolve(wishes, facts, machine)
        states[method] = TrainingState(config, facts.num_classes, facts.num_images)
    device = torch.device(machine.device)
    side = arguments.image_size
    pixels = torch.randint(0, 256, (4096, side, side, 3), dtype=torch.uint8, device=device).permute(0, 3, 1, 2)
    labels = torch.randint(arguments.classes, (4096,), device=device)

    times: dict[str, list[float]] = {method: [] for method in states}
    for number in range(arguments.steps + 5):
        for method, state in states.items():
            seconds = _step(state, pixels, labels, number)
            if number >= 5:  # the first ones allocate and choose kernels
                times[method].append(seconds)
    plain, mixed = (statistics.median(times[method]) for method in ("standard", "mentormix"))
    config = states["mentormix"].config
    print(
        f"{config.model}, {side} px, batch {config.batch_size}, {config.precision}, {machine.device}, "
        f"{torch.get_num_threads()} threads, median of {arguments.steps} steps"
    )
    for method, seconds in (("standard", plain), ("mentormix", mixed)):
        print(f"{method:10s} {1000 * seconds:8.1f} ms  {config.batch_size / seconds:8,.0f} images/s")
    print(f"mentormix / standard = {mixed / plain:.3f} (ideal {IDEAL:.3f})")


def _step(state: TrainingState, pixels: torch.Tensor, labels: torch.Tensor, number: int) -> float:
    """One training step half-way through a training; its wall time in seconds."""
    device = pixels.device
    generator = torch.Generator(device).manual_seed(number)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    rows = torch.randint(len(labels), (state.config.batch_size,), generator=generator, device=device)
    images = augment(pixels[rows], STRENGTHS[state.config.augmentation], generator)
    batch = Batch(images, labels[rows], rows)
    clock = Clock(state.num_steps // 2, state.num_steps, state.steps_per_epoch)
    result = state.method.step(state.student, batch, clock, generator)
    state.descend(result.loss)
    state.record(batch, result)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
