"""``noisyweb dedup``: drop duplicates and leaks from a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def dedup(
    workspace: Annotated[Path, typer.Option(help="The workspace folder that was crawled into.")] = Path("workspace"),
    dataset: Annotated[
        str | None,
        typer.Option(help="Data set (name or definition.toml) whose clean images must not appear: leaks."),
    ] = None,
    radius: Annotated[
        int | None,
        typer.Option(min=0, max=128, help="Hamming radius in bits of 256 within which images are the same."),
    ] = None,
) -> None:
    """Find exact and near duplicates, and web images that are also clean images.

    Nothing is deleted: what is dropped is a row of duplicates.parquet. Hashes are kept, so that running it
    again after another crawl hashes only what is new.

    Example: noisyweb dedup --workspace workspace --dataset cars
    """
    from noisyweb.cli._bars import bars
    from noisyweb.dataset import load_dataset
    from noisyweb.dedup import DEFAULT_RADIUS
    from noisyweb.dedup import dedup as run
    from noisyweb.workspace import Workspace

    place = Workspace(workspace)
    data = load_dataset(dataset) if dataset else None
    with bars() as progress:
        report = run(
            place,
            train=data.train() if data else None,
            validation=data.validation() if data else None,
            radius=DEFAULT_RADIUS if radius is None else radius,
            progress=progress,
        )
    typer.echo("\n".join(report.lines()))
    if not data:
        typer.echo("Not checked against clean images: name a data set with --dataset before building from this.")
