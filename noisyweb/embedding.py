"""The optional last stage of dedup: images alike by the embeddings of a torch model that the user gives.

It finds what no hash can, and what is no copy too: two photographs of one scene, say. So it is off unless asked for.
Needs the extra ``train`` (torch).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from noisyweb.decode import DAMAGE, NotUsableError, open_image, to_rgb
from noisyweb.errors import MissingExtraError, SourceError
from noisyweb.progress import Progress, silent

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, which most published models want."""

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Embedding:
    """A model, and how alike images must be.

    Attributes:
        name: of the model, by which its vectors are kept.
        model: called with a float tensor of shape (B, 3, S, S), RGB, normalised by `MEAN` and `STD`; gives (B, D).
        min_cosine: from which on two images are the same, in (0, 1].
        side: S, pixels; images are resized to a square.
        batch: B.
    """

    name: str
    model: Callable[[Any], Any]
    min_cosine: float = 0.95
    side: int = 224
    batch: int = 32

    def __post_init__(self) -> None:
        if not 0 < self.min_cosine <= 1:
            raise SourceError(f"cosine {self.min_cosine}: expected a number above 0, 1 at the most")


def load_model(name: str) -> Callable[[Any], Any]:
    """A model of the user's own code.

    Args:
        name: ``module:attribute``, the attribute being a torch module or a function that returns one. The folder that
            the user is in is looked through first.

    Raises:
        SourceError: there is no such thing, or it is no model.
        MissingExtraError: torch is not installed.
    """
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name or not attribute:
        raise SourceError(f"embedding {name!r}: expected module:attribute, as in my_models:resnet")
    torch = _torch()
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise SourceError(f"embedding {name!r}: {error}; expected module:attribute, as in my_models:resnet") from error
    finally:
        sys.path.pop(0)
    model = found if isinstance(found, torch.nn.Module) else found() if callable(found) else None
    if not isinstance(model, torch.nn.Module):
        raise SourceError(f"embedding {name!r}: expected a torch.nn.Module or a function that returns one")
    chosen: Callable[[Any], Any] = model.eval()
    return chosen


def embed(
    embedding: Embedding, images: Iterable[bytes | None], progress: Progress = silent
) -> Iterator[Vectors | None]:
    """The vectors of images, of length 1; None where an image cannot be decoded.

    Args:
        embedding: the model.
        images: encoded bytes, consumed a batch at a time.
        progress: told how many are done.

    Raises:
        SourceError: the model gives something else than one vector an image.
    """
    torch = _torch()
    device = next((parameter.device for parameter in getattr(embedding.model, "parameters", list)()), "cpu")
    done = 0
    rest = iter(images)
    while part := list(islice(rest, embedding.batch)):
        pictures = [_pixels(data, embedding.side) for data in part]
        there = [picture for picture in pictures if picture is not None]
        vectors: Iterator[Vectors] = iter(())
        if there:
            with torch.inference_mode():
                found = embedding.model(torch.from_numpy(np.stack(there)).to(device))
            shape = tuple(getattr(found, "shape", ()))
            if len(shape) != 2 or shape[0] != len(there):
                raise SourceError(
                    f"embedding {embedding.name}: it gives shape {shape} for {len(there)} images; expected "
                    f"({len(there)}, D)"
                )
            vectors = iter(torch.nn.functional.normalize(found.float(), dim=1).cpu().numpy())
        for picture in pictures:
            yield None if picture is None else next(vectors)
        done += len(part)
        progress("embed", done, 0)


def _pixels(data: bytes | None, side: int) -> npt.NDArray[np.float32] | None:
    try:
        image = open_image(data or b"")
        rgb = (image if image.mode == "RGB" else to_rgb(image)).resize((side, side), Image.Resampling.BICUBIC)
    except (NotUsableError, *DAMAGE):
        return None
    pixels = np.asarray(rgb).astype(np.float32) / 255
    return np.asarray(((pixels - MEAN) / STD).transpose(2, 0, 1), np.float32)


def pairs_above(
    left: Vectors, right: Vectors, min_cosine: float, block: int = 1024
) -> Iterator[tuple[int, int, float]]:
    """All pairs of rows whose cosine is high enough, compared a block at a time: i, j, cosine."""
    for start in range(0, len(left), block):
        for other in range(0, len(right), block):
            cosines = left[start : start + block] @ right[other : other + block].T
            for i, j in np.argwhere(cosines >= min_cosine).tolist():
                yield start + i, other + j, float(cosines[i, j])


def to_bytes(vector: Vectors) -> bytes:
    """A vector as it is kept: half precision."""
    return vector.astype("<f2").tobytes()


def from_bytes(rows: Sequence[bytes]) -> Vectors:
    """Kept vectors, of length 1 again, shape (N, D)."""
    vectors = np.frombuffer(b"".join(rows), "<f2").reshape(len(rows), -1).astype(np.float32)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "train", "the embedding stage") from error
    return torch
