"""``noisyweb verify``."""

from __future__ import annotations

from typing import Annotated

import typer


def verify(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="A build, or a folder of builds: a path or an fsspec URL.")
    ],
) -> None:
    """Prove that a build is what its lock file says.

    Recomputes the hash of every file and image, the counts and the level, overall and per class, and looks for leaks
    anew: web images that are clean images, by their bytes and, from the pixels, by their looks. Exits with 1 and names
    the first discrepancy.

    Examples:

      noisyweb verify builds/cars/red_noise_nl_0.4

      noisyweb verify builds

      noisyweb verify s3://bucket/builds/cars
    """
    from noisyweb.cli._bars import bars
    from noisyweb.remote_path import place_of
    from noisyweb.verify import builds_in
    from noisyweb.verify import verify as verify_build

    with bars() as progress:
        for build in builds_in(place_of(folder)):
            proven = verify_build(build, progress)
            progress.say(
                f"{build}: ok, {proven.num_rows:,} rows, {proven.num_wrong:,} wrong, "
                f"{proven.num_hashed:,} images hashed"
            )
