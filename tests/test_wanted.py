from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisyweb.consensus.wanted import FIRST, MAX_VOTES, MORE, wanted


@pytest.mark.parametrize(
    ("yes", "no", "unsure", "expected"),
    [
        (0, 0, 0, 3),
        (2, 0, 0, 3),
        (1, 1, 0, 3),
        (3, 0, 0, 3),  # agree
        (0, 3, 0, 3),
        (2, 1, 0, 5),
        (2, 0, 1, 5),  # one is unsure
        (0, 0, 3, 5),
        (2, 2, 0, 5),
        (4, 0, 0, 4),  # agree, though one more came in meanwhile
        (3, 1, 0, 5),
        (3, 2, 0, 5),  # decided
        (2, 2, 1, 6),  # a tie
        (2, 0, 3, 6),  # too few decisive ones
        (1, 0, 5, 7),
        (3, 3, 0, 7),
        (4, 3, 0, 7),
        (4, 4, 0, 9),
        (4, 4, 1, 9),  # it stays undecided
        (0, 0, 9, 9),
        (5, 5, 2, 12),
    ],
)
def test_examples(yes: int, no: int, unsure: int, expected: int) -> None:
    assert wanted(yes, no, unsure) == expected


counts = st.integers(0, 12)


@given(counts, counts, counts)
def test_a_question_is_closed_exactly_when(yes: int, no: int, unsure: int) -> None:
    votes = yes + no + unsure
    agree = votes >= 3 and votes in (yes, no)
    decided = votes >= 5 and yes + no >= 3 and yes != no
    target = int(wanted(yes, no, unsure))
    assert (target == votes) == (agree or decided or votes >= 9)
    assert target >= votes
    if target > votes:
        assert target == (3 if votes < 3 else 5 if votes < 5 else votes + 1)


@given(st.lists(st.tuples(counts, counts, counts), max_size=20), st.integers(1, MAX_VOTES))
def test_arrays_are_many_questions(rows: list[tuple[int, int, int]], first: int) -> None:
    yes, no, unsure = np.array(rows, np.int32).reshape(-1, 3).T
    found = wanted(yes, no, unsure, first)
    assert found.dtype == np.int64
    assert found.tolist() == [wanted(*row, first) for row in rows]
    assert found[2:5].tolist() == wanted(yes[2:5], no[2:5], unsure[2:5], first).tolist()


@given(st.lists(st.sampled_from(["yes", "no", "unsure"]), min_size=20, max_size=20), st.integers(1, MAX_VOTES))
def test_asking_on_ends_with_a_verdict_or_at_the_most_votes(answers: list[str], first: int) -> None:
    """Votes come in one by one until the question is closed."""
    given = {"yes": 0, "no": 0, "unsure": 0}
    for answer in answers:
        votes = sum(given.values())
        target = int(wanted(*given.values(), first))
        if target == votes:
            break
        assert target <= max(MAX_VOTES, first + MORE)
        given[answer] += 1
    votes = sum(given.values())
    decisive = given["yes"] + given["no"]
    assert votes >= first
    if votes < max(MAX_VOTES, first + MORE):
        assert given["yes"] != given["no"]
        assert decisive >= first


def test_the_numbers() -> None:
    assert (FIRST, MORE, MAX_VOTES) == (3, 2, 9)
