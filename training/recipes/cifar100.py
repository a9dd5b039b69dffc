"""MentorMix on CIFAR-100 with symmetric noise, as the authors' release: 512 epochs of the wide ResNet-32.

Target, the paper's test accuracy at 20/40/60/80 % ("Beyond Synthetic Noise", ICML 2020): 78.6/71.3/64.6/41.2 %; the
released code reached 77.8/70.4/66.0/39.2 %.
"""

from __future__ import annotations

from collections.abc import Mapping

from noisyweb.training.config import Wishes
from noisyweb.training.recipes._release import nearest, release

TARGETS: Mapping[int, float] = {20: 78.6, 40: 71.3, 60: 64.6, 80: 41.2}


def wishes(level: float) -> Wishes:
    """The settings at a share of wrong labels, 0..1; hyper-parameters are those of the nearest level."""
    return release(f"cifar100-{nearest(level)}", 50_000)
