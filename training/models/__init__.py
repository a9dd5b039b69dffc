"""Networks: one file each, found by name; ``torchvision:NAME`` and ``timm:NAME`` are those of other packages.

A network's module has ``build(num_classes) -> nn.Module``: logits [B, K] for images [B, 3, S, S] in [-1, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from noisyweb import plugins
from noisyweb.errors import TrainingError, UnknownNameError
from noisyweb.training.models import _elsewhere

PACKAGE = "noisyweb.training.models"
ELSEWHERE = {"torchvision:": _elsewhere.torchvision_model, "timm:": _elsewhere.timm_model}


def build_model(name: str, num_classes: int) -> nn.Module:
    """A network with fresh weights, drawn from torch's global generator.

    Args:
        name: a file of this package, or ``torchvision:`` or ``timm:`` and the name that the package gives it.
        num_classes: K.

    Raises:
        UnknownNameError: no such network.
        MissingExtraError: torchvision or timm is wanted and not installed.
        TrainingError: the other package cannot be imported, or its network does not classify images.
    """
    check_model(name)
    prefix, colon, rest = name.partition(":")
    if colon:
        return ELSEWHERE[f"{prefix}:"](rest, num_classes)
    model: nn.Module = plugins.load(PACKAGE, "model", name).build(num_classes)
    return model


def check_model(name: str) -> None:
    """Check that a network of that name may exist, without building it or importing another package.

    Raises:
        UnknownNameError: it does not.
        TrainingError: nothing after ``torchvision:`` or ``timm:``.
    """
    prefix, colon, rest = name.partition(":")
    if colon and f"{prefix}:" in ELSEWHERE:
        if not rest.strip():
            raise TrainingError(f"the model {name!r} has no name after the colon; expected such as {prefix}:resnet50")
        return
    known = plugins.names(PACKAGE)
    if name not in known:
        raise UnknownNameError("model", name, known, "or torchvision:NAME or timm:NAME for one of theirs")


@torch.no_grad()
def check_images(network: nn.Module, name: str, image_size: int, num_classes: int) -> None:
    """Check by one image that a network takes images of a size and gives logits [B, K], nothing else.

    Networks of other packages may be made for one size (vit_b_16) or for large images only (inception_v3).

    Raises:
        TrainingError: it does not.
    """
    weight, training = next(network.parameters()), network.training
    try:
        logits = network.eval()(torch.zeros(1, 3, image_size, image_size, device=weight.device))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrainingError(
            f"{name} does not take images of {image_size} px ({reason}); give the --image-size that it is made for"
        ) from error
    finally:
        network.train(training)
    if not isinstance(logits, Tensor) or logits.shape != (1, num_classes):
        found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise TrainingError(f"{name} gives {found} for an image; expected logits [1, {num_classes}] of a classifier")
