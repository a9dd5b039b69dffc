"""Asked against realised noise, drawn: a point a set, a bar from its least to its most noisy class, the diagonal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from noisyweb.atomic import replacing_file
from noisyweb.audit.report import AuditReport, class_levels
from noisyweb.audit.rows import AuditSet

SIZE, LEFT, TOP, SIDE = (860, 680), 84, 104, 480
INK, PALE, GRID, FAULT = "#1c2430", "#6b7480", "#e4e7ec", "#c0392b"
COLOURS = {"red": "#d1495b", "blue": "#2e6f9e"}
_OTHERS = ("#3a7d44", "#8e5572", "#b5772a", "#4a5568", "#0f8b8d", "#7a4f9a")
_SCALE = 2  # drawn larger and reduced: smooth lines


def write_plot(reports: Sequence[AuditReport], path: Path) -> None:
    """Draw all sets whose level is known.

    Args:
        reports: of audits.
        path: a PNG file.

    Raises:
        OutputError: it cannot be written.
    """
    image = draw(reports)
    with replacing_file(path) as temporary:
        image.save(temporary, "PNG")


def draw(reports: Sequence[AuditReport]) -> Image.Image:
    """The picture."""
    sheet = Image.new("RGB", (SIZE[0] * _SCALE, SIZE[1] * _SCALE), "white")
    pen = ImageDraw.Draw(sheet)
    title = "; ".join(dict.fromkeys(report.audited.title for report in reports))
    _text(pen, (LEFT, 18), title[:90], 17, INK)
    _text(
        pen,
        (LEFT, 42),
        "share of wrong labels: point, the whole set; bar, from the least to the most noisy class",
        12,
        PALE,
    )
    for step in range(6):
        share = step / 5
        x, y = _place(share, share)
        _line(pen, (x, TOP), (x, TOP + SIDE), GRID, 1)
        _line(pen, (LEFT, y), (LEFT + SIDE, y), GRID, 1)
        _text(pen, (x, TOP + SIDE + 8), f"{share:.0%}", 12, PALE, "ma")
        _text(pen, (LEFT - 10, y), f"{share:.0%}", 12, PALE, "rm")
    _line(pen, _place(0, 0), _place(1, 1), PALE, 1.5)
    _text(pen, (LEFT + SIDE / 2, TOP + SIDE + 30), "asked", 14, INK, "ma")
    _text(pen, (LEFT - 10, TOP - 30), "realised", 14, INK, "la")
    unsound = {(id(r), f.where) for r in reports for f in r.faults}
    kinds: dict[str, str] = {}
    drawn = [
        (r, one) for r in reports for one in r.audited.sets if one.asked is not None and len(one) > one.num_unknown
    ]
    num_kinds = len({one.kind for _, one in drawn})
    for report, one in drawn:
        kind = one.kind or "noise"
        spare = _OTHERS[len([k for k in kinds if k not in COLOURS]) % len(_OTHERS)]
        colour = kinds.setdefault(kind, COLOURS.get(kind, spare))
        shift = 9 * (list(kinds).index(kind) - (num_kinds - 1) / 2)  # side by side, none hides another
        _point(pen, one, colour, (id(report), one.name) in unsound, len(report.audited.class_names), shift)
    for place, (kind, colour) in enumerate([*kinds.items(), ("unsound", FAULT)]):
        y = TOP + 10 + 26 * place
        _dot(pen, (LEFT + SIDE + 40, y), 6, colour, kind == "unsound")
        _text(pen, (LEFT + SIDE + 56, y), kind, 14, INK, "lm")
    faults = sum(len(report.faults) for report in reports)
    said = "no faults" if not faults else f"{faults} fault{'s' if faults > 1 else ''}"
    _text(pen, (LEFT + SIDE + 34, TOP + SIDE - 10), said, 16, FAULT if faults else COLOURS["blue"], "lm")
    return sheet.resize(SIZE, Image.Resampling.LANCZOS)


def _point(
    pen: ImageDraw.ImageDraw, one: AuditSet, colour: str, is_unsound: bool, num_classes: int, shift: float
) -> None:
    assert one.asked is not None
    x, y = _place(float(one.asked), one.realised)
    low, _, high = class_levels(one, num_classes)
    if not math.isnan(low):
        _line(pen, (x + shift, _place(0, low)[1]), (x + shift, _place(0, high)[1]), colour, 2)
    _dot(pen, (x + shift, y), 6, colour, False)
    if is_unsound:
        _dot(pen, (x + shift, y), 10, FAULT, True)


def _place(asked: float, realised: float) -> tuple[float, float]:
    return LEFT + SIDE * asked, TOP + SIDE * (1 - realised)


def _line(
    pen: ImageDraw.ImageDraw, start: tuple[float, float], end: tuple[float, float], colour: str, width: float
) -> None:
    pen.line([(x * _SCALE, y * _SCALE) for x, y in (start, end)], fill=colour, width=round(width * _SCALE))


def _dot(pen: ImageDraw.ImageDraw, at: tuple[float, float], radius: float, colour: str, is_ring: bool) -> None:
    box = [(at[0] - radius) * _SCALE, (at[1] - radius) * _SCALE, (at[0] + radius) * _SCALE, (at[1] + radius) * _SCALE]
    if is_ring:
        pen.ellipse(box, outline=colour, width=2 * _SCALE)
    else:
        pen.ellipse(box, fill=colour, outline="white", width=_SCALE)


def _text(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, colour: str, anchor: str = "la"
) -> None:
    font = ImageFont.load_default(size * _SCALE)
    pen.text((at[0] * _SCALE, at[1] * _SCALE), text, fill=colour, font=font, anchor=anchor)
