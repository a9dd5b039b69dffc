"""``noisyweb dedup``: drop duplicates and leaks from a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisyweb.cli._engine import ADDRESS, ENGINE, SIZES, WORKERS, engine_of, sizes_of


def dedup(
    workspace: Annotated[
        str, typer.Option(help="The workspace that was crawled into: a folder or a URL.")
    ] = "workspace",
    dataset: Annotated[
        str | None,
        typer.Option(help="Data set (name or definition.toml) whose clean images must not appear: leaks."),
    ] = None,
    against_clean: Annotated[
        bool,
        typer.Option(
            "--against-clean",
            help="Look for leaks, against the data set of the last run if --dataset names no other; "
            "refuse to go on without one.",
        ),
    ] = False,
    radius: Annotated[
        int | None,
        typer.Option(min=0, max=128, help="Hamming radius in bits of 256 within which images are the same."),
    ] = None,
    method: Annotated[str, typer.Option("--hash", help="phash, or dhash: a little cheaper, and finds less.")] = "phash",
    views: Annotated[bool, typer.Option(help="Look for cropped, padded, mirrored and rotated copies too.")] = True,
    keep: Annotated[
        str,
        typer.Option(help="Which of several copies stays: largest, first (best search rank) or license (the freest)."),
    ] = "largest",
    embedding: Annotated[
        str | None,
        typer.Option(help="module:attribute of your own code, a torch model: images alike by it are copies too."),
    ] = None,
    min_cosine: Annotated[
        float, typer.Option(min=0, max=1, help="From which on two images are alike by --embedding.")
    ] = 0.95,
    gallery: Annotated[
        bool,
        typer.Option(
            "--gallery", help="Also write <workspace>/dedup/index.html: groups, leaks, pairs near the radius."
        ),
    ] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes that decode and hash; one a core if not said.")
    ] = None,
    engine: ENGINE = None,
    address: ADDRESS = None,
    workers: WORKERS = None,
    sizes: SIZES = None,
) -> None:
    """Find exact, near and reworked duplicates, and web images that are also clean images.

    Nothing is deleted: what is dropped is a row of duplicates.parquet, with the image that is kept in its place.
    Hashes are kept, so that running it again after another crawl hashes only what is new.

    Example: noisyweb dedup --workspace workspace --dataset cars
    """
    from noisyweb.cli._bars import bars
    from noisyweb.dataset import load_dataset
    from noisyweb.dedup import DEFAULT_RADIUS
    from noisyweb.dedup import dedup as run
    from noisyweb.dedup_record import read_record
    from noisyweb.embedding import Embedding, load_model
    from noisyweb.errors import SourceError
    from noisyweb.workspace import Workspace

    cut = sizes_of(sizes, engine, workspace)
    place = Workspace(workspace)
    if gallery and not isinstance(place.folder, Path):
        raise SourceError(f"workspace {place.folder}: --gallery writes into a folder on a disk; leave it out")
    model = Embedding(embedding, load_model(embedding), min_cosine) if embedding else None
    if against_clean and dataset is None:
        record = read_record(place.folder)
        if record is None or not record.dataset:
            raise SourceError(
                f"workspace {workspace}: --against-clean needs a data set, and no earlier run named one; "
                "name the data set with --dataset"
            )
        dataset = record.dataset
    data = load_dataset(dataset) if dataset else None
    train, validation = (data.train(), data.validation()) if data else (None, None)
    with engine_of(engine, address, workers, workspace) as chosen, bars() as progress:
        report = run(
            place,
            train=train,
            validation=validation,
            radius=DEFAULT_RADIUS if radius is None else radius,
            method=method,
            views=views,
            embedding=model,
            keep=keep,
            dataset=dataset or "",
            processes=processes,
            engine=chosen,
            sizes=cut,
            progress=progress,
        )
    typer.echo("\n".join(report.lines()))
    if gallery:
        from noisyweb.dedup_clean import by_id
        from noisyweb.gallery import gallery as draw

        with bars() as progress:
            seen = draw(
                place,
                Path(workspace) / "dedup",
                radius=report.radius,
                method=method,
                clean=by_id(images for images in (train, validation) if images is not None),
                progress=progress,
            )
        typer.echo("\n".join(seen.lines()))
    if not data:
        typer.echo("Not checked against clean images: name a data set with --dataset before building from this.")
