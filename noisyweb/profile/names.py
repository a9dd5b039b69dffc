"""Consistency of names: is a wrong row's given class named more like its true class than other classes are?

Names are compared by their words and by runs of three and four letters, each weighted by how rare it is among the
classes (TF-IDF), without a language model: a similarity of names, not of meanings. With a hierarchy, two classes are
alike if they have one parent, and not else. For a wrong row of true class t and given class c,

    names = P(c is more like t than another class than t is), ties counted half

averaged over wrong rows. Blue noise draws c uniformly: 0.5.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy import sparse

from noisyweb.confusion import read_hierarchy
from noisyweb.draws import integers
from noisyweb.profile.interval import FEWEST, REPEATS, Floats, below, range_of, share_around, standard_error
from noisyweb.profile.measure import Measure, unknown
from noisyweb.profile.rows import UNKNOWN, ProfileRows
from noisyweb.profile.words import against_blue, share

_LEAST_ALIKE = 0.05
"""Share of pairs of classes that must have something in common for their names to say anything."""

_LONGEST = 200  # letters of a name that are looked at


def names(rows: ProfileRows, hierarchy: Path | None, seed: int) -> Measure:
    """The measure.

    Args:
        rows: all rows.
        hierarchy: a CSV file of classes and parents; None: the names themselves.
        seed: of the blue noise that it is compared with.

    Raises:
        SourceError: the hierarchy cannot be read or does not fit the classes.
    """
    name, num_classes = "names", len(rows.class_names)
    siblings = read_hierarchy(hierarchy).matrix(rows.class_names) > 0 if hierarchy is not None else None
    known = np.flatnonzero(rows.wrong & (rows.true != UNKNOWN) & (rows.true != rows.label))
    num_wrong = int(rows.wrong.sum())
    if num_classes < 3:
        return unknown(name, "there are fewer than three classes, so that there is no other to compare with")
    if len(known) < FEWEST:
        return unknown(name, f"{len(known)} of {num_wrong:,} wrong rows have a known true class; {FEWEST} are needed")
    given, true = rows.label[known], rows.true[known]
    vectors = sparse.csr_matrix((0, 0)) if siblings is not None else tf_idf(rows.class_names)
    values, blue, alike = np.empty(len(known)), np.zeros(REPEATS), 0
    places = np.unique(true)
    for label in places.tolist():
        if siblings is not None:
            similarity = siblings[label].astype(np.float64)
        else:
            similarity = np.round(np.asarray((vectors @ vectors[label].T).todense(), np.float64)[:, 0], 9)
        others = np.delete(similarity, label)
        alike += int((others > 0).sum())
        # of the others without c itself: its tie with itself goes
        placement = (below(similarity, others) * len(others) - 0.5) / (len(others) - 1)
        mine = np.flatnonzero(true == label)
        values[mine] = placement[given[mine]]
        blue += _drawn(placement, label, len(mine), seed) / len(known)
    in_common = alike / (len(places) * (num_classes - 1))
    if in_common < _LEAST_ALIKE:
        why = (
            f"names of classes have too little in common ({share(in_common)} of pairs share a word or three letters); "
            "say which classes are alike with --hierarchy"
        )
        return unknown(name, why if siblings is None else "too few classes of the hierarchy have a parent in common")
    value = float(values.mean())
    interval = share_around(value, standard_error(values / len(values), true), len(values))
    at_chance, low, high = range_of(blue)
    if siblings is None:
        what, aside = "is named more like", " (the names alone, not what they mean)"
    else:
        what, aside = "is nearer in the hierarchy to", ""
    return Measure(
        name,
        value,
        *interval,
        at_chance,
        f"The given class {what} the true class than another class is in {share(value)} of all pairs{aside}; 50% "
        f"would be chance, {against_blue(interval, (low, high))}. Known for {len(known):,} of {num_wrong:,} "
        "wrong rows.",
        reference_low=low,
        reference_high=high,
        details={"known": len(known), "wrong": num_wrong, "by": "names" if siblings is None else "hierarchy"},
    )


def _drawn(placement: Floats, label: int, count: int, seed: int) -> Floats:
    """The sum over rows of one true class whose given class is drawn uniformly from the others: `REPEATS` times."""
    drawn = integers(np.arange(REPEATS * count, dtype=np.uint64), len(placement) - 1, seed, "profile", "names", label)
    drawn += drawn >= label
    return np.asarray(placement[drawn].reshape(REPEATS, count).sum(axis=1))


def tf_idf(class_names: Sequence[str]) -> sparse.csr_matrix:
    """Names as rows of length 1, whose products are their similarities in [0, 1]; 0 for a name without letters."""
    counts = [Counter(_terms(name)) for name in class_names]
    terms = {term: column for column, term in enumerate(sorted({term for each in counts for term in each}))}
    documents = Counter(term for each in counts for term in each)
    data, column, start = [], [], [0]
    for each in counts:
        for term, count in sorted(each.items()):
            column.append(terms[term])
            data.append((1 + np.log(count)) * (np.log((1 + len(counts)) / (1 + documents[term])) + 1))
        start.append(len(column))
    matrix = sparse.csr_matrix((data, column, start), (len(counts), len(terms)))
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1))[:, 0])
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(lengths, 1e-12)) @ matrix)


def _terms(name: str) -> Iterator[str]:
    """Words, marked as such, and runs of letters of words with their ends."""
    for word in re.findall(r"\w+", unicodedata.normalize("NFKC", name[:_LONGEST]).casefold()):
        yield f" {word} "
        ended = f"<{word}>"
        for length in (3, 4):
            yield from (ended[at : at + length] for at in range(len(ended) - length + 1))
