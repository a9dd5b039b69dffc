"""Where builds go, and what each says of itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from noisyweb.build_folder import Built


@contextlib.contextmanager
def builds_at(out: str, dataset: str, overwrite: bool = False) -> Iterator[Path]:
    """The folder to build into: ``out``, or a temporary one whose builds of a data set are uploaded at the end.

    Raises:
        OutputError: something is to be overwritten at a URL, where other levels would go with it.
    """
    from noisyweb.errors import OutputError
    from noisyweb.remote import new_folder
    from noisyweb.remote_path import place_of

    place = place_of(out)
    if isinstance(place, Path):
        yield place
        return
    if overwrite:
        raise OutputError(
            f"{place / dataset}: --overwrite replaces builds on a disk only; delete those there, or name another URL"
        )
    with new_folder(f"{out.rstrip('/')}/{dataset}") as folder:
        yield folder.parent
    typer.echo(f"{place / dataset}: uploaded")


def summary(built: Built, out: str) -> str:
    """What was built, in a few lines; ``out`` is where it goes."""
    from noisyweb.remote_path import place_of

    place, (dataset, name) = place_of(out), built.folder.parts[-2:]
    where = built.folder if isinstance(place, Path) else place / dataset / name
    by_kind = ", ".join(f"{name} {count:,}" for name, count in sorted(built.noise.items()) if name != "none")
    paths = built.num_rows - built.with_bytes
    lines = [
        f"{where}: {built.num_rows:,} images, {built.num_wrong:,} wrong (asked {built.num_wrong_asked:,}"
        + (f" = {built.info['level']}" if built.info["split"] == "train" else "")
        + f", realised {built.num_wrong / max(built.num_rows, 1):.4%}"
        + (f"; {by_kind}" if by_kind else "")
        + f"), {built.seconds:.1f} s"
    ]
    if paths:
        lines.append(f"  {paths:,} rows carry a path only, no image")
    if built.certainty is not None:
        lines.append(f"  {built.certainty}")
    lines += [f"  {note}" for note in built.notes]
    return "\n".join(lines)
