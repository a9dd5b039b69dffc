"""Run folders as a finished training leaves them, made without the training loop."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from noisyweb.data import NoisyImages
from noisyweb.training import checkpoint
from noisyweb.training.augment import to_float
from noisyweb.training.data import decode_all
from noisyweb.training.models import build_model
from noisyweb.training.student import several

SIZE = 16


def write_toy_run(
    folder: Path,
    manifest: Path,
    *,
    num_networks: int = 1,
    normalisation: str = "unit",
    steps: int = 0,
    seed: int = 0,
) -> nn.Module:
    """Write a run folder with the ``small`` network; return the network.

    Args:
        folder: the run folder.
        manifest: what it says that it was trained on.
        num_networks: how many side by side.
        normalisation: as `noisyweb.training.student` knows it.
        steps: of training on the true labels of the manifest, all images at once.
        seed: of the weights.
    """
    images = NoisyImages(manifest)
    torch.manual_seed(seed)
    network = several([build_model("small", len(images.class_names)) for _ in range(num_networks)])
    _scramble(network)
    if steps:
        _train(network, images, steps)
    info = {"model": "small", "class_names": images.class_names, "image_size": SIZE, "normalisation": normalisation}
    checkpoint.save(folder / "model.safetensors", network.state_dict(), {**info, "num_networks": num_networks})
    write_config(folder, manifest)
    return network.eval()


def write_config(folder: Path, manifest: Path) -> None:
    """What a run writes when it begins."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model": "small", "image_size": SIZE, "method": "standard"}
    content = {"noisyweb": "0.1.0", "config_digest": "", "train": config, "data": {"where": str(manifest)}}
    (folder / "config.json").write_text(json.dumps(content))


def _scramble(network: nn.Module) -> None:
    """Running statistics that are not those of a fresh network, so that losing them shows."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]


def _train(network: nn.Module, images: NoisyImages, steps: int) -> None:
    pixels = to_float(decode_all(images, SIZE, "toys").images)
    labels = torch.from_numpy(images.true_labels).long()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    network.train()
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(network(pixels), labels).backward()
        optimizer.step()
