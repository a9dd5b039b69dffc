"""What an audit looks at: one function a question, each giving findings."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

import numpy as np

from noisyweb.audit.rows import AuditInput, AuditSet, Finding, Severity, some
from noisyweb.audit.slips import slipped
from noisyweb.levels import level_text, num_wrong
from noisyweb.progress import Progress, silent

TOLERANCE = Fraction(1, 100)
"""How far the realised level may be from the one asked for before a set is unsound; nearer ones are told."""

NEAR_CHANCE = 0.9
"""Labels that are wrong this often, as a share of (K - 1) / K, have nothing to do with their images."""


def all_findings(audited: AuditInput, progress: Progress = silent) -> list[Finding]:
    """Everything that is found, faults first."""
    found = list(audited.findings)
    from_all = drawn_from_all(audited)
    for one in audited.sets:
        found += [*one.claims, *unresolved(one), *out_of_range(one, audited), *repeated(one)]
        found += level(one, audited, one.name in from_all)
        found += [*slipped(one, len(audited.class_names)), *missing_classes(one, audited), *leaks(one, audited)]
    if audited.validation is not None:
        validation = audited.validation
        found += [*validation.claims, *out_of_range(validation, audited), *repeated(validation)]
    found += [*nested(audited), *sizes(audited)]
    if audited.leaks is not None:
        found += audited.leaks(progress)
    order: dict[Severity, int] = {"fault": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda finding: order[finding.severity])


def unresolved(one: AuditSet) -> Iterator[Finding]:
    """Ids that lead nowhere."""
    if one.unresolved:
        message = (
            f"{len(one.unresolved):,} of {len(one):,} ids lead nowhere: neither annotated nor known clean images; "
            "nobody can tell whether their labels are right; take split files and annotations of one release"
        )
        yield Finding("ids", "fault", one.name, message, len(one.unresolved), some(one.unresolved))


def out_of_range(one: AuditSet, audited: AuditInput) -> Iterator[Finding]:
    """Labels that are no class."""
    num_classes = len(audited.class_names)
    rows = np.flatnonzero((one.given < 0) | (one.given >= num_classes))
    if len(rows):
        examples = some([f"{one.ids[row]} has {one.given[row]}" for row in rows[:3]])
        message = f"{len(rows):,} labels are outside 0..{num_classes - 1}; mend them or the list of classes"
        yield Finding("labels", "fault", one.name, message, len(rows), examples)


def repeated(one: AuditSet) -> Iterator[Finding]:
    """Images that are there twice, with one label or with two."""
    counts = Counter(one.ids)
    twice = {image for image, count in counts.items() if count > 1}
    if not twice:
        return
    labels: dict[str, set[int]] = {}
    for image, label in zip(one.ids, one.given.tolist(), strict=True):
        if image in twice:
            labels.setdefault(image, set()).add(label)
    torn = [image for image, found in labels.items() if len(found) > 1]
    more = sum(counts[image] - 1 for image in twice)
    message = f"{more:,} rows are there again ({len(torn):,} images with two labels); remove them"
    yield Finding("repeated", "fault", one.name, message, more, some(torn or sorted(twice)))


def drawn_from_all(audited: AuditInput) -> set[str]:
    """Sets that fall short as if their wrong labels had been drawn from all K classes, the right one among them.

    A row stays right then with probability 1 / K. With many classes few rows are missing at any one level, so all
    levels of a kind are taken together, but for those that are off by something else.
    """
    num_classes = len(audited.class_names)
    by_kind: dict[str | None, list[tuple[AuditSet, int, float]]] = {}
    for one in audited.sets:
        known = len(one) - one.num_unknown
        if one.asked and one.kind in (None, "blue", "symmetric"):
            gap, fair = num_wrong(one.asked, known) - one.num_wrong, float(one.asked) * known / num_classes
            if abs(gap - fair) <= 4 * fair**0.5 + 1:
                by_kind.setdefault(one.kind, []).append((one, gap, fair))
    found: set[str] = set()
    for sets in by_kind.values():
        gaps, fair_gaps = sum(gap for _, gap, _ in sets), sum(fair for _, _, fair in sets)
        spread = fair_gaps**0.5
        if gaps > 4 * spread and abs(gaps - fair_gaps) <= 4 * spread:
            found |= {one.name for one, gap, _ in sets if gap}
    return found


def level(one: AuditSet, audited: AuditInput, is_from_all: bool) -> Iterator[Finding]:
    """Asked against realised, in all."""
    known = len(one) - one.num_unknown
    if not known:
        yield Finding("level", "warning", one.name, "of no row does anybody know whether its label is right", len(one))
        return
    if one.asked is None:
        return
    expected, asked = num_wrong(one.asked, known), float(one.asked)
    off, realised = one.num_wrong - expected, one.realised
    if not off:
        return
    chance = (len(audited.class_names) - 1) / max(len(audited.class_names), 1)
    gap = abs(Fraction(one.num_wrong, known) - Fraction(one.asked))
    severity: Severity = "fault" if is_from_all or gap > TOLERANCE else "warning"
    message = (
        f"{level_text(one.asked)} was asked for, {realised:.2%} is realised: {one.num_wrong:,} of {known:,} rows are "
        f"wrong, {expected:,} should be"
    )
    if is_from_all:
        message += (
            f"; as many as if they were drawn from all {len(audited.class_names)} classes, the right one among them: "
            "draw from the others only"
        )
    elif realised >= NEAR_CHANCE * chance and asked < NEAR_CHANCE * chance:
        message += "; that is chance: labels and images do not belong together, look for a slip between two files"
    yield Finding("level", severity, one.name, message, abs(off))


def missing_classes(one: AuditSet, audited: AuditInput) -> Iterator[Finding]:
    """Classes without a row."""
    num_classes = len(audited.class_names)
    given = one.given[(one.given >= 0) & (one.given < num_classes)]
    empty = np.flatnonzero(np.bincount(given, minlength=num_classes) == 0)
    if len(empty):
        names = some([audited.class_names[label] for label in empty[:3]])
        message = f"{len(empty):,} of {num_classes} classes have no row"
        yield Finding("classes", "warning", one.name, message, len(empty), names)


def leaks(one: AuditSet, audited: AuditInput) -> Iterator[Finding]:
    """Images that are in training and validation set, by their ids."""
    if audited.validation is None:
        return
    validation = set(audited.validation.ids)
    shared = [image for image in dict.fromkeys(one.ids) if image in validation]
    if not audited.ids_are_global:  # numbers that both splits count from 1 say nothing
        shared = [image for image in shared if not image.isdigit()]
    if shared:
        message = f"{len(shared):,} images are also validation images; take them out, or accuracies will flatter"
        yield Finding("leak", "fault", one.name, message, len(shared), some(shared))


def nested(audited: AuditInput) -> Iterator[Finding]:
    """Whether what is wrong at a level is wrong at the next higher one."""
    by_kind: dict[str, list[AuditSet]] = {}
    for one in audited.sets:
        if one.kind is not None and one.asked is not None:
            by_kind.setdefault(one.kind, []).append(one)
    for kind, sets in by_kind.items():
        ordered = sorted(sets, key=lambda one: one.asked or Decimal(0))
        for lower, higher in itertools.pairwise(ordered):
            above = _wrong_ids(higher)
            lost = [image for image in _wrong_ids(lower) if image not in above]
            if lost:
                message = f"{len(lost):,} rows that are wrong in {lower.name} are not wrong here: {kind} is not nested"
                yield Finding(
                    "nested",
                    "warning",
                    higher.name,
                    message,
                    len(lost),
                    some([f"{image} as {label}" for image, label in lost[:3]]),
                )


def _wrong_ids(one: AuditSet) -> dict[tuple[str, int], None]:
    rows = np.flatnonzero(one.wrong == 1).tolist()
    return dict.fromkeys((one.ids[row], int(one.given[row])) for row in rows)


def sizes(audited: AuditInput) -> Iterator[Finding]:
    """Levels of different sizes."""
    found = Counter(len(one) for one in audited.sets)
    if len(found) > 1:
        usual = found.most_common(1)[0][0]
        odd = [f"{one.name} has {len(one):,}" for one in audited.sets if len(one) != usual]
        message = f"{len(odd):,} sets have other than {usual:,} rows: accuracies compare less well"
        yield Finding("sizes", "warning", "all levels", message, len(odd), some(odd))
