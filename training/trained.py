"""The network that a finished run leaves, and what is needed to use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from noisyweb.errors import CorruptFileError, TrainingError
from noisyweb.training import checkpoint
from noisyweb.training.models import build_model
from noisyweb.training.run_folder import RunFolder
from noisyweb.training.student import NORMALISATIONS, several

_MOST_NETWORKS = 8
_EXPECTED = "expected a finished run, such as runs/cars-red-0.4-mentormix-s0, or its model.safetensors"


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        network: gives logits [B, K]; on the CPU, in eval mode, without gradients. Images go through
            `noisyweb.training.student.Student`, which knows the normalisation.
        model: a file of `noisyweb.training.models`, or ``torchvision:NAME``, ``timm:NAME``.
        class_names: the K classes.
        image_size: side in pixels that it was trained on.
        normalisation: one of `noisyweb.training.student.NORMALISATIONS`.
        file: where it was read from.
    """

    network: nn.Module
    model: str
    class_names: list[str]
    image_size: int
    normalisation: str
    file: Path


def load_trained(path: Path) -> Trained:
    """Read the network of a finished run; nothing in its file can run code.

    Args:
        path: a run folder, or the ``model.safetensors`` of one.

    Raises:
        TrainingError: there is no run, or it is not finished, or its weights are no numbers.
        CorruptFileError: the file is damaged, no trained network, or holds another network than it says.
        UnknownNameError: no such network here.
        MissingExtraError: torchvision or timm is wanted and not installed.
    """
    file = path
    if path.is_dir():
        folder = RunFolder(path)
        file = folder.model
        if not file.exists():
            if folder.is_started:
                raise TrainingError(
                    f"{path}: this run is not finished (it has no {file.name}); "
                    "go on with `noisyweb train ... --resume`, as it was begun"
                )
            raise TrainingError(f"{path}: no run is here; {_EXPECTED}")
    elif not path.exists():
        raise TrainingError(f"{path}: there is nothing; {_EXPECTED}")
    tensors, info = checkpoint.load(file)
    _check_info(file, info)
    names, model, count = info["class_names"], info["model"], info.get("num_networks", 1)
    # drawn weights are thrown away: whoever calls keeps their own random numbers
    with torch.random.fork_rng(devices=[]):
        with torch.device("meta"):  # takes no memory, however large a hostile file says that it is
            expected = _build(model, len(names), count).state_dict()
        _check_alike(file, model, expected, tensors)
        network = _build(model, len(names), count)
    network.load_state_dict(tensors)
    network.eval().requires_grad_(False)
    return Trained(network, model, list(names), info["image_size"], info.get("normalisation", "unit"), file)


def trained_on(path: Path) -> str:
    """The manifest that a run was trained on, as it was named then: a path or an fsspec URL.

    Args:
        path: a run folder, or the ``model.safetensors`` in one.

    Raises:
        TrainingError: the run does not say.
        CorruptFileError: its configuration cannot be read.
    """
    folder = RunFolder(path if path.is_dir() else path.parent)
    where = folder.read_config()[1].get("where") if folder.is_started else None
    if not isinstance(where, str) or not where:
        raise TrainingError(f"{path}: nothing says what it was trained on; name the images with --manifest")
    return where


def _build(model: str, num_classes: int, num_networks: int) -> nn.Module:
    return several([build_model(model, num_classes) for _ in range(num_networks)])


def _check_info(file: Path, info: Mapping[str, Any]) -> None:
    """Refuse what no run writes.

    Raises:
        CorruptFileError: something is missing, of another type or out of range.
    """
    names, size, count = info.get("class_names"), info.get("image_size"), info.get("num_networks", 1)
    for what, fine in (
        ("model", isinstance(info.get("model"), str)),
        ("class_names", isinstance(names, list) and bool(names) and all(isinstance(name, str) for name in names)),
        ("image_size", type(size) is int and 8 <= size <= 1024),
        ("normalisation", info.get("normalisation", "unit") in NORMALISATIONS),
        ("num_networks", type(count) is int and 1 <= count <= _MOST_NETWORKS),
    ):
        if not fine:
            found = _short(info[what]) if what in info else "missing"
            raise CorruptFileError(f"{file}: not a trained network ({what} is {found}); {_EXPECTED}")


def _check_alike(file: Path, model: str, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Compare names, shapes and types, and look for weights that are no numbers.

    Raises:
        CorruptFileError: they differ.
        TrainingError: a weight is infinite or not a number.
    """
    for name in sorted({*expected, *found}):
        told = [
            f"{str(one[name].dtype).removeprefix('torch.')} {list(one[name].shape)}" if name in one else "none"
            for one in (found, expected)
        ]
        if told[0] != told[1]:
            raise CorruptFileError(
                f"{file}: its tensors are not those of the model {model!r} that it names "
                f"({_short(name)}: found {told[0]}, expected {told[1]}); was it made by another version of noisyweb?"
            )
    for name, tensor in found.items():
        if not tensor.isfinite().all():
            raise TrainingError(
                f"{file}: {name} holds values that are no numbers: the training diverged; train again with a lower --lr"
            )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
