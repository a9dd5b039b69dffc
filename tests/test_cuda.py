"""What can only be seen on a GPU; skipped without one."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from noisyweb import plugins
from noisyweb.training.augment import STRENGTHS, augment
from noisyweb.training.auto import resolve
from noisyweb.training.config import Wishes
from noisyweb.training.facts import Facts
from noisyweb.training.machine import this_machine
from noisyweb.training.method import PACKAGE, Batch, Clock
from noisyweb.training.plan import make_plan
from noisyweb.training.run import run
from noisyweb.training.state import TrainingState
from tests.toy_manifest import write_toy_manifest

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.mark.parametrize("method", plugins.names(PACKAGE))
def test_no_step_waits_for_the_device(method: str) -> None:
    facts = Facts("toy", "drawn", "blue", 0.4, 10, 1024, 0, 32, "")
    wishes = Wishes(method=method, model="small", image_size=32, batch_size=128, epochs=10, augmentation="strong")
    config = resolve(wishes, facts, this_machine("cuda"))
    labels = torch.arange(1024) % 10
    state = TrainingState(config, 10, labels)
    pixels = torch.randint(0, 256, (1024, 3, 32, 32), dtype=torch.uint8, device="cuda")
    on_device = labels.cuda()
    generator = torch.Generator("cuda")
    rows = torch.arange(128, device="cuda")

    def step(number: int) -> None:
        state.step = number
        generator.manual_seed(number)
        again = functools.partial(augment, pixels[rows], STRENGTHS["strong"], generator)
        batch = Batch(again(), on_device[rows], rows, again)
        clock = Clock(number, state.num_steps, state.steps_per_epoch)
        result = state.method.step(state.student, batch, clock, generator)
        state.descend(result.loss)
        state.record(batch, result)

    for number in range(40, 43):  # kernels are chosen, tables copied
        step(number)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number in range(43, 46):
            step(number)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("wishes", [{}, {"data": "stream"}, {"compile": "graphs"}])
def test_a_gpu_trains_as_a_cpu_does(tmp_path: Path, wishes: dict[str, Any]) -> None:
    manifest = write_toy_manifest(tmp_path, num_images=64)
    common: dict[str, Any] = {
        "method": "mentormix",
        "model": "small",
        "epochs": 2,
        "batch_size": 16,
        "image_size": 32,
        "precision": "fp32",
        "optimizer": "sgd",
        "lr": 0.003,
        "augmentation": "none",
    }
    summaries = {}
    for device, more in (("cpu", {}), ("cuda", wishes)):
        plan = make_plan(manifest, Wishes(**{**common, **more, "device": device}), out=tmp_path / device)
        summaries[device] = run(plan)
    first = [pq.read_table(tmp_path / device / "loss_curve.parquet")["loss"].to_numpy()[0] for device in summaries]
    assert np.isfinite(first).all()
    assert summaries["cuda"]["final_val_accuracy"] > 0.5
