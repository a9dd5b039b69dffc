"""Pictures and tables as bytes, the same for the same content: SVG for the page, PNG and CSV beside it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as csv
from PIL import Image

from noisyweb.formulas import without_formulas
from noisyweb.report.style import DARK, drawing

if TYPE_CHECKING:
    import matplotlib.figure

PNG_SCALE = 2
JPEG_QUALITY = 80


def svg(figure: matplotlib.figure.Figure) -> bytes:
    """A drawing as SVG whose colours follow the page, light or dark; its text is text, in the reader's fonts."""
    out = io.BytesIO()
    with drawing():
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue().decode("utf-8")
    text = text[text.index("<svg") :]  # without the doctype, which names a web address
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = text.replace("'DejaVu Sans'", "system-ui").replace("DejaVu Sans", "system-ui")
    head, end, rest = text.partition(">")
    return f"{head}{end}<style>{_DARK_RULES}</style>{rest}".encode()


def png(picture: matplotlib.figure.Figure | Image.Image) -> bytes:
    """A drawing, twice as fine as it is shown, or an image, as PNG."""
    out = io.BytesIO()
    if isinstance(picture, Image.Image):
        picture.save(out, "PNG")
    else:
        with drawing():
            picture.savefig(out, format="png", dpi=72 * PNG_SCALE, metadata={"Software": None})
    return out.getvalue()


def jpeg(picture: matplotlib.figure.Figure | Image.Image) -> bytes:
    """An image as JPEG, for photographs."""
    image = picture if isinstance(picture, Image.Image) else Image.open(io.BytesIO(png(picture)))
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return out.getvalue()


def cells(head: Sequence[str], rows: Sequence[Sequence[str]]) -> pa.Table:
    """Text cells as a table."""
    return pa.table([pa.array([row[place] for row in rows], pa.string()) for place in range(len(head))], list(head))


def table_csv(table: pa.Table) -> bytes:
    """A table as CSV; text that a spreadsheet would run as a formula is led by an apostrophe."""
    out = io.BytesIO()
    csv.write_csv(without_formulas(table), out)
    return out.getvalue()


def _dark_rules() -> str:
    """Rules that recolour what matplotlib writes as ``style="fill: #...; stroke: #..."``."""
    rules = [
        f'[style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
    ]
    return f"@media (prefers-color-scheme: dark){{{''.join(rules)}}}"


_DARK_RULES = _dark_rules()
