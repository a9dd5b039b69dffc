"""MentorMix on Red Mini-ImageNet at 32 x 32 pixels with a PreActResNet-18, as later work compares methods.

Target, test accuracy at 20/40/60/80 % as FaMUS (CVPR 2021) and those after it quote it: 51.02/47.14/43.80/33.46 %
(cross-entropy 47.36/42.70/37.30/29.76 %). Alpha and percentile are those of CIFAR-100, and mixtures are never weighed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from noisyweb.training.config import Wishes
from noisyweb.training.recipes._release import nearest, release

TARGETS: Mapping[int, float] = {20: 51.02, 40: 47.14, 60: 43.80, 80: 33.46}


def wishes(level: float) -> Wishes:
    """The settings at a share of wrong labels, 0..1; hyper-parameters are those of the nearest level."""
    return dataclasses.replace(release(f"red-{nearest(level)}", 50_000), model="preact-resnet18")
