"""Who is asked what next: enough answers of different people for each question, and not more.

A question handed to somebody counts as half answered until the answer comes or `LEASE_S` have passed, so that two
people do not both give its last vote. Questions come class by class, in a random order within each; known-answer
questions of the same class are mixed in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from noisyweb.annotate.book import Question
from noisyweb.consensus.wanted import wanted
from noisyweb.draws import row_keys, uniforms

LEASE_S = 120.0
"""How long a question waits for one who was handed it, in seconds since the page last spoke of it."""

Flags = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int32]


class Handout:
    """Counts answers and hands out questions. It knows no clock: times are in seconds since any instant.

    Args:
        questions: all that is asked, known answers among them; Q in all.
        first: votes a question gets at least.
        known_share: how many questions with known answers come for each real one, 0..1.
        seed: of the order, and of where known answers come.
    """

    def __init__(
        self, questions: Sequence[Question], *, first: int = 3, known_share: float = 0.1, seed: int = 0
    ) -> None:
        real = _in_order([q for q in questions if q.known is None], seed)
        hidden = _in_order([q for q in questions if q.known is not None], seed)
        self.questions = [*real, *hidden]
        self.num_real = len(real)
        self._place = {question.id: place for place, question in enumerate(self.questions)}
        self._first, self._share, self._seed = first, known_share, seed
        self._counts: dict[str, Counts] = {a: np.zeros(len(self.questions), np.int32) for a in ("yes", "no", "unsure")}
        self._leased = np.zeros(len(self.questions), np.int32)
        self._wanted = np.full(len(self.questions), first, np.int32)
        self._is_open = np.arange(len(self.questions)) < self.num_real  # wants votes
        self._has_room = self._is_open.copy()  # wants more than those who hold it will give
        self._people: dict[str, _Person] = {}
        self._earlier: dict[str, list[int]] = {}  # what people had answered before; most of them never come here
        self._hidden: dict[int, list[int]] = {}
        for place in range(self.num_real, len(self.questions)):
            self._hidden.setdefault(self.questions[place].label, []).append(place)

    # -- answers ---------------------------------------------------------------------------------------

    def question(self, question_id: str) -> Question | None:
        """The question of that id; None if it is not asked."""
        place = self._place.get(question_id)
        return None if place is None else self.questions[place]

    def load(self, answers: Iterable[tuple[str, str, str]]) -> None:
        """Count many answers at once, before anybody is asked.

        Args:
            answers: (annotator, question id, answer), each pair of the first two once. Those to questions that are not
                asked are left out.
        """
        for annotator, question_id, answer in answers:
            place = self._place.get(question_id)
            if place is None:
                continue
            self._counts[answer][place] += 1
            self._earlier.setdefault(annotator, []).append(place)
        yes, no, unsure = (self._counts[each] for each in ("yes", "no", "unsure"))
        self._wanted[:] = wanted(yes, no, unsure, self._first)
        is_real = np.arange(len(self.questions)) < self.num_real
        self._is_open = is_real & (yes + no + unsure < self._wanted)
        self._has_room = self._is_open & (yes + no + unsure + self._leased < self._wanted)

    def answered(self, annotator: str, question_id: str, earlier: str | None, answer: str | None) -> None:
        """Count an answer, in the place of this annotator's earlier one; None for none."""
        place, person = self._place[question_id], self._person(annotator)
        if earlier is not None:
            self._counts[earlier][place] -= 1
        if answer is not None:
            self._counts[answer][place] += 1
            self._release(person, place)
        person.answered += (answer is not None) - (earlier is not None)
        person.has_answered[place] = answer is not None
        person.has_seen[place] = answer is not None or place in person.leases
        if place < self.num_real:
            yes, no, unsure = (self._counts[each][place] for each in ("yes", "no", "unsure"))
            self._wanted[place] = wanted(yes, no, unsure, self._first)
        self._update_room(place)

    def num_answered(self, annotator: str) -> int:
        """Questions that somebody has answered, known ones included."""
        return self._person(annotator).answered

    def num_left(self, annotator: str) -> int:
        """Questions that still want votes, and have none of this annotator's; they may be in others' hands."""
        return int(np.count_nonzero(self._is_open & ~self._person(annotator).has_answered))

    @property
    def num_open(self) -> int:
        """Real questions that still want votes."""
        return int(np.count_nonzero(self._is_open))

    @property
    def num_wanted(self) -> int:
        """Votes that are still wanted, as far as is known now."""
        votes = self._counts["yes"] + self._counts["no"] + self._counts["unsure"]
        return int((self._wanted - votes)[self._is_open].sum())

    # -- handing out -----------------------------------------------------------------------------------

    def take(self, annotator: str, count: int, now: float, held: Collection[str] = ()) -> list[Question]:
        """Questions that this annotator has not seen.

        Args:
            annotator: who asks.
            count: how many more are wanted at most.
            now: in seconds.
            held: ids of those that are still on the annotator's page; leases of all others end.
        """
        self._expire(now)
        person = self._person(annotator)
        kept = {place for place in (self._place.get(each) for each in held) if place is not None}
        for place in set(person.leases) - kept:
            self._release(person, place)
            person.has_seen[place] = person.has_answered[place]
        for place in kept:
            if not person.has_answered[place]:
                self._lease(person, place, now)
        found: list[int] = []
        while len(found) < count:
            following = self._next(person)
            if following is None:
                break
            surprise = self._surprise(person, annotator, following)
            if surprise is not None:
                person.surprised_before = following
                found.append(surprise)
                self._lease(person, surprise, now)
            if len(found) < count:
                found.append(following)
                self._lease(person, following, now)
                person.cursor = following + 1
        return [self.questions[place] for place in found]

    def _next(self, person: _Person) -> int | None:
        """The first question with room that this person has not seen, from where they are on, then from the start."""
        for start, end in ((person.cursor, self.num_real), (0, person.cursor)):
            free = self._has_room[start:end] & ~person.has_seen[start:end]
            if free.size and free[place := int(free.argmax())]:
                return start + place
        return None

    def _surprise(self, person: _Person, annotator: str, place: int) -> int | None:
        """A known-answer question to come before this one, now and then."""
        if place == person.surprised_before:
            return None
        question = self.questions[place]
        [draw] = uniforms(row_keys([f"{annotator}\x1f{question.id}"]), self._seed, "known")
        if draw >= self._share:
            return None
        return next((each for each in self._hidden.get(question.label, ()) if not person.has_seen[each]), None)

    def _lease(self, person: _Person, place: int, now: float) -> None:
        if place not in person.leases:
            self._leased[place] += 1
        person.leases[place] = now + LEASE_S
        person.has_seen[place] = True
        self._update_room(place)

    def _release(self, person: _Person, place: int) -> None:
        if person.leases.pop(place, None) is not None:
            self._leased[place] -= 1
            self._update_room(place)

    def _expire(self, now: float) -> None:
        for person in self._people.values():
            for place in [place for place, until in person.leases.items() if until <= now]:
                self._release(person, place)
                person.has_seen[place] = person.has_answered[place]

    def _update_room(self, place: int) -> None:
        votes = sum(int(counts[place]) for counts in self._counts.values())
        is_real = place < self.num_real
        self._is_open[place] = is_real and votes < self._wanted[place]
        self._has_room[place] = is_real and votes + self._leased[place] < self._wanted[place]

    def _person(self, annotator: str) -> _Person:
        if annotator not in self._people:
            person = self._people[annotator] = _Person(len(self.questions))
            places = self._earlier.pop(annotator, [])
            person.answered = len(places)
            person.has_answered[places] = person.has_seen[places] = True
        return self._people[annotator]


class _Person:
    """What one annotator has seen: places of questions they answered or hold."""

    def __init__(self, num_questions: int) -> None:
        self.has_answered: Flags = np.zeros(num_questions, bool)
        self.has_seen: Flags = np.zeros(num_questions, bool)
        self.leases: dict[int, float] = {}
        self.cursor = 0
        self.surprised_before = -1
        self.answered = 0


def _in_order(questions: Sequence[Question], seed: int) -> list[Question]:
    """Class by class, in a random order of classes and within each."""
    classes = uniforms(row_keys(str(question.label) for question in questions), seed, "class order")
    within = uniforms(row_keys(question.id for question in questions), seed, "order")
    return [questions[place] for place in np.lexsort((within, classes))]
