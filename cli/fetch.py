"""``noisyweb fetch``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisyweb.cli._places import local_folder

if TYPE_CHECKING:
    from noisyweb.official.home import Places
    from noisyweb.official.release import ReleaseSet


def fetch(
    dataset: Annotated[str, typer.Argument(metavar="NAME", help="cars or mini-imagenet.")],
    from_: Annotated[
        Path | None,
        typer.Option("--from", help="A copy of dataset_no_images.zip, or the folder that it unpacks to."),
    ] = None,
    clean: Annotated[
        Path | None, typer.Option(help="Your own copy of the clean images, to be remembered for builds.")
    ] = None,
    web: Annotated[
        Path | None,
        typer.Option(
            parser=local_folder,
            metavar="PATH",
            help="A workspace with a crawl of the web images, to be remembered for builds.",
        ),
    ] = None,
    url: Annotated[str | None, typer.Option(help="Another address of the release.", hidden=True)] = None,
) -> None:
    """Fetch the official release of Controlled Noisy Web Labels (20 MB of annotations and splits, no images).

    It is kept in $NOISYWEB_HOME, or in noisyweb in your cache folder; a download that was stopped goes on. The release
    has no images: clean ones are your own copy, web images are crawled from the annotations' addresses. The command
    for that is printed.

    Examples:

      noisyweb fetch cars

      noisyweb fetch mini-imagenet --from dataset_no_images.zip --clean ILSVRC2012

      noisyweb fetch cars --clean data/stanford_cars --web cars-web
    """
    from noisyweb.clean_copies import open_copy
    from noisyweb.cli._bars import bars
    from noisyweb.errors import UnknownNameError
    from noisyweb.official.download import RELEASE_URL
    from noisyweb.official.fetch_release import fetch_release
    from noisyweb.official.home import home
    from noisyweb.official.release import DATASETS, open_set
    from noisyweb.workspace import Workspace

    if dataset not in DATASETS:
        raise UnknownNameError("data set of the release", dataset, DATASETS)
    own = home()
    if clean is not None:
        layout = open_copy(dataset, clean).layout
        typer.echo(f"clean images: {clean} ({layout})")
    if web is not None:
        Workspace(web).class_names()
    with bars() as progress:
        fetch_release(own, from_, url or RELEASE_URL, progress)
    release = open_set(own.release, dataset)
    for line in told(release, own.remember(dataset, clean, web)):
        typer.echo(line)


def told(release: ReleaseSet, places: Places) -> list[str]:
    """What is there, and what to do next."""
    import shlex

    from noisyweb.levels import level_text
    from noisyweb.official.annotations import read_annotations

    annotations = read_annotations(release.annotations, len(release.class_names))
    right = sum(one.is_clean for one in annotations)
    number = sum(1 for _ in annotations)
    kinds = sorted({kind for kind, _ in release.splits})
    lines = [
        f"{release.dataset}: {len(release.class_names)} classes, {number:,} web images, annotators call {right:,} "
        f"right and {number - right:,} wrong"
    ]
    for kind in kinds:
        levels = ", ".join(level_text(level) for known, level in sorted(release.splits) if known == kind)
        lines.append(f"{kind} splits at {levels}")
    lines.append(f"clean images: {places.clean or 'not told, rows will carry paths only; name your copy with --clean'}")
    if places.web:
        lines.append(f"web images: {places.web}")
    else:
        workspace = f"{release.dataset}-web"
        names = next(path for path in sorted(release.folder.glob("class_name*.txt")))
        crawl = f"noisyweb crawl --classes {shlex.quote(str(names))} --workspace {workspace}"
        lines += [
            "web images: none yet; crawl them, then name the workspace:",
            f"  {crawl} --source {shlex.quote(f'url-list={release.annotations}')} --archive --contact you@example.org",
            f"  noisyweb fetch {release.dataset} --web {workspace}",
        ]
    lines.append(f"now: noisyweb build --dataset {release.dataset} --edition official --noise 0.4")
    return lines
