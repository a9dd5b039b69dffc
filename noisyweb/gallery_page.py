"""The gallery's page: HTML that needs nothing else, for a desk, a phone and paper."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from noisyweb.gallery_draw import COLOURS, INK, printable
from noisyweb.gallery_facts import BEYOND, Threshold
from noisyweb.gallery_tiles import Group, Tile, bits_text
from noisyweb.phash import NUM_BITS

KINDS = {
    "exact": "the same bytes",
    "near": "nearly the same picture",
    "mirror": "left and right swapped",
    "crop": "one is a part of the other",
    "pad": "with plain borders",
    "rotate": "turned a little",
    "embedding": "much the same to a network",
    "unreadable": "cannot be decoded, not shown",
}
"""What the kinds mean, in the order in which they are listed."""


@dataclass(frozen=True)
class Content:
    """What the page tells; counts are those of `noisyweb.gallery.Gallery`.

    Attributes:
        has_run: whether dedup has.
        groups, leaks: those shown, the kept or clean image first.
        threshold: the pairs nearest to the radius; ``within`` and ``beyond`` are the same as tiles.
        distances: of web images to the nearest other image; ``num_web`` could be looked at.
        charts: their histogram as PNG, wide and narrow.
    """

    title: str
    radius: int
    has_run: bool
    num_questions: int
    num_kept: int
    dropped: Mapping[tuple[str, str], int]
    groups: Sequence[Group]
    num_groups: int
    leaks: Sequence[Group]
    num_leaks: int
    threshold: Threshold
    within: Sequence[Group]
    beyond: Sequence[Group]
    distances: npt.NDArray[np.int64]
    num_web: int
    charts: tuple[bytes, bytes]

    def sections(self) -> dict[str, tuple[str, str, Sequence[Group]]]:
        """Title, one line of plain text, and groups of each part, for the page and for the sheets."""
        radius, near = self.radius, self.threshold
        groups = _note("The kept image first, then what was dropped for it.", self.groups, self.num_groups, "group")
        leaks = _note("The clean image first, then what was dropped for it.", self.leaks, self.num_leaks, "clean image")
        within = _note("The farthest first.", self.within, near.num_within, "pair")
        beyond = _note("The nearest first.", self.beyond, near.num_beyond, "pair")
        if near.num_joined:
            beyond += f" Left out, since they are in one group all the same: {near.num_joined:,}."
        if near.num_compared < near.num_images:
            sample = f" From a sample: {near.num_compared:,} of {near.num_images:,} images."
            within, beyond = within + sample, beyond + sample
        return {
            "groups": ("Copies of web images", groups, self.groups),
            "leaks": ("Leaks: copies of clean images", leaks, self.leaks),
            "within": (f"Just within the radius: {bits_text(radius)} and less", within, self.within),
            "beyond": (f"Just beyond the radius: {radius + 1} to {radius + BEYOND} bits", beyond, self.beyond),
        }


def _note(order: str, shown: Sequence[Group], total: int, noun: str) -> str:
    some = f", {len(shown):,} of them shown" if len(shown) < total else ""
    return f"{order} {total:,} {noun}{'s' * (total != 1)}{some}." if total else "None."


def page(content: Content) -> str:
    """The page as HTML: no scripts, no fonts, no other files."""
    title, sections = _text(content.title), content.sections()
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{_STYLE}{_BADGES}</style>
</head>
<body>
<h1>{title}</h1>
<nav><a href="#groups">Copies</a> <a href="#leaks">Leaks</a> <a href="#radius">Radius</a>
<a href="#distances">Distances</a></nav>
{_numbers(content)}
{"".join(_section(name, "h2", *sections[name]) for name in ("groups", "leaks"))}
<h2 id="radius">Is {bits_text(content.radius)} the right radius?</h2>
<p>Two images within the radius count as the same picture. If the first list below shows different pictures, the radius
is too large. If the second list shows the same picture twice, it is too small: run dedup again with another
<code>--radius</code>.</p>
{"".join(_section(name, "h3", *sections[name]) for name in ("within", "beyond"))}
{_distances(content)}
</body>
</html>
"""


def _numbers(content: Content) -> str:
    dropped = content.dropped
    total = sum(dropped.values())
    kinds = sorted({kind for kind, _ in dropped}, key=lambda kind: ([*KINDS, kind].index(kind), kind))
    sides = sorted({"web", *(against for _, against in dropped)}, key=lambda side: (side != "web", side))
    figures = [("questions", content.num_questions), ("kept", content.num_kept), ("dropped", total)]
    out = '<p class="figures">'
    out += " ".join(f"<span><b>{count:,}</b> {name}</span>" for name, count in figures)
    out += "</p>\n<p>A question is an image and the class that it was found for. Nothing is deleted: what is dropped "
    out += f"stays in the workspace. All distances are in bits of {NUM_BITS}.</p>\n"
    if not total:
        why = "No duplicates and no leaks" if content.has_run else "Dedup has not run in this workspace yet"
        return f"{out}<p><strong>{why}: nothing was dropped.</strong></p>"
    by_kind = {kind: sum(n for (k, _), n in dropped.items() if k == kind) for kind in kinds}
    parts = [("kept", content.num_kept), *by_kind.items()]
    out += '<div class="bar">'
    out += "".join(f'<i class="{_class(name)}" style="flex-grow:{count}"></i>' for name, count in parts if count)
    heads = ["dropped as", *("web" if side == "web" else f"{side} leaks" for side in sides), "all"]
    out += "</div>\n<table>\n<tr>" + "".join(f"<th>{_text(head)}</th>" for head in heads) + "</tr>\n"
    for kind in kinds:
        counts = [*(dropped.get((kind, side), 0) for side in sides), by_kind[kind]]
        out += f"<tr><td>{_badge(kind)} <small>{KINDS.get(kind, '')}</small></td>"
        out += "".join(f"<td>{f'{count:,}' if count else '–'}</td>" for count in counts) + "</tr>\n"
    return out + "</table>"


def _section(name: str, tag: str, title: str, note: str, groups: Sequence[Group]) -> str:
    shown = "\n".join(_group(group) for group in groups)
    return f'<{tag} id="{name}">{title}</{tag}>\n<p>{escape(note)}</p>\n<div class="groups">\n{shown}\n</div>\n'


def _group(group: Group) -> str:
    out = "".join(_tile(tile) for tile in group.tiles)
    if group.num_more:
        out += f'<p class="more">and {group.num_more:,} more</p>'
    if group.apart is None:
        return f'<div class="group">{out}</div>'
    return f'<div class="group pair">{out}<b class="apart">{bits_text(group.apart)}</b></div>'


def _tile(tile: Tile) -> str:
    name, facts = _text(tile.name), "".join(f" <span>{fact}</span>" for fact in tile.match())
    if tile.picture is None:
        shown = f'<div class="none">{_text(tile.problem)}<br>{_text(tile.image_id)}</div>'
    else:
        data = base64.b64encode(tile.picture).decode("ascii")
        shown = f'<img src="data:image/jpeg;base64,{data}" alt="{name}">'
    origin = "".join(f"<small><bdi>{_text(line).replace('.', '.<wbr>')}</bdi></small>" for line in tile.origin())
    return (
        f'<figure title="image {_text(tile.image_id)}">{shown}<figcaption><div>{_badge(tile.status)}{facts}</div>'
        f"<bdi>{name}</bdi>{origin}</figcaption></figure>"
    )


def _distances(content: Content) -> str:
    looked_at = len(content.distances)
    out = '<h2 id="distances">How far each image is from its nearest other</h2>\n'
    if not looked_at:
        return out + "<p>There are no two images to compare.</p>"
    within = int((content.distances <= content.radius).sum())
    sample = "" if looked_at == content.num_web else f", a sample of {content.num_web:,} compared with all"
    words = f"Of {looked_at:,} web images{sample}, {within:,} ({within / looked_at:.1%}) are left of the line, within "
    words += f"{bits_text(content.radius)} of another image, and {looked_at - within:,} right of it."
    wide, narrow = (base64.b64encode(chart).decode("ascii") for chart in content.charts)
    return f"""{out}<p>{words} Unreadable and flat images are not counted. Unrelated photographs
heap up far right: a good radius ends well before them. Mirrored, cropped and rotated copies may lie there too: they are
not found by the radius.</p>
<picture><source media="(max-width: 40rem)" srcset="data:image/png;base64,{narrow}">
<img class="chart" src="data:image/png;base64,{wide}" alt="Histogram. {words}"></picture>"""


def _text(text: str) -> str:
    return escape(printable(text))


def _class(kind: str) -> str:
    return f"k-{kind}" if kind in COLOURS else "k-other"


def _badge(kind: str) -> str:
    return f'<b class="badge {_class(kind)}">{_text(kind)}</b>'


_BADGES = "".join(f".k-{kind} {{ background: {ink}; }}\n" for kind, ink in {**COLOURS, "other": INK}.items())

_STYLE = """
:root { color-scheme: light; --ink: #1c2430; --pale: #5d6671; --line: #d5dbe1; --empty: #f1f3f5; }
* { box-sizing: border-box; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); }
body { max-width: 74rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .3rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .2rem; }
p { margin: 0 0 .8rem; max-width: 46rem; }
a { color: #2f6db0; margin-right: 1.2rem; line-height: 2.2; }
.figures, .groups, .group { display: flex; flex-wrap: wrap; gap: .2rem 2rem; }
.figures b { font-size: 1.7rem; }
.figures :nth-child(2) b { color: #1f7a4d; }
.bar { display: flex; gap: 1px; height: 1.4rem; border-radius: 5px; overflow: hidden; margin: 0 0 1rem; }
.bar i { min-width: 4px; flex-basis: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { text-align: right; padding: .3rem 0 .3rem 1.4rem; border-bottom: 1px solid var(--line); }
td:first-child, th:first-child { text-align: left; padding-left: 0; }
th { color: var(--pale); font-weight: 500; vertical-align: bottom; }
.badge { color: #fff; font-size: .75rem; font-weight: 600; padding: .05rem .45rem; border-radius: 1rem; }
small { color: var(--pale); font-size: .75rem; }
.groups { gap: .8rem; }
.group { position: relative; gap: .5rem; padding: .5rem; border: 1px solid var(--line); border-radius: 10px; }
figure { margin: 0; width: 7.85rem; }
.pair figure { width: 10.4rem; }
figure img, .none { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: var(--empty); }
.none { padding: .6rem; font-size: .75rem; color: var(--pale); overflow: hidden; overflow-wrap: anywhere; }
figcaption { display: flex; flex-direction: column; font-size: .8rem; line-height: 1.35; }
figcaption { padding-top: .3rem; overflow-wrap: anywhere; }
figcaption span { white-space: nowrap; }
.more { width: 4.5rem; align-self: center; color: var(--pale); margin: 0; text-align: center; }
.apart { position: absolute; left: 50%; top: .2rem; transform: translateX(-50%); background: var(--ink); color: #fff; }
.apart { font-size: .85rem; padding: .1rem .6rem; border-radius: 1rem; border: 2px solid #fff; }
.chart { width: 100%; max-width: 880px; height: auto; display: block; }
@media (max-width: 40rem) {
  .group { width: 100%; }
  figure, .pair figure { width: calc(50% - .25rem); }
  .group:has(figure:nth-of-type(3)) figure, .more { width: calc((100% - 1rem) / 3); }
  .figures { column-gap: 1rem; }
  .figures b { font-size: 1.3rem; }
  td, th { padding-left: .7rem; font-size: .9rem; }
  td small { display: block; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 12px; }
  nav { display: none; }
  h2, h3 { break-after: avoid; }
  figure { width: 6.2rem; }
  .group { break-inside: avoid; }
}
"""
