"""Formats of exported networks: how each is written, and read and run again. Shapes: B batch, S side, K classes.

A JSON object travels in each file under `ABOUT`: as an extra file (torch), as metadata (ONNX). Files hold no stack
traces, which would tell where the exporting machine keeps its packages.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from noisyweb.errors import MissingExtraError, TrainingError

ABOUT = "noisyweb.json"
"""Name of the JSON object in the file."""

OPSET = 18
"""Of ONNX."""

_ONNX_BYTES = 2_000_000_000  # Protobuf writes nothing larger


class Reread(NamedTuple):
    """A file that was read again."""

    call: Callable[[Tensor], Tensor]  # images [B, 3, S, S] to logits [B, K]
    about: str  # the JSON object
    run_by: str  # what runs it


class Format(NamedTuple):
    """One format."""

    suffix: str
    check: Callable[[], None]  # raises MissingExtraError
    write: Callable[[nn.Module, int, str], bytes]  # module, side and JSON object to the file's bytes
    read: Callable[[Path], Reread]


def _program(module: nn.Module, side: int) -> torch.export.ExportedProgram:
    """The module as a graph with a free batch size."""
    program = torch.export.export(
        module, (torch.zeros(2, 3, side, side),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def _write_torch_export(module: nn.Module, side: int, about: str) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(_program(module, side), buffer, extra_files={ABOUT: about})
    return buffer.getvalue()


def _read_torch_export(file: Path) -> Reread:
    extra: dict[str, Any] = {ABOUT: ""}
    program = torch.export.load(io.BytesIO(file.read_bytes()), extra_files=extra)
    return Reread(program.module(), extra[ABOUT], "torch.export")


def _write_torchscript(module: nn.Module, side: int, about: str) -> bytes:
    buffer, bare = io.BytesIO(), io.BytesIO()
    with _torchscript_warnings():
        example = torch.zeros(2, 3, side, side)
        traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, buffer, _extra_files={ABOUT: about})
    with zipfile.ZipFile(buffer) as full, zipfile.ZipFile(bare, "w") as kept:
        for entry in full.infolist():
            if not entry.filename.endswith(".debug_pkl"):  # stack traces
                kept.writestr(zipfile.ZipInfo(entry.filename, entry.date_time), full.read(entry))
    return bare.getvalue()


def _read_torchscript(file: Path) -> Reread:
    extra: dict[str, Any] = {ABOUT: ""}
    with _torchscript_warnings():
        content = io.BytesIO(file.read_bytes())
        loaded = torch.jit.load(content, _extra_files=extra)  # type: ignore[no-untyped-call]
    return Reread(loaded, extra[ABOUT].decode(), "TorchScript")


def _write_onnx(module: nn.Module, side: int, about: str) -> bytes:
    num_bytes = sum(tensor.nbytes for tensor in module.state_dict().values())
    if num_bytes > _ONNX_BYTES:
        raise TrainingError(f"ONNX files hold 2 GB, the network takes {num_bytes / 1e9:.1f} GB; take another format")
    with warnings.catch_warnings():
        # of torch about itself
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        exported = torch.onnx.export(
            _program(module, side),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: "batch"},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert exported is not None
    model = exported.model_proto
    for node in model.graph.node:
        del node.metadata_props[:]
    _module("onnx").helper.set_model_props(model, {ABOUT: about})
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _read_onnx(file: Path) -> Reread:
    onnx = _module("onnx")
    model = onnx.load_model(file)
    onnx.checker.check_model(model, full_check=True)
    told = {entry.key: entry.value for entry in model.metadata_props}[ABOUT]
    try:
        runtime = importlib.import_module("onnxruntime")
    except ModuleNotFoundError:  # a slow interpreter in Python comes with onnx itself
        session, run_by = importlib.import_module("onnx.reference").ReferenceEvaluator(model), "onnx.reference"
    else:
        session, run_by = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"]), "onnxruntime"

    def call(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])

    return Reread(call, told, run_by)


def _check_onnx() -> None:
    _module("onnx")
    _module("onnxscript")


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != name:
            raise
        raise MissingExtraError(name, "onnx", "export to ONNX") from None


@contextlib.contextmanager
def _torchscript_warnings() -> Iterator[None]:
    """Torch would have everybody on torch.export; and sizes are meant to be constants in the trace."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        yield


FORMATS = {
    "torch-export": Format(".pt2", lambda: None, _write_torch_export, _read_torch_export),
    "torchscript": Format(".ts", lambda: None, _write_torchscript, _read_torchscript),
    "onnx": Format(".onnx", _check_onnx, _write_onnx, _read_onnx),
}
