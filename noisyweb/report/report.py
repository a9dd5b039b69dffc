"""Make the report: sections are drawn, rendered, and put into a folder that appears whole.

OUT/report.html        the page, with everything in it
OUT/figures/NAME.png   each picture
OUT/data/NAME.csv      what each figure and table shows
"""

from __future__ import annotations

import base64
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from PIL import Image

from noisyweb import plugins
from noisyweb.atomic import replacing_folder
from noisyweb.errors import MissingExtraError, OutputError
from noisyweb.levels import level_text, parse_level
from noisyweb.progress import Progress, silent
from noisyweb.report import render
from noisyweb.report.inputs import ReportInputs
from noisyweb.report.page import Picture, figures_of, page
from noisyweb.report.section import Figure, Section
from noisyweb.report.style import drawing

PAGE, FIGURES, DATA = "report.html", "figures", "data"
_SECTIONS = "noisyweb.report.sections"


def report(inputs: ReportInputs, out: Path, progress: Progress = silent) -> Path:
    """Write a report.

    Args:
        inputs: of `noisyweb.report.inputs.open_inputs`.
        out: the folder to write; an earlier report there is replaced.
        progress: told of each section.

    Returns:
        The page.

    Raises:
        OutputError: ``out`` holds something else, or cannot be written.
        MissingExtraError: matplotlib or scikit-learn is not installed.
        SourceError: images or tables cannot be read.
    """
    _check_free(out)
    for module, package in (("matplotlib", "matplotlib"), ("sklearn", "scikit-learn")):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(package, "report", "the report")
    parts = _parts()
    sections: list[Section] = []
    with drawing():
        for place, part in enumerate(parts):
            progress("report", place, len(parts))
            sections.append(part.draw(inputs))
        with replacing_folder(out) as folder:
            pictures = _write_files(sections, folder)
            text = page(inputs.title, about(inputs), sections, pictures)
            (folder / PAGE).write_text(text, encoding="utf-8")
    progress("report", len(parts), len(parts))
    return out / PAGE


def about(inputs: ReportInputs) -> list[str]:
    """What the report is about, for its head."""
    info, first = inputs.manifests[0].manifest.info, inputs.manifests[0]
    sets = []
    for kind in dict.fromkeys(one.kind for one in inputs.manifests):
        levels = [level_text(parse_level(one.asked)) for one in inputs.manifests if one.kind == kind]
        sets.append(f"{kind} at {', '.join(levels)}")
    rows = (
        f"{len(first.images):,} training images"
        if len(inputs.manifests) == 1
        else (f"{len(inputs.manifests)} training sets of {len(first.images):,} images")
    )
    clean = f", {len(inputs.validation):,} clean validation images" if inputs.validation is not None else ""
    classes = f"{len(inputs.class_names):,} classes" if len(inputs.class_names) != 1 else "1 class"
    lines = [
        f"Data set {info['dataset']}, edition {info['edition']}: {classes}, {rows}{clean}. Noise: {'; '.join(sets)}."
    ]
    if info["edition"] == "drawn":
        lines.append("The drawn edition is made by code: a stand-in to run, test and learn with, never for claims.")
    return lines


def _parts() -> list[ModuleType]:
    found = [plugins.load(_SECTIONS, "section", name) for name in plugins.names(_SECTIONS)]
    return sorted(found, key=lambda part: (part.ORDER, part.__name__))


def _write_files(sections: Sequence[Section], folder: Path) -> dict[str, Picture]:
    """Write pictures and tables; return the pictures for the page."""
    (folder / FIGURES).mkdir()
    (folder / DATA).mkdir()
    pictures: dict[str, Picture] = {}
    names: set[str] = set()
    for block in (one for section in sections for one in figures_of(section)):
        assert re.fullmatch("[a-z0-9-]+", block.name), block.name
        assert block.name not in names, block.name
        names.add(block.name)
        table = block.data
        if isinstance(block, Figure):
            pictures[block.name] = _picture(block, folder / FIGURES)
        elif table is None:
            table = render.cells(block.head, block.rows)
        if table is not None:
            (folder / DATA / f"{block.name}.csv").write_bytes(render.table_csv(table))
    return pictures


def _picture(figure: Figure, folder: Path) -> Picture:
    picture = figure.picture
    data = render.png(picture)
    (folder / f"{figure.name}.png").write_bytes(data)
    if isinstance(picture, Image.Image):
        width, height = picture.size
    else:
        width, height = (round(72 * side) for side in picture.get_size_inches())
    kind = "png"
    if figure.embed == "jpeg":
        kind, data = "jpeg", render.jpeg(picture)
    elif figure.embed == "svg" and not isinstance(picture, Image.Image):
        kind, data = "svg+xml", render.svg(picture)
    uri = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return Picture(uri, width, height, f"{figure.name}.png")


def _check_free(out: Path) -> None:
    """Refuse to replace what is no report.

    Raises:
        OutputError: it is there.
    """
    if not out.exists():
        return
    names = {one.name for one in out.iterdir()} if out.is_dir() else {out.name}
    if names and not {PAGE} <= names <= {PAGE, FIGURES, DATA}:
        raise OutputError(f"{out}: holds something that is no report; name another folder with --out")
