"""A profile: the rows, their images once, and every measure on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from noisyweb.embedding import Embedding, load_model
from noisyweb.errors import SourceError
from noisyweb.lock import VALIDATION_FOLDER
from noisyweb.manifest import Manifest, open_manifest
from noisyweb.profile.interval import FEWEST
from noisyweb.profile.likeness import likeness
from noisyweb.profile.looks import look
from noisyweb.profile.measure import Measure, Profile, unknown
from noisyweb.profile.names import names
from noisyweb.profile.nearness import nearness
from noisyweb.profile.pictures import pictures
from noisyweb.profile.rows import ProfileRows, choose, read_rows
from noisyweb.profile.vocabulary import vocabulary
from noisyweb.profile.votes import votes
from noisyweb.progress import Progress, silent
from noisyweb.remote_path import Place, place_of
from noisyweb.workspace import Workspace

SAMPLE = 10_000
"""Rows that are looked at, if there are more."""


def profile(
    manifest: Place | str,
    *,
    model: Embedding | str | None = None,
    workspace: Path | None = None,
    root: Path | None = None,
    hierarchy: Path | None = None,
    sample: int = SAMPLE,
    seed: int = 0,
    progress: Progress = silent,
) -> Profile:
    """Measure how the noise of a manifest differs from blue noise of the same level.

    Args:
        manifest: its folder or URL.
        model: by which images are alike: a torch model, or ``module:attribute`` of one; None: `noisyweb.perceptual`.
        workspace: whose verdicts, right and wrong, say how far votes hang on the image.
        root: folder that paths start from, for rows without images.
        hierarchy: a CSV file of classes and parents, by which classes are alike instead of by their names.
        sample: rows whose images are looked at, at the most; labels and votes are read of all.
        seed: of the sample, of the folds and of the blue noise.
        progress: told how many images are done.

    Returns:
        Six measures; what cannot be measured says why.

    Raises:
        SourceError: it is no manifest, or workspace, hierarchy or model do not fit it.
        CorruptFileError: a file is damaged.
        MissingExtraError: a model was named, and torch is not installed.
    """
    opened = open_manifest(manifest)
    if sample < 1:
        raise SourceError(f"sample {sample}: expected the number of rows to look at, 1 or more")
    if isinstance(model, str):
        model = Embedding(model, load_model(model))
    rows, info = read_rows(opened), opened.info
    is_drawn = info["edition"] == "drawn"
    notes = []
    if rows.num_unknown:
        notes.append(f"{rows.num_unknown:,} rows have no verdict (is_clean is empty); they are left out")
    verdicts, what = _verdicts(rows, workspace, is_drawn)
    seen = _seen(opened, rows, model, root, sample, seed, progress, notes)
    measures = (
        *seen[:2],
        names(rows, hierarchy, seed),
        votes(verdicts, rows.num_voted, what, seed),
        seen[2],
        vocabulary(rows, is_drawn),
    )
    if is_drawn:
        notes.append("drawn by code: a stand-in for running, testing and teaching, not for claims")
    return Profile(
        folder=str(opened.folder),
        title=info["title"],
        edition=info["edition"],
        kind=str(info.get("kind", "")),
        level=str(info.get("level", "")),
        num_rows=len(rows),
        num_wrong=int(rows.wrong.sum()),
        num_unknown=rows.num_unknown,
        measures=measures,
        notes=tuple(notes),
    )


def _seen(
    manifest: Manifest,
    rows: ProfileRows,
    model: Embedding | None,
    root: Path | None,
    sample: int,
    seed: int,
    progress: Progress,
    notes: list[str],
) -> tuple[Measure, Measure, Measure]:
    """The measures that take images."""
    num_wrong = int(rows.wrong.sum())
    why = None
    if len(rows.class_names) < 2:
        why = "there is one class, so there is no other to compare with"
    elif num_wrong < FEWEST:
        why = f"{num_wrong} rows are wrong; {FEWEST} are needed"
    elif len(rows) - num_wrong < FEWEST:
        why = f"{len(rows) - num_wrong} rows are right; {FEWEST} are needed to compare with"
    if why is not None:
        return _unseen(why)
    chosen = choose(rows, sample, seed)
    seen = look(manifest, rows.row[chosen], root, model, progress)
    damaged = len(chosen) - len(seen.vectors) - seen.num_absent
    if seen.num_absent == len(chosen):
        where = "in the folder of --images" if root is not None else "name the folder of the images with --images"
        return _unseen(f"rows have paths and no images; {where}" if root is None else f"no row's image is {where}")
    if not len(seen.vectors):
        return _unseen(f"none of {len(chosen):,} images can be read")
    if len(chosen) < len(rows):
        notes.append(f"{len(chosen):,} of {len(rows):,} rows were looked at, wrong ones half of them if they can be")
    if damaged or seen.num_absent:
        notes.append(
            f"of {len(chosen):,} images {seen.num_absent:,} are not there and {damaged:,} unreadable; they are left out"
        )
    chosen = chosen[seen.has]
    near = nearness(seen.vectors, rows.label[chosen], rows.wrong[chosen], seed)
    return *likeness(near, rows.label[chosen], seed), pictures(near, rows.true[chosen], rows.is_own[chosen], seed)


def _unseen(why: str) -> tuple[Measure, Measure, Measure]:
    return unknown("likeness", why), unknown("nearer", why), unknown("pictures", why)


def _verdicts(rows: ProfileRows, workspace: Path | None, is_drawn: bool) -> tuple[pa.Table | None, str]:
    """The verdicts on right and wrong images, and whose they are."""
    if workspace is not None:
        opened = Workspace(workspace)
        if opened.class_names() != rows.class_names:
            raise SourceError(f"workspace {workspace}: its classes are not those of the manifest; name another")
        table = opened.read("verdicts")
        if not table.num_rows:
            raise SourceError(f"workspace {workspace}: it has no verdicts; run `noisyweb label consensus` first")
        return table, f"the workspace {workspace}"
    if is_drawn and "web" in rows.noise:
        from noisyweb.drawn.vocabulary import cars
        from noisyweb.drawn.votes import bundled_verdicts

        if rows.class_names != list(cars().class_names):  # a few classes, with a workspace of their own
            return None, ""
        return bundled_verdicts(), "the drawn web's simulated annotators"
    return None, ""


def manifests_in(folder: Place | str) -> list[Place]:
    """The manifests that a folder means: itself, or those directly or two levels below it; training sets only.

    Raises:
        SourceError: there is none.
    """
    place = place_of(folder)
    found: dict[Place, None] = {}
    for pattern in ("*-of-*.parquet", "*/*-of-*.parquet", "*/*/*-of-*.parquet"):
        files: Iterator[Place] = iter(sorted(place.glob(pattern)))
        found.update(dict.fromkeys(file.parent for file in files if not file.parent.name.startswith(".")))
        if found:
            break
    inner = [each for each in found if each.name != VALIDATION_FOLDER] or list(found)
    return inner or [open_manifest(place).folder]  # which says what is wrong
