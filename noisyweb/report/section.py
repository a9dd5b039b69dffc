"""What a section of the report gives: words, figures and tables, before any HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import matplotlib.figure
    import PIL.Image


@dataclass(frozen=True)
class Figure:
    """One picture of the report.

    Attributes:
        name: The stem of its files: a-z, 0-9 and hyphens, unique in the report.
        caption: What is seen, one plain sentence.
        picture: The drawing, or the image.
        data: What is plotted, written as CSV.
        embed: How the page holds it: `svg` for light drawings, `png` for heavy ones, `jpeg` for photographs.
        alt: What a screen reader says; the caption if empty.
    """

    name: str
    caption: str
    picture: "matplotlib.figure.Figure | PIL.Image.Image"
    data: pa.Table | None = None
    embed: str = "svg"
    alt: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the report: text cells; `data` is written as CSV, or the cells themselves if there is none."""

    name: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    data: pa.Table | None = None


@dataclass(frozen=True)
class Fold:
    """Blocks that are shown on a click: the long tail of a section."""

    summary: str
    blocks: "Sequence[Figure | Table | str]"


@dataclass(frozen=True)
class Section:
    """A chapter of the report.

    Attributes:
        title: Its heading.
        lead: One or two sentences: the finding in words, with the numbers.
        blocks: Figures, tables, folds and paragraphs (text, escaped by the page), in order.
        missing: Why there is nothing to show and which command would give it; then `blocks` is empty.
    """

    title: str
    lead: str
    blocks: Sequence[Figure | Table | Fold | str] = ()
    missing: str = ""
