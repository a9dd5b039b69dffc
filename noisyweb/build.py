"""Build: a clean set, a pool, a kind, levels and a seed become manifest folders.

    <out>/<dataset>/clean_validation/            the clean validation set, shared by all levels
    <out>/<dataset>/<kind>_noise_nl_<level>/     one training set a level, with its lock file
    <out>/<dataset>/README.md, ATTRIBUTION.md    the card and the credits of all of them

Each folder appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from noisyweb.blend import Blend, Blending, blending
from noisyweb.build_folder import VALIDATION_IMAGE, Built, FolderPlan, check_target, write_folder
from noisyweb.build_leaks import DRAWN_CHECK, LeakCheck, refuse_leaks
from noisyweb.certainty import Certainty
from noisyweb.confusion import Confusion
from noisyweb.dataset import Dataset
from noisyweb.documents import check_documents, write_documents
from noisyweb.imageset import ImageSet
from noisyweb.levels import level_text
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.manifest import image_id
from noisyweb.mixture import Mix, parse_mix
from noisyweb.pixels import small_pictures
from noisyweb.plan import BlendInput
from noisyweb.progress import Progress, silent


@dataclass(frozen=True)
class Recipe:
    """How labels are to be wrong.

    Attributes:
        mix: a kind of noise, or several with their shares.
        levels: shares of wrong labels in [0, 1].
        seed: same inputs, options and seed give the same bytes.
        balance: "class" (each class has its share) or "global" (rows are drawn from all alike).
        on_shortage: "error", "cap" or "shrink" (`noisyweb.blend.blending`).
        shrink_for: the level that ``shrink`` keeps rows for, where it is above all ``levels``.
        confusion: for asymmetric noise.
    """

    mix: Mix
    levels: Sequence[Decimal]
    seed: int = 0
    balance: str = "class"
    on_shortage: str = "error"
    shrink_for: Decimal | None = None
    confusion: Confusion | None = None

    @classmethod
    def of(cls, kind: str, levels: Sequence[Decimal], seed: int = 0) -> Recipe:
        """One kind, or a mix such as "red=0.7,blue=0.3", with everything else as usual."""
        return cls(parse_mix(kind), levels, seed)

    def info(self, level: Decimal, asked: Decimal, is_even: bool) -> dict[str, Any]:
        """The options of one level, as a manifest and its lock file have them; what is as usual is left out."""
        info: dict[str, Any] = {"kind": self.mix.name, "level": level_text(level), "seed": self.seed}
        if len(self.mix.shares) > 1:
            info["mix"] = str(self.mix)
        if self.balance != "class":
            info["balance"] = self.balance
        elif not is_even:
            info["balance"] = "confusion"
        if self.on_shortage != "error":
            info["on_shortage"] = self.on_shortage
        if level != asked:
            info["asked"] = level_text(asked)
        if self.on_shortage == "shrink":
            info["shrunk_for"] = level_text(self.highest)
        if self.confusion is not None:
            info["confusion"] = self.confusion.sha256
        return info

    @property
    def highest(self) -> Decimal:
        """The highest level, which ``shrink`` keeps rows for."""
        return max([*self.levels, *([self.shrink_for] if self.shrink_for is not None else [])], default=Decimal(0))


def build(
    dataset: Dataset,
    recipe: Recipe,
    *,
    out: Path = Path("builds"),
    overwrite: bool = False,
    leak_check: bool = True,
    progress: Progress = silent,
) -> Iterator[Built]:
    """Build the clean validation set (if there is one) and one training set a level.

    Levels, targets, shortages and leaks are checked before the first folder is written.

    Args:
        dataset: of `noisyweb.dataset.load_dataset`.
        recipe: kind of noise, levels, seed.
        out: parent folder of all builds.
        overwrite: replace folders that hold a build with other options.
        leak_check: compare stand-ins with the clean images by their looks first (`noisyweb.build_leaks`); the drawn
            edition is known to have none. Those that are the same byte for byte are refused in any case.
        progress: told how many rows of each folder are done.

    Yields:
        What was built, the validation set first.

    Raises:
        ShortageError: too few wrong labels for a level.
        LeakError: a web image is also a clean image.
        OutputError: a target folder holds something else, or the disk is full.
        SourceError: an input cannot be read as its definition says.
    """
    root = out / dataset.name
    common = {"dataset": dataset.name, "title": dataset.title, "edition": dataset.edition}
    validation_info = {**common, "split": "validation"}
    check_documents(root)
    check_target(root / VALIDATION_FOLDER, validation_info, overwrite)

    train = dataset.train()
    noises = recipe.mix.noise_names
    pool = dataset.pool() if "web" in noises else None
    other = dataset.other() if "open-set" in noises else None
    whole = _blending(recipe, train, pool, other, progress)
    plans: dict[Path, tuple[dict[str, Any], int]] = {}
    for place, (asked, level) in enumerate(whole.levels):
        info = {**common, "split": "train", **recipe.info(level, asked, whole.plan.weights is None)}
        folder = root / f"{recipe.mix.name}_noise_nl_{level_text(level)}"
        check_target(folder, info, overwrite)
        plans.setdefault(folder, (info, place))
    blends = {folder: whole.blend(place) for folder, (_, place) in plans.items()}

    validation = dataset.validation()
    checks = _leak_checks(dataset, pool, other, validation, list(blends.values()), leak_check, progress)
    clean_ids: dict[str, str] = {}
    if validation is not None:
        plan = FolderPlan(root / VALIDATION_FOLDER, validation_info, validation, _no_noise(validation))
        built, ids = write_folder(plan, {}, overwrite, progress)
        clean_ids = dict.fromkeys(ids, VALIDATION_IMAGE)
        yield built
    if pool is not None or other is not None:
        # all of them: an image that is replaced at this level must not come back as its own replacement
        for data in train.load(range(len(train))):
            if data is not None:
                clean_ids.setdefault(image_id(data), "a clean training image")
    certainties = _certainties(pool, list(blends.values()))
    for (folder, blend), certainty in zip(blends.items(), certainties, strict=True):
        plan = FolderPlan(
            folder,
            plans[folder][0],
            train,
            blend,
            pool,
            other,
            checks,
            _notes(blend, train, whole),
            certainty=certainty,
        )
        built, _ = write_folder(plan, clean_ids, True, progress)
        assert built.num_wrong == built.num_wrong_asked, "the blend must be exact"
        yield built
    write_documents(root)


def _blending(
    recipe: Recipe, train: ImageSet, pool: ImageSet | None, other: ImageSet | None, progress: Progress
) -> Blending:
    """All levels, without repetitions; raises on a shortage, before anything is written."""
    confusion = recipe.confusion.matrix(train.class_names) if recipe.confusion is not None else None
    source = BlendInput.of(train, pool, other, confusion, small_pictures(train, progress))
    return blending(
        recipe.mix,
        source,
        list(dict.fromkeys(recipe.levels)),
        recipe.seed,
        balance=recipe.balance,
        on_shortage=recipe.on_shortage,
        shrink_for=recipe.highest,
    )


def _no_noise(images: ImageSet) -> Blend:
    rows = np.arange(len(images))
    none = np.zeros(len(images), bool)
    level = Decimal(0)
    return Blend(level, images.labels, none, np.full(len(images), -1), rows, none.astype(np.int8), ("none",), level)


def _notes(blend: Blend, train: ImageSet, whole: Blending) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if blend.level != blend.asked:
        notes += (
            f"level {level_text(blend.asked)} was asked for and {level_text(blend.level)} is the best that there are "
            f"{whole.plan.made_of} for",
        )
    left_out = len(train) - len(blend.labels)
    if left_out:
        notes += (f"{left_out:,} of {len(train):,} clean images were left out, so that the level is exact",)
    return notes


def _leak_checks(
    dataset: Dataset,
    pool: ImageSet | None,
    other: ImageSet | None,
    validation: ImageSet | None,
    blends: Sequence[Blend],
    leak_check: bool,
    progress: Progress,
) -> dict[str, Mapping[str, Any]]:
    """What was looked for in each set of stand-ins, by role, for the lock file.

    Raises:
        LeakError: one of them is a clean image.
    """
    clean = {"train": dataset.train()} | ({"validation": validation} if validation is not None else {})
    used = np.unique(np.concatenate([np.empty(0, np.int64), *(blend.pool_row for blend in blends)]))
    num_web = len(pool) if pool is not None else 0
    checks: dict[str, Mapping[str, Any]] = {}
    for role, images, rows in (
        ("pool", pool, used[(used >= 0) & (used < num_web)]),
        ("other", other, used[used >= num_web] - num_web),
    ):
        if images is None:
            continue
        found: LeakCheck | None = None
        if leak_check:
            is_drawn = dataset.edition == "drawn" and role == "pool"
            found = DRAWN_CHECK if is_drawn else refuse_leaks(images, rows, clean, progress)
        checks[role] = {"leak_check": found}
    return checks


def _certainties(pool: ImageSet | None, blends: Sequence[Blend]) -> list[Certainty | None]:
    """How sure each level is; None where no annotator judged, or no web image has come in."""
    num_web = len(pool) if pool is not None else 0
    used = [blend.pool_row[(blend.pool_row >= 0) & (blend.pool_row < num_web)] for blend in blends]
    draws = pool.wrong_draws() if pool is not None and pool.wrong_draws is not None and any(map(len, used)) else None
    return [
        draws.certainty(rows, len(blend.labels), int(blend.is_wrong.sum()) - len(rows))
        if draws is not None and len(rows)
        else None
        for rows, blend in zip(used, blends, strict=True)
    ]
