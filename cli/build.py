"""``noisyweb build``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisyweb import plugins
from noisyweb.cli._places import local_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from noisyweb.confusion import Confusion
    from noisyweb.dataset import Dataset


def build(
    dataset: Annotated[
        str | None, typer.Option(help="A bundled data set, or the path of your own definition (.toml).")
    ] = None,
    noise: Annotated[
        list[str] | None, typer.Option(help="Share of wrong labels in [0, 1]; may be given several times.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(plugins.names('noisyweb.kinds'))}: see below.  [default: red]", show_default=False
        ),
    ] = None,
    mix: Annotated[
        str | None, typer.Option(help="Several kinds and their shares of the wrong labels, such as red=0.7,blue=0.3.")
    ] = None,
    all_levels: Annotated[bool, typer.Option("--all-levels", help="The ten levels of the paper, 0 to 0.8.")] = False,
    edition: Annotated[
        str | None, typer.Option(help="Where images and labels come from: official, drawn or crawled.")
    ] = None,
    workspace: Annotated[
        str | None,
        typer.Option(
            help="A workspace (a folder or an fsspec URL) whose wrong images are the pool: the crawled edition."
        ),
    ] = None,
    clean: Annotated[Path | None, typer.Option(help="The official edition: your own copy of the clean images.")] = None,
    web: Annotated[
        Path | None,
        typer.Option(
            parser=local_folder,
            metavar="PATH",
            help="The official edition: a workspace with a crawl of its web images.",
        ),
    ] = None,
    balance: Annotated[
        str, typer.Option(help="class: each class has its share of wrong labels; global: drawn from all rows alike.")
    ] = "class",
    on_shortage: Annotated[
        str,
        typer.Option(
            help="Too few wrong images for a level: error; cap (the best level that all classes reach); shrink (fewer "
            "clean images, so that the level is exact)."
        ),
    ] = "error",
    confusion: Annotated[
        Path | None, typer.Option(help="For asymmetric: a CSV file, how often each class is taken for which.")
    ] = None,
    hierarchy: Annotated[
        Path | None, typer.Option(help="For asymmetric: a CSV file of classes and parents; siblings are confused.")
    ] = None,
    open_set: Annotated[
        str | None, typer.Option(help="For open-set: a data set or definition whose images stand in.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same inputs, options and seed give the same bytes.", min=0)] = 0,
    frozen: Annotated[
        Path | None,
        typer.Option(help="A build's lock file or folder: build it again, byte for byte, or say what is missing."),
    ] = None,
    out: Annotated[str, typer.Option(help="Parent folder of all builds: a path or an fsspec URL.")] = "builds",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace builds with other options.")] = False,
    leak_check: Annotated[
        bool, typer.Option(help="Refuse a pool with copies of clean images, resized, cropped, mirrored and the like.")
    ] = True,
) -> None:
    """Build training sets with exactly the noise you ask for.

    Each level becomes a folder OUT/DATASET/KIND_noise_nl_LEVEL of Parquet files with a card, a credit list and a
    lock file; the clean validation set stands beside them. Never touches the network, but for URLs given as places.

    Kinds: red puts web images that annotators judged wrong in the place of clean ones, open-set images of another data
    set; blue flips labels uniformly to one of the other classes, pair to the next class, asymmetric by a confusion
    matrix or within a hierarchy, instance by a random function of the picture (Xia et al. 2020), nearest to the class
    that the picture looks most like; human gives images wrong labels that annotators really gave them.

    Examples:

      noisyweb build --dataset cars --noise 0.4

      noisyweb build --dataset cars --kind blue --noise 0.2 --noise 0.4 --seed 1

      noisyweb build --dataset cars --mix red=0.7,blue=0.3 --noise 0.4

      noisyweb build --dataset pets.toml --all-levels --on-shortage shrink
    """
    from noisyweb.build import Recipe
    from noisyweb.build import build as build_levels
    from noisyweb.cli._bars import bars
    from noisyweb.cli._built import builds_at, summary
    from noisyweb.cli._official import build_official_splits, is_official, rebuild_official_split
    from noisyweb.dataset import load_dataset
    from noisyweb.errors import LevelError
    from noisyweb.frozen import read_frozen
    from noisyweb.mixture import parse_mix

    if frozen is not None:
        if noise or all_levels or kind or mix:
            raise LevelError(
                f"--frozen {frozen} says kind and level; leave out --noise, --all-levels, --kind and --mix"
            )
        if read_frozen(frozen).options["edition"] == "official":
            rebuild_official_split(frozen, clean, web, out, overwrite)
            return
        rebuild_frozen(
            frozen, dataset, workspace, open_set, read_confusions(confusion, hierarchy), out, overwrite, leak_check
        )
        return
    if dataset is None:
        raise LevelError("no data set given; expected --dataset with a name or the path of a definition")
    if kind is not None and mix is not None:
        raise LevelError(f"--kind {kind} and --mix {mix}: give one of them")
    if is_official(dataset, edition, workspace):
        unusual = {"--mix": mix, "--confusion": confusion, "--hierarchy": hierarchy, "--open-set": open_set}
        given = [name for name, value in unusual.items() if value is not None]
        given += ["--seed"] * (seed != 0) + ["--balance"] * (balance != "class")
        given += ["--on-shortage"] * (on_shortage != "error")
        if given:
            raise LevelError(f"{given[0]}: official splits are as they were released; leave it out, or --edition drawn")
        levels = chosen_levels(noise or [], all_levels)
        build_official_splits(dataset, kind or "red", levels, clean, web, out, overwrite)
        return
    if clean is not None or web is not None:
        raise LevelError("--clean and --web are for the official edition; add --edition official, or leave them out")
    recipe = Recipe(
        parse_mix(mix or kind or "red"),
        chosen_levels(noise or [], all_levels),
        seed,
        balance,
        on_shortage,
        confusion=read_confusions(confusion, hierarchy),
    )
    chosen, why = choose_edition(load_dataset(dataset), edition, workspace)
    if open_set is not None:
        chosen = chosen.with_other(load_dataset(open_set))
    typer.echo(f"{chosen.name}: edition {chosen.edition} ({why})")
    with builds_at(out, chosen.name, overwrite) as place, bars() as progress:
        for built in build_levels(
            chosen, recipe, out=place, overwrite=overwrite, leak_check=leak_check, progress=progress
        ):
            progress.say(summary(built, out))


def rebuild_frozen(
    frozen: Path,
    dataset: str | None,
    workspace: str | None,
    open_set: str | None,
    confusion: Confusion | None,
    out: str,
    overwrite: bool,
    leak_check: bool,
) -> None:
    """Build what a lock file describes."""
    from noisyweb.cli._bars import bars
    from noisyweb.cli._built import builds_at, summary
    from noisyweb.dataset import known_datasets, load_dataset
    from noisyweb.errors import SourceError
    from noisyweb.frozen import read_frozen, rebuild

    known = read_frozen(frozen)
    name = dataset or str(known.options["dataset"])
    if dataset is None and name not in known_datasets():
        raise SourceError(f"{frozen}: built from a definition of your own, {name!r}; name its file with --dataset")
    chosen = load_dataset(name)
    if workspace is not None:
        chosen = chosen.with_workspace(workspace)
    if open_set is not None:
        chosen = chosen.with_other(load_dataset(open_set))
    with builds_at(out, chosen.name, overwrite) as place, bars() as progress:
        built = rebuild(
            known, chosen, confusion=confusion, out=place, overwrite=overwrite, leak_check=leak_check, progress=progress
        )
        progress.say(f"{summary(built, out)}\n  the same bytes as {known.folder}")


def chosen_levels(noise: Sequence[str], all_levels: bool) -> list[Decimal]:
    """The levels asked for."""
    from noisyweb.errors import LevelError
    from noisyweb.levels import PAPER_LEVELS, parse_level

    levels = [parse_level(text) for text in noise]
    if all_levels:
        levels = sorted({*levels, *PAPER_LEVELS})
    if not levels:
        raise LevelError("no noise level given; expected --noise with a number in [0, 1], or --all-levels")
    return levels


def read_confusions(confusion: Path | None, hierarchy: Path | None) -> Confusion | None:
    """What is taken for what, if a file says so."""
    from noisyweb.confusion import read_confusion, read_hierarchy
    from noisyweb.errors import SourceError

    if confusion is not None and hierarchy is not None:
        raise SourceError(f"--confusion {confusion} and --hierarchy {hierarchy}: give one of them")
    if confusion is not None:
        return read_confusion(confusion)
    return read_hierarchy(hierarchy) if hierarchy is not None else None


def choose_edition(dataset: Dataset, edition: str | None, workspace: str | None) -> tuple[Dataset, str]:
    """The data set in the edition asked for, and why that one."""
    from noisyweb.errors import SourceError, UnknownNameError
    from noisyweb.remote_path import place_of

    known = {dataset.edition, "crawled"}
    if edition is not None and edition not in known:
        raise UnknownNameError(f"edition of {dataset.name}", edition, known)
    if workspace is not None:
        if edition not in (None, "crawled"):
            raise SourceError(f"--workspace makes the crawled edition, asked was {edition}; leave one of them out")
        return dataset.with_workspace(workspace), f"the pool is workspace {place_of(workspace)}"
    if edition == "crawled" and dataset.edition != "crawled":
        raise SourceError("the crawled edition needs a workspace; name it with --workspace")
    if dataset.edition == "drawn":
        return dataset, "bundled: images drawn by code, a stand-in for running and testing, not for claims"
    return dataset, "as its definition says"
