"""What a step and an epoch of each method cost against plain training, in one run on one machine.

    python tests/benchmarks/bench_methods.py                                    all methods, small net at 32 px
    python tests/benchmarks/bench_methods.py --methods standard,mentormix --model resnet18 --batch-size 128

A plain step is one forward and one backward (3F with F for a forward); MentorMix adds a forward: 4F / 3F = 1.33 is
ideal. The methods take turns, so that all meet the same machine; the ratios are medians over the turns. A step includes
augmentation, optimizer and averaging, as in training, and stands after any burn-in; an epoch includes what a method
does before it.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time

import torch

from noisyweb import plugins
from noisyweb.training.augment import STRENGTHS, augment
from noisyweb.training.auto import resolve
from noisyweb.training.config import Wishes
from noisyweb.training.data import Pixels
from noisyweb.training.evaluation import survey
from noisyweb.training.facts import Facts
from noisyweb.training.images import Resident
from noisyweb.training.machine import Machine, this_machine
from noisyweb.training.method import PACKAGE, STANDARD, Batch, Clock, step_cost
from noisyweb.training.state import TrainingState

WARM_UP = 5
NUM_IMAGES = 4096


def main() -> None:
    """Print a row for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default=",".join(plugins.names(PACKAGE)))
    parser.add_argument("--model", default="small")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--images", type=int, default=50_000, help="of the epoch that is worked out")
    parser.add_argument("--augmentation", default="crop")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default=None, choices=("bf16", "fp32"))
    parser.add_argument("--compile", default="none")
    asked = parser.parse_args()

    methods = list(dict.fromkeys([STANDARD, *asked.methods.split(",")]))
    facts = Facts("random", "drawn", "symmetric", 0.4, asked.classes, NUM_IMAGES, 0, asked.image_size, "")
    machine = this_machine(asked.device)
    device, side = torch.device(machine.device), asked.image_size
    pixels = torch.randint(0, 256, (NUM_IMAGES, side, side, 3), dtype=torch.uint8, device=device).permute(0, 3, 1, 2)
    images = Resident(Pixels(pixels, torch.randint(asked.classes, (NUM_IMAGES,), device=device)))
    states = {method: state_of(method, asked, facts, machine, images) for method in methods}
    befores = {method: before_epoch(state, images) for method, state in states.items()}

    times: dict[str, list[float]] = {method: [] for method in states}
    for number in range(asked.steps + WARM_UP):
        for method, state in states.items():
            seconds = one_step(state, images, number)
            if number >= WARM_UP:  # the first ones allocate and choose kernels
                times[method].append(seconds)
    config = states[STANDARD].config
    print(
        f"{config.model}, {side} px, batch {config.batch_size}, {config.precision}, {machine.device}, "
        f"{torch.get_num_threads()} threads, {asked.steps} turns; an epoch of {asked.images:,} images\n"
    )
    print("| method | step | images/s | of a plain step | ideal | epoch | of a plain epoch |")
    print("|---|---|---|---|---|---|---|")
    steps = asked.images // config.batch_size
    plain_epoch = steps * statistics.median(times[STANDARD])
    for method, seconds in times.items():
        median = statistics.median(seconds)
        ratio = statistics.median(mine / plain for mine, plain in zip(seconds, times[STANDARD], strict=True))
        epoch = steps * median + befores[method] * asked.images / NUM_IMAGES
        print(
            f"| {method} | {1000 * median:.1f} ms | {config.batch_size / median:,.0f} | {ratio:.2f} "
            f"| {step_cost(method):.2f} | {epoch:.0f} s | {epoch / plain_epoch:.2f} |"
        )


def state_of(method: str, asked: argparse.Namespace, facts: Facts, machine: Machine, images: Resident) -> TrainingState:
    """A training of a hundred epochs."""
    wishes = Wishes(
        method=method,
        model=asked.model,
        image_size=asked.image_size,
        batch_size=asked.batch_size,
        precision=asked.precision,
        augmentation=asked.augmentation,
        compile=asked.compile,
        lr=1e-4,
        epochs=100,
    )
    return TrainingState(resolve(wishes, facts, machine), facts.num_classes, images.labels)


def half_way(state: TrainingState) -> Clock:
    """The first step of the epoch in the middle of the training."""
    return Clock(state.steps_per_epoch * (state.config.epochs // 2), state.num_steps, state.steps_per_epoch)


def before_epoch(state: TrainingState, images: Resident) -> float:
    """Seconds that the method takes before an epoch."""
    started = time.perf_counter()
    state.method.begin_epoch(state.student, half_way(state), functools.partial(survey, images=images))
    wait(images)
    return time.perf_counter() - started


def one_step(state: TrainingState, images: Resident, number: int) -> float:
    """One training step half-way through a training; its wall time in seconds."""
    device, strength = images.labels.device, STRENGTHS[state.config.augmentation]
    generator = torch.Generator(device).manual_seed(number)
    wait(images)
    started = time.perf_counter()
    if state.config.compile == "graphs":
        torch.compiler.cudagraph_mark_step_begin()
    rows = torch.randint(len(images.labels), (state.config.batch_size,), generator=generator, device=device)
    again = functools.partial(augment, images.pixels.images[rows], strength, generator)
    batch = Batch(again(), images.labels[rows], rows, again)
    result = state.method.step(state.student, batch, half_way(state), generator)
    state.descend(result.loss)
    state.record(batch, result)
    wait(images)
    return time.perf_counter() - started


def wait(images: Resident) -> None:
    """For the device."""
    if images.labels.device.type == "cuda":
        torch.cuda.synchronize(images.labels.device)


if __name__ == "__main__":
    main()
