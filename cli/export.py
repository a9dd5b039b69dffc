"""``noisyweb export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from noisyweb import plugins


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A manifest, such as builds/cars/red_noise_nl_0.4.")],
    to: Annotated[str, typer.Option(help=f"{', '.join(plugins.names('noisyweb.exporters'))}.")],
    out: Annotated[Path, typer.Option(help="The folder to make; it must not exist yet.")],
) -> None:
    """Write a manifest in another tool's format.

    Examples:

      noisyweb export builds/cars/red_noise_nl_0.4 --to imagefolder --out exported

      noisyweb export builds/cars/red_noise_nl_0.4 --to csv --out labels
    """
    from noisyweb.atomic import replacing_folder
    from noisyweb.errors import OutputError
    from noisyweb.manifest import open_manifest

    exporter = plugins.load("noisyweb.exporters", "export format", to)
    manifest = open_manifest(folder)
    if out.exists():
        raise OutputError(f"{out}: it is there already; name another folder with --out, or move it away")
    with replacing_folder(out) as temporary:
        exporter.export(manifest, temporary)
    typer.echo(f"{out}: {manifest.rows.num_rows:,} rows as {to}")
