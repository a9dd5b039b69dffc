"""``noisyweb label push``: questions to Label Studio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisyweb.cli._labels import Folder

Url = Annotated[
    str | None,
    typer.Option("--url", help="Label Studio's address, such as http://127.0.0.1:8080.  [default: the last one]"),
]
Keys = Annotated[
    Path | None, typer.Option("--keys", help="TOML file of keys.  [default: ~/.config/noisyweb/keys.toml]")
]


def token(keys: Path | None) -> str:
    """The user's token, from the environment or a file; the command line would show it to everybody."""
    import os

    from noisyweb.keys import provider_keys

    return provider_keys("label-studio", {"token": True}, keys, os.environ)["token"]


def push(
    workspace: Folder = Path("workspace"),
    url: Url = None,
    project: Annotated[
        str | None,
        typer.Option(help="Its title (made if missing) or id.  [default: the last one, else the folder's name]"),
    ] = None,
    upload: Annotated[
        bool, typer.Option("--upload", help="Upload the stored images; else Label Studio shows them from the web.")
    ] = False,
    undecided: Annotated[
        bool, typer.Option("--undecided", help="Only images without a decided verdict; else all.")
    ] = False,
    keys: Keys = None,
) -> None:
    """Make a Label Studio project and add a task for each image; what is there already stays.

    Stop it at any instant and run it again: no task is added twice. The token comes from the variable
    NOISYWEB_LABEL_STUDIO_TOKEN, or from the keys file: token = "..." under [label-studio].
    Example: noisyweb label push --workspace workspace --url http://127.0.0.1:8080 --upload
    """
    from noisyweb.cli._bars import bars
    from noisyweb.label_studio import push as pushing
    from noisyweb.workspace import Workspace

    secret = token(keys)
    with bars() as progress:
        report = pushing.push(
            Workspace(workspace),
            secret,
            url=url,
            project=project,
            upload=upload,
            undecided=undecided,
            progress=progress,
        )
    where = report.project
    typer.echo(f"project {where.id} {'made' if where.is_new else 'found'}: {where.title}")
    typer.echo(f"tasks: {report.added:,} added, {report.there:,} already there")
    if report.unshowable:
        typer.echo(
            f"images not pushed, in no format that Label Studio shows: {len(report.unshowable):,}, "
            f"such as {report.unshowable[0]}"
        )
    if report.repeated:
        typer.echo(f"questions with more than one task: {report.repeated:,}; an annotator's latest answer counts")
    typer.echo(f"answer at {report.url}/projects/{where.id}, then: noisyweb label pull --workspace {workspace}")
