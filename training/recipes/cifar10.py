"""MentorMix on CIFAR-10 with symmetric noise, as the authors' release: 512 epochs of the wide ResNet-32.

Target, the paper's test accuracy at 20/40/60/80 % ("Beyond Synthetic Noise", ICML 2020): 95.6/94.2/91.3/81.0 %; the
released code reached 96.2/94.4/89.0/82.0 %.
"""

from __future__ import annotations

from collections.abc import Mapping

from noisyweb.training.config import Wishes
from noisyweb.training.recipes._release import nearest, release

TARGETS: Mapping[int, float] = {20: 95.6, 40: 94.2, 60: 91.3, 80: 81.0}


def wishes(level: float) -> Wishes:
    """The settings at a share of wrong labels, 0..1; hyper-parameters are those of the nearest level."""
    return release(f"cifar10-{nearest(level)}", 50_000)
