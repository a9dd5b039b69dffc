"""``noisyweb show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def show(
    folder: Annotated[
        str,
        typer.Argument(metavar="DIR", help="A manifest, such as builds/cars/red_noise_nl_0.4, or its fsspec URL."),
    ],
    count: Annotated[int, typer.Option(min=1, max=2000, help="How many images.")] = 48,
    columns: Annotated[int, typer.Option(min=1, max=50, help="Images a line.")] = 8,
    which: Annotated[str, typer.Option(help="both, wrong or clean.")] = "both",
    seed: Annotated[int, typer.Option(min=0, help="Which rows are drawn.")] = 0,
    images: Annotated[Path | None, typer.Option(help="Folder that paths start from, for rows without images.")] = None,
    out: Annotated[Path | None, typer.Option(help="The PNG to write; default: DIR's name, in this folder.")] = None,
) -> None:
    """Draw a contact sheet of a manifest: given label, verdict and source under each image.

    Examples:

      noisyweb show builds/cars/red_noise_nl_0.4

      noisyweb show builds/cars/red_noise_nl_0.4 --which wrong --count 96 --out wrong.png
    """
    from noisyweb.atomic import replacing_file
    from noisyweb.errors import UnknownNameError
    from noisyweb.manifest import open_manifest
    from noisyweb.show import choose_rows, contact_sheet

    if which not in ("both", "wrong", "clean"):
        raise UnknownNameError("choice", which, ("both", "wrong", "clean"))
    manifest = open_manifest(folder)
    chosen = choose_rows(manifest.rows, count, seed, which)
    sheet = contact_sheet(manifest, chosen, columns, images)
    place = manifest.folder.resolve() if isinstance(manifest.folder, Path) else manifest.folder
    target = out or Path(f"{manifest.info['dataset']}-{place.name}.png")
    with replacing_file(target) as temporary:
        sheet.save(temporary, "PNG")
    typer.echo(f"{target}: {len(chosen)} of {manifest.rows.num_rows:,} images")
