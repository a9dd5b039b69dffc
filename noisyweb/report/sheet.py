"""Contact sheets for the report: lines of small images with a few words below each, and pairs side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from noisyweb.gallery_draw import printable
from noisyweb.report.style import GRID, INK, PALE, PAPER, WIDTH_PX

PICTURE, GAP, MARGIN = 80, 8, 8  # pixels
COLUMNS = (WIDTH_PX - 2 * MARGIN + GAP) // (PICTURE + GAP)
"""Pictures that fill the width of a chart."""
PAIR_PICTURE = 104
_EMPTY = "#eef1f4"
_FONT_PX, _LINE_PX, _TITLE_PX = 11, 14, 13
_FRAME = 3


@dataclass(frozen=True)
class Tile:
    """One image.

    Attributes:
        picture: at most as large as its place; None: there is none.
        words: below it, wrapped; hostile text.
        frame: colour around it.
        is_wrong: marked by a cross.
        problem: said in the place of the picture.
    """

    picture: Image.Image | None
    words: Sequence[str] = ()
    frame: str = GRID
    is_wrong: bool = False
    problem: str = "no image"


@dataclass(frozen=True)
class Strip:
    """Images under a title; as many lines of them as there are."""

    title: str
    colour: str
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class PairOf:
    """Two images and what lies between them."""

    title: str
    colour: str
    left: Tile
    right: Tile


def class_sheet(title: str, strips: Sequence[Strip], columns: int = COLUMNS, max_lines: int = 4) -> Image.Image:
    """Strips below each other under a title, ``columns`` pictures a line, ``max_lines`` of words below each."""
    plans = [(strip, _heights(strip.tiles, columns, PICTURE, max_lines)) for strip in strips]
    head = _TITLE_PX + 10
    height = MARGIN + head + sum(head + sum(heights) for _, heights in plans)
    width = 2 * MARGIN + columns * (PICTURE + GAP) - GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    _text(pen, (MARGIN, MARGIN), title, _TITLE_PX + 1, INK, width - 2 * MARGIN)
    y = MARGIN + head
    for strip, heights in plans:
        _text(pen, (MARGIN, y), strip.title, _TITLE_PX, strip.colour, width - 2 * MARGIN)
        y += head
        for line, line_height in enumerate(heights):
            for column, tile in enumerate(strip.tiles[line * columns : (line + 1) * columns]):
                _tile(sheet, pen, tile, (MARGIN + column * (PICTURE + GAP), y), PICTURE, max_lines)
            y += line_height
    return sheet


def pair_sheet(pairs: Sequence[PairOf], max_lines: int = 4) -> Image.Image:
    """Pairs, two a line."""
    lines = [pairs[start : start + 2] for start in range(0, len(pairs), 2)]
    heights = [_heights([t for p in line for t in (p.left, p.right)], 4, PAIR_PICTURE, max_lines)[0] for line in lines]
    head = _TITLE_PX + 10
    sheet = Image.new("RGB", (WIDTH_PX, MARGIN + sum(heights) + head * len(lines)), PAPER)
    pen = ImageDraw.Draw(sheet)
    y = MARGIN
    for line, height in zip(lines, heights, strict=True):
        for column, pair in enumerate(line):
            x = MARGIN + column * (WIDTH_PX // 2)
            _text(pen, (x, y), pair.title, _TITLE_PX, pair.colour, WIDTH_PX // 2 - 2 * MARGIN)
            _tile(sheet, pen, pair.left, (x, y + head), PAIR_PICTURE, max_lines)
            _tile(sheet, pen, pair.right, (x + PAIR_PICTURE + GAP, y + head), PAIR_PICTURE, max_lines)
        y += height + head
    return sheet


def _heights(tiles: Sequence[Tile], columns: int, side: int, max_lines: int) -> list[int]:
    """Height of each line of tiles."""
    heights = []
    for line in range(math.ceil(len(tiles) / columns)):
        words = [len(wrapped(tile.words, side, max_lines)) for tile in tiles[line * columns : (line + 1) * columns]]
        heights.append(side + 2 + _LINE_PX * max(words) + GAP + 2)
    return heights


def _tile(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, tile: Tile, at: tuple[int, int], side: int, max_lines: int
) -> None:
    x, y = at
    pen.rectangle((x, y, x + side - 1, y + side - 1), fill=_EMPTY)
    if tile.picture is None:
        _text(pen, (x + 8, y + side // 2 - 8), tile.problem, _FONT_PX, PALE, side - 16)
    else:
        sheet.paste(tile.picture, (x + (side - tile.picture.width) // 2, y + (side - tile.picture.height) // 2))
    pen.rectangle((x, y, x + side - 1, y + side - 1), outline=tile.frame, width=_FRAME)
    if tile.is_wrong:
        pen.rectangle((x, y, x + 17, y + 17), fill=tile.frame)
        pen.line((x + 5, y + 5, x + 12, y + 12), PAPER, 2)
        pen.line((x + 12, y + 5, x + 5, y + 12), PAPER, 2)
    for number, line in enumerate(wrapped(tile.words, side, max_lines)):
        _text(pen, (x, y + side + 2 + number * _LINE_PX), line, _FONT_PX, INK, side)


def wrapped(words: Sequence[str], width: int, max_lines: int) -> list[str]:
    """Phrases in lines of ``width`` pixels, each phrase from a new one; what has no place ends in an ellipsis."""
    font = _font(_FONT_PX)
    lines: list[str] = []
    for phrase in words:
        line = ""
        for word in printable(phrase, 200).split():
            joined = f"{line} {word}" if line else word
            if line and font.getlength(joined) > width:
                lines.append(line)
                joined = word
            line = joined
        lines.append(line)
    lines = [line for line in lines if line]
    return lines if len(lines) <= max_lines else [*lines[: max_lines - 1], f"{lines[max_lines - 1]}…"]


def _text(pen: ImageDraw.ImageDraw, at: tuple[int, int], words: str, size: int, ink: str, width: int) -> None:
    """Write one line, shortened to fit ``width`` pixels."""
    font = _font(size)
    words = printable(words, 200)
    if font.getlength(words) > width:
        while words and font.getlength(f"{words}…") > width:
            words = words[:-1]
        words += "…"
    pen.text(at, words, ink, font)


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The charts' font: it has more scripts than Pillow's own."""
    import matplotlib as mpl

    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
