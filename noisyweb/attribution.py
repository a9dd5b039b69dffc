"""Credits of web images as Markdown: what their providers say of creator and licence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

CREDITS = "# Attribution\n"


def attribution_text(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Pieces of an ATTRIBUTION.md.

    Args:
        rows: image_id, creator, license, attribution, landing_url and url of each image, in the order wanted.
    """
    yield f"{CREDITS}\n"
    yield "Images from the web, by image id, with what their providers say of creator and licence. "
    yield "Verify before reuse.\n\n"
    for row in rows:
        creator, licence = row["creator"] or "unknown creator", row["license"] or "not stated"
        credit = row["attribution"] or f"{creator}, licence {licence}"
        place = row["landing_url"] or row["url"] or ""
        yield f"- `{row['image_id'][:16]}` {cell(credit)} {cell(place)}".rstrip() + "\n"


def cell(text: str) -> str:
    """Hostile names must not break the page: no line breaks, no table bars, no HTML, no links, no pictures."""
    return re.sub(r"([\\|\[\]])", r"\\\1", " ".join(text.split())).replace("<", "&lt;").replace("`", "'")
