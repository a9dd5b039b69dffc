"""Checkpoints: one safetensors file, whole or not at all, that says itself whether it is damaged.

Tensors are stored by name; what is not a tensor is JSON in the file's header, beside a checksum of the tensors.
Nothing in it can run code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, uint8

from noisyweb.atomic import replacing_file
from noisyweb.errors import CorruptFileError

_HEADER = "noisyweb"


def save(path: Path, tensors: Mapping[str, Tensor], info: Mapping[str, Any]) -> None:
    """Write a checkpoint in place of the one that may be there.

    Args:
        path: the file.
        tensors: by name, on any device.
        info: anything that JSON can say.
    """
    stored = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    header = json.dumps({"info": info, "checksum": _checksum(stored)}, allow_nan=False)
    with replacing_file(path) as temporary:
        save_file(stored, temporary, metadata={_HEADER: header})


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint: tensors on the CPU, and the rest.

    Raises:
        CorruptFileError: the file is cut short, changed, or not a checkpoint at all.
    """
    advice = "train again with --overwrite, or restore the file from a copy"
    try:
        with safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
        header = json.loads(metadata[_HEADER])
        info, checksum = dict(header["info"]), header["checksum"]
    except FileNotFoundError:
        raise CorruptFileError(f"{path}: the checkpoint is missing; {advice}") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise CorruptFileError(f"{path}: not a readable checkpoint ({reason}); {advice}") from error
    if checksum != _checksum(tensors):
        raise CorruptFileError(f"{path}: the checkpoint is damaged (its checksum differs); {advice}")
    return tensors, info


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        if tensor.numel():
            digest.update(tensor.reshape(-1).view(dtype=uint8).numpy().data)
    return digest.hexdigest()
