"""``noisyweb label import``: votes from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisyweb import plugins
from noisyweb.cli._labels import Folder, MinVotes, print_report, print_verdicts

if TYPE_CHECKING:
    from noisyweb.labelling.file import ImportedVotes


def import_(
    file: Annotated[Path, typer.Argument(help="Votes as CSV, JSON lines or Parquet.")],
    workspace: Folder = Path("workspace"),
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"{', '.join(plugins.names('noisyweb.vote_formats'))}: see below.  [default: what the columns fit]",
            show_default=False,
        ),
    ] = None,
    annotator_columns: Annotated[
        str | None, typer.Option(help="The columns that are annotators, with commas between; for the format wide.")
    ] = None,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave out images, classes and answers that the workspace lacks.")
    ] = False,
    min_votes: MinVotes = None,
) -> None:
    """Import votes from a file and work out the verdicts.

    All rows are checked first: if one fits no question of the workspace, nothing is imported, unless --skip-unknown is
    given. Importing a file twice changes nothing.

    Formats: plain has one vote a row (image_id or url, class, annotator, answer); wide one image a row and a column
    for each annotator (human_1, human_2, ...), as CIFAR-10N has it; mturk is a batch of Amazon Mechanical Turk;
    data-labeling an export of the former Google Data Labeling Service.

    Examples:

      noisyweb label import votes.csv --workspace workspace

      noisyweb label import batch_results.csv --format mturk --skip-unknown
    """
    from noisyweb.annotate.harvest import harvest
    from noisyweb.consensus import update
    from noisyweb.labelling.file import read_votes
    from noisyweb.votes import add, questions
    from noisyweb.workspace import Workspace

    place = Workspace(workspace)
    options = {} if annotator_columns is None else {"annotator_columns": annotator_columns}
    with place.locked():
        imported = read_votes(
            file, questions(place), format_, options, skip_unknown=skip_unknown, class_names=place.class_names()
        )
        harvest(place)
        _print_rows(file, imported)
        print_report(add(place, [imported.votes]))
        update(place, min_votes=min_votes)
    print_verdicts(place)


def _print_rows(file: Path, imported: ImportedVotes) -> None:
    typer.echo(f"{file}: {_rows(imported.num_rows)} read as {imported.format}")
    for reason, count in imported.silent.items():
        typer.echo(f"no vote: {count:,} x {reason}")
    for misfits in imported.skipped:
        typer.echo(
            f"skipped: {_rows(misfits.num_rows)} whose {misfits.thing} {misfits.reason}, first {misfits.first} "
            f"in row {misfits.first_row:,}"
        )


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
