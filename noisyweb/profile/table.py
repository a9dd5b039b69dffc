"""Profiles as lines of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from noisyweb.profile.measure import TITLES, Measure, Profile

_WIDTH = 100


def lines(profiles: Sequence[Profile]) -> Iterator[str]:
    """One profile at length, or several with a table that compares them."""
    for profile in profiles:
        yield from _at_length(profile)
        yield ""
    if len(profiles) > 1:
        yield from compared(profiles)


def _at_length(profile: Profile) -> Iterator[str]:
    what = f"{profile.kind} noise at {profile.level}" if profile.kind else "no noise asked for"
    yield printable(f"{profile.folder}: {profile.title}, {what}")
    yield f"{profile.num_rows:,} rows, {profile.num_wrong:,} wrong"
    yield f"  {'':26} {'value':>7}  {'95% interval':>16}  {'blue noise gives':>16}"
    for measure in profile.measures:
        yield f"  {measure.title:26} {_number(measure.value):>7}  {_interval(measure):>16}  {_blue(measure):>16}"
    for measure in profile.measures:
        text = printable(f"{measure.title}: {measure.sentence}")
        yield from textwrap.wrap(text, _WIDTH, initial_indent="- ", subsequent_indent="  ")
    for note in profile.notes:
        yield from textwrap.wrap(f"note: {note}", _WIDTH, subsequent_indent="  ")


def compared(profiles: Sequence[Profile]) -> Iterator[str]:
    """A line a profile, a column a measure."""
    names = [printable(profile.folder.rstrip("/").rpartition("/")[2])[:40] for profile in profiles]
    width = max(len(name) for name in names)
    yield " ".join([" " * width, *(f"{name:>11}" for name in TITLES)])
    for name, profile in zip(names, profiles, strict=True):
        cells = [f"{_number(each.value)}{'*' if each.is_unlike_blue else ' '}" for each in profile.measures]
        yield " ".join([name.ljust(width), *(f"{cell:>11}" for cell in cells)]).rstrip()
    yield "* its interval and the range of blue noise of the same level do not overlap"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(measure: Measure) -> str:
    return "-" if measure.low is None or measure.high is None else f"{measure.low:.3f} to {measure.high:.3f}"


def _blue(measure: Measure) -> str:
    if measure.reference_low is None or measure.reference_high is None:
        return "-"
    return f"{measure.reference_low:.3f} to {measure.reference_high:.3f}"


def printable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
