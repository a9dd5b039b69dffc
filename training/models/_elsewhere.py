"""Networks of other packages, imported when they are asked for; weights are fresh, nothing is downloaded."""

from __future__ import annotations

import difflib
import importlib
from types import ModuleType
from typing import Any

from torch import nn

from noisyweb.errors import MissingExtraError, TrainingError, UnknownNameError

_PLAIN: dict[str, dict[str, Any]] = {
    name: {"aux_logits": False, "init_weights": True} for name in ("googlenet", "inception_v3")
}
"""What makes torchvision's networks give logits alone in train mode; the second is their default, said aloud."""

_NUM_NEAREST = 8


def torchvision_model(name: str, num_classes: int) -> nn.Module:
    """One of torchvision's classifiers of images.

    Raises:
        UnknownNameError: torchvision has none of that name.
        MissingExtraError: torchvision is not installed.
        TrainingError: torchvision cannot be imported, or the network does something else than classify images.
    """
    models = _imported("torchvision.models", f"the model torchvision:{name}")
    known = models.list_models(module=models)
    if name not in known and name in models.list_models():
        place = models.get_model_builder(name).__module__.rpartition(".")[0]
        raise TrainingError(
            f"torchvision:{name} is one of {place}; only the classifiers of images of torchvision.models itself can be "
            "trained, such as torchvision:resnet50"
        )
    if name not in known:
        raise UnknownNameError("torchvision model", name, known)
    model: nn.Module = models.get_model(name, weights=None, num_classes=num_classes, **_PLAIN.get(name, {}))
    return model


def timm_model(name: str, num_classes: int) -> nn.Module:
    """One of timm's, by the architecture's name alone (no tag of weights, no ``hf-hub:``).

    Raises:
        UnknownNameError: timm has none of that name; the message lists the nearest ones.
        MissingExtraError: timm, or what it needs, is not installed.
        TrainingError: timm cannot be imported.
    """
    timm = _imported("timm", f"the model timm:{name}")
    known = timm.list_models()
    if name not in known:
        nearest = difflib.get_close_matches(name.lower(), known, n=_NUM_NEAREST, cutoff=0)
        more = f"timm.list_models() gives {len(known) - len(nearest):,} more"
        raise UnknownNameError("timm model", name, nearest, more)
    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=num_classes)
    return model


def _imported(module: str, purpose: str) -> ModuleType:
    package = module.partition(".")[0]  # of noisyweb, the extra has the same name
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or package).partition(".")[0]
        raise MissingExtraError(missing, package, purpose) from None
    except (ImportError, RuntimeError) as error:  # operators of a torchvision that was built for another torch
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrainingError(
            f"{package} cannot be used with the torch installed here ({reason}); "
            "install the torchvision made for it, or take --model resnet18"
        ) from error
