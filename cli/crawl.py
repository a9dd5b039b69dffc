"""``noisyweb crawl``: from class names to fetched, licensed web images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def crawl(
    classes: Annotated[
        str, typer.Option(help="Whose class names: a data set, a definition.toml, or a text file, one name a line.")
    ],
    workspace: Annotated[Path, typer.Option(help="Folder to crawl into; made if missing.")] = Path("workspace"),
    source: Annotated[
        list[str] | None,
        typer.Option(help="Providers, comma-separated: openverse, url-list=FILE, folder=FOLDER.  [default: openverse]"),
    ] = None,
    per_class: Annotated[int, typer.Option(min=1, help="Candidates wanted per class.")] = 100,
    template: Annotated[
        list[str] | None, typer.Option(help='Query template, such as "{name} car"; several may be given.')
    ] = None,
    license: Annotated[str, typer.Option(help="Only these licences, comma-separated: cc0,by,by-sa.")] = "",
    contact: Annotated[
        str | None,
        typer.Option(envvar="NOISYWEB_CONTACT", help="Your mail address or web page, told to every host."),
    ] = None,
    connections: Annotated[int, typer.Option(min=1, max=512, help="Downloads at once.")] = 32,
    per_host: Annotated[int, typer.Option(min=1, max=64, help="Downloads at once from one host.")] = 4,
    interval: Annotated[float, typer.Option(min=0, help="Seconds between two requests to one host.")] = 0.1,
    base_url: Annotated[str | None, typer.Option(help="Another address of the provider's API.", hidden=True)] = None,
    allow_loopback: Annotated[bool, typer.Option(help="Also fetch from this machine.", hidden=True)] = False,
) -> None:
    """Search for each class's images, fetch them, and keep what is an image.

    Stop it at any instant and run it again: it goes on where it was, retries what failed for a passing reason
    and leaves what is final.

    Example: noisyweb crawl --classes cars --per-class 100 --license by,by-sa,cc0 --contact me@example.org
    """
    import asyncio

    from noisyweb.cli._bars import bars
    from noisyweb.crawl import crawl as run
    from noisyweb.crawl import provider_choices
    from noisyweb.crawl_classes import read_class_names
    from noisyweb.errors import CrawlError
    from noisyweb.fetch import Limits
    from noisyweb.workspace import Workspace

    names = read_class_names(classes)
    providers = provider_choices(source or ["openverse"], base_url)
    place = Workspace(workspace, create=True)
    with bars() as progress:
        report = asyncio.run(
            run(
                place,
                names,
                providers,
                per_class,
                templates=template or ["{name}"],
                licenses=[part.strip() for part in license.split(",") if part.strip()],
                contact=contact,
                allow_loopback=allow_loopback,
                limits=Limits(connections=connections, per_host=per_host, interval_s=interval),
                progress=progress,
            )
        )
    typer.echo("\n".join(report.lines()))
    if report.problems:
        raise CrawlError("; ".join(report.problems))
