"""What the authors' release of MentorMix does on 32-pixel images."""

from __future__ import annotations

from noisyweb.training.config import Wishes

STEPS = 200_000
BATCH = 128
LEVELS = (20, 40, 60, 80)


def nearest(level: float) -> int:
    """The level in percent that the authors' table has and that is nearest; the lower of two."""
    return min(LEVELS, key=lambda known: (round(abs(known - 100 * level), 6), known))


def release(preset: str, num_images: int) -> Wishes:
    """200,000 steps of the wide ResNet-32 with SGD; weight decay is 0 where the preset weighs mixtures too.

    Args:
        preset: of `noisyweb.training.mentormix_presets`.
        num_images: of the training set.
    """
    return Wishes(
        method="mentormix",
        options={"preset": preset},
        model="wrn32",
        image_size=32,
        epochs=STEPS // (num_images // BATCH),
        batch_size=BATCH,
        lr=0.1,
        optimizer="sgd",
        momentum=0.9,
        schedule="staircase",
        warmup=0.0,
        average_decay=0.9999,
        augmentation="strong",
        eval_every=4,
    )
