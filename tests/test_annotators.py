from __future__ import annotations

import statistics
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisyweb.consensus.annotators import ANNOTATORS, annotators
from noisyweb.consensus.tally import tally
from noisyweb.errors import LabelError
from noisyweb.schemas import KNOWN, VOTES
from tests.test_consensus import all_votes, table, weak


def timed(votes: pa.Table, seconds: list[float | None]) -> pa.Table:
    column = VOTES.field("seconds")
    return votes.set_column(votes.schema.get_field_index("seconds"), column, pa.array(seconds, pa.float32()))


def known(answers: dict[str, str]) -> pa.Table:
    return pa.table(
        {"image_id": list(answers), "label": [0] * len(answers), "answer": list(answers.values())}, schema=KNOWN
    )


def measure(votes: pa.Table, *args: pa.Table, count_weak: bool = False) -> dict[str, dict[str, object]]:
    found = annotators(votes, tally(votes, count_weak), *args)
    assert found.schema == ANNOTATORS
    assert found["annotator"].to_pylist() == sorted(found["annotator"].to_pylist())
    return {row["annotator"]: row for row in found.to_pylist()}


def test_a_hand_made_table() -> None:
    votes = table(
        [
            ("a", 0, "ann", "yes"), ("a", 0, "bob", "yes"), ("a", 0, "cid", "no"),
            ("b", 0, "ann", "no"), ("b", 0, "bob", "no"), ("b", 0, "cid", "yes"),
            ("c", 0, "ann", "yes"), ("c", 0, "bob", "unsure"), ("c", 0, "dee", "yes"),
            ("d", 0, "dee", "no"),
        ]
    )  # fmt: skip
    found = measure(timed(votes, [1, 2, 4, 3, 6, 8, 2, None, 7, None]))
    # a and b without ann: bob and cid tie; c without ann: dee says the same
    assert (found["ann"]["votes"], found["ann"]["compared"], found["ann"]["agreement"]) == (3, 1, 1.0)
    assert (found["bob"]["compared"], found["bob"]["agreement"], found["bob"]["unsure"]) == (0, None, 1 / 3)
    # ann and bob agree against cid
    assert (found["cid"]["compared"], found["cid"]["agreement"]) == (2, 0.0)
    assert (found["dee"]["compared"], found["dee"]["agreement"]) == (1, 1.0)  # alone on d
    assert [found[who]["median_s"] for who in ("ann", "bob", "cid", "dee")] == [2, 4, 6, 7]
    assert {row["known"] for row in found.values()} == {0}
    assert {row["accuracy"] for row in found.values()} == {None}


def test_known_answers() -> None:
    votes = table([("a", 0, "ann", "yes")])
    asked = table(
        [
            ("k1", 0, "ann", "yes"), ("k2", 0, "ann", "yes"), ("k3", 0, "ann", "no"), ("k4", 0, "ann", "unsure"),
            ("k1", 0, "bob", "no"), ("k2", 0, "bob", "unsure"),
            ("k4", 0, "cid", "unsure"),
            ("k1", 5, "bob", "yes"), ("other", 0, "bob", "yes"),  # not known
        ]
    )  # fmt: skip
    found = measure(votes, known({"k1": "yes", "k2": "no", "k3": "no", "k4": "yes"}), asked)
    assert (found["ann"]["known"], found["ann"]["accuracy"]) == (4, pytest.approx(2 / 3))
    assert [found["ann"][f"said_{said}_is_yes"] for said in ("yes", "no", "unsure")] == [1, 0, 1]
    assert [found["ann"][f"said_{said}_is_no"] for said in ("yes", "no", "unsure")] == [1, 1, 0]
    assert (found["bob"]["known"], found["bob"]["accuracy"], found["bob"]["votes"]) == (2, 0.0, 0)
    assert found["bob"]["unsure"] is None  # no votes but on known questions
    assert (found["cid"]["known"], found["cid"]["accuracy"]) == (1, None)
    assert measure(votes, known({}), VOTES.empty_table()) == measure(votes)


def test_a_known_answer_of_another_kind_is_refused() -> None:
    votes = table([("a", 0, "ann", "yes")])
    with pytest.raises(LabelError, match=r"^known answer 'unsure' of k1: expected one of yes, no$"):
        measure(votes, known({"k1": "unsure"}), votes)


def test_machines_are_compared_with_people_and_do_not_count_as_others() -> None:
    votes = table(
        [
            ("a", 0, "ann", "yes"), ("a", 0, "machine", "no"), ("a", 0, "robot", "no"),
            ("b", 0, "ann", "yes"), ("b", 0, "bob", "yes"), ("b", 0, "machine", "yes"),
        ]
    )  # fmt: skip
    found = measure(weak(votes, "machine", "robot"))
    assert [who for who, row in found.items() if row["is_weak"]] == ["machine", "robot"]
    assert (found["machine"]["compared"], found["machine"]["agreement"]) == (2, 0.5)
    assert (found["ann"]["compared"], found["ann"]["agreement"]) == (1, 1.0)
    counted = measure(weak(votes, "machine", "robot"), count_weak=True)
    assert (counted["ann"]["compared"], counted["ann"]["agreement"]) == (2, 0.5)


def test_seconds_that_cannot_be_are_left_out() -> None:
    votes = table([(f"{n}", 0, "ann", "yes") for n in range(5)] + [("0", 0, "bob", "yes")])
    nan, infinite = float("nan"), float("inf")
    found = measure(timed(votes, [nan, infinite, -1.0, 3.0, 4.0, None]))
    assert (found["ann"]["median_s"], found["bob"]["median_s"]) == (3.5, None)


def test_nobody() -> None:
    assert measure(VOTES.empty_table()) == {}


@given(all_votes, st.lists(st.none() | st.floats(0, 1000, width=16), min_size=63, max_size=63), st.randoms())
def test_annotators_agree_with_counting(votes: dict, seconds: list[float | None], random: object) -> None:
    rows = [(image, label, f"{who}", said) for ((image, label), who), said in votes.items()]
    whole = timed(table(rows), seconds[: len(rows)])
    found = measure(whole)
    assert set(found) == {row[2] for row in rows}
    for who, row in found.items():
        own = [each for each in rows if each[2] == who]
        compared = []
        for image, label, _, said in own:
            others = Counter(each[3] for each in rows if each[:2] == (image, label) and each[2] != who)
            if said != "unsure" and others["yes"] != others["no"]:
                compared.append(said == ("yes" if others["yes"] > others["no"] else "no"))
        assert row["votes"] == len(own)
        assert row["unsure"] == sum(each[3] == "unsure" for each in own) / len(own)
        assert row["compared"] == len(compared)
        assert row["agreement"] == (sum(compared) / len(compared) if compared else None)
        times = [time for each, time in zip(rows, seconds, strict=False) if each[2] == who and time is not None]
        assert row["median_s"] == (statistics.median(times) if times else None)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert measure(whole.take(pa.array(order, pa.int64()))) == found
