"""Whether two images are copies, decided from their pixels: one is laid over the other, and both are compared.

Three things must hold where they overlap: the 256-bit hashes lie within the radius (of the whole, or without the strip
at the top or the bottom that a banner covers); most parts with structure agree; and where both are coloured, the
colours are alike: two photographs of one model of car from one side, in different paint, are no copies.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noisyweb.affine import Affine, sample
from noisyweb.copies import Guess
from noisyweb.faces import Face, coloured_faces
from noisyweb.phash import distance_of
from noisyweb.progress import Progress, silent
from noisyweb.register import agreement, overlaid, register, shrunk
from noisyweb.views import NUM_TARGETS, PROBES, STRIP, targets

MAX_GUESS, MAX_COARSE = 88, 60
"""Bits of 256 by which the pictures may differ as guessed, and after the coarse step of registration. Of pairs whose
views are alike by chance one in eight passes the first, most copies come with 60 bits or less (docs/benchmarks.md)."""
MIN_AGREEMENT = 0.5
"""Share of the cells that must agree after registration."""
MIN_COLOUR = 0.8
"""Cosine between the colours of both."""
COLOURED = 6.0
"""Levels of Cb and Cr (root of the mean square) from which a picture counts as coloured."""
ROTATED_DEGREES = 1.0
"""From here on a picture counts as rotated."""
CROPPED_AREA = 0.015
"""Share of the area from which a picture counts as part of the other."""

Greys = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Match:
    """A proven pair.

    Attributes:
        kind: near, mirror, crop, pad or rotate: how one was made of the other; or embedding.
        distance: bits of 256 between the two where they overlap, one laid over the other; None by embedding.
        agreement: share of the cells that agree then, 0..1, or the cosine; None where the hashes of the whole images
            decided.
    """

    kind: str
    distance: int | None
    agreement: float | None = None

    @property
    def rank(self) -> tuple[float, float]:
        """Of several matches the one with the lowest is the nearest."""
        return (257.0 if self.distance is None else self.distance, -(self.agreement or 0.0))


Question = tuple[str, str, Sequence[Guess]]
"""Two image ids, and how they may be copies."""

Load = Callable[[Sequence[str]], Iterable[bytes | None]]
"""Gives the encoded bytes of images by their ids, in order; None where there are none."""


class Prover:
    """Decides on candidates from the pixels; faces and verdicts are kept for the next question.

    Args:
        radius: bits of 256 within which two pictures laid over each other must be.
        max_faces: images whose faces are held, 24 KB each.
        threads: that decode; None: one a processor.
    """

    def __init__(self, radius: int, *, max_faces: int = 4096, threads: int | None = None) -> None:
        self._radius, self._max_faces, self._threads = radius, max_faces, threads
        self._faces: dict[str, list[Face]] = {}
        self._known: dict[tuple[str, str], Match | None] = {}

    def prove_all(self, questions: Sequence[Question], load: Load, progress: Progress = silent) -> list[Match | None]:
        """Whether each pair of image ids is a copy, and how; None: it is not. Guesses are tried in their order."""
        with ThreadPoolExecutor(self._threads or os.cpu_count()) as threads:
            done = 0
            for part in self._parts([q for q in questions if (q[0], q[1]) not in self._known]):
                self._look_at([image_id for question in part for image_id in question[:2]], load, threads)
                for question in part:  # in this thread: small arrays, which hold Python's lock
                    self._known[question[0], question[1]] = self._prove(question)
                    done += 1
                    progress("lay over each other", done, len(questions))
        return [self._known[first, second] for first, second, _ in questions]

    def _parts(self, questions: Sequence[Question]) -> Iterator[list[Question]]:
        """Questions about so few images that all their faces can be held."""
        part: list[Question] = []
        seen: set[str] = set()
        for question in questions:
            if len(seen) + 2 > self._max_faces // 2:
                yield part
                part, seen = [], set()
            part.append(question)
            seen.update(question[:2])
        if part:
            yield part

    def _look_at(self, image_ids: Iterable[str], load: Load, threads: ThreadPoolExecutor) -> None:
        """Have the faces of these images at hand; of others, as many as there is room for."""
        wanted = dict.fromkeys(image_ids)
        new = [image_id for image_id in wanted if image_id not in self._faces]
        others = [image_id for image_id in self._faces if image_id not in wanted]
        for image_id in others[: max(0, len(self._faces) + len(new) - self._max_faces)]:
            del self._faces[image_id]
        for image_id, found in zip(new, _ahead(load(new), threads), strict=True):
            self._faces[image_id] = found

    def _prove(self, question: Question) -> Match | None:
        ours, theirs = self._faces[question[0]], self._faces[question[1]]
        for guess in question[2] if ours and theirs else ():
            pair = (ours, theirs) if guess.is_forward else (theirs, ours)
            match = prove(*pair, guess, self._radius)
            if match is not None:
                return match
        return None


def _ahead(images: Iterable[bytes | None], threads: ThreadPoolExecutor) -> Iterator[list[Face]]:
    """The faces of images, decoded a few ahead; none for those that cannot be decoded."""
    waiting: deque[Future[list[Face]]] = deque()
    for data in images:
        waiting.append(threads.submit(lambda data=data: coloured_faces(data or b"") or []))  # type: ignore[misc]
        if len(waiting) >= 16:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def prove(copy: Sequence[Face], original: Sequence[Face], guess: Guess, radius: int) -> Match | None:
    """Lay one picture over the other and compare; None if they are no copies.

    Args:
        copy: the faces of the image whose probe it was, with their colours.
        original: the faces of the other.
        guess: which views were alike.
        radius: bits of 256 within which the laid-over pictures must be.
    """
    ours_at, theirs_at = guess.probe_view // len(PROBES), guess.target_view // NUM_TARGETS
    if ours_at >= len(copy) or theirs_at >= len(original):
        return None  # borders that were plain in grey and are not in colour, by a hair
    ours, theirs = copy[ours_at], original[theirs_at]
    is_mirrored = PROBES[guess.probe_view % len(PROBES)].is_mirrored
    affine = targets(theirs.aspect)[guess.target_view % NUM_TARGETS].affine
    here, there = ours.grey.astype(np.float32), theirs.grey.astype(np.float32)
    if is_mirrored:
        here = here[:, ::-1]
    if _guessed_distance(here, there, affine) > MAX_GUESS:
        return None
    coarse = register(here, there, affine, 0)
    if coarse is None or _distance(here, there, coarse)[0] > MAX_COARSE:
        return None
    fitted = register(here, there, coarse, 1)
    if fitted is None:
        return None
    distance, rows = _distance(here, there, fitted)
    if distance > radius or not _is_same_colour(ours, theirs, is_mirrored, fitted, rows):
        return None
    share = agreement(here, there, fitted)
    if share < MIN_AGREEMENT:
        return None
    return Match(_kind(ours, theirs, is_mirrored, fitted), distance, round(share, 3))


def _guessed_distance(here: Greys, there: Greys, affine: Affine) -> int:
    """As `_distance` of the whole, quickly: most candidates end here."""
    side = len(here) // 2
    line = (np.arange(side, dtype=np.float32) + 0.5) / side
    x, y = affine.apply(*np.meshgrid(line, line))
    ours = shrunk(here, side)
    theirs = sample(shrunk(there, side) if affine.area > 0.9 else there, x, y)
    inside = (np.abs(x - 0.5) < 0.5) & (np.abs(y - 0.5) < 0.5)
    share = max(float(inside.mean()), 1e-3)
    return distance_of(
        (ours - (ours * inside).mean() / share) * inside, (theirs - (theirs * inside).mean() / share) * inside
    )


def _distance(here: Greys, there: Greys, affine: Affine) -> tuple[int, tuple[float, float]]:
    """Bits of 256 between two pictures where they overlap, the least of three parts of the height, and which it is."""
    ours, theirs, inside = overlaid(here, there, affine)
    best: tuple[int, tuple[float, float]] = (257, (0.0, 1.0))
    for top, bottom in ((0.0, 1.0), (STRIP, 1.0), (0.0, 1 - STRIP)):
        part = np.zeros_like(inside)
        lines = slice(round(top * len(part)), round(bottom * len(part)))
        part[lines] = inside[lines]
        covered = max(float(part.sum()), 1.0)
        found = distance_of(*((grey - (grey * part).sum() / covered) * part for grey in (ours, theirs)))
        best = min(best, (found, (top, bottom)))
    return best


def _is_same_colour(ours: Face, theirs: Face, is_mirrored: bool, fitted: Affine, rows: tuple[float, float]) -> bool:
    """Whether the colours go together; grey pictures go with all."""
    assert ours.chroma is not None
    assert theirs.chroma is not None
    side = ours.chroma.shape[-1]
    line = (np.arange(side) + 0.5) / side
    u, v = np.meshgrid(line, line)
    x, y = fitted.apply(u, v)
    inside = (x > 0) & (x < 1) & (y > 0) & (y < 1) & (v > rows[0]) & (v < rows[1])
    here = (ours.chroma[:, :, ::-1] if is_mirrored else ours.chroma)[:, inside]
    there = sample(theirs.chroma, x, y)[:, inside]
    sizes = [float(np.sqrt((colours * colours).mean())) if inside.any() else 0.0 for colours in (here, there)]
    return min(sizes) < COLOURED or float((here * there).mean()) > MIN_COLOUR * sizes[0] * sizes[1]


def _kind(ours: Face, theirs: Face, is_mirrored: bool, fitted: Affine) -> str:
    """How one picture was made of the other, the most telling word."""
    if is_mirrored:
        return "mirror"
    if abs(fitted.angle(theirs.aspect)) > ROTATED_DEGREES:
        return "rotate"
    if ours.is_trimmed != theirs.is_trimmed:
        return "pad"
    return "crop" if abs(abs(fitted.area) - 1) > CROPPED_AREA else "near"
