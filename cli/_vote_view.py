"""What the ``noisyweb label`` commands say of agreement, annotators and what is left to do, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from noisyweb.consensus.agreement import Agreement
    from noisyweb.consensus.effort import Effort

MAX_NAME = 40


def alpha_line(found: Agreement) -> str:
    """Krippendorff's alpha over all questions."""
    value, count = found.overall.value, found.overall.num_questions
    if value is None:
        why = "all of their votes are the same" if count else "none yet"
        return f"Krippendorff's alpha: not defined (questions with two or more yes and no votes: {count:,}; {why})"
    return f"Krippendorff's alpha: {value:.3f} over {count:,} questions with two or more yes and no votes"


def lowest_lines(found: Agreement, names: Sequence[str], count: int) -> Iterator[str]:
    """The classes that annotators agree least on."""
    lowest = found.lowest(count)
    if lowest:
        yield f"classes that annotators agree least on ({len(lowest)} of {len(found.by_class):,} with votes):"
    for label, alpha in lowest:
        yield f"  {printable(names[label])}: alpha {alpha.value:.3f} over {alpha.num_questions:,} questions"


def effort_line(effort: Effort, price: float | None) -> str:
    """Votes that are missing, and what they take."""
    line = f"missing: {effort.votes:,} votes on {effort.num_questions:,} questions"
    cost = f"; {effort.cost(price):,.2f} at {price:g} a vote" if price is not None else ""
    hours = effort.hours
    if not effort.votes:
        return line
    if hours is None:
        line += "; pace not measured"
    else:
        line += f"; {hours:,.1f} hours at {effort.pace_s:.1f} s a vote"
        line += f" (median of the last {effort.num_measured:,} measured)"
    return line + cost


def annotator_lines(table: pa.Table, count: int) -> Iterator[str]:
    """The annotators with most votes, one a line; shares in percent."""
    if not table.num_rows or not count:
        return
    rows = table.sort_by([("votes", "descending"), ("annotator", "ascending")]).slice(0, count).to_pylist()
    has_known = any(row["known"] for row in rows)
    cells = [["annotator", "votes", "unsure", "with others", *(["known"] if has_known else []), "median s"]]
    for row in rows:
        known = f"{_percent(row['accuracy'])} of {row['known']:,}" if row["known"] else "-"
        cells.append(
            [
                printable(row["annotator"]) + (" (machine)" if row["is_weak"] else ""),
                f"{row['votes']:,}",
                _percent(row["unsure"]),
                _percent(row["agreement"]),
                *([known] if has_known else []),
                "-" if row["median_s"] is None else f"{row['median_s']:.1f}",
            ]
        )
    yield from _aligned(cells)
    if table.num_rows > count:
        yield f"  ... and {table.num_rows - count:,} more"


def worth_lines(table: pa.Table, count: int) -> Iterator[str]:
    """The questions that another vote would tell most about."""
    shown = table.slice(0, count).to_pylist()
    yield f"worth another vote: the {len(shown):,} least sure of {table.num_rows:,} questions with votes"
    for row in shown:
        sure = "not known" if row["posterior"] is None else f"{row['posterior']:.3f}"
        votes = f"{row['votes_yes']} yes, {row['votes_no']} no of {row['votes_total']}"
        yield f"  {row['image_id']} {printable(row['class_name'])}: {votes}; probability of yes {sure}"


def printable(text: str, width: int = MAX_NAME) -> str:
    """A name on one line: others chose it, and a terminal obeys control characters."""
    clean = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return clean if len(clean) <= width else clean[: width - 3] + "..."


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _aligned(cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of columns: the first to the left, the others to the right."""
    first, *others = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        right = [text.rjust(width) for text, width in zip(row[1:], others, strict=True)]
        yield "  " + "  ".join([row[0].ljust(first), *right])
