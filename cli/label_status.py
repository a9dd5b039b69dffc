"""``noisyweb label status``: what has been voted, how well, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisyweb.cli._labels import Folder, print_verdicts, refresh

if TYPE_CHECKING:
    import pyarrow as pa

    from noisyweb.consensus.tally import Tally
    from noisyweb.workspace import Workspace

CLASSES = 10


def status(
    workspace: Folder = Path("workspace"),
    price: Annotated[
        float | None, typer.Option(min=0.0, help="What a vote costs, to show what the missing ones do.")
    ] = None,
    annotators: Annotated[int, typer.Option(min=0, help="How many annotators to list, those with most votes.")] = 20,
    annotators_file: Annotated[
        Path | None,
        typer.Option(
            help="Write all annotators to this CSV file: agreement, accuracy, what they said of known images."
        ),
    ] = None,
    worth: Annotated[int, typer.Option(min=0, help="How many of the images worth another vote to list.")] = 0,
    worth_file: Annotated[
        Path | None, typer.Option(help="Write all images with votes to this CSV file, the least sure first.")
    ] = None,
) -> None:
    """Show what has been voted, how far annotators agree, and what is missing.

    \b
    Examples:
      noisyweb label status --workspace workspace
      noisyweb label status --price 0.05 --worth 20 --worth-file next.csv
    """
    from noisyweb.cli._vote_view import alpha_line, effort_line, worth_lines
    from noisyweb.consensus.agreement import agreement
    from noisyweb.consensus.effort import effort
    from noisyweb.consensus.settings import read_settings
    from noisyweb.consensus.tally import tally
    from noisyweb.votes import questions
    from noisyweb.workspace import Workspace

    place = Workspace(workspace)
    asked = questions(place)
    refresh(place)
    print_verdicts(place)
    settings = read_settings(place.on_disk())
    votes = place.read("votes")
    counted = tally(votes, settings.count_weak)
    typer.echo(alpha_line(agreement(counted)))
    _print_funnel(place, asked)
    typer.echo(effort_line(effort(asked, votes, counted, settings.min_votes), price))
    _tell_of_annotators(place, votes, counted, annotators, annotators_file)
    if worth or worth_file is not None:
        from noisyweb.consensus.csv_file import write_csv
        from noisyweb.consensus.worth import worth as least_sure

        table = least_sure(asked, place.read("verdicts"))
        if worth:
            for line in worth_lines(table, worth):
                typer.echo(line)
        if worth_file is not None:
            write_csv(table, worth_file)
            typer.echo(f"{worth_file}: {table.num_rows:,} questions with votes, the least sure first")


def _print_funnel(place: Workspace, asked: pa.Table) -> None:
    """Images at each step, and the classes that lack most verdicts."""
    from noisyweb.cli._vote_view import printable
    from noisyweb.funnel import by_class, total

    names, rows = place.class_names(), by_class(place, asked)
    typer.echo("  ".join(f"{name} {count:,}" for name, count in total(rows).items()))
    missing = [(row["unique"] - row["decided"], names[label], row) for label, row in enumerate(rows)]
    short = sorted((row for row in missing if row[0]), key=lambda row: (-row[0], row[1]))
    if short:
        typer.echo(f"{len(short)} of {len(names)} classes have images without a verdict; the most:")
    for count, name, row in short[:CLASSES]:
        typer.echo(f"  {printable(name)}: {count:,} of {row['unique']:,} without a verdict, {row['wrong']:,} wrong")


def _tell_of_annotators(place: Workspace, votes: pa.Table, counted: Tally, count: int, file: Path | None) -> None:
    from noisyweb.cli._vote_view import annotator_lines
    from noisyweb.consensus.annotators import annotators
    from noisyweb.consensus.csv_file import write_csv

    table = annotators(votes, counted, place.read("known"), place.read("known_votes"))
    for line in annotator_lines(table, count):
        typer.echo(line)
    if file is not None:
        write_csv(table, file)
        typer.echo(f"{file}: {table.num_rows:,} annotators")
