"""Trained networks as files that run without noisyweb: torch.export (.pt2), TorchScript (.ts) and ONNX (.onnx).

The exported module takes ``images``, [B, 3, S, S] float32 in [0, 1], RGB (bytes divided by 255; the whole image
squeezed to S x S), and gives ``logits``, [B, K] float32. Normalisation is inside, B is free. Class names and image size
travel in the file, see `noisyweb.training.model_formats`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from noisyweb import __version__
from noisyweb.atomic import replacing_file
from noisyweb.errors import OutputError, TrainingError, UnknownNameError
from noisyweb.training.model_formats import FORMATS
from noisyweb.training.student import DEVIATION, MEAN, Student
from noisyweb.training.trained import Trained

TOLERANCE = 1e-4
"""Largest difference of logits that is let pass; of logits beyond 1, as a share of the largest."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        format: one of `noisyweb.training.model_formats.FORMATS`.
        difference: largest, of logits, between the file and the network.
        run_by: what ran the file for that.
        num_bytes: size of the file.
    """

    format: str
    difference: float
    run_by: str
    num_bytes: int


class FromUnit(nn.Module):
    """A network and the normalisation before it: logits [B, K] for images [B, 3, S, S] in [0, 1]."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, normalisation: str) -> None:
        super().__init__()
        self.network = network
        mean, deviation = (MEAN, DEVIATION) if normalisation == "imagenet" else ((0.5,) * 3, (0.5,) * 3)
        centre, spread = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (mean, deviation))
        self.register_buffer("scale", (1 / spread).float())
        self.register_buffer("shift", (-centre / spread).float())

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images * self.scale + self.shift)
        return logits


def format_of(out: Path, named: str | None) -> str:
    """The format that is named, or else the one of the file's suffix.

    Raises:
        UnknownNameError: no such format.
        OutputError: the suffix stands for none.
    """
    if named is not None:
        if named not in FORMATS:
            raise UnknownNameError("format", named, FORMATS)
        return named
    for name, kind in FORMATS.items():
        if out.suffix == kind.suffix:
            return name
    raise OutputError(
        f"{out}: no format is known by the suffix {out.suffix!r}; "
        f"end the name in {', '.join(kind.suffix for kind in FORMATS.values())}, or name one with --format"
    )


def export_model(trained: Trained, out: Path, format: str | None = None, overwrite: bool = False) -> Exported:
    """Write a network as a file, read it again, and compare what it says with the network.

    Args:
        trained: the network; it is moved to the CPU.
        out: the file, whole or not at all.
        format: one of `noisyweb.training.model_formats.FORMATS`; None: by the suffix.
        overwrite: replace what is there.

    Raises:
        UnknownNameError: no such format.
        MissingExtraError: ONNX is wanted and not installed.
        OutputError: something is there already, or the file cannot be written.
        TrainingError: the file would say something else than the network, or ONNX cannot hold it.
    """
    name = format_of(out, format)
    if out.is_dir() or (out.exists() and not overwrite):
        raise OutputError(f"{out}: something is there already; --overwrite to replace a file, or name another")
    FORMATS[name].check()
    network, side = trained.network.cpu().eval(), trained.image_size
    about = {
        "noisyweb": __version__,
        "model": trained.model,
        "class_names": trained.class_names,
        "image_size": side,
        "input": f"images: float32 [B, 3, {side}, {side}], RGB, 0..1; the whole image, squeezed to the square",
        "output": "logits: float32 [B, K], in the order of class_names",
    }
    text = json.dumps(about)
    with replacing_file(out) as temporary, torch.no_grad():
        temporary.write_bytes(FORMATS[name].write(FromUnit(network, trained.normalisation).eval(), side, text))
        call, told, run_by = FORMATS[name].read(temporary)
        assert told == text
        difference = _compare(trained, call)
        if not difference <= TOLERANCE:
            raise TrainingError(
                f"{out}: not written, since {run_by} finds other logits in it than the network "
                f"(they differ by {difference:.1e}, expected {TOLERANCE:.0e} at most); take another format"
            )
        return Exported(name, difference, run_by, temporary.stat().st_size)


def _compare(trained: Trained, call: Callable[[Tensor], Tensor]) -> float:
    """Largest difference over batches of sizes that the export has not seen."""
    student = Student(trained.network, "fp32", False, trained.normalisation)
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for size in (3, 1):
        images = torch.rand(size, 3, trained.image_size, trained.image_size, generator=generator)
        expected = student(images * 2 - 1)
        found = call(images)
        if found.shape != expected.shape:
            return float("inf")
        difference = (found - expected).abs().max() / expected.abs().max().clamp(min=1)
        largest = max(largest, difference.nan_to_num(float("inf")).item())
    return largest
