"""``noisyweb export``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from noisyweb import plugins
from noisyweb.cli._engine import ADDRESS, ENGINE, WORKERS, engine_of

if TYPE_CHECKING:
    from noisyweb.cli._bars import Bars
    from noisyweb.export import Builds


def export(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A manifest, or a folder of builds: a path or an fsspec URL.")
    ],
    to: Annotated[str, typer.Option(help=f"{', '.join(plugins.names('noisyweb.exporters'))}.")],
    out: Annotated[str, typer.Option(help="The folder to make, a path or an fsspec URL; it must not exist yet.")],
    shard_bytes: Annotated[
        int | None, typer.Option(min=1, help="webdataset: bytes of a shard at most.  [default: 500000000]")
    ] = None,
    engine: ENGINE = None,
    address: ADDRESS = None,
    workers: WORKERS = None,
) -> None:
    """Write builds in another tool's format.

    Of a folder of builds all levels and kinds go along, and the clean validation set; of one manifest, the clean
    validation set beside it.

    Examples:

      noisyweb export builds/cars --to hf --out exported

      noisyweb export builds/cars/red_noise_nl_0.4 --to imagefolder --out exported

      noisyweb export builds/cars --to webdataset --out s3://bucket/cars --shard-bytes 100000000

      noisyweb export s3://bucket/builds/cars --to webdataset --out s3://bucket/shards --engine ray --address auto
    """
    from noisyweb.cli._bars import bars
    from noisyweb.errors import OutputError
    from noisyweb.export import Options, export_builds, open_builds
    from noisyweb.lock import VALIDATION_FOLDER
    from noisyweb.manifest import SHARD_BYTES
    from noisyweb.remote import is_url, local_copy, new_folder
    from noisyweb.remote_errors import shown
    from noisyweb.remote_path import place_of

    plugins.load("noisyweb.exporters", "export format", to)
    if shard_bytes is not None and to != "webdataset":
        raise OutputError(f"--shard-bytes: only webdataset has shards of a size to choose, not {to}; leave it out")
    if engine is not None and to != "webdataset":
        raise OutputError(f"--engine {engine}: only webdataset is written by several processes, not {to}; leave it out")
    with contextlib.ExitStack() as copies, bars() as progress:
        chosen = copies.enter_context(engine_of(engine, address, workers))
        if chosen is not None:
            from noisyweb.scale.tar_shards import export_webdataset

            builds = open_builds(place_of(path))
            export_webdataset(chosen, builds, place_of(out), Options(shard_bytes or SHARD_BYTES, progress))
            _say(progress, builds, to, shown(out), [])
            return
        place = copies.enter_context(local_copy(path))
        validation = None
        if is_url(path):
            beside = f"{path.rstrip('/').rpartition('/')[0]}/{VALIDATION_FOLDER}"
            found = place_of(beside)
            if found.is_dir():  # there need not be one
                validation = copies.enter_context(local_copy(beside))
        builds = open_builds(place, validation)
        with new_folder(out) as folder:
            options = Options(progress=progress) if shard_bytes is None else Options(shard_bytes, progress)
            told = export_builds(builds, to, folder, options)
        _say(progress, builds, to, shown(out), told)


def _say(progress: Bars, builds: Builds, to: str, out: str, told: list[str]) -> None:
    sets = f"{len(builds.folders):,} training sets, " if not builds.is_single else ""
    rows = [sum(m.rows.num_rows for m in of_split) for of_split in (builds.train(), builds.validations())]
    validated = f" and {rows[1]:,} of the validation set" if builds.folders and builds.validation else ""
    count = rows[0] if builds.folders else rows[1]
    progress.say(f"{out}: {sets}{count:,} row{'' if count == 1 else 's'}{validated} as {to}")
    for line in told:
        progress.say(f"  {line}")
