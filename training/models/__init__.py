"""Networks: one file each, found by name; ``torchvision:NAME`` builds one of torchvision's.

A network's module has ``build(num_classes) -> nn.Module``: logits [B, K] for images [B, 3, S, S] in [-1, 1].
"""

from __future__ import annotations

import importlib

from torch import nn

from noisyweb import plugins
from noisyweb.errors import MissingExtraError, TrainingError, UnknownNameError

PACKAGE = "noisyweb.training.models"
TORCHVISION = "torchvision:"


def build_model(name: str, num_classes: int) -> nn.Module:
    """A network with fresh weights, drawn from torch's global generator.

    Args:
        name: a file of this package, or ``torchvision:`` and the name that torchvision gives it.
        num_classes: K.

    Raises:
        UnknownNameError: no such network.
        MissingExtraError: torchvision is wanted and not installed.
    """
    if name.startswith(TORCHVISION):
        return _torchvision_model(name.removeprefix(TORCHVISION), num_classes)
    check_model(name)
    model: nn.Module = plugins.load(PACKAGE, "model", name).build(num_classes)
    return model


def check_model(name: str) -> None:
    """Check that a network of that name exists, without building it.

    Raises:
        UnknownNameError: it does not.
    """
    known = plugins.names(PACKAGE)
    if name not in known and not name.startswith(TORCHVISION):
        raise UnknownNameError("model", name, known, f"or {TORCHVISION}NAME for one of torchvision's")


def _torchvision_model(name: str, num_classes: int) -> nn.Module:
    try:
        models = importlib.import_module("torchvision.models")
    except ImportError:
        raise MissingExtraError("torchvision", "torchvision", f"the model {TORCHVISION}{name}") from None
    except RuntimeError as error:  # operators of a torchvision that was built for another torch
        raise TrainingError(
            f"torchvision cannot be used with the torch installed here ({str(error).splitlines()[0]}); "
            "install the torchvision made for it, or take --model resnet18"
        ) from error
    known = models.list_models(module=models)
    if name not in known:
        raise UnknownNameError("torchvision model", name, known)
    model: nn.Module = models.get_model(name, weights=None, num_classes=num_classes)
    return model
