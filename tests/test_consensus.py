from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisyweb.consensus import majority, summary, update
from noisyweb.schemas import VERDICTS, VOTES
from noisyweb.workspace import Workspace


def table(votes: list[tuple[str, int, str, str]]) -> pa.Table:
    rows = [
        {"image_id": image, "label": label, "annotator": annotator, "answer": answer, "backend": "file"}
        for image, label, annotator, answer in votes
    ]
    return pa.Table.from_pylist(rows, schema=VOTES)


def answers(*said: str) -> pa.Table:
    return table([("a", 0, f"annotator {n}", answer) for n, answer in enumerate(said)])


@pytest.mark.parametrize(
    ("said", "is_clean", "agreement", "reason"),
    [
        (["yes", "yes", "yes"], True, 1.0, None),
        (["yes", "yes", "no"], True, 2 / 3, None),
        (["no", "no", "yes"], False, 2 / 3, None),
        (["no", "no", "no", "yes", "yes"], False, 0.6, None),
        (["no", "no", "no", "unsure"], False, 1.0, None),
        (["no", "no", "unsure"], None, 1.0, "too few votes"),
        (["yes"], None, 1.0, "too few votes"),
        (["unsure"] * 3, None, None, "too few votes"),
        (["yes", "yes", "no", "no"], None, 0.5, "tie"),
    ],
)
def test_majority(said: list[str], is_clean: bool | None, agreement: float | None, reason: str | None) -> None:
    [verdict] = majority(answers(*said)).to_pylist()
    assert verdict["is_clean"] is is_clean
    assert verdict["agreement"] == (None if agreement is None else pytest.approx(agreement))
    assert verdict["reason"] == reason
    assert verdict["status"] == ("undecided" if reason else "decided")
    assert verdict["votes_total"] == len(said)


def test_fewer_votes_can_be_enough() -> None:
    assert majority(answers("no"), min_votes=1)["is_clean"].to_pylist() == [False]


def test_no_votes_no_verdicts() -> None:
    empty = majority(VOTES.empty_table())
    assert (empty.num_rows, empty.schema) == (0, VERDICTS)


questions = st.tuples(st.sampled_from("abc"), st.integers(0, 2))
all_votes = st.dictionaries(st.tuples(questions, st.integers(0, 6)), st.sampled_from(["yes", "no", "unsure"]))


@given(all_votes, st.integers(1, 5), st.randoms(use_true_random=False))
def test_verdicts_agree_with_counting(votes: dict, min_votes: int, random: object) -> None:
    rows = [(image, label, f"annotator {who}", said) for ((image, label), who), said in votes.items()]
    verdicts = majority(table(rows), min_votes)
    assert verdicts.schema == VERDICTS
    counts: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    for image, label, _, said in rows:
        counts[label, image][said] += 1
    found = verdicts.to_pylist()
    assert [(row["label"], row["image_id"]) for row in found] == sorted(counts)
    for row in found:
        count = counts[row["label"], row["image_id"]]
        yes, no = count["yes"], count["no"]
        assert (row["votes_yes"], row["votes_no"], row["votes_total"]) == (yes, no, count.total())
        decided = yes + no >= min_votes and yes != no
        assert row["is_clean"] is ((yes > no) if decided else None)
        assert (row["status"] == "decided") is decided is (row["reason"] is None)
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert majority(table(rows), min_votes).equals(verdicts)


def test_update_writes_the_verdicts_and_the_summary_counts_them(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    votes = table([(image, 0, f"{n}", said) for image, said in zip("abcd", "yn?n", strict=True) for n in range(3)])
    said = pa.array([{"y": "yes", "n": "no", "?": "unsure"}[c] for c in "yyynnn???nnn"])
    place.write("votes", votes.set_column(votes.schema.get_field_index("answer"), VOTES.field("answer"), said))
    verdicts = update(place)
    assert place.read("verdicts").equals(verdicts)
    lines = list(summary(place.read("votes"), verdicts))
    assert lines == [
        "votes: 12 by 3 annotators on 4 questions",
        "verdicts: 1 right, 2 wrong, 1 undecided (too few votes 1, tie 0); mean agreement 1.000",
    ]


@pytest.mark.shared
def test_real_people_on_cifar10(shared_data: Path) -> None:
    """Three real annotators an image: asked "is this what the first one said?", the others confirm or not."""
    columns = ["label", "human_1", "human_2", "human_3"]
    labels = pq.read_table(shared_data / "cifar10" / "train.parquet", columns=columns).slice(0, 10_000).to_pydict()
    truth = np.array(labels["label"])
    given_label = np.array(labels["human_1"])
    rows = [
        (f"{n:05}", int(given_label[n]), who, "yes" if labels[who][n] == given_label[n] else "no")
        for n in range(len(truth))
        for who in columns[1:]
    ]
    verdicts = {row["image_id"]: row["is_clean"] for row in majority(table(rows)).to_pylist()}
    said_clean = np.array([verdicts[f"{n:05}"] for n in range(len(truth))], bool)
    right = given_label == truth
    # The majority finds most of the first annotator's errors, and seldom calls a right label wrong.
    assert (said_clean == right).mean() > 0.9
    assert (~said_clean[~right]).mean() > 0.6
    assert said_clean[right].mean() > 0.95
