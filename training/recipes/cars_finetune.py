"""MentorMix on Stanford Cars with red noise, fine-tuned from ImageNet: Inception-ResNet-v2 at 299 pixels.

Target: 86.9 % test accuracy, mean over the ten levels of "Beyond Synthetic Noise" (ICML 2020; plain cross-entropy
82.4 %). The weights are the user's file: ``--weights inception_resnet_v2.safetensors``. Length and learning rate of the
fine-tune are ours.
"""

from __future__ import annotations

from collections.abc import Mapping

from noisyweb.training.config import Wishes
from noisyweb.training.recipes import MEAN
from noisyweb.training.recipes._release import nearest

TARGETS: Mapping[int, float] = {MEAN: 86.9}


def wishes(level: float) -> Wishes:
    """The settings at a share of wrong labels, 0..1; hyper-parameters are those of the nearest level."""
    return Wishes(
        method="mentormix",
        options={"preset": f"red-{nearest(level)}"},
        model="timm:inception_resnet_v2",
        new_head=True,
        normalisation="unit",  # this network was trained on [-1, 1]
        image_size=299,
        epochs=60,
        batch_size=64,
        lr=0.01,
        optimizer="sgd",
        momentum=0.9,
        schedule="cosine",
        warmup=0.05,
        weight_decay=1e-4,
        augmentation="light",
        eval_every=5,
    )
