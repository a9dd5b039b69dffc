from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noisyweb.errors import LabelError
from noisyweb.labelling.file import collect, read_votes
from noisyweb.schemas import VOTES
from noisyweb.votes import QUESTIONS, add, questions
from noisyweb.workspace import Workspace

A, B = "a" * 64, "b" * 64
ASKED = pa.Table.from_pylist(
    [
        {"image_id": A, "label": 0, "class_name": "ant", "url": "http://x/a"},
        {"image_id": B, "label": 0, "class_name": "ant", "url": "http://x/b"},
        {"image_id": A, "label": 1, "class_name": "bee", "url": "http://x/a"},
    ],
    schema=QUESTIONS,
)


def read(path: Path, **options: str) -> list[dict[str, Any]]:
    """The votes of a file, without what it does not tell."""
    tables = list(collect(ASKED, {"path": str(path), **options}))
    assert all(table.schema.equals(VOTES) for table in tables)
    return [
        {name: value for name, value in row.items() if value is not None}
        for table in tables
        for row in table.to_pylist()
    ]


def csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "votes.csv"
    path.write_text(text, encoding="utf-8")
    return path


def vote(image: str, label: int, annotator: str, answer: str, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "label": label, "annotator": annotator, "answer": answer, "backend": "file", **more}


def test_csv_by_id_and_by_url(tmp_path: Path) -> None:
    path = csv(tmp_path, f"image_id,url,class,annotator,answer\n{A},,ant,anna,yes\n,http://x/b,ant,bob, No \n")
    assert read(path) == [vote(A, 0, "anna", "yes"), vote(B, 0, "bob", "no")]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Y", "yes"),
        ("1", "yes"),
        ("TRUE", "yes"),
        ("n", "no"),
        ("0", "no"),
        ("false", "no"),
        ("?", "unsure"),
        ("Unsure", "unsure"),
    ],
)
def test_answers_have_synonyms(tmp_path: Path, said: str, meant: str) -> None:
    assert read(csv(tmp_path, f"url,label,annotator,answer\nhttp://x/a,bee,anna,{said}\n")) == [
        vote(A, 1, "anna", meant)
    ]


def test_json_lines_and_parquet_with_typed_columns(tmp_path: Path) -> None:
    rows = [
        {"image_id": A, "label": 1, "annotator": 7, "answer": True},
        {"image_id": B, "label": 0, "annotator": 7, "answer": False},
    ]
    lines = tmp_path / "votes.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n\n" for row in rows), encoding="utf-8")
    expected = [vote(A, 1, "7", "yes"), vote(B, 0, "7", "no")]
    assert read(lines) == expected
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "votes.parquet")
    assert read(tmp_path / "votes.parquet") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "url,class,annotator,answer\nhttp://x/a,cat,u,yes\nhttp://x/a,dog,u,yes\n",
            "class 'cat' is none .* 2 rows are",
        ),
        ("url,class,annotator,answer\nhttp://x/q,ant,u,yes\n", "image 'http://x/q' is not among .* 1 row is"),
        ("url,class,annotator,answer\nhttp://x/b,bee,u,yes\n", "'http://x/b / bee' is not a question"),
        ("url,class,annotator,answer\nhttp://x/a,ant,u,perhaps\n", "answer 'perhaps' is no answer"),
        ("url,class,annotator,answer\nhttp://x/a,ant,,yes\n", "row 1 has no annotator"),
        (
            "url,class,annotator,answer\nhttp://x/a,ant,u,yes\nhttp://x/q,ant,u,yes\nhttp://x/a,cat,u,yes\n",
            r"row 2: image 'http://x/q' .* 1 row is like that and 1 unfit in another way; no vote was imported",
        ),
        ("url,class,answer\nhttp://x/a,ant,yes\n", "row 1 has no annotator"),
        ("class,annotator,answer\nant,u,yes\n", "row 1 has no image_id or url"),
    ],
)
def test_what_fits_no_question_is_named_and_counted(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        read(csv(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("votes.xls", b"", r"expected \.csv, \.jsonl or \.parquet"),
        ("votes.parquet", b"nonsense", "cannot be read as votes"),
        ("votes.jsonl", b"{", "cannot be read as votes"),
        ("votes.jsonl", b"[1]", "line 1 is not a JSON object"),
        ("votes.csv", b"\xff\xfe\0", "cannot be read as votes"),
    ],
)
def test_files_that_are_not_votes(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LabelError, match=message):
        read(tmp_path / name)
    with pytest.raises(LabelError, match=r"no such file|expected"):
        read(tmp_path / ("no-" + name))


def test_importing_twice_changes_nothing_and_a_new_answer_replaces(tmp_path: Path) -> None:
    place = Workspace(tmp_path / "w", create=True)
    path = csv(tmp_path, "url,class,annotator,answer\nhttp://x/a,ant,anna,yes\nhttp://x/a,ant,bob,no\n")
    first = add(place, collect(ASKED, {"path": str(path)}))
    once = (place.folder / "votes.parquet").read_bytes()
    second = add(place, collect(ASKED, {"path": str(path)}))
    assert ((first.new, first.changed, first.same), (second.new, second.changed, second.same)) == ((2, 0, 0), (0, 0, 2))
    assert (place.folder / "votes.parquet").read_bytes() == once
    csv(tmp_path, "url,class,annotator,answer\nhttp://x/a,ant,anna,no\n")
    third = add(place, collect(ASKED, {"path": str(path)}))
    assert (third.new, third.changed, third.same) == (0, 1, 0)
    assert place.read("votes")["answer"].to_pylist() == ["no", "no"]


def test_a_bad_row_anywhere_imports_nothing(tmp_path: Path) -> None:
    place = Workspace(tmp_path / "w", create=True)
    good = "".join(f"http://x/a,ant,annotator {n},yes\n" for n in range(100))
    path = csv(tmp_path, "url,class,annotator,answer\n" + good + "http://x/a,cat,anna,yes\n")
    with pytest.raises(LabelError, match="no vote was imported"):
        add(place, collect(ASKED, {"path": str(path)}))
    assert place.read("votes").num_rows == 0


def test_answers_of_a_backend_are_checked(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="expected one of yes, no, unsure"):
        add(Workspace(tmp_path), [pa.Table.from_pylist([vote(A, 0, "anna", "perhaps")], schema=VOTES)])


DETAILS = {"seconds": 2.5, "answered_at": datetime(2026, 11, 25, 10, 11, 12, tzinfo=UTC), "is_weak": True}


def test_what_is_told_beside_the_answer(tmp_path: Path) -> None:
    path = csv(
        tmp_path,
        "url,class,annotator,answer,seconds,answered_at,weak\n"
        "http://x/a,ant,anna,yes,2.5,2026-11-25T12:11:12+02:00,true\n"
        "http://x/b,ant,anna,no,,,\n"
        "http://x/a,bee,anna,no,0,2026-11-25 10:11:12,0\n",
    )
    expected = [
        vote(A, 0, "anna", "yes", **DETAILS),
        vote(B, 0, "anna", "no"),
        vote(A, 1, "anna", "no", **{**DETAILS, "seconds": 0.0, "is_weak": False}),
    ]
    assert read(path) == expected
    lines = tmp_path / "votes.jsonl"
    rows = [{"image_id": A, "class": "ant", "annotator": "a", "answer": "yes"}]
    rows.append({**rows[0], "annotator": "b", "seconds": 2.5, "answered_at": "2026-11-25T10:11:12Z", "weak": True})  # type: ignore[dict-item]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read(lines) == [vote(A, 0, "a", "yes"), vote(A, 0, "b", "yes", **DETAILS)]


@pytest.mark.parametrize("kind", [pa.timestamp("ns"), pa.timestamp("s", "America/New_York"), pa.timestamp("ms", "UTC")])
def test_timestamps_of_parquet(tmp_path: Path, kind: pa.DataType) -> None:
    row = {"image_id": A, "label": 0, "annotator": "anna", "answer": "yes"}
    table = pa.Table.from_pylist([row]).append_column("answered_at", pa.array([DETAILS["answered_at"]], kind))
    pq.write_table(table, tmp_path / "votes.parquet")
    assert read(tmp_path / "votes.parquet") == [vote(A, 0, "anna", "yes", answered_at=DETAILS["answered_at"])]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("seconds", "-1", "row 1 has seconds = '-1'; expected a number of seconds from 0"),
        ("seconds", "nan", "seconds = 'nan'"),
        ("seconds", "1e30", "seconds = '1e30'"),
        ("seconds", "soon", "seconds = 'soon'"),
        ("answered_at", "yesterday", "answered_at = 'yesterday'; expected a time such as"),
        ("answered_at", "0001-01-01T00:00:00+14:00", "answered_at = '0001"),
        ("weak", "perhaps", "weak = 'perhaps'; expected true or false"),
        ("backend", "x" * 41, "backend = 'x+'; expected a short name"),
        ("backend", "\x1b[1m", r"backend = '\\x1b\[1m'"),
    ],
)
def test_details_that_cannot_be(tmp_path: Path, column: str, value: str, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        read(csv(tmp_path, f"url,class,annotator,answer,{column}\nhttp://x/a,ant,anna,yes,{value}\n"))


def test_the_votes_of_a_workspace_can_be_imported_as_they_are(tmp_path: Path) -> None:
    place = Workspace(tmp_path / "w", create=True)
    rows = [vote(A, 0, "anna", "yes", **DETAILS), vote(B, 0, "bob", "unsure") | {"backend": "simulated"}]
    add(place, [pa.Table.from_pylist(rows, schema=VOTES)])
    assert read(place.folder / "votes.parquet") == rows
    again = Workspace(tmp_path / "again", create=True)
    add(again, collect(ASKED, {"path": str(place.folder / "votes.parquet")}))
    assert again.read("votes").equals(place.read("votes"))


def test_whole_numbers_are_indices_and_text_is_a_name_first(tmp_path: Path) -> None:
    asked = ASKED.set_column(2, "class_name", pa.array(["1", "1", "0"]))
    row = {"image_id": A, "label": 0, "annotator": "anna", "answer": "yes"}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "n.parquet")
    text = csv(tmp_path, f"image_id,label,annotator,answer\n{A},0,anna,yes\n")
    for path, label in ((tmp_path / "n.parquet", 0), (text, 1)):
        assert read_votes(path, asked).votes["label"].to_pylist() == [label]


def test_unknown_ones_are_left_out_where_that_is_wanted(tmp_path: Path) -> None:
    path = csv(
        tmp_path,
        "url,class,annotator,answer\n"
        "http://x/gone,ant,anna,yes\nhttp://x/a,ant,anna,yes\nhttp://x/a,cat,anna,yes\nhttp://x/gone2,bee,anna,no\n"
        "http://x/b,bee,anna,no\nhttp://x/b,ant,anna,perhaps\n",
    )
    imported = read_votes(path, ASKED, skip_unknown=True)
    assert (imported.format, imported.num_rows, imported.silent) == ("plain", 6, {})
    assert [(each.thing, each.first, each.first_row, each.num_rows) for each in imported.skipped] == [
        ("image", "'http://x/gone'", 1, 2),
        ("class", "'cat'", 3, 1),
        ("pair of image and class", "'http://x/b / bee'", 5, 1),
        ("answer", "'perhaps'", 6, 1),
    ]
    assert read(path, skip_unknown="true") == [vote(A, 0, "anna", "yes")]
    with pytest.raises(LabelError, match="row 2 has no annotator"):  # not unknown but broken
        read_votes(
            csv(tmp_path, "url,class,annotator,answer\nhttp://x/q,ant,u,yes\nhttp://x/a,ant,,yes\n"),
            ASKED,
            skip_unknown=True,
        )


def test_an_image_put_elsewhere_is_known_by_the_id_in_its_name(tmp_path: Path) -> None:
    rows = f"https://cdn.example/i/{B}.jpg?v=1,ant,anna,yes\ngs://bucket/{A},ant,anna,no\n"
    assert read(csv(tmp_path, "url,class,annotator,answer\n" + rows)) == [
        vote(B, 0, "anna", "yes"),
        vote(A, 0, "anna", "no"),
    ]


def image(url: str, label: int, image_id: str | None) -> dict[str, Any]:
    return {"url": url, "label": label, "status": "ok", "retry": False, "attempts": 1, "image_id": image_id}


def test_questions_are_the_unique_images(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    place.set_class_names(["ant", "bee"])
    with place.journal("images") as journal:
        for row in (
            image("http://x/2", 1, A),
            image("http://x/1", 1, A),
            image("http://x/3", 0, B),
            image("http://x/4", 0, None),
        ):
            journal.add(row)
    with place.journal("duplicates") as journal:
        journal.add({"image_id": B, "label": 0, "kept_id": A, "kept_label": 1, "kind": "near", "against": "web"})
    assert questions(place).to_pylist() == [{"image_id": A, "label": 1, "class_name": "bee", "url": "http://x/1"}]
