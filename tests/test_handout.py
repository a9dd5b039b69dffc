"""Who is asked what next: enough votes of different people for each question, and not more."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.annotate.book import Question
from noisyweb.annotate.handout import LEASE_S, Handout
from noisyweb.consensus.wanted import MAX_VOTES, wanted


def make(num: int, classes: int = 1, known: int = 0, **options: object) -> Handout:
    real = [Question(f"q{n}", f"i{n}", n % classes, None) for n in range(num)]
    hidden = [Question(f"k{n}", f"h{n}", n % classes, "yes" if n % 2 else "no") for n in range(known)]
    return Handout([*hidden, *real], **options)  # type: ignore[arg-type]


def ids(questions: list[Question]) -> list[str]:
    return [question.id for question in questions]


def test_a_question_in_somebodys_hands_is_not_handed_to_too_many() -> None:
    handout = make(1)
    for name in ("anna", "bob", "carl"):
        assert ids(handout.take(name, 5, now=0)) == ["q0"]
    assert handout.take("dora", 5, now=0) == []
    assert (handout.num_left("dora"), handout.num_open) == (1, 1)
    assert ids(handout.take("dora", 5, now=LEASE_S)) == ["q0"]  # the three did not answer in time


def test_what_is_still_on_the_page_stays_and_what_is_not_goes_to_others() -> None:
    handout = make(2, first=1)
    [first, second] = ids(handout.take("anna", 2, now=0))
    handout.take("anna", 0, now=LEASE_S / 2, held=[first])
    assert ids(handout.take("bob", 2, now=LEASE_S / 2)) == [second]
    handout.take("anna", 0, now=LEASE_S, held=[first])
    assert handout.take("carl", 2, now=LEASE_S + 1, held=[]) == []


def test_two_more_where_they_disagree_and_none_where_they_agree() -> None:
    handout = make(1)
    for name, answer in (("anna", "yes"), ("bob", "yes"), ("carl", "no")):
        handout.take(name, 1, now=0)
        handout.answered(name, "q0", None, answer)
    assert handout.num_wanted == 2
    assert ids(handout.take("dora", 1, now=0)) == ids(handout.take("emil", 1, now=0)) == ["q0"]
    assert handout.take("fred", 1, now=0) == []
    handout.answered("carl", "q0", "no", "yes")  # changed their mind: the two more are wanted no longer
    assert (handout.num_open, handout.num_wanted) == (0, 0)


def test_taking_an_answer_back_opens_the_question() -> None:
    handout = make(1, first=1)
    handout.take("anna", 1, now=0)
    handout.answered("anna", "q0", None, "yes")
    assert (handout.num_open, handout.num_answered("anna")) == (0, 1)
    handout.answered("anna", "q0", "yes", None)
    assert (handout.num_open, handout.num_answered("anna")) == (1, 0)
    assert handout.take("anna", 1, now=0, held=["q0"]) == []  # it is on their page
    assert handout.take("bob", 1, now=0) == []


def test_answers_of_an_earlier_time_and_of_elsewhere_count() -> None:
    handout = make(3, known=2, known_share=0)
    elsewhere = [(name, "q0", "yes") for name in ("x", "y", "z")] + [("x", "q1", "no")]
    handout.load([("anna", "q1", "no"), ("anna", "k0", "yes"), ("anna", "gone", "yes"), *elsewhere])
    assert (handout.num_open, handout.num_wanted, handout.num_answered("anna")) == (2, 4, 2)
    assert ids(handout.take("anna", 9, now=0)) == ["q2"]  # q0 has its votes, anna has seen q1
    assert sorted(ids(handout.take("bob", 9, now=0))) == ["q1", "q2"]
    assert handout.num_left("carl") == 2
    assert ids(handout.take("carl", 9, now=0)) == ["q2"]  # bob holds the one vote that q1 still wants
    assert ids(handout.take("x", 9, now=0)) == []  # somebody who answered elsewhere is not asked that again


def test_questions_come_class_by_class() -> None:
    handout = make(60, classes=5)
    labels = [question.label for question in handout.take("anna", 60, now=0)]
    assert sum(a != b for a, b in itertools.pairwise(labels)) == 4
    assert labels != sorted(labels)  # in no order that an annotator could guess


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.1, 60, 145), (1.0, 1000, 1000)])
def test_known_answers_come_at_their_share_and_once(share: float, low: int, high: int) -> None:
    handout = make(1000, known=1000, known_share=share)
    taken: list[Question] = []
    while found := handout.take("anna", 1, now=0, held=ids(taken)):  # one by one, as slow annotators do
        taken += found
        handout.answered("anna", found[0].id, None, "yes")
    assert len(set(ids(taken))) == len(taken)
    assert low <= sum(question.known is not None for question in taken) <= high
    assert sum(question.known is None for question in taken) == 1000


def test_known_answers_are_for_everybody_and_never_open() -> None:
    handout = make(0, known=3)
    assert handout.take("anna", 5, now=0) == []
    assert (handout.num_open, handout.num_left("anna"), handout.num_wanted, handout.num_real) == (0, 0, 0, 0)


@settings(max_examples=60)
@given(
    num=st.integers(1, 12),
    known=st.integers(0, 6),
    first=st.integers(1, 4),
    people=st.integers(MAX_VOTES, MAX_VOTES + 3),
    unsure=st.floats(0, 0.5),
    seed=st.integers(0, 1000),
)
def test_everybody_working_at_once_gives_each_question_its_votes(
    num: int, known: int, first: int, people: int, unsure: float, seed: int
) -> None:
    """Random people take, answer, change their minds and lose their pages; at the end the counts are exactly right."""
    handout = make(num, classes=3, known=known, first=first, known_share=0.3)
    rng = random.Random(seed)
    given_answers: dict[tuple[str, str], str] = {}
    pages: dict[str, list[str]] = {f"p{n}": [] for n in range(people)}
    now, has_expired = 0.0, False

    def answer(name: str, question: str) -> None:
        said = "unsure" if rng.random() < unsure else rng.choice(["yes", "no"])
        handout.answered(name, question, given_answers.get((question, name)), said)
        given_answers[question, name] = said

    def votes(question: str) -> Counter[str]:
        return Counter(said for (each, _), said in given_answers.items() if each == question)

    for _ in range(20_000):
        if not handout.num_open:
            break
        name = rng.choice(sorted(pages))
        page = pages[name]
        found = ids(handout.take(name, rng.randint(1, 4), now, held=page))
        assert not set(found) & set(page)
        assert all((question, name) not in given_answers for question in found), "asked twice"
        page += found
        if rng.random() < 0.05:
            page.clear()  # the tab was closed
        elif page and rng.random() < 0.05:
            now += LEASE_S  # everybody was away; those who come back may answer too late
            has_expired = True
        for question in list(page):
            if rng.random() < 0.7:
                page.remove(question)
                answer(name, question)
    assert handout.num_open == handout.num_wanted == 0
    for number in range(num):
        count = votes(f"q{number}")
        want = int(wanted(count["yes"], count["no"], count["unsure"], first))
        assert sum(count.values()) == want, "closed, by enough votes"
        if not has_expired:
            before = [int(wanted(*(count[a] - (a == last) for a in ("yes", "no", "unsure")), first)) for last in count]
            assert any(each >= want for each in before), "the last vote was asked for"
    for name in pages:
        assert handout.num_answered(name) == sum(who == name for _, who in given_answers)
