"""``noisyweb label``: votes into a workspace, verdicts out of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noisyweb.workspace import Workspace

Folder = Annotated[Path, typer.Option("--workspace", help="The workspace folder.")]
MinVotes = Annotated[int, typer.Option(min=1, help="Yes and no votes an image needs before it gets a verdict.")]


def import_(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines or Parquet: image_id or url, class, annotator, answer")],
    workspace: Folder = Path("workspace"),
    min_votes: MinVotes = 3,
) -> None:
    """Import votes from a file and work out the verdicts.

    Importing a file twice changes nothing. Example: noisyweb label import votes.csv --workspace workspace
    """
    from noisyweb.workspace import Workspace

    _collect(Workspace(workspace), "file", {"path": str(file)}, min_votes)


def simulate(
    workspace: Folder = Path("workspace"),
    truth: Annotated[
        str | None,
        typer.Option(help="Table of what the images show: image_id or url, label, is_right.  [default: the drawn web]"),
    ] = None,
    annotators: Annotated[int, typer.Option(min=1, help="How many simulated people answer each question.")] = 3,
    skill: Annotated[float, typer.Option(min=0.0, max=1.0, help="Probability that one answers rightly.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Seed of the simulated answers.")] = 0,
    min_votes: MinVotes = 3,
) -> None:
    """Answer every question by simulated annotators: for trying out and planning, never for claims."""
    from noisyweb.workspace import Workspace

    options = {"annotators": str(annotators), "skill": str(skill), "seed": str(seed)}
    if truth is not None:
        options["truth"] = truth
    _collect(Workspace(workspace), "simulated", options, min_votes)


def status(workspace: Folder = Path("workspace")) -> None:
    """Show what has been voted and what is missing."""
    from noisyweb.funnel import by_class, funnel
    from noisyweb.workspace import Workspace

    place = Workspace(workspace)
    _print_verdicts(place)
    total = funnel(place)
    typer.echo("  ".join(f"{name} {count:,}" for name, count in total.items()))
    names = place.class_names()
    missing = [(row["unique"] - row["decided"], names[label], row) for label, row in enumerate(by_class(place))]
    short = sorted((row for row in missing if row[0]), key=lambda row: (-row[0], row[1]))
    if short:
        typer.echo(f"{len(short)} of {len(names)} classes have images without a verdict; the most:")
    for count, name, row in short[:10]:
        typer.echo(f"  {name}: {count:,} of {row['unique']:,} without a verdict, {row['wrong']:,} wrong")


def _collect(place: Workspace, backend: str, options: dict[str, str], min_votes: int) -> None:
    from noisyweb import plugins
    from noisyweb.consensus import update
    from noisyweb.votes import add, questions

    with place.locked():
        asked = questions(place)
        module = plugins.load("noisyweb.labelling", "labelling backend", backend)
        report = add(place, module.collect(asked, options))
        typer.echo(f"votes: {report.new:,} new, {report.changed:,} changed, {report.same:,} already there")
        update(place, min_votes=min_votes)
    _print_verdicts(place)


def _print_verdicts(place: Workspace) -> None:
    from noisyweb.consensus import summary

    for line in summary(place.read("votes"), place.read("verdicts")):
        typer.echo(line)
