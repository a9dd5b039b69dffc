"""``noisyweb export-model``: files that others read, run without noisyweb, and that say what the network says."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner, Result

from noisyweb.cli._main import app
from noisyweb.errors import TrainingError
from noisyweb.training.export_model import export_model
from noisyweb.training.model_formats import FORMATS
from noisyweb.training.models import build_model
from noisyweb.training.trained import Trained, load_trained
from tests.conftest import assert_refused
from tests.toy_manifest import write_toy_manifest
from tests.toy_run import SIZE, write_config, write_toy_run

ABOUT = "noisyweb.json"

Export = Callable[[str], tuple[Path, str]]


def run_export(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["export-model", *map(str, arguments)])


def refused(result: Result, *words: str) -> None:
    done = subprocess.CompletedProcess(["noisyweb"], result.exit_code, result.stdout, result.stderr)
    assert_refused(done, *words)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_manifest(tmp_path_factory.mktemp("toys"), num_images=6, num_validation=0)


@pytest.fixture(scope="module")
def run(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks side by side that take ImageNet's colours."""
    folder = tmp_path_factory.mktemp("runs") / "pair"
    write_toy_run(folder, manifest, num_networks=2, normalisation="imagenet")
    return folder


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Writes a file of that name, once; gives it, and what was printed."""
    folder = tmp_path_factory.mktemp("exported") / "new"

    @functools.cache
    def export(name: str) -> tuple[Path, str]:
        if name.endswith(".onnx"):
            pytest.importorskip("onnxscript")
        done = run_export(run, "--out", folder / name)
        assert done.exit_code == 0, done.stderr
        return folder / name, done.stdout

    return export


def pictures(count: int) -> Tensor:
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(count))


def by_hand(network: nn.Module, images: Tensor) -> Tensor:
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        logits: Tensor = network((images - mean[:, None, None]) / deviation[:, None, None])
    return logits


def read_pt2(file: Path) -> tuple[Any, Any]:
    extra: dict[str, Any] = {ABOUT: ""}
    return torch.export.load(file, extra_files=extra).module(), json.loads(extra[ABOUT])


def read_ts(file: Path) -> tuple[Any, Any]:
    extra: dict[str, Any] = {ABOUT: ""}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.load` is deprecated", DeprecationWarning)
        return torch.jit.load(str(file), _extra_files=extra), json.loads(extra[ABOUT])


def read_onnx(file: Path) -> tuple[Any, Any]:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    model = onnx.load(file)
    assert [entry.name for entry in (*model.graph.input, *model.graph.output)] == ["images", "logits"]
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def call(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])

    return call, json.loads({entry.key: entry.value for entry in model.metadata_props}[ABOUT])


def plain_bytes(file: Path) -> bytes:
    """What is in a file, unpacked where it is an archive."""
    if not zipfile.is_zipfile(file):
        return file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


@pytest.mark.parametrize(("name", "read"), [("m.pt2", read_pt2), ("m.ts", read_ts), ("m.onnx", read_onnx)])
def test_the_file_says_what_the_network_says(run: Path, exported: Export, name: str, read: Any) -> None:
    file, told = exported(name)
    first, second = told.splitlines()
    assert first.startswith(f"{file}: small as ")
    assert first.endswith("; images [B, 3, 16, 16] in 0..1 -> logits [B, 3]")
    assert second.startswith("read again and run by ")
    call, about = read(file)
    assert (about["class_names"], about["image_size"], about["model"]) == (["red", "green", "blue"], SIZE, "small")
    network = load_trained(run).network
    for count in (1, 2, 5):
        images = pictures(count)
        found, expected = call(images), by_hand(network, images)
        assert found.shape == (count, 3)
        assert torch.allclose(found, expected, atol=1e-5)
    content = plain_bytes(file)
    for place in (str(file.parent), str(Path(torch.__file__).parents[1]), str(Path(__file__).parents[1])):
        assert place.encode() not in content


def test_torchscript_runs_without_noisyweb(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    assert run_export(run, "--out", file, "--format", "torchscript").exit_code == 0
    code = f"""
import sys, torch
model = torch.jit.load({str(file)!r})
images = torch.rand(4, 3, {SIZE}, {SIZE}, generator=torch.Generator().manual_seed(4))
print(model(images).flatten().tolist())
print([name for name in sys.modules if name.startswith("noisyweb")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    logits, modules = map(json.loads, done.stdout.splitlines())
    assert modules == []
    expected = by_hand(load_trained(run).network, pictures(4)).flatten().tolist()
    assert np.allclose(logits, expected, atol=1e-5)


@pytest.mark.slow
def test_a_network_that_reckons_with_its_sizes(tmp_path: Path) -> None:
    """Paddings of the wide ResNet come from the shape; in the trace they are constants, without a warning."""
    torch.manual_seed(0)
    network = build_model("wrn32", 10).eval().requires_grad_(False)
    written = export_model(Trained(network, "wrn32", list("abcdefghij"), 16, "unit", tmp_path), tmp_path / "m.ts")
    assert written.difference < 1e-5


def test_onnx_alone_is_enough(run: Path, exported: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    file, _ = exported("m.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # what Python does for a package that is not there
    read = FORMATS["onnx"].read(file)
    assert read.run_by == "onnx.reference"
    assert torch.allclose(read.call(pictures(2)), by_hand(load_trained(run).network, pictures(2)), atol=1e-5)


class Moody(nn.Module):
    """What tracing cannot hold: an answer that hangs on the number of images."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.mean((2, 3))) * (1.0 if len(images) == 2 else 1.5)


def test_a_file_that_says_something_else_is_not_written(tmp_path: Path) -> None:
    trained = Trained(Moody().eval(), "moody", ["a", "b"], 8, "unit", tmp_path)
    with pytest.raises(
        TrainingError, match=r"not written, since TorchScript finds other logits in it than the network"
    ):
        export_model(trained, tmp_path / "m.ts")
    assert list(tmp_path.iterdir()) == []


def test_mistakes_are_one_line(run: Path, manifest: Path, tmp_path: Path) -> None:
    there = tmp_path / "there.ts"
    there.write_text("mine")
    refused(run_export(run, "--out", there), "something is there already; --overwrite")
    refused(run_export(run, "--out", tmp_path, "--format", "onnx", "--overwrite"), "something is there already")
    assert there.read_text() == "mine"
    refused(run_export(run, "--out", tmp_path / "m.bin"), "no format is known by the suffix '.bin'", ".pt2, .ts, .onnx")
    refused(
        run_export(run, "--out", tmp_path / "m.ts", "--format", "onix"), "unknown format 'onix'; did you mean 'onnx'"
    )
    refused(run_export(tmp_path / "none", "--out", tmp_path / "m.ts"), "there is nothing; expected a finished run")
    write_config(tmp_path / "begun", manifest)
    refused(run_export(tmp_path / "begun", "--out", tmp_path / "m.ts"), "this run is not finished")
    assert {path.name for path in tmp_path.iterdir()} == {"there.ts", "begun"}
    assert run_export(run, "--out", there, "--overwrite").exit_code == 0
    assert read_ts(there)[1]["image_size"] == SIZE


def test_without_onnx_one_line_says_what_to_install(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)  # what Python does for a package that is not there
    expected = "export to ONNX needs onnx, which is not installed; pip install 'noisyweb[onnx]'"
    refused(run_export(run, "--out", tmp_path / "m.onnx"), expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["eval", "run"], ["export-model", "run", "--out", "model.onnx"]])
def test_without_torch_one_line_says_what_to_install(tmp_path: Path, command: list[str]) -> None:
    code = f"""
import sys
sys.modules["torch"] = None  # what Python does for a package that is not there
sys.argv = ["noisyweb", *{command!r}]
from noisyweb.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert_refused(done, "needs torch, which is not installed; pip install 'noisyweb[train]'")
