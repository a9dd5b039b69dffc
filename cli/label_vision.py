"""``noisyweb label vision``: weak votes of Google's Cloud Vision."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from noisyweb.cli._bars import bars
from noisyweb.cli._labels import Folder, collect


def vision(
    workspace: Folder = Path("workspace"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show images, requests, time and cost; ask nobody, write nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send without asking first.")] = False,
    max_images: Annotated[int | None, typer.Option(min=0, help="Send no more images than that in this run.")] = None,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="From which score on a label means yes.")] = 0.5,
    names: Annotated[
        Path | None, typer.Option(help="TOML file of synonyms, a table a class, as `noisyweb crawl --names` takes it.")
    ] = None,
    api_endpoint: Annotated[
        str | None,
        typer.Option(help="https://eu-vision.googleapis.com or the like; http://127.0.0.1:PORT for an emulator."),
    ] = None,
    per_minute: Annotated[int, typer.Option(min=1, help="Images a minute: your project's quota.")] = 1_800,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds that a request is tried again while the service is busy.")
    ] = 300.0,
) -> None:
    """Let Google's Cloud Vision label the images, and record weak votes of the annotator google-vision.

    Each image is sent, and paid for, once; run it again to go on, or for another minimum score, which costs nothing.
    Weak votes never make a verdict by themselves. Credentials: gcloud auth application-default login. Needs the extra
    google.

    Example: noisyweb label vision --workspace workspace --max-images 1000 --dry-run
    """
    from noisyweb.crawl_queries import read_names
    from noisyweb.errors import LabelError
    from noisyweb.google_vision.client import Patience, connect
    from noisyweb.google_vision.labels import Pace, ask
    from noisyweb.google_vision.plan import plan
    from noisyweb.workspace import Workspace

    place = Workspace(workspace)
    if names is not None:
        read_names(names, place.class_names())  # a mistake in it comes before anything is paid for
    planned = plan(place, max_images, per_minute)
    typer.echo("\n".join(planned.lines()))
    if dry_run:
        typer.echo("Nothing was sent and nothing written.")
        return
    problem = None
    if planned.num_images or planned.num_missing:
        tell = functools.partial(typer.echo, err=True)
        with connect(api_endpoint, Patience(deadline_s=patience), tell) as annotate:
            if not yes and not typer.confirm(f"Send {planned.num_images:,} images to Cloud Vision?"):
                typer.echo("Nothing was sent and nothing written.")
                return
            with place.locked(), bars() as progress:
                # no more than was agreed to, even if another process has brought new images meanwhile
                limit = planned.num_images + planned.num_missing
                asked = ask(place, annotate, max_images=limit, pace=Pace(per_minute), progress=progress)
        typer.echo("\n".join(asked.lines()))
        if asked.problem and not asked.num_answered:
            raise LabelError(asked.problem)
        problem = asked.problem
    options = {"workspace": str(workspace), "min_score": str(min_score), "names": str(names or "")}
    collect(place, "google-vision", options)
    if problem:
        raise LabelError(problem)
