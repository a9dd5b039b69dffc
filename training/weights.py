"""Weights files for fine-tuning: safetensors, or a state dict of PyTorch, into a freshly built network.

Nothing in a file can run code. All tensors are checked before the first one is copied.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from noisyweb.errors import CorruptFileError, TrainingError
from noisyweb.training import checkpoint
from noisyweb.training.student import Several

_WRAPPERS = ("state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")
"""What `torch.nn.DataParallel` and `torch.compile` put before every name."""

_OLD_NAMES = (
    (re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)"), r"\1\2"),
    (re.compile(r"(.*\.mlp)\.linear_1(\..*)"), r"\1.0\2"),
    (re.compile(r"(.*\.mlp)\.linear_2(\..*)"), r"\1.3\2"),
)
"""Names in torchvision's published files (DenseNet, vision transformers) that its networks no longer have."""

_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
"""Heads that Inception and GoogLeNet have in training only, and ours have not."""

_COUNTER = "num_batches_tracked"

_DAMAGE = (
    *(pickle.UnpicklingError, zipfile.BadZipFile, struct.error, RuntimeError, ValueError, TypeError, LookupError),
    *(AttributeError, EOFError, OverflowError, MemoryError, AssertionError),
)
"""What `torch.load` raises for files that are damaged or no state dicts."""


def load_weights(network: nn.Module, path: Path, num_classes: int, new_head: bool) -> str:
    """Copy a file's weights into a network, for fine-tuning.

    The head is the last linear layer (or 1 x 1 convolution) of K outputs. Of `Several` networks each takes the same
    weights; of a file with several, the n-th network takes the n-th, counted round.

    Args:
        network: freshly built, on any device.
        path: a safetensors file, noisyweb's own or another, or a state dict written by ``torch.save``, also wrapped
            as ``{"state_dict": ...}`` or ``{"model": ...}`` or with ``module.`` before all names.
        num_classes: K, of the network.
        new_head: leave the head's fresh weights, whatever the file has for it.

    Returns:
        What was done, for the user: "122 tensors from FILE; a new head of 10 classes".

    Raises:
        CorruptFileError: the file is damaged, no weights file, or one that would run code.
        TrainingError: there is no such file, its tensors are not the network's, or its head is for another number
            of classes and no new one is wanted. The network is as it was.
    """
    sources = _side_by_side(_read(path))
    members = list(network.networks) if isinstance(network, Several) else [network]
    fits = [
        _fit(member, sources[place % len(sources)], path, num_classes, new_head) for place, member in enumerate(members)
    ]
    with torch.no_grad():
        for pairs in fits:
            for mine, theirs in pairs:
                mine.copy_(theirs)
    told = f"{len(fits[0])} tensors from {path}"
    if len(sources) > len(members):
        told += f", of the first of its {len(sources)} networks" if len(members) == 1 else ", of its first networks"
    if len(members) > 1:
        told += f", into each of {len(members)} networks"
    return told + (f"; a new head of {num_classes} classes" if new_head else "")


# -- does it fit? --------------------------------------------------------------------------------------


def _fit(
    network: nn.Module, source: dict[str, Tensor], path: Path, num_classes: int, new_head: bool
) -> list[tuple[Tensor, Tensor]]:
    """Pairs (the network's tensor, the file's) to copy, once all is checked."""
    own = network.state_dict()
    source = {_name_now(name, own): tensor for name, tensor in source.items()}
    head = _head(network, num_classes)
    resized = {name for name in own if name in source and _other_classes(own[name], source[name], num_classes)}
    counts = {len(source[name]) for name in resized}
    if len(counts) > 1:
        resized = set()  # no two heads of unlike numbers of classes: another network
    fresh = resized | ({name for name in own | source if _layer(name) == head} if new_head else set())
    if new_head and not fresh:
        raise TrainingError(f"{path}: the network has no linear layer of {num_classes} classes to draw anew")

    faults = [
        (name, fault)
        for name in [*own, *(name for name in source if name not in own)]
        if name not in fresh and (fault := _fault(name, own.get(name), source.get(name)))
    ]
    if faults and all(_layer(name) == head and name not in source for name, _ in faults):
        raise TrainingError(f"{path}: it has no head; --new-head draws one of {num_classes} classes")
    if faults:
        name, fault = faults[0]
        raise TrainingError(
            f"{path}: unlike the network's {len(own)} tensors in {len(faults)}, first {_shown(name)}, "
            f"{fault}; give the --model that the weights were made by"
        )
    if resized and not new_head:
        raise TrainingError(
            f"{path}: its head is for {counts.pop()} classes, the manifest has {num_classes}; "
            "--new-head draws a new one"
        )
    return [(own[name], source[name]) for name in own if name in source and name not in fresh]


def _fault(name: str, own: Tensor | None, found: Tensor | None) -> str | None:
    """What is wrong with a name of the network or the file; None if nothing."""
    if own is None:
        return None if name.startswith(_AUXILIARY) or name.endswith(_COUNTER) else "which the network has not"
    if found is None:
        return None if name.endswith(_COUNTER) else "which the file has not"
    if own.shape != found.shape:
        return f"of shape {list(found.shape)} where {list(own.shape)} is expected"
    if found.is_complex() or own.is_floating_point() != found.is_floating_point():
        return f"of {found.dtype} where {own.dtype} is expected"
    return None


def _head(network: nn.Module, num_classes: int) -> str | None:
    """The name of the last layer with K outputs."""
    found = None
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear) and module.out_features == num_classes:
            found = name
        if isinstance(module, nn.Conv2d) and module.out_channels == num_classes and module.kernel_size == (1, 1):
            found = name
    return found


def _other_classes(own: Tensor, found: Tensor, num_classes: int) -> bool:
    """Whether the shapes differ in the first dimension alone, which is the network's number of classes."""
    if not own.dim() or own.dim() != found.dim():
        return False
    return len(own) == num_classes != len(found) and own.shape[1:] == found.shape[1:]


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _name_now(name: str, own: Mapping[str, Tensor]) -> str:
    for pattern, replacement in _OLD_NAMES if name not in own else ():
        if (renamed := pattern.sub(replacement, name)) in own:
            return renamed
    return name


# -- what is in a file ---------------------------------------------------------------------------------


def _side_by_side(tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The networks of a file, one as a rule."""
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        found = re.fullmatch(r"networks\.(\d{1,3})\.(.+)", name, re.ASCII)
        if found is None:
            return [tensors]
        parts.setdefault(found[1], {})[found[2]] = tensor
    return [parts[number] for number in sorted(parts, key=int)]


def _read(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, by name, on the CPU."""
    try:
        with path.open("rb") as opened:
            start = opened.read(9)
    except OSError as error:
        raise TrainingError(f"{path}: the weights file cannot be read ({error.strerror})") from None
    if start[8:] == b"{":
        found: Any = _read_safetensors(path)
    elif start[:2] == b"PK" or start[:1] == b"\x80":
        found = _read_torch(path)
    else:
        raise CorruptFileError(f"{path}: neither a safetensors file nor a state dict that torch.save wrote")
    for wrapper in _WRAPPERS * 2:  # one may be in the other
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping):
        raise TrainingError(f"{path}: expected tensors by name, found {type(found).__name__}")
    if not found:
        raise TrainingError(f"{path}: there are no tensors in it")
    for name, tensor in found.items():
        if not isinstance(name, str) or not _is_plain(tensor):
            raise TrainingError(f"{path}: expected tensors by name, found {_shown(name)}: {type(tensor).__name__}")
    return {name: tensor.detach() for name, tensor in found.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as opened:
            if "noisyweb" not in (opened.metadata() or {}):
                return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, *_DAMAGE) as error:
        reason = "".join(letter for letter in str(error) if letter.isprintable())[:200]
        raise CorruptFileError(f"{path}: not a readable safetensors file ({reason}); get it again") from error
    tensors, info = checkpoint.load(path)  # its checksum is looked at
    if "config_digest" in info and any(name.startswith("average.") for name in tensors):
        raise TrainingError(f"{path}: a checkpoint to resume from; the run's model.safetensors has its weights")
    return tensors


def _read_torch(path: Path) -> Any:
    """What ``torch.save`` wrote, as far as it is data."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as opened:  # torch.save compresses nothing: what is larger inside is a bomb
                if sum(entry.file_size for entry in opened.infolist()) > path.stat().st_size:
                    raise zipfile.BadZipFile("more inside than it is long")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch to itself
            return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        text = str(error)  # torch's advice in it is to switch its protection off
        if found := re.search(r"(?:GLOBAL|class) ([\w.]{1,80})", text) or re.search("(TorchScript)", text):
            raise CorruptFileError(
                f"{path}: it holds code ({found[1]}), not tensors alone, and is not loaded; "
                "convert it to safetensors where you trust it"
            ) from None
        raise CorruptFileError(
            f"{path}: cut short, damaged, or not a state dict that torch.save wrote; get it again"
        ) from error


def _is_plain(tensor: object) -> bool:
    """Whether it is a tensor that can be copied: not sparse, nested, quantized or without content."""
    return (
        isinstance(tensor, Tensor)
        and not tensor.is_nested
        and tensor.layout == torch.strided
        and not tensor.is_quantized
        and tensor.device.type == "cpu"
    )


def _shown(name: object) -> str:
    """A name of a file nobody vouches for, in one short line."""
    return repr(name[:80]) if isinstance(name, str) else f"a name of type {type(name).__name__}"
