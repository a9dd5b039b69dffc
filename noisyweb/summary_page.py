"""One page of HTML that tells a whole road: the funnel, what was dropped and why, the accuracies, a contact sheet."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

STEPS = {
    "found": "search hits",
    "fetched": "fetched and decoded",
    "unique": "left without duplicates and leaks",
    "voted": "voted on by annotators",
    "wrong": "judged wrong: the pool",
    "used": "used in the training set",
}


@dataclass(frozen=True)
class Story:
    """What the page tells.

    Attributes:
        title: of the page.
        notice: what readers must know before they believe anything on it.
        funnel: images at each of `STEPS`.
        dropped: what did not make it, by reason.
        built: lines about the manifest: name and value.
        runs: method name -> (final accuracy, peak accuracy, seconds), accuracies in [0, 1].
        chance: accuracy of guessing, in [0, 1].
        sheet_png: the contact sheet.
        seconds: wall time of each stage.
    """

    title: str
    notice: str
    funnel: Mapping[str, int]
    dropped: Mapping[str, int]
    built: Sequence[tuple[str, str]]
    runs: Mapping[str, tuple[float, float, float]]
    chance: float
    sheet_png: bytes
    seconds: Mapping[str, float]


def page(story: Story) -> str:
    """The page as HTML that needs nothing else: no scripts, no fonts, no other files."""
    sheet = base64.b64encode(story.sheet_png).decode("ascii")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(story.title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(story.title)}</h1>
<p class="notice">{escape(story.notice)}</p>
<h2>From search hits to a training set</h2>
{_bars([(STEPS[key], count) for key, count in story.funnel.items()])}
<h2>What was left behind, and why</h2>
{_table(("reason", "images"), [(reason, f"{count:,}") for reason, count in _most(story.dropped)])}
<h2>The training set</h2>
{_table(("", ""), list(story.built))}
<h2>Trained on it</h2>
<p>Accuracy on the clean validation set. Guessing gives {story.chance:.1%}.</p>
{_accuracies(story)}
<h2>What is in it</h2>
<p>Wrong rows first: given label, verdict, source.</p>
<img src="data:image/png;base64,{sheet}" alt="Contact sheet of the training set">
<h2>Time</h2>
{_table(("stage", "seconds"), [(stage, f"{seconds:.1f}") for stage, seconds in story.seconds.items()])}
</body>
</html>
"""


def _bars(steps: Sequence[tuple[str, int]]) -> str:
    top = max((count for _, count in steps), default=0) or 1
    rows = [
        f'<div class="step"><span class="name">{escape(name)}</span>'
        f'<span class="bar"><i style="width:{100 * count / top:.1f}%"></i></span>'
        f'<span class="count">{count:,}</span></div>'
        for name, count in steps
    ]
    return "\n".join(rows)


def _accuracies(story: Story) -> str:
    rows = [
        f'<div class="step"><span class="name">{escape(method)}</span>'
        f'<span class="bar"><i style="width:{100 * final:.1f}%"></i>'
        f'<b style="left:{100 * story.chance:.1f}%" title="chance"></b></span>'
        f'<span class="count">{final:.1%}<small> peak {peak:.1%}, {seconds:.0f} s</small></span></div>'
        for method, (final, peak, seconds) in story.runs.items()
    ]
    return "\n".join(rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = [f"<tr>{cells}</tr>"] if any(head) else []
    lines += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


_STYLE = """
:root { color-scheme: light; --ink: #1c2430; --pale: #6b7480; --line: #e3e7eb; --bar: #3c6e9f; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); }
body { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; }
.notice { border-left: 4px solid #d9a441; background: #fdf7ea; padding: .6rem .8rem; margin: 0; }
.step { display: grid; grid-template-columns: 15rem 1fr 11rem; gap: .8rem; align-items: center; margin: .25rem 0; }
.bar { position: relative; background: var(--line); height: 1.1rem; border-radius: 3px; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--bar); }
.bar b { position: absolute; top: 0; bottom: 0; width: 2px; background: #c0392b; }
.count { font-variant-numeric: tabular-nums; }
small { color: var(--pale); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td { overflow-wrap: anywhere; }
td, th { text-align: left; padding: .2rem 1.2rem .2rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--pale); font-weight: 500; }
img { max-width: 100%; height: auto; border: 1px solid var(--line); }
@media (max-width: 40rem) {
  .step { grid-template-columns: 1fr 6rem; gap: 0 .8rem; margin: .6rem 0; }
  .step .name { grid-column: 1 / -1; }
}
"""
