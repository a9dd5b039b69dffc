"""Networks by name: our own and those of other packages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from noisyweb import plugins
from noisyweb.errors import MissingExtraError, TrainingError, UnknownNameError
from noisyweb.training.models import PACKAGE, build_model, check_images, check_model
from tests.torchvision_stub import import_or_skip

OURS = plugins.names(PACKAGE)


def fresh(name: str, num_classes: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return build_model(name, num_classes)


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    assert list(one) == list(other)
    return all(torch.equal(one[name], other[name]) for name in one)


# -- our own networks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "num_classes", "expected"),
    [("resnet18", 100, 11_220_132), ("resnet34", 10, 21_282_122), ("preact-resnet18", 10, 11_171_274)],
)
def test_number_of_parameters(name: str, num_classes: int, expected: int) -> None:
    assert sum(weight.numel() for weight in build_model(name, num_classes).parameters()) == expected


@pytest.mark.parametrize("name", OURS)
def test_a_seed_gives_weights_and_logits(name: str) -> None:
    network = fresh(name, 7, 1)
    assert same(state(network), state(fresh(name, 7, 1)))
    assert not same(state(network), state(fresh(name, 7, 2)))
    logits = network(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()
    check_images(network, name, 32, 7)


def test_resnet18_draws_what_it_always_drew() -> None:
    """Runs of earlier versions can be repeated."""
    network = fresh("resnet18", 10, 0)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    for weight, expected in (
        (convolutions[0].weight, [-0.0502789, 0.0809424, 0.0222372]),
        (convolutions[-1].weight, [0.0036233, 0.0094695, 0.0078163]),
        (network.classifier.weight, [0.0010148, -0.0352717, 0.0195598]),
    ):
        assert weight.flatten()[:3].tolist() == pytest.approx(expected, abs=1e-6)
    assert list(network.state_dict())[:2] == ["features.0.weight", "features.1.weight"]
    assert "features.5.shortcut.0.weight" in network.state_dict()


def test_preact_shortcuts_start_after_the_activation() -> None:
    network = fresh("preact-resnet18", 10, 0).eval()
    block, x = network.features[3], torch.randn(1, 64, 8, 8)
    nn.init.zeros_(block.conv2.weight)
    assert torch.equal(block(x), block.norm1(x).relu())


# -- networks of other packages ------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "side"), [("squeezenet1_1", 32), ("googlenet", 32), ("inception_v3", 75)])
def test_torchvision_gives_logits_in_train_mode(name: str, side: int) -> None:
    import_or_skip("torchvision")
    assert fresh(f"torchvision:{name}", 7, 0).train()(torch.zeros(2, 3, side, side)).shape == (2, 7)


def test_torchvision_names() -> None:
    import_or_skip("torchvision")
    with pytest.raises(UnknownNameError, match="unknown torchvision model 'resnet51'; did you mean 'resnet50'"):
        build_model("torchvision:resnet51", 7)
    for name, place in {"fcn_resnet50": "segmentation", "r3d_18": "video", "quantized_resnet18": "quant"}.items():
        with pytest.raises(TrainingError, match=rf"^torchvision:{name} is one of torchvision.models.{place}.*; only"):
            build_model(f"torchvision:{name}", 7)


def test_timm() -> None:
    import_or_skip("timm")
    network = fresh("timm:test_resnet", 7, 3)
    assert same(state(network), state(fresh("timm:test_resnet", 7, 3)))
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    with pytest.raises(UnknownNameError, match=r"unknown timm model 'resnet51'; did you mean .* gives 1,\d+ more$"):
        build_model("timm:resnet51", 7)
    with pytest.raises(UnknownNameError, match="unknown timm model 'hf-hub:timm/resnet18'; did you mean 'resnet18'"):
        build_model("timm:hf-hub:timm/resnet18", 7)
    with pytest.raises(TrainingError, match=r"^timm:test_vit3 does not take images of 32 px .*--image-size"):
        check_images(build_model("timm:test_vit3", 7), "timm:test_vit3", 32, 7)


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_other_packages_that_are_not_there(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_model(f"{package}:nobody_looks")
    with pytest.raises(TrainingError, match=rf"^the model '{package}: ' has no name after the colon; expected such as"):
        check_model(f"{package}: ")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("torchvision", "timm")]:
        monkeypatch.delitem(sys.modules, name)
    with monkeypatch.context() as absent:
        absent.setitem(sys.modules, package, None)
        with pytest.raises(MissingExtraError, match=rf"{package}:resnet18 needs .*noisyweb\[{package}\]"):
            build_model(f"{package}:resnet18", 7)
    for name, code in {
        "torchvision": "raise RuntimeError('no operator\\nat all')",
        "timm": "import torchvision",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TrainingError, match=rf"^{package} cannot be used .* \(no operator\); install the torchvision"):
        build_model(f"{package}:resnet18", 7)


def test_checking_images_leaves_no_trace() -> None:
    network = fresh("small", 7, 0).train()
    before = state(network)
    check_images(network, "small", 24, 7)
    assert network.training
    assert same(state(network), before)
    with pytest.raises(TrainingError, match=r"^small gives \[1, 7\] for an image; expected logits \[1, 8\]"):
        check_images(network, "small", 24, 8)
