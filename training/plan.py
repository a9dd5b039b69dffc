"""A training run that is resolved and has not begun: the data looked at, every option chosen."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path

from noisyweb.data import NoisyImages, validation_folder
from noisyweb.disk_cache import DISK_BYTES
from noisyweb.errors import TrainingError
from noisyweb.remote_path import Place
from noisyweb.training.auto import resolve
from noisyweb.training.config import TrainConfig, Wishes
from noisyweb.training.distributed import SOLO, Team
from noisyweb.training.facts import Facts, digest_of, facts_of
from noisyweb.training.machine import this_machine
from noisyweb.training.method import STANDARD
from noisyweb.training.recipes import load_recipe
from noisyweb.training.run_folder import RunFolder, default_folder
from noisyweb.training.streaming import CACHE_BYTES


@dataclass(frozen=True)
class Plan:
    """A run that is resolved and has not begun.

    Attributes:
        config: what is run.
        facts: of the training set.
        images: the training set.
        validation: the clean validation set; None if there is none.
        folder: where the run goes; on a disk that the process that leads sees, if nobody else does.
        resume: go on with the run that is there.
        team: processes that carry it out together.
    """

    config: TrainConfig
    facts: Facts
    images: NoisyImages
    validation: NoisyImages | None
    folder: RunFolder
    resume: bool
    team: Team = SOLO


def make_plan(
    manifest: str | Place,
    wishes: Wishes,
    *,
    out: Path | None = None,
    resume: bool = False,
    root: Path | None = None,
    team: Team = SOLO,
    recipe: str | None = None,
    cache_dir: Path | None = None,
    cache_disk_bytes: int = DISK_BYTES,
) -> Plan:
    """Look at the data and the machine, and resolve what is left open; in a team, the process that leads does.

    Args:
        manifest: a manifest folder: a path or an fsspec URL.
        wishes: what the user asked for.
        out: run folder; None: `noisyweb.training.run_folder.default_folder`.
        resume: take the configuration from the run folder; what is wished for must agree with it.
        root: folder that image paths start from, for manifests without image bytes.
        team: of `noisyweb.training.distributed.join`.
        recipe: one of `noisyweb.training.recipes`, for what is not wished for.
        cache_dir, cache_disk_bytes: of `noisyweb.data.NoisyImages`, for a manifest at a URL.

    Raises:
        NoisywebError: of the class that fits the mistake.
    """
    read = functools.partial(
        NoisyImages, root=root, cache_bytes=CACHE_BYTES, cache_dir=cache_dir, cache_disk_bytes=cache_disk_bytes
    )
    images = read(manifest)
    clean = validation_folder(manifest)
    validation = read(clean) if clean is not None else None
    if validation is not None and validation.class_names != images.class_names:
        raise TrainingError(f"{clean}: its classes are not those of {images.folder}; build both again")
    if validation is not None and len(validation) == 0:
        validation = None

    def settle() -> tuple[TrainConfig, Facts, RunFolder]:
        facts = facts_of(images, len(validation) if validation is not None else 0, str(images.folder))
        wished = wishes if recipe is None else wishes.over(load_recipe(recipe).wishes(facts.level))
        folder = RunFolder(out if out is not None else default_folder(facts, wished.method or STANDARD, wished.seed))
        if resume:
            config = _resumed(folder, wished, facts)
        else:
            config = resolve(wished, facts, this_machine(wished.device or "auto"), team.size)
        team.check_batch(config.batch_size)
        return config, facts, folder

    config, facts, folder = team.from_lead(settle)
    if not team.leads and digest_of(images.class_names, images.ids, images.labels) != facts.digest:
        raise TrainingError(f"{images.folder}: not the training set that the first process reads; give all the same")
    return Plan(config, facts, images, validation, folder, resume, team)


def _resumed(folder: RunFolder, wishes: Wishes, facts: Facts) -> TrainConfig:
    """The configuration that the run was begun with, if data and wishes agree with it."""
    saved, data = folder.read_config()
    if data.get("digest") != facts.digest:
        raise TrainingError(f"{folder.path}: this run was begun on another training set; name its own --manifest")
    if wishes.method not in (None, saved.get("method")):
        raise TrainingError(
            f"{folder.path}: this run was begun with method {saved.get('method')!r}, not {wishes.method!r}; "
            f"resume it with --method {saved.get('method')}"
        )
    try:
        begun = TrainConfig(**saved)
    except TypeError as error:
        raise TrainingError(f"{folder.path}: begun by another version of noisyweb ({error}); begin again") from error
    kept = {field.name: getattr(begun, field.name) for field in dataclasses.fields(Wishes) if field.name != "options"}
    named = {name: getattr(wishes, name) for name in kept if getattr(wishes, name) is not None}
    options = {**begun.options, **{name: value for name, value in wishes.options.items() if value is not None}}
    machine = this_machine(named.get("device") or begun.device)
    again = resolve(Wishes(**{**kept, **named, "options": options}), facts, machine)
    for field in dataclasses.fields(TrainConfig):
        was, now = getattr(begun, field.name), getattr(again, field.name)
        if was != now:
            raise TrainingError(
                f"{folder.path}: this run was begun with {field.name} {was}, not {now}; "
                "resume without that option, or name another folder with --out"
            )
    return begun
