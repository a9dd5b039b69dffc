"""Open vocabulary: how many wrong images show none of the classes?

Known to lie inside: wrong rows with a true class. Known to lie outside: images of another data set that nobody gave a
class of this one (noise open-set), and what the drawn web draws outside its classes. Of other web images nobody wrote
down what they show; then there are bounds, and no value. Worked out from all rows; the interval is Wilson's.
"""

from __future__ import annotations

import numpy as np

from noisyweb.profile.interval import FEWEST, wilson
from noisyweb.profile.measure import Measure, unknown
from noisyweb.profile.rows import UNKNOWN, ProfileRows
from noisyweb.profile.words import share

_FLIPPED = "Blue noise gives 0%: a flipped label hides a class of the vocabulary."


def vocabulary(rows: ProfileRows, is_drawn: bool) -> Measure:
    """The measure.

    Args:
        rows: all rows.
        is_drawn: whether the drawn web can be asked what its images show.
    """
    name, wrong = "vocabulary", np.flatnonzero(rows.wrong)
    if len(wrong) < FEWEST:
        return unknown(name, f"{len(wrong)} rows are wrong; {FEWEST} are needed")
    inside = rows.true[wrong] != UNKNOWN
    outside = ~inside & np.array([rows.noise[row] == "open-set" for row in wrong])
    if is_drawn:
        classes = set(rows.class_names)
        shown = [_drawn(rows.urls[row]) if not known else None for row, known in zip(wrong, inside, strict=True)]
        inside |= np.array([name in classes for name in shown])
        outside |= np.array([name is not None and name not in classes for name in shown])
    num_inside, num_outside, total = int(inside.sum()), int(outside.sum()), len(wrong)
    unsaid = total - num_inside - num_outside
    details: dict[str, float | str] = {"wrong": total, "inside": num_inside, "outside": num_outside, "unknown": unsaid}
    if unsaid:
        low, high = wilson(num_outside, total)[0], wilson(num_outside + unsaid, total)[1]
        why = f"nobody wrote down what {unsaid:,} of {total:,} wrong images show"
        bounds = f"between {share(low)} and {share(high)} of the wrong images lie outside the vocabulary"
        least = f"Cannot be measured: {why}; {bounds}. {_FLIPPED}"
        if unsaid == total:
            least = f"Cannot be measured: {why}, so any share of them may lie outside the vocabulary. {_FLIPPED}"
            low, high = 0.0, 1.0
        return Measure(name, None, low, high, 0.0, least, why, 0.0, 0.0, details)
    value = num_outside / total
    low, high = wilson(num_outside, total)
    said = f"{share(value)} of the wrong images ({num_outside:,} of {total:,}) show none of the classes"
    if is_drawn and num_outside:
        said += ", by what the drawn web says of its own images"
    return Measure(name, value, low, high, 0.0, f"{said}. {_FLIPPED}", None, 0.0, 0.0, details)


def _drawn(url: str | None) -> str | None:
    """The class of the drawn cars that an image shows, "" for none; None if the drawn web has no such image."""
    from noisyweb.drawn.truth import find_hit
    from noisyweb.drawn.vocabulary import cars

    hit = find_hit(url) if url else None
    if hit is None:
        return None
    return cars().class_names[hit.true_label] if hit.true_label >= 0 else ""
