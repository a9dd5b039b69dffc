"""torchvision and timm, also where torchvision's operators were built for another torch: networks need none of them."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

import pytest
import torch

_KEPT: list[torch.library.Library] = []


def import_or_skip(name: str) -> ModuleType:
    """``torchvision``, ``timm`` or a module of theirs, or a skip where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages to themselves
        try:
            pytest.importorskip("torchvision")
        except RuntimeError as error:
            if "torchvision::nms" not in str(error):
                raise
            library = torch.library.Library("torchvision", "DEF")
            for operator in ("nms", "qnms"):
                library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _KEPT.append(library)
        pytest.importorskip(name)
        return importlib.import_module(name)
