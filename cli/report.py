"""``noisyweb report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisyweb.cli._places import local_folder


def report(
    builds: Annotated[
        Path, typer.Argument(metavar="BUILDS", help="A data set's folder, such as builds/cars, or one manifest of it.")
    ],
    runs: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A training run or a folder of runs; may be said several times."),
    ] = None,
    study: Annotated[Path | None, typer.Option(help="Folder of a study.")] = None,
    workspace: Annotated[
        Path | None,
        typer.Option(parser=local_folder, metavar="PATH", help="The workspace that the web images come from."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write; an earlier report is replaced.")] = Path("report"),
    title: Annotated[str | None, typer.Option(help="Title of the page; if not given, the data set's.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn: images shown, samples measured.")] = 0,
) -> None:
    """Write a report of training sets and of what was trained on them: one HTML file that needs nothing else.

    OUT/report.html holds everything and can be sent to somebody; each picture is also OUT/figures/NAME.png, and what it
    shows OUT/data/NAME.csv. Sections without data say which command would give it.

    \b
    Examples:
      noisyweb report builds/cars
      noisyweb report builds/cars --runs runs --workspace crawl --out cars-report
      noisyweb report builds/cars --study study
    """
    from noisyweb.cli._bars import bars
    from noisyweb.report.inputs import open_inputs
    from noisyweb.report.report import report as write

    inputs = open_inputs(builds, runs=runs or (), study=study, workspace=workspace, title=title, seed=seed)
    with bars() as shown:
        page = write(inputs, out, shown)
    files = len(list((out / "figures").iterdir()))
    typer.echo(f"{page}: {page.stat().st_size / 1e6:.1f} MB, {files} pictures in {out / 'figures'}")
