"""Contact sheets: a page of images with given label, verdict and source under each."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from noisyweb.draws import bits, row_keys
from noisyweb.errors import SourceError
from noisyweb.manifest import IMAGE_FORMATS, Manifest

CELL, PICTURE, CAPTION, MARGIN, HEADER = 208, 192, 62, 12, 56  # pixels
INK, PALE, RIGHT, WRONG = "#1c2430", "#6b7480", "#1f7a4d", "#c0392b"
_NAMES = {
    "web": "web image",
    "open-set": "image of another set",
    "human": "human label",
    **dict.fromkeys(("symmetric", "pair", "confusion", "instance"), "flipped label"),
}


def choose_rows(rows: pa.Table, count: int, seed: int, which: str = "both") -> list[int]:
    """Rows to show: drawn by seed, half of them wrong where there are enough, wrong ones first.

    Args:
        rows: the label columns of a manifest.
        count: how many at most.
        seed: same seed, same rows.
        which: "both", "wrong" or "clean".

    Raises:
        SourceError: there are no such rows.
    """
    clean = rows.column("is_clean").to_numpy()
    order = np.argsort(bits(row_keys(rows.column("image_id").to_pylist()), seed, "show"), kind="stable")
    wrong_rows, clean_rows = [int(i) for i in order if not clean[i]], [int(i) for i in order if clean[i]]
    if which == "wrong":
        chosen = wrong_rows[:count]
    elif which == "clean":
        chosen = clean_rows[:count]
    else:
        num_wrong = max(min(count // 2, len(wrong_rows)), count - len(clean_rows))
        chosen = wrong_rows[:num_wrong] + clean_rows[: count - num_wrong]
    if not chosen:
        raise SourceError(f"no {'' if which == 'both' else which + ' '}rows to show")
    return chosen


def contact_sheet(manifest: Manifest, chosen: list[int], columns: int = 8, root: Path | None = None) -> Image.Image:
    """Draw the chosen rows.

    Args:
        manifest: what they are rows of.
        chosen: row numbers, in the order to show them.
        columns: pictures a line.
        root: folder that paths start from, for rows without bytes.
    """
    rows = manifest.rows.take(chosen).to_pylist()
    encoded = _pixels(manifest, chosen, root)
    columns = min(columns, len(chosen))
    lines = math.ceil(len(chosen) / columns)
    size = (MARGIN * 2 + columns * CELL, HEADER + MARGIN * 2 + lines * (PICTURE + CAPTION))
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    _header(pen, manifest, size[0])
    for place, (row, number) in enumerate(zip(rows, chosen, strict=True)):
        x = MARGIN + place % columns * CELL
        y = HEADER + MARGIN + place // columns * (PICTURE + CAPTION)
        _picture(sheet, pen, encoded[number], x, y)
        _caption(pen, row, manifest.class_names, x, y + PICTURE + 2)
    return sheet


def _pixels(manifest: Manifest, chosen: list[int], root: Path | None) -> dict[int, bytes | None]:
    wanted = set(chosen)
    found: dict[int, bytes | None] = {}
    for number, (data, path) in enumerate(manifest.images()):
        if number in wanted:
            if data is None and root is not None and path is not None:
                target = (root / path).resolve()
                data = target.read_bytes() if target.is_relative_to(root.resolve()) and target.is_file() else None
            found[number] = data
    return found


def _header(pen: ImageDraw.ImageDraw, manifest: Manifest, width: int) -> None:
    info, clean = manifest.info, manifest.rows.column("is_clean").to_pylist()
    what = f"{info['kind']} noise at {info['level']}" if info.get("split") == "train" else "clean validation"
    _text(pen, (MARGIN, 10), f"{info['dataset']}: {what}", 20, INK, width - 2 * MARGIN)
    line = f"{len(clean):,} images, {len(clean) - sum(clean):,} wrong labels, edition {info['edition']}"
    if info["edition"] == "drawn":
        line += " (drawn by code: a stand-in, not for claims)"
    _text(pen, (MARGIN, 36), line, 13, PALE, width - 2 * MARGIN)


def _picture(sheet: Image.Image, pen: ImageDraw.ImageDraw, data: bytes | None, x: int, y: int) -> None:
    box = (x, y, x + PICTURE - 1, y + PICTURE - 1)
    pen.rectangle(box, fill="#f1f3f5")
    try:
        if data is None:
            raise UnidentifiedImageError("no image")
        with Image.open(io.BytesIO(data), formats=IMAGE_FORMATS) as opened:
            opened.draft("RGB", (PICTURE, PICTURE))
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError):
        _text(pen, (x + 8, y + PICTURE // 2 - 8), "path only" if data is None else "unreadable", 14, PALE, PICTURE - 16)
        return
    scale = min(PICTURE / image.width, PICTURE / image.height)
    fitted = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BICUBIC
    )
    sheet.paste(fitted, (x + (PICTURE - fitted.width) // 2, y + (PICTURE - fitted.height) // 2))


def _caption(pen: ImageDraw.ImageDraw, row: dict[str, object], classes: list[str], x: int, y: int) -> None:
    label, true = int(str(row["label"])), row["true_label"]
    _text(pen, (x, y), classes[label], 13, INK, PICTURE)
    verdict = "right" if row["is_clean"] else "wrong"
    if row["votes_total"] is not None:
        verdict += f", {row['votes_yes']} of {row['votes_total']} say yes"
    _text(pen, (x, y + 17), verdict, 13, RIGHT if row["is_clean"] else WRONG, PICTURE)
    source = _NAMES.get(str(row["noise"]), f"{row['source']} image")
    if not row["is_clean"] and true is not None:
        source += f"; is {classes[int(str(true))]}"
    elif row["license"]:
        source += f", {row['license']}"
    _text(pen, (x, y + 34), source, 12, PALE, PICTURE)


def _text(pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, ink: str, width: int) -> None:
    """One line of text, shortened to fit ``width`` pixels."""
    font = ImageFont.load_default(size)
    text = "".join(c for c in text[:200] if c.isprintable())
    if pen.textlength(text, font) > width:
        while text and pen.textlength(text + "…", font) > width:
            text = text[:-1]
        text += "…"
    pen.text(at, text, ink, font)
