"""``noisyweb audit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noisyweb.audit.rows import AuditInput


def audit(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="The official release, a set or a split of it; a manifest or a folder of builds; or a file of labels.",
        ),
    ],
    truth: Annotated[Path | None, typer.Option(help="For a file of labels: the file with the right ones.")] = None,
    asked: Annotated[
        str | None, typer.Option(help="For a file of labels: the noise that was asked for, such as 0.4.")
    ] = None,
    classes: Annotated[Path | None, typer.Option(help="For a file of labels: class names, one a line.")] = None,
    pixels: Annotated[
        bool, typer.Option("--pixels", help="Also look for validation images in training sets by their looks.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all of it as JSON.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw asked against realised noise as a PNG.")] = None,
) -> None:
    """Tell what noise is really in a training set, whoever made it, and what is wrong with it.

    Asked against realised noise, overall and per class; ids that lead nowhere, rows that are there twice, labels that
    are no class, leaks, verdicts against the evidence, levels that are not nested. Exits with 1 if a fault makes it
    unsound; warnings are told only.

    Label files are csv, txt (lines of file and label), npy, Parquet or json; rows are matched by id.

    Examples:

      noisyweb audit dataset_no_images --json audit.json --plot audit.png

      noisyweb audit dataset_no_images/stanford_cars/split/blue_noise_nl_0.4

      noisyweb audit builds/cars --pixels

      noisyweb audit given.csv --truth true.csv --asked 0.4
    """
    import dataclasses
    import json

    from noisyweb.atomic import replacing_file
    from noisyweb.audit.plot import write_plot
    from noisyweb.audit.report import AuditReport
    from noisyweb.cli._bars import bars
    from noisyweb.errors import VerificationError

    inputs = [each if pixels else dataclasses.replace(each, leaks=None) for each in read(path, truth, asked, classes)]
    reports = []
    with bars() as progress:
        for each in inputs:
            reports.append(AuditReport.of(each, progress))
            progress.say("\n".join(reports[-1].lines()))
    if json_file is not None:
        with replacing_file(json_file) as temporary:
            text = json.dumps([report.record() for report in reports], ensure_ascii=False, indent=1)
            temporary.write_text(text + "\n", encoding="utf-8", errors="replace")
    if plot is not None:
        write_plot(reports, plot)
    faults = [fault for report in reports for fault in report.faults]
    if faults:
        kinds = ", ".join(dict.fromkeys(fault.check for fault in faults))
        raise VerificationError(f"{path}: {len(faults)} fault{'s' if len(faults) > 1 else ''} ({kinds}); see above")


def read(path: Path, truth: Path | None, asked: str | None, classes: Path | None) -> list[AuditInput]:
    """What there is at a path."""
    from noisyweb.audit.read_labels import read_labels
    from noisyweb.audit.read_manifests import read_manifests
    from noisyweb.audit.read_release import is_release, read_release
    from noisyweb.errors import SourceError
    from noisyweb.levels import parse_level

    if truth is not None:
        return [read_labels(path, truth, parse_level(asked) if asked is not None else None, classes)]
    if asked is not None or classes is not None:
        raise SourceError("--asked and --classes are for files of labels; give --truth too, or leave them out")
    if not path.exists():
        raise SourceError(f"{path}: there is nothing; expected a manifest, a release, or a file of labels with --truth")
    if is_release(path):
        return read_release(path)
    if path.is_dir() and (any(path.glob("*-of-*.parquet")) or any(path.glob("*/*-of-*.parquet"))):
        return [read_manifests(path)]
    if path.is_dir() and any(path.glob("*/*/*-of-*.parquet")):  # builds of several data sets
        places = {file.parent.parent for file in path.glob("*/*/*-of-*.parquet")}
        return [read_manifests(place) for place in sorted(places) if not place.name.startswith(".")]
    if path.is_file():
        raise SourceError(f"{path}: a file of labels alone says nothing; name the true ones with --truth")
    raise SourceError(f"{path}: neither a manifest nor a release; expected such as builds/cars or dataset_no_images")
