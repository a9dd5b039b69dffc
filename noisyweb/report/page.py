"""The report's page: one file of HTML for a desk and a phone, by day and by night, that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from noisyweb.gallery_draw import printable
from noisyweb.report.page_style import STYLE
from noisyweb.report.section import Figure, Fold, Section, Table

WIDE_PX = 560
"""A picture that is wider has a line of its own."""

_MAX_TEXT = 5000
_PROSE, _SHORT = 60, 20  # letters: a cell is read rather than looked up; is never broken
_NUMBER = re.compile(r"[-+−–]?[\d.,]*( ?%)?( (±|to) [-+−–]?[\d.,]+( ?%)?)?")


@dataclass(frozen=True)
class Picture:
    """A figure's picture as the page holds it.

    Attributes:
        uri: a data URI.
        width_px, height_px: at which it is shown where there is room.
        file: its name in ``figures/``.
    """

    uri: str
    width_px: int
    height_px: int
    file: str


def page(title: str, about: Sequence[str], sections: Sequence[Section], pictures: Mapping[str, Picture]) -> str:
    """The page; no scripts, no fonts, no other files, nothing that leads out of it.

    Args:
        title: of the report.
        about: paragraphs that say what it is about.
        sections: in order; their text is hostile.
        pictures: of each figure, by its name.
    """
    links = "".join(f'<li><a href="#s{place}">{_text(one.title)}</a></li>' for place, one in enumerate(sections, 1))
    body = "".join(_section(place, one, pictures) for place, one in enumerate(sections, 1))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{_text(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{_text(title)}</h1>
{"".join(f"<p>{_words(one)}</p>" for one in about)}
</header>
<nav aria-label="Contents"><ol>{links}</ol></nav>
<main>
{body}</main>
<footer><p>Made by noisyweb. PNG and CSV lead to the files in <code>figures/</code> and <code>data/</code>
beside this page.</p></footer>
</body>
</html>
"""


def figures_of(section: Section) -> list[Figure | Table]:
    """All figures and tables of a section, folded ones too."""
    found: list[Figure | Table] = []
    for block in section.blocks:
        inner = block.blocks if isinstance(block, Fold) else (block,)
        found += [one for one in inner if not isinstance(one, str)]
    return found


def _section(place: int, section: Section, pictures: Mapping[str, Picture]) -> str:
    lead = f'<p class="lead">{_words(section.lead)}</p>' if section.lead else ""
    missing = f'<p class="missing">{_words(section.missing)}</p>' if section.missing else ""
    body = _blocks(section.blocks, pictures)
    return f'<section id="s{place}">\n<h2>{_text(section.title)}</h2>\n{lead}{missing}{body}</section>\n'


def _blocks(blocks: Sequence[Figure | Table | Fold | str], pictures: Mapping[str, Picture]) -> str:
    out = ""
    for is_figure, group in groupby(blocks, lambda block: isinstance(block, Figure)):
        if is_figure:
            inner = "".join(_figure(one, pictures[one.name]) for one in group if isinstance(one, Figure))
            out += f'<div class="figures">\n{inner}</div>\n'
            continue
        for block in group:
            if isinstance(block, Fold):
                inner = _blocks(block.blocks, pictures)
                out += f"<details><summary>{_text(block.summary)}</summary>\n{inner}</details>\n"
            elif isinstance(block, Table):
                out += _table(block)
            elif isinstance(block, str):
                out += f"<p>{_words(block)}</p>\n"
    return out


def _figure(figure: Figure, picture: Picture) -> str:
    wide = ' class="wide"' if picture.width_px > WIDE_PX else ""
    alt = escape(printable(figure.alt or figure.caption, _MAX_TEXT))
    size = f'width="{picture.width_px}" height="{picture.height_px}"'
    return (
        f'<figure{wide} id="{figure.name}"><img src="{picture.uri}" {size} alt="{alt}">'
        f"<figcaption>{_words(figure.caption)} {_files(figure, picture.file)}</figcaption></figure>\n"
    )


def _table(table: Table) -> str:
    """A table; one with sentences in it becomes a list on a phone, where each cell says what it is."""
    columns = [[row[place] for row in table.rows] for place in range(len(table.head))]
    is_prose = any(len(cell) > _PROSE for cells in columns for cell in cells)
    marks = []
    for name, cells in zip(table.head, columns, strict=True):
        is_number = all(_NUMBER.fullmatch(cell.strip()) for cell in cells)
        kind = "n" if is_number else "s" if all(len(cell) <= _SHORT for cell in cells) else ""
        marks.append((f' class="{kind}"' if kind else "", f' data-name="{_text(name)}"' if is_prose else ""))
    head = "".join(f"<th{kind}>{_text(cell)}</th>" for (kind, _), cell in zip(marks, table.head, strict=True))
    rows = ""
    for row in table.rows:
        cells = [f"<bdi>{_text(cell)}</bdi>" if cell else "" for cell in row]
        line = "".join(f"<td{kind}{name}>{cell}</td>" for (kind, name), cell in zip(marks, cells, strict=True))
        rows += f"<tr>{line}</tr>\n"
    prose = ' class="prose"' if is_prose else ""
    body = f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody>"
    return (
        f'<div class="table" id="{table.name}"><p class="caption">{_words(table.caption)} {_files(table)}</p>'
        f'<div class="box" tabindex="0"><table{prose}>\n{body}</table></div></div>\n'
    )


def _files(block: Figure | Table, picture: str = "") -> str:
    links = ""
    if picture:
        links += f'<a href="figures/{picture}">{picture.rpartition(".")[2].upper()}</a>'
    if isinstance(block, Table) or block.data is not None:
        links += f'<a href="data/{block.name}.csv">CSV</a>'
    return f'<span class="files">{links}</span>'


def _words(text: str) -> str:
    """Text with what stands between backquotes as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", _text(text))


def _text(text: str) -> str:
    return escape(printable(text, _MAX_TEXT))
