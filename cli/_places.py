"""Options that name a place."""

from __future__ import annotations

from pathlib import Path

import typer


def local_folder(text: str | Path) -> Path:
    """A workspace folder, for commands that need it on a disk; a URL ends the program with one line.

    It reads the option as it was typed: as a `Path`, ``s3://x`` would be the folder ``s3:/x``.
    """
    from noisyweb.plain_url import is_url
    from noisyweb.remote_errors import shown

    if isinstance(text, Path):  # the option's default
        return text
    if is_url(text):
        needed = "this command needs a workspace folder on a disk; copy it here first, and name the copy"
        typer.echo(f"noisyweb: {shown(text)}: {needed}", err=True)
        raise typer.Exit(2)
    return Path(text)
