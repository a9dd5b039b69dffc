"""Votes from batch results of Amazon Mechanical Turk."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisyweb.errors import LabelError
from noisyweb.labelling.file import ImportedVotes
from noisyweb.vote_formats.mturk import submit_time
from tests.test_vote_formats import CLASSES, IDS, PAIRS, load, said

AT = "Wed Nov 25 10:11:12 PST 2026"
ROW = {
    "HITId": "3ABC",
    "HITTypeId": "3T",
    "Title": "Is this it?",
    "Keywords": "image, label",
    "AssignmentId": "3XYZ",
    "WorkerId": "A1",
    "AssignmentStatus": "Submitted",
    "AcceptTime": AT,
    "SubmitTime": AT,
    "WorkTimeInSeconds": "12",
    "LifetimeApprovalRate": "0% (0/0)",
    "Input.image_url": "http://x/a",
    "Input.class": "ant",
    "Answer.answer": "Yes",
    "Approve": "",
    "Reject": "",
}


def batch(tmp_path: Path, *rows: dict[str, Any]) -> ImportedVotes:
    """What a batch of these rows says; it has the columns of the first."""
    path = tmp_path / "Batch_1_results.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    return load(path)


def asking(answers: dict[str, Any], **inputs: str) -> dict[str, Any]:
    """A row with other inputs and answers."""
    own = {name: value for name, value in ROW.items() if not name.startswith(("Input.", "Answer."))}
    own |= {f"Input.{name}": value for name, value in inputs.items()}
    return own | {f"Answer.{name}": value for name, value in answers.items()}


def test_a_batch(tmp_path: Path) -> None:
    imported = batch(
        tmp_path,
        ROW,
        {**ROW, "WorkerId": "A2", "AssignmentStatus": "Approved", "Answer.answer": "unsure", "SubmitTime": "soon"},
        {**ROW, "WorkerId": "A3", "AssignmentStatus": "Rejected", "Input.image_url": "http://x/gone"},
        {**ROW, "WorkerId": "A4", "Reject": "spam"},
        {**ROW, "WorkerId": "A5", "Input.class": "1", "WorkTimeInSeconds": ""},
        {**ROW, "WorkerId": "A6", "Answer.answer": ""},
    )
    assert imported.format == "mturk"
    assert said(imported) == [
        ("a", "ant", "mturk:A1", "yes"),
        ("a", "ant", "mturk:A2", "unsure"),
        ("a", "bee", "mturk:A5", "yes"),
    ]
    at = datetime(2026, 11, 25, 18, 11, 12, tzinfo=UTC)
    assert imported.votes["answered_at"].to_pylist() == [at, None, at]
    assert imported.votes["seconds"].to_pylist() == [12.0, 12.0, None]
    assert imported.votes["is_weak"].null_count == 3
    assert imported.silent == {"rejected assignment": 2, "question left open": 1}
    assert imported.num_rows == 6


@pytest.mark.parametrize(
    ("answers", "answer"),
    [
        ({"answer": "no", "comment": "blurred"}, "no"),
        ({"label": "0"}, "no"),
        ({"category.label": "No", "comment": ""}, "no"),
        ({"Q1": "no"}, "no"),
        ({"answer.yes": "false", "answer.no": "true", "answer.unsure": "false"}, "no"),
        ({"Q1.yes": "", "Q1.no": "on"}, "no"),
        ({"answer.0": "true", "answer.1": "false"}, "no"),
        ({"taskAnswers": json.dumps([{"answer": {"yes": False, "no": True}, "comment": "x"}])}, "no"),
        ({"taskAnswers": json.dumps([{"category": {"label": "no"}}])}, "no"),
        ({"taskAnswers": json.dumps([{"is it?": "no"}])}, "no"),
        ({"taskAnswers": json.dumps([{"comment": "x"}, {"answer": False}])}, "no"),
        ({"taskAnswers": json.dumps({"answer": 0})}, "no"),
        ({"taskAnswers": "", "answer": "no"}, "no"),
    ],
)
def test_what_an_answer_may_be_called(tmp_path: Path, answers: dict[str, Any], answer: str) -> None:
    row = asking(answers, image_url="http://x/b", label="ant")
    assert said(batch(tmp_path, row)) == [("b", "ant", "mturk:A1", answer)]


def test_images_by_id_and_answers_that_are_classes(tmp_path: Path) -> None:
    rows = [
        asking({"category.label": "bee"}, image_id=IDS[0], url="http://elsewhere/1"),
        asking({"category.label": "yes"}, image_id=IDS[1], url=""),
        asking({"category.label": "bee"}, image_id="", url=f"https://bucket.example/{IDS[2]}.jpg"),
    ]
    assert said(batch(tmp_path, *rows)) == [
        ("a", "ant", "mturk:A1", "no"),
        ("a", "bee", "mturk:A1", "yes"),
        ("b", "ant", "mturk:A1", "yes"),
        ("c", "cat", "mturk:A1", "no"),
    ]


@pytest.mark.parametrize("mark", ["_", "-", ""])
@pytest.mark.parametrize("as_json", [False, True])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(st.tuples(st.sampled_from(PAIRS), st.sampled_from(["yes", "no", ""])), min_size=1, max_size=12))
def test_hits_with_several_images(
    tmp_path: Path, mark: str, as_json: bool, drawn: list[tuple[tuple[int, int], str]]
) -> None:
    inputs, answers = {}, {}
    for number, ((image, label), answer) in enumerate(drawn, start=1):
        inputs[f"image_url{mark}{number}"] = f"http://x/{'abc'[image]}"
        inputs[f"class{mark}{number}"] = CLASSES[label]
        answers[f"answer{mark}{number}"] = answer
    inputs["image_url_99"] = ""  # a HIT with fewer images than others
    imported = batch(tmp_path, asking({"taskAnswers": json.dumps([answers])} if as_json else answers, **inputs))
    given = [("abc"[image], CLASSES[label], "mturk:A1", answer) for (image, label), answer in drawn if answer]
    assert said(imported) == given
    assert imported.silent.get("question left open", 0) == len(drawn) - len(given)
    assert imported.votes["seconds"].to_pylist() == [pytest.approx(12 / len(drawn))] * len(given)


def test_one_class_for_all_images_and_radio_buttons_for_each(tmp_path: Path) -> None:
    answers = {"answer_1.yes": "true", "answer_1.no": "false", "answer_2.yes": "false", "answer_2.no": "true"}
    row = asking({**answers, "comment": "nice"}, image_url_1="http://x/a", image_url_2="http://x/b", **{"class": "ant"})
    assert said(batch(tmp_path, row)) == [("a", "ant", "mturk:A1", "yes"), ("b", "ant", "mturk:A1", "no")]
    alone = asking({"answer": "yes"}, image_url_1="http://x/a", class_1="bee")
    assert said(batch(tmp_path, alone)) == [("a", "bee", "mturk:A1", "yes")]


A, B = {"image_url": "http://x/a", "class": "ant"}, {"image_url_1": "http://x/a", "image_url_2": "http://x/b"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**ROW, "WorkerId": " "}, "row 1 has no WorkerId"),
        ({**ROW, "WorkerId": "A\x07"}, r"control characters in the annotator's name 'mturk:A\\x07'"),
        ({**ROW, "Input.image_url": ""}, r"row 1 has no image in Input\.image_id, Input\.image_url or Input\.url"),
        ({**ROW, "Input.image_url": "http://x/q"}, "row 1: image 'http://x/q' is not among"),
        ({**ROW, "Answer.answer": "very"}, "answer 'very' is no answer"),
        (asking({}, **A), r"a Mechanical Turk batch needs columns such as .* found 'Keywords', "),
        (asking({"answer": "yes"}, picture="http://x/a"), "a Mechanical Turk batch needs columns"),
        (asking({"Q1": "yes", "Q2": ""}, **A), "has the answers 'q1', 'q2'; expected the one that counts to be called"),
        (asking({"answer.yes": "true", "answer.no": "true"}, **A), "has both 'yes' and 'no' as its answer"),
        (asking({"answer": "yes"}, **B), r"has no answer with the number of an image; .* Answer\.answer_1"),
        (asking({"answer": "wasp"}, image_url="http://x/a"), "label 'wasp' is neither one of the workspace's classes"),
        (asking({"taskAnswers": "[{"}, **A), r"has Answer\.taskAnswers that are not JSON"),
        (asking({"taskAnswers": "[" * 5000}, **A), r"has Answer\.taskAnswers that are not JSON \(.*recursion"),
        (asking({"taskAnswers": '{"a":' * 20 + "1" + "}" * 20}, **A), "answers nested more than 8 deep"),
        (asking({"taskAnswers": "[[]]"}, **A), r"has a list in Answer\.taskAnswers; expected a list of objects"),
        (asking({"taskAnswers": '"yes"'}, **A), r"has a str as Answer\.taskAnswers"),
        (asking({"taskAnswers": '[{"answer": ["yes"]}]'}, **A), "has a list as its answer 'answer'"),
        (
            asking({"taskAnswers": '[{"answer": "yes"}, {"answer": "no"}]'}, **A),
            "has two values of the answer 'answer'",
        ),
        (asking({"taskAnswers": json.dumps([{"x" * 201: 1}])}, **A), "an answer whose name is 201 characters long"),
    ],
)
def test_batches_that_cannot_be_understood(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(LabelError, match=message) as caught:
        batch(tmp_path, row)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("Wed Nov 25 10:11:12 PST 2026", 18),
        ("Wed Nov 25 10:11:12 PDT 2026", 17),
        ("Wed Nov 25 10:11:12 UTC 2026", 10),
        ("2026-11-25T10:11:12+01:00", 9),
        ("Wed Nov 25 10:11:12 CEST 2026", None),
        ("Wed Nov 31 10:11:12 PST 2026", None),
        ("Wed Mai 25 10:11:12 PST 2026", None),
        ("Sat Jan 01 00:00:00 UTC 0000", None),
        ("Fri Dec 31 23:59:59 PST 9999", None),
        ("2026-11-25T10:11:12", None),
        ("", None),
    ],
)
def test_submit_times(text: str, hour: int | None) -> None:
    assert submit_time(text) == (None if hour is None else datetime(2026, 11, 25, hour, 11, 12, tzinfo=UTC))
