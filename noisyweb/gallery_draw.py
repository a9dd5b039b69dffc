"""The pictures that a gallery draws: sheets of groups and of pairs, and the chart of distances."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from noisyweb.gallery_tiles import Group, Tile, bits_text

PICTURE, CAPTION, PADDING, GAP, MARGIN, HEADING = 176, 62, 8, 14, 20, 62  # pixels
CELL = PICTURE + PADDING
LINE = PICTURE + CAPTION + PADDING + GAP
WIDTH = 2 * MARGIN + 4 * (2 * CELL + PADDING + GAP) - GAP  # four pairs
MAX_LINES = 6
PAPER, FRAME, EMPTY = "white", "#d5dbe1", "#f1f3f5"
INK, PALE, KEPT, MARK = "#1c2430", "#5d6671", "#1f7a4d", "#c0392b"
WITHIN, BEYOND = "#2f6db0", "#a3adb8"
COLOURS = {
    "exact": "#4a5568",
    "near": "#2f6db0",
    "mirror": "#7b4bb0",
    "crop": "#b0560f",
    "pad": "#876500",
    "rotate": "#0b7a75",
    "embedding": "#b03a78",
    "unreadable": "#7a2222",
    **dict.fromkeys(("kept", "clean", "train", "validation"), KEPT),
}
MAX_BITS = 128
"""The chart's last bar is for this distance and all above it: unrelated pictures."""
FOOT = 0.3
"""Decades of the log scale below a count of 1, so that one image is seen."""


def printable(text: str, limit: int = 100) -> str:
    """Text of strangers without control characters, at most ``limit`` characters."""
    text = "".join(c for c in text[: 4 * limit] if c.isprintable())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def sheet(sections: Sequence[tuple[str, str, Sequence[Group]]]) -> Image.Image:
    """Draw groups side by side, those of each section under its title and note; at most `MAX_LINES` lines of each."""
    plans = [(*section, _lines(section[2])) for section in sections]
    image = Image.new("RGB", (WIDTH, 2 * MARGIN + sum(HEADING + len(plan[3]) * LINE for plan in plans)), PAPER)
    pen = ImageDraw.Draw(image)
    y = MARGIN
    for title, note, groups, lines in plans:
        shown = sum(len(line) for line in lines)
        if shown < len(groups):
            note += f" The first {shown:,} of {len(groups):,} are drawn."
        text(pen, (MARGIN, y), title, 22, INK, WIDTH - 2 * MARGIN)
        text(pen, (MARGIN, y + 30), note, 15, PALE, WIDTH - 2 * MARGIN)
        y += HEADING
        for line in lines:
            x = MARGIN
            for group in line:
                x = _group(image, pen, group, x, y)
            y += LINE
    return image


def _lines(groups: Sequence[Group]) -> list[list[Group]]:
    """Pack groups into lines, in order."""
    lines: list[list[Group]] = []
    left = 0
    for group in groups:
        wanted = _width(group)
        if wanted > left:
            if len(lines) == MAX_LINES:
                break
            lines.append([])
            left = WIDTH - 2 * MARGIN + GAP
        lines[-1].append(group)
        left -= wanted
    return lines


def _width(group: Group) -> int:
    return (len(group.tiles) + bool(group.num_more)) * CELL + PADDING + GAP


def _group(image: Image.Image, pen: ImageDraw.ImageDraw, group: Group, x: int, y: int) -> int:
    width = _width(group) - GAP
    pen.rounded_rectangle((x, y, x + width, y + PICTURE + CAPTION + PADDING), 8, outline=FRAME)
    for place, tile in enumerate(group.tiles):
        _tile(image, pen, tile, x + PADDING + place * CELL, y + PADDING)
    if group.num_more:
        at = (x + PADDING + len(group.tiles) * CELL, y + PADDING + PICTURE // 2 - 10)
        text(pen, at, f"and {group.num_more:,} more", 17, PALE, PICTURE)
    if group.apart is not None:  # on the seam of both pictures
        font = ImageFont.load_default(17)
        words, middle = bits_text(group.apart), x + width // 2
        half = round(pen.textlength(words, font) / 2) + 12
        pen.rounded_rectangle((middle - half, y + 3, middle + half, y + 31), 14, INK, PAPER, 2)
        pen.text((middle, y + 17), words, PAPER, font, anchor="mm")
    return x + width + GAP


def _tile(image: Image.Image, pen: ImageDraw.ImageDraw, tile: Tile, x: int, y: int) -> None:
    pen.rectangle((x, y, x + PICTURE - 1, y + PICTURE - 1), fill=EMPTY)
    if tile.picture is None:
        text(pen, (x + 8, y + PICTURE // 2 - 20), tile.problem, 15, PALE, PICTURE - 16)
        text(pen, (x + 8, y + PICTURE // 2), tile.image_id, 13, PALE, PICTURE - 16)
    else:
        picture = Image.open(io.BytesIO(tile.picture))
        scale = PICTURE / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        fitted = picture.resize(size, Image.Resampling.BICUBIC)
        image.paste(fitted, (x + (PICTURE - fitted.width) // 2, y + (PICTURE - fitted.height) // 2))
    colour = COLOURS.get(tile.status, INK)
    text(pen, (x, y + PICTURE + 3), "  ".join([tile.status, *tile.match()]), 14, colour, PICTURE)
    text(pen, (x, y + PICTURE + 21), tile.name, 14, INK, PICTURE)
    text(pen, (x, y + PICTURE + 38), ", ".join(tile.origin()).replace("×", "x"), 13, PALE, PICTURE)


def text(pen: ImageDraw.ImageDraw, at: tuple[int, int], words: str, size: int, ink: str, width: int) -> None:
    """Write one line, shortened to fit ``width`` pixels."""
    font = ImageFont.load_default(size)
    words = printable(words, 200)
    if pen.textlength(words, font) > width:
        while words and pen.textlength(words + "…", font) > width:
            words = words[:-1]
        words += "…"
    pen.text(at, words, ink, font)


def chart(distances: npt.NDArray[np.int64], radius: int, width: int, height: int) -> Image.Image:
    """Draw the histogram of nearest distances, twice as fine as ``width`` x ``height``; counts on a log scale."""
    image = Image.new("RGB", (2 * width, 2 * height), PAPER)
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(26)
    left, right, top, bottom = 84, 2 * width - 36, 132, 2 * height - 104
    # Distances of hashes cut at their median are even: bars are two bits wide, and one ends at the radius.
    shift = 1 - radius % 2
    counts = np.bincount((np.minimum(distances, MAX_BITS) + shift) // 2)
    num_within = int((distances <= radius).sum())
    for line, (colour, words) in enumerate(
        [
            (WITHIN, f"images within the radius of another: {num_within:,}"),
            (BEYOND, f"images farther from any other: {len(distances) - num_within:,}"),
        ]
    ):
        y = 8 + 38 * line
        pen.rectangle((left, y + 4, left + 24, y + 28), fill=colour)
        pen.text((left + 36, y), words, INK, font)
    decades = math.log10(max(10.0, 1.5 * counts.max(initial=0))) + FOOT

    def height_of(count: float) -> float:
        return bottom - (math.log10(count) + FOOT) / decades * (bottom - top)

    for exponent in range(math.floor(decades - FOOT) + 1):
        y = round(height_of(10**exponent))
        pen.line((left, y, right, y), FRAME, 2)
        pen.text((left - 12, y), f"{10**exponent:,}", PALE, font, anchor="rm")
    step = (right - left) / (MAX_BITS + 3)
    for number, count in enumerate(counts.tolist()):
        if count:
            first = 2 * number - shift  # a bar is for this many bits and one more
            x = left + (first + 1) * step
            bar = (round(x), round(height_of(count)), round(x + 2 * step) - 3, bottom)
            pen.rectangle(bar, fill=WITHIN if first <= radius else BEYOND)
    pen.line((left, bottom, right, bottom), INK, 2)
    every = 16 if width > 600 else 32
    for bits in range(0, MAX_BITS + 1, every):
        x = round(left + (bits + 1.5) * step)
        pen.line((x, bottom, x, bottom + 10), INK, 2)
        pen.text((x, bottom + 16), f"{bits}" if bits < MAX_BITS else f"{bits}+", PALE, font, anchor="ma")
    pen.text(((left + right) / 2, 2 * height - 12), "bits to the nearest other image", INK, font, anchor="md")
    x = round(left + (min(radius, MAX_BITS + 1) + 2) * step) - 2
    pen.line((x, top - 34, x, bottom), MARK, 4)
    at, anchor = (x - 12, "rm") if x > (left + right) / 2 else (x + 12, "lm")
    pen.text((at, top - 14), f"radius {radius}", MARK, font, anchor=anchor)
    return image


def encoded(image: Image.Image) -> bytes:
    """An image as PNG."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
