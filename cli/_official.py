"""The official edition, for `noisyweb build`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from decimal import Decimal

    from noisyweb.official.edition import OfficialEdition


def is_official(dataset: str, edition: str | None, workspace: str | None) -> bool:
    """Whether the official edition is meant: asked for, or fetched and nothing else asked for."""
    from noisyweb.errors import UnknownNameError
    from noisyweb.official.home import home
    from noisyweb.official.release import DATASETS, open_release

    if edition == "official":
        if dataset not in DATASETS:
            raise UnknownNameError("data set of the official release", dataset, DATASETS)
        return True
    if edition is not None or workspace is not None or dataset not in DATASETS:
        return False
    folder = home().release
    return dataset == "mini-imagenet" or (folder.is_dir() and dataset in open_release(folder))


def build_official_splits(
    dataset: str, kind: str, levels: list[Decimal], clean: Path | None, web: Path | None, out: str, overwrite: bool
) -> None:
    """Build splits of the official release."""
    from noisyweb.build_official import build_official
    from noisyweb.cli._bars import bars
    from noisyweb.cli._built import builds_at, summary

    official, told = open_official(dataset, clean, web)
    typer.echo(f"{dataset}: edition official (it has been fetched; {told})")
    with builds_at(out, dataset, overwrite) as place, bars() as progress:
        for built in build_official(official, kind, levels, out=place, overwrite=overwrite, progress=progress):
            progress.say(summary(built, out))


def rebuild_official_split(frozen: Path, clean: Path | None, web: Path | None, out: str, overwrite: bool) -> None:
    """Build what a lock file of an official split describes."""
    from noisyweb.cli._bars import bars
    from noisyweb.cli._built import builds_at, summary
    from noisyweb.frozen import read_frozen, rebuild_official

    known = read_frozen(frozen)
    official, _ = open_official(str(known.options["dataset"]), clean, web)
    with builds_at(out, official.release.dataset, overwrite) as place, bars() as progress:
        built = rebuild_official(known, official, out=place, overwrite=overwrite, progress=progress)
        progress.say(f"{summary(built, out)}\n  the same bytes as {known.folder}")


def open_official(dataset: str, clean: Path | None, web: Path | None) -> tuple[OfficialEdition, str]:
    """The official edition of a data set, and what it has."""
    from noisyweb.clean_copies import open_copy
    from noisyweb.errors import SourceError
    from noisyweb.official.edition import OfficialEdition
    from noisyweb.official.home import home

    own = home()
    if not own.release.is_dir():
        raise SourceError(f"the official release is not there yet; fetch it with `noisyweb fetch {dataset}`")
    places = own.places(dataset)
    clean, web = clean or _path(places.clean), web or _path(places.web)
    copies = open_copy(dataset, clean) if clean is not None else None
    told = f"clean images {clean or 'none'}, web images {web or 'none'}"
    return OfficialEdition.open(own.release, dataset, copies, web), told


def _path(text: str) -> Path | None:
    return Path(text) if text else None
