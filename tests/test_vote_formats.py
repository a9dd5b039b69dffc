"""Formats of votes: telling them apart, wide tables, exports of the Data Labeling Service, hostile files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisyweb import plugins
from noisyweb.errors import LabelError, UnknownNameError
from noisyweb.labelling.file import FORMATS, ImportedVotes, read_votes
from noisyweb.schemas import ANSWERS
from noisyweb.vote_formats._book import SYNONYMS
from noisyweb.votes import QUESTIONS, questions
from noisyweb.workspace import Workspace
from tests.conftest import Program, assert_refused

IDS = [letter * 64 for letter in "abc"]
CLASSES = ["ant", "bee", "cat", "dog"]  # dog has no images
PAIRS = [(0, 0), (1, 0), (0, 1), (2, 2)]  # image, class
ASKED = pa.Table.from_pylist(
    [
        {"image_id": IDS[image], "label": label, "class_name": CLASSES[label], "url": f"http://x/{'abc'[image]}"}
        for image, label in PAIRS
    ],
    schema=QUESTIONS,
)


def write(tmp_path: Path, text: str | bytes, name: str = "votes.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load(path: Path, name: str | None = None, **more: Any) -> ImportedVotes:
    return read_votes(path, ASKED, name, class_names=CLASSES, **more)


def said(imported: ImportedVotes) -> list[tuple[str, str, str, str]]:
    """Image, class, annotator, answer of each vote, short."""
    return [
        (row["image_id"][0], CLASSES[row["label"]], row["annotator"], row["answer"])
        for row in imported.votes.to_pylist()
    ]


# -- telling them apart ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("v.csv", "url,class,annotator,answer\n", "plain"),
        ("v.jsonl", '{"url": "http://x/a", "class": "ant", "annotator": "u", "answer": 1}', "plain"),
        ("v.csv", "image_id,human_1,human_2,human_majority\n", "wide"),
        ("v.jsonl", '{"url": "http://x/a", "random_label1": 0}', "wide"),
        ("v.csv", "UNASSIGNED,http://x/a,ant\n", "data-labeling"),
        ("v.csv", "train,http://x/a\n", "data-labeling"),
        ("v.jsonl", '{"imagePayload": {"imageUri": "http://x/a"}}', "data-labeling"),
        ("v.csv", "HITId,WorkerId,Input.url,Input.class,Answer.answer\n", "mturk"),
    ],
)
def test_a_file_is_known_by_its_columns(tmp_path: Path, name: str, text: str, expected: str) -> None:
    assert load(write(tmp_path, text, name)).format == expected


def test_formats_are_plug_ins() -> None:
    assert plugins.names(FORMATS) == ["data-labeling", "mturk", "plain", "wide"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty; expected votes: data-labeling: .*; plain: image_id or url, class, annotator, answer; wide"),
        (
            "picture,tag\nx,y\n",
            r"its columns \('picture', 'tag'\) are those of no known format; expected data-labeling",
        ),
        ("url;class;annotator;answer\n", "those of no known format"),
        ("url,class,annotator,answer,human_1\n", "are those of plain and of wide; choose one with --format"),
        (f"{'c' * 99},{'d,' * 30}\n", r"\('c{40}'\.\.\., 'd', .*, \.\.\.\)"),
        ("url,class,annotator,answer,url\n", "2 columns are named 'url'; expected one"),
    ],
)
def test_files_of_no_format_or_of_several(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        load(write(tmp_path, text))


def test_a_format_can_be_named(tmp_path: Path) -> None:
    both = write(tmp_path, "url,class,annotator,answer,human_1\nhttp://x/b,ant,anna,no,ant\n")
    assert said(load(both, "plain")) == [("b", "ant", "anna", "no")]
    assert said(load(both, "wide")) == [("b", "ant", "human_1", "yes")]
    with pytest.raises(UnknownNameError, match="unknown vote format 'mturc'; did you mean 'mturk'"):
        load(both, "mturc")
    with pytest.raises(LabelError, match="row 1 starts with 'url'; expected one of TEST"):
        load(both, "data-labeling")
    with pytest.raises(LabelError, match=r"a Mechanical Turk batch needs columns such as Input\.image_url"):
        load(both, "mturk")
    with pytest.raises(LabelError, match="the format plain has no option annotator_columns"):
        load(both, "plain", options={"annotator_columns": "human_1"})
    parquet = tmp_path / "v.parquet"
    pq.write_table(pa.table({"pixels": [b"\0"]}), parquet)
    for name, message in {
        "plain": "row 1 has no image_id or url",
        "data-labeling": "exported no Parquet",
        "wide": "no column is named like an annotator",
    }.items():
        with pytest.raises(LabelError, match=message):
            load(parquet, name)


def all_alike(tmp_path: Path, rows: list[dict[str, Any]]) -> list[list[tuple[str, str, str, str]]]:
    """The votes of the same rows as CSV, JSON lines and Parquet."""
    columns = list(rows[0])
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "v.parquet")
    files = [
        write(tmp_path, text.getvalue()),
        write(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "v.jsonl"),
        tmp_path / "v.parquet",
    ]
    return [said(load(path)) for path in files]


NAMES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
PLAIN = st.fixed_dictionaries(
    {"pair": st.sampled_from(PAIRS), "annotator": NAMES, "answer": st.sampled_from(sorted(SYNONYMS))}
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PLAIN, min_size=1, max_size=8))
def test_every_vote_comes_in_once_and_as_it_is(tmp_path: Path, drawn: list[dict[str, Any]]) -> None:
    rows = [{"image_id": IDS[each["pair"][0]], "class": CLASSES[each["pair"][1]], **each, "pair": ""} for each in drawn]
    expected = [(row["image_id"][0], row["class"], row["annotator"], SYNONYMS[row["answer"]]) for row in rows]
    assert all_alike(tmp_path, rows) == [expected] * 3


# -- wide --------------------------------------------------------------------------------------------

CHOICES = st.lists(st.sampled_from([None, -1, 0, 1, 2, 3]), min_size=2, max_size=2)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(range(3)), CHOICES), min_size=1, max_size=6), st.booleans())
def test_a_choice_answers_every_question_about_its_image(
    tmp_path: Path, drawn: list[tuple[int, list[int | None]]], by_name: bool
) -> None:
    def cell(choice: int | None) -> Any:
        return CLASSES[choice] if by_name and choice is not None and choice >= 0 else choice

    def row(image: int, first: int | None, second: int | None) -> dict[str, Any]:
        return {"image_id": IDS[image], "human_1": cell(first), "worker_2": cell(second), "human_majority": "?"}

    rows = [row(image, *choices) for image, choices in drawn]
    if by_name:  # a Parquet column has one type
        rows = [{name: value if value is None else str(value) for name, value in row.items()} for row in rows]
    expected = [
        ("abc"[image], CLASSES[label], annotator, "yes" if label == choice else "no")
        for image, choices in drawn
        for annotator, choice in zip(("human_1", "worker_2"), choices, strict=True)
        if choice is not None
        for asked, label in sorted(PAIRS)
        if asked == image
    ]
    assert all_alike(tmp_path, rows) == [expected] * 3


def test_wide_tables_with_gaps_as_pandas_writes_them(tmp_path: Path) -> None:
    text = "url,annotator_1,annotator_2,aggre_label\nhttp://x/a,1.0,-1.0,0\nhttp://x/b,,3,0\nhttp://x/c,,,2\n"
    imported = load(write(tmp_path, text))
    assert said(imported) == [
        ("a", "ant", "annotator_1", "no"),
        ("a", "bee", "annotator_1", "yes"),
        ("a", "ant", "annotator_2", "no"),
        ("a", "bee", "annotator_2", "no"),
        ("b", "ant", "annotator_2", "no"),  # dog is a class, though one without images
    ]
    assert imported.silent == {"no annotator chose a class": 1}


def test_wide_columns_inside_structs(tmp_path: Path) -> None:
    rows = [
        {"image_id": IDS[0], "image": {"bytes": b"\xff", "path": "a"}, "labels": {"human_1": 0, "human_2": None}},
        {"image_id": IDS[1], "image": None, "labels": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "v.parquet")
    assert said(load(tmp_path / "v.parquet")) == [
        ("a", "ant", "labels.human_1", "yes"),
        ("a", "bee", "labels.human_1", "no"),
    ]


def test_the_annotators_columns_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, "url,anna,bob,human_worst,clean_label\nhttp://x/b,ant,bee,bee,ant\n")
    options = {"annotator_columns": "bob, anna"}
    assert said(load(path, options=options)) == [("b", "ant", "bob", "no"), ("b", "ant", "anna", "yes")]
    for named, message in {
        "anna,human_worst": "human_worst sums up several annotators",
        "anna,eve": "it has no column 'eve'; found 'url', 'anna'",
        " , ": "names no column",
    }.items():
        with pytest.raises(LabelError, match=message):
            load(path, options={"annotator_columns": named})


def test_a_choice_that_is_no_class_is_not_taken_for_a_no(tmp_path: Path) -> None:
    path = write(tmp_path, "url,human_1,human_2\nhttp://x/a,Ant,Bee\nhttp://x/b,4,-2\nhttp://x/b,bee,ant\n")
    with pytest.raises(LabelError, match=r"row 1: class 'Ant' is none of the workspace's classes .* 2 rows are like"):
        load(path)
    assert len(load(path, skip_unknown=True).votes) == 2


# -- the Data Labeling Service -----------------------------------------------------------------------


def annotated(url: str, *names: object) -> str:
    def annotation(name: object) -> dict[str, Any]:
        return {"annotationValue": {"imageClassificationAnnotation": {"annotationSpec": {"displayName": name}}}}

    row = {"imagePayload": {"imageUri": url, "mimeType": "JPEG"}, "annotations": [annotation(name) for name in names]}
    return json.dumps(row) + "\n"


def test_exports_of_the_data_labeling_service(tmp_path: Path) -> None:
    me = "data-labeling-service"
    text = "UNASSIGNED,http://x/b,Yes\nTRAIN,http://x/a,bee,\nTEST,http://x/a,bee,ant\nVALIDATION,http://x/c\n"
    imported = load(write(tmp_path, text))
    assert said(imported) == [
        ("b", "ant", me, "yes"),
        ("a", "ant", me, "no"),
        ("a", "bee", me, "yes"),
        ("a", "ant", me, "yes"),
        ("a", "bee", me, "yes"),
    ]
    assert imported.silent == {"no label": 1}
    lines = annotated("http://x/c", "dog") + annotated("http://x/c", "yes", " no ", "unsure") + annotated("http://x/a")
    imported = load(write(tmp_path, lines, "v.jsonl"))
    assert said(imported) == [
        ("c", "cat", me, "no"),
        ("c", "cat", f"{me}-1", "yes"),
        ("c", "cat", f"{me}-2", "no"),
        ("c", "cat", f"{me}-3", "unsure"),
    ]
    assert imported.silent == {"no label": 1}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("v.csv", "TEST,http://x/a,yes", "image 'http://x/a' was found for several classes: an answer alone"),
        ("v.csv", "TEST,http://x/b,wasp", "label 'wasp' is neither one of the workspace's classes nor an answer"),
        ("v.csv", "TEST,http://x/b,yes,no", r"label 'yes \+ no' is neither"),
        ("v.csv", "TEST,http://x/b,yes,ant", r"label 'yes \+ ant' is neither"),
        ("v.csv", "TEST,http://x/q,ant", "image 'http://x/q' is not among"),
        ("v.csv", "TEST,,ant", "row 1 has no image URL"),
        ("v.csv", "TEST,http://x/b,ant\nhttp://x/a,bee", "row 2 starts with 'http://x/a'; expected one of TEST, TRAIN"),
        ("v.jsonl", '{"imagePayload": {"imageUri": 7}}', "row 1 has no imagePayload with an imageUri"),
        ("v.jsonl", '{"imagePayload": [{}]}', "row 1 has no imagePayload"),
        (
            "v.jsonl",
            annotated("http://x/a")[:-3] + '{"annotationValue": []}]}',
            "no class in annotation 1; expected ann",
        ),
        ("v.jsonl", annotated("http://x/a", "ant", {}), "no class in annotation 2"),
        ("v.jsonl", '{"imagePayload": {"imageUri": "u"}, "annotations": "ant"}', "annotations of type str"),
    ],
)
def test_exports_that_cannot_be_understood(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        load(write(tmp_path, text, name))


# -- hostile files -----------------------------------------------------------------------------------

HEAD = b"url,class,annotator,answer\n"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("v.csv", HEAD + b"http://x/a,ant," + b"u" * 200_000 + b",yes\n", "line 2: field larger than field limit"),
        ("v.csv", HEAD + b'http://x/a,ant,"anna,yes\n' * 9, "cannot be read as votes"),
        ("v.csv", HEAD + b"http://x/a,ant,\xff,yes\n", "codec can't decode .* expected CSV in UTF-8"),
        ("v.csv", "url,class,annotator,answer".encode("utf-16-le"), "those of no known format"),
        ("v.csv", HEAD + b"http://x/a,ant,an\0na,yes\n", r"control characters in the annotator's name 'an\\x00na'"),
        ("v.csv", HEAD + b"http://x/a,ant,an\xe2\x80\xaena,yes\n", r"control characters .* 'an\\u202ena'"),
        ("v.csv", HEAD + b"http://x/a,ant," + b"u" * 201 + b",yes\n", "name of 201 characters; expected at most 200"),
        ("v.csv", HEAD + b"http://x/a,b,ant,anna,yes\n", "row 1 has 5 values for 4 columns"),
        ("v.csv", HEAD + b"http://x/a," + b"c" * 100_000 + b",anna,yes\n", r"class 'c{100}'\.\.\. is none"),
        ("v.csv", HEAD + b"http://x/a,\x1b[2J,anna,yes\n", r"class '\\x1b\[2J' is none"),
        ("v.csv", b"x" * (1 << 20), "line 1 is longer than 1,048,576 characters"),
        ("v.jsonl", b"[" * 100_000, "line 1: .*recursion"),
        ("v.jsonl", b'{"url": ' * 50_000, "line 1: .*recursion"),
        ("v.jsonl", b'{"annotator": ' + b"9" * 10_000 + b"}", "line 1: Exceeds the limit"),
        ("v.jsonl", b'{"answer": 1, "url": "u", "class": "b", "annotator": 1}\n\n[{}]', "line 3 is not a JSON"),
        ("v.jsonl", b'{"answer": 1, "url": "u", "class": "b", "annotator": 1}\n{', "line 2: Expecting property name"),
        ("v.jsonl", b'{"answer": "\xff"}', "expected JSON lines in UTF-8"),
        (
            "v.jsonl",
            b'{"url": "http://x/a", "class": "ant", "annotator": "\\ud800", "answer": 1}',
            r"control characters .* '\\ud800'",
        ),
        (
            "v.jsonl",
            b'{"url": ["http://x/a"], "class": "ant", "annotator": "u", "answer": 1}',
            "row 1 has a value of type list as 'url'; expected text or a number",
        ),
        (
            "v.jsonl",
            b'{"url": "http://x/a", "class": "ant", "annotator": "u", "answer": 1, "seconds": {}}',
            "type dict as 'seconds'",
        ),
        (
            "v.jsonl",
            b'{"url": "http://x/a", "class": "ant", "annotator": "u", "answer": 1, "answered_at": 20261125}',
            "row 1 has answered_at = '20261125'",
        ),
    ],
)  # fmt: skip
def test_hostile_text(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    with pytest.raises(LabelError, match=message) as caught:
        load(write(tmp_path, data, name))
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("annotator", pa.array([b"anna"]), "a value of type bytes as 'annotator'"),
        ("annotator", pa.array([["anna"]]), "a value of type list as 'annotator'"),
        ("annotator", pa.array([{"name": "anna"}]), "row 1 has no annotator"),
        ("annotator", pa.nulls(1), "row 1 has no annotator"),
        ("answer", pa.array([2.5]), "answer '2.5' is no answer"),
        ("class", pa.array([7], pa.uint64()), "class '7' is none"),
        ("class", pa.array([True]), "class 'True' is none"),
        ("seconds", pa.array([float("inf")]), "seconds = 'inf'"),
        ("answered_at", pa.array([2**62], pa.timestamp("us")), "cannot be read as votes"),
        ("answered_at", pa.array([2**52], pa.timestamp("s")), "cannot be read as votes"),
        ("answered_at", pa.array([5], pa.duration("s")), "answered_at = '0:00:05'"),
        ("annotator", pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"),
                                                             pa.py_buffer(b"\xff")]), "cannot be read as votes"),
    ],
)  # fmt: skip
def test_odd_types_of_parquet(tmp_path: Path, column: str, values: pa.Array, message: str) -> None:
    columns: dict[str, Any] = {"url": ["http://x/a"], "class": ["ant"], "annotator": ["anna"], "answer": ["yes"]}
    pq.write_table(pa.table({**columns, column: values}), tmp_path / "v.parquet")
    with pytest.raises(LabelError, match=message):
        load(tmp_path / "v.parquet")


def test_types_of_parquet_that_are_as_good_as_text(tmp_path: Path) -> None:
    columns = {
        "image_id": pa.array([IDS[0]]).dictionary_encode(),
        "class": pa.array([1.0]),  # an index, of a column with gaps
        "annotator": pa.array(["=cmd()"], pa.large_string()),
        "answer": pa.array([1], pa.int8()),
        "answered_at": pa.array([5], pa.timestamp("s", "Mars/Phobos")),
    }
    pq.write_table(pa.table(columns), tmp_path / "v.parquet")
    assert said(load(tmp_path / "v.parquet")) == [("a", "bee", "=cmd()", "yes")]


def test_damaged_parquet(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    rows = {"url": ["http://x/a"] * 999, "class": ["ant"] * 999, "annotator": ["u"] * 999, "answer": ["yes"] * 999}
    pq.write_table(pa.table(rows), path, compression="none", use_dictionary=False)
    good = path.read_bytes()
    for damaged in (good[:-100], good[:100], b"PAR1", good[:8] + b"\xff" * 400 + good[408:]):
        path.write_bytes(damaged)
        with pytest.raises(LabelError, match=r"cannot be read as votes .*; expected Parquet"):
            load(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from(["v.csv", "v.jsonl", "v.parquet"]), st.sampled_from([b"", HEAD]))
def test_no_bytes_end_in_anything_but_votes_or_one_line(tmp_path: Path, data: bytes, name: str, head: bytes) -> None:
    path = write(tmp_path, head + data, name)
    for chosen in (None, *plugins.names(FORMATS)):
        answers, message = set(), "."
        try:
            answers = set(load(path, chosen, skip_unknown=True).votes["answer"].to_pylist())
        except LabelError as error:
            message = str(error)
        assert answers <= set(ANSWERS)
        assert len(message.splitlines()) == 1


# -- the command -------------------------------------------------------------------------------------


def test_the_command(place: Workspace, noisyweb: Program, tmp_path: Path) -> None:
    place.set_class_names(CLASSES)
    with place.journal("images") as journal:
        for image, label in PAIRS:
            row = {"url": f"http://x/{'abc'[image]}", "label": label, "image_id": IDS[image]}
            journal.add({**row, "status": "ok", "retry": False, "attempts": 1})
    place.fold("images")
    assert questions(place).num_rows == len(PAIRS)
    path = write(tmp_path, "url,human_1,human_2\nhttp://x/a,0,1\nhttp://x/gone,0,1\nhttp://x/b,,\n")
    at = ("--workspace", place.folder)
    assert_refused(noisyweb("label", "import", path, *at), "row 2: image 'http://x/gone'", "--skip-unknown")
    assert place.read("votes").num_rows == 0
    done = noisyweb("label", "import", path, *at, "--skip-unknown", "--min-votes", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:4] == [
        f"{path}: 3 rows read as wide",
        "no vote: 1 x no annotator chose a class",
        "skipped: 1 row whose image is not among the workspace's unique images, first 'http://x/gone' in row 2",
        "votes: 4 new, 0 changed, 0 already there",
    ]
    again = noisyweb("label", "import", place.folder / "votes.parquet", *at)
    assert "votes: 0 new, 0 changed, 4 already there" in again.stdout, again.stderr
    one = noisyweb("label", "import", path, *at, "--annotator-columns", "human_2", "--skip-unknown")
    assert "votes: 0 new, 0 changed, 2 already there" in one.stdout, one.stderr
    assert_refused(noisyweb("label", "import", path, *at, "--format", "widest"), "did you mean 'wide'")
