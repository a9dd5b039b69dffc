"""``noisyweb crawl``: from class names to fetched, licensed web images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisyweb.cli._engine import ADDRESS, ENGINE, WORKERS, engine_of

if TYPE_CHECKING:
    from noisyweb.crawl_plan import CrawlPlan


def crawl(
    classes: Annotated[
        str, typer.Option(help="Whose class names: a data set, a definition.toml, or a text file, one name a line.")
    ],
    workspace: Annotated[
        str, typer.Option(help="Folder to crawl into, made if missing; or a URL such as s3://bucket/workspace.")
    ] = "workspace",
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="Providers, comma-separated: openverse, wikimedia, flickr, brave, google, url-list=FILE, "
            "folder=FOLDER.  [default: openverse]"
        ),
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(min=1, help="Candidates wanted per class.  [default: 100 from searches, all that lists have]"),
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option(help='Query template, such as "{name} car" or "de:{name} Auto"; several may be given.'),
    ] = None,
    names: Annotated[
        Path | None, typer.Option(help="TOML file of synonyms and names in other languages, a table a class.")
    ] = None,
    language: Annotated[str, typer.Option(help="Only these languages of --names, comma-separated.")] = "",
    license: Annotated[str, typer.Option(help="Only these licences, comma-separated: cc0,by,by-sa.")] = "",
    license_type: Annotated[
        str, typer.Option(help="Only licences that allow it: commercial, modification, or both with a comma.")
    ] = "",
    related: Annotated[
        float, typer.Option(min=0, max=1, help="Share of candidates to find by image-to-image search (openverse).")
    ] = 0.0,
    image_size: Annotated[
        int | None,
        typer.Option(min=8, help="Pixels of the shorter side to which larger images are reduced."),
    ] = None,
    keep_original: Annotated[
        bool, typer.Option("--keep-original", help="Keep images as they came; this is the default.")
    ] = False,
    min_side: Annotated[int, typer.Option(min=1, help="Pixels that both sides of an image must have.")] = 32,
    contact: Annotated[
        str | None,
        typer.Option(envvar="NOISYWEB_CONTACT", help="Your mail address or web page, told to every host."),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="TOML file of API keys.  [default: ~/.config/noisyweb/keys.toml]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show queries and requests; ask nobody.")] = False,
    archive: Annotated[bool, typer.Option("--archive", help="Look dead images up in the Internet Archive.")] = False,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh",
            help="Also ask whether images that are there have changed, fetch those gone from the store, and read local "
            "files that failed anew.",
        ),
    ] = False,
    connections: Annotated[int, typer.Option(min=1, max=512, help="Downloads at once.")] = 64,
    per_host: Annotated[int, typer.Option(min=1, max=64, help="Downloads at once from one host.")] = 4,
    rate: Annotated[float, typer.Option(min=0, help="Requests a second to one host; 0: no limit.")] = 10.0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the next piece of an answer.")] = 15.0,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes that decode.  [default: one a core]")] = None,
    engine: ENGINE = None,
    address: ADDRESS = None,
    workers: WORKERS = None,
    no_decode: Annotated[
        bool, typer.Option("--no-decode", help="Store bytes unseen: neither checked nor hashed.")
    ] = False,
    api_url: Annotated[
        list[str] | None, typer.Option(help="Another address of a provider's API: NAME=URL.", hidden=True)
    ] = None,
    allow_loopback: Annotated[bool, typer.Option(help="Also fetch from this machine.", hidden=True)] = False,
) -> None:
    """Search for each class's images, fetch them, and keep what is an image.

    Stop it at any instant and run it again: it goes on where it was, retries what failed for a passing reason
    and leaves what is final. Keys of APIs come from the environment (NOISYWEB_FLICKR_API_KEY, ...) or a file.

    With --engine each host is asked by one worker at a time, wherever it is; see docs/scale.md.

    Example: noisyweb crawl --classes cars --source openverse,wikimedia --per-class 100 --license by,by-sa,cc0
    """
    import asyncio
    import os

    from noisyweb.cli._crawl_view import watching
    from noisyweb.crawl import crawl as run
    from noisyweb.crawl_classes import read_class_names
    from noisyweb.crawl_plan import CrawlPlan, provider_choices
    from noisyweb.crawl_queries import Wording, read_names
    from noisyweb.crawl_stats import CrawlStats
    from noisyweb.errors import CrawlError
    from noisyweb.fetch import Limits
    from noisyweb.hosts import Pace
    from noisyweb.licenses import parse_filter
    from noisyweb.workspace import Workspace

    if image_size and keep_original:
        raise CrawlError(f"--image-size {image_size} and --keep-original: give one of them")
    class_names = read_class_names(classes)
    addresses = dict(text.split("=", 1) for text in api_url or [] if "=" in text)
    plan = CrawlPlan(
        class_names=class_names,
        providers=provider_choices(source or ["openverse"], base_urls=addresses, keys=keys, environ=os.environ),
        per_class=per_class,
        wording=Wording(
            templates=template or ["{name}"],
            names=read_names(names, class_names) if names else {},
            languages=[part.strip() for part in language.split(",") if part.strip()],
        ),
        licenses=parse_filter(license, license_type),
        related=related,
        image_size=image_size,
        min_side=min_side,
        decode=not no_decode,
        archive=addresses.get("archive", "") if archive else None,
        refresh=refresh,
    )
    plan.check()
    if dry_run:
        _show(plan)
        return
    limits = Limits(
        connections=connections,
        pace=Pace(concurrency=per_host, rate=rate),
        connect_s=min(10.0, timeout),
        read_s=timeout,
    )
    place = Workspace(workspace, create=True)
    stats = CrawlStats()
    with engine_of(engine, address, workers) as chosen, watching(stats):
        report = asyncio.run(
            run(
                place,
                plan,
                contact=contact,
                allow_loopback=allow_loopback,
                limits=limits,
                processes=processes,
                engine=chosen,
                stats=stats,
            )
        )
    typer.echo("\n".join(report.lines()))
    if report.problems:
        raise CrawlError("; ".join(report.problems))


def _show(plan: CrawlPlan) -> None:
    typer.echo("\n".join(plan.lines()))
    typer.echo("Nothing was asked and nothing written.")
