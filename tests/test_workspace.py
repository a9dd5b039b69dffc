from __future__ import annotations

import hashlib
import json
import multiprocessing
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.schemas import HASHES, VOTES
from noisyweb.workspace import TABLES, Workspace


def vote(image: str, answer: str = "yes", label: int = 0, annotator: str = "anna") -> dict[str, Any]:
    known = {"image_id": image, "label": label, "annotator": annotator, "answer": answer, "backend": "file"}
    return {name: known.get(name) for name in VOTES.names}


def test_tables_start_empty_with_their_schema(place: Workspace) -> None:
    for name, (schema, key) in TABLES.items():
        assert place.read(name).schema == schema
        assert place.read(name).num_rows == 0
        assert set(key) <= set(schema.names)


def test_rows_are_there_as_soon_as_they_are_added(place: Workspace) -> None:
    with place.journal("votes") as journal:
        journal.add(vote("a"))
        assert Workspace(place.folder).read("votes").to_pylist() == [vote("a")]


def test_the_last_row_of_a_key_wins(place: Workspace) -> None:
    place.write("votes", pa.Table.from_pylist([vote("a", "no"), vote("b")], schema=VOTES))
    with place.journal("votes") as journal:
        journal.add(vote("a", "unsure"))
        journal.add(vote("a", "yes"))
    assert place.fold("votes").to_pylist() == [vote("a", "yes"), vote("b")]
    assert place.read("votes").to_pylist() == [vote("a", "yes"), vote("b")]
    assert not list(place.folder.glob("*.journal"))


def test_binary_columns_survive_the_journal(place: Workspace) -> None:
    rows = [
        {"image_id": "a", "phash": bytes(range(32)), "flat": False},
        {"image_id": "b", "phash": None, "flat": None},
        {"image_id": "c", "phash": bytes(32), "flat": True},
    ]
    with place.journal("hashes") as journal:
        for row in rows:
            journal.add(row)
    assert place.read("hashes").to_pylist() == rows
    assert place.fold("hashes").schema == HASHES
    assert place.read("hashes").to_pylist() == rows


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(texts, st.integers(0, 2), texts), max_size=12), st.data())
def test_a_journal_cut_anywhere_loses_only_its_last_row(rows: list[tuple[str, int, str]], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Workspace(folder)
        with place.journal("votes") as journal:
            for image, label, annotator in rows:
                journal.add(vote(image, label=label, annotator=annotator))
        path = place.folder / "votes.journal"
        whole = path.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n")
        expected = dict.fromkeys(rows[:complete])
        read = place.read("votes").to_pylist()
        assert [(row["image_id"], row["label"], row["annotator"]) for row in read] == list(expected)
        with place.journal("votes") as journal:  # what comes next is not glued to the torn line
            journal.add(vote("\n next", "no"))
        assert place.fold("votes").to_pylist()[-1]["image_id"] == "\n next"
        assert place.fold("votes").num_rows == len(expected | {("\n next", 0, "anna"): None})


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["yes", "no", "fold"])), max_size=20))
def test_folding_at_any_time_changes_nothing(steps: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place, expected = Workspace(folder), {}
        for image, what in steps:
            if what == "fold":
                place.fold("votes")
            else:
                with place.journal("votes") as journal:
                    journal.add(vote(image, what))
                expected[image] = what
        assert {row["image_id"]: row["answer"] for row in place.read("votes").to_pylist()} == expected


def test_a_long_torn_line_is_cut_off(place: Workspace) -> None:
    path = place.folder / "votes.journal"
    whole = json.dumps(vote("a")).encode() + b"\n"
    for rest in (b"x" * 10_000, b""):
        path.write_bytes(whole + rest)
        with place.journal("votes"):
            assert path.read_bytes() == whole
    path.write_bytes(b"y" * 10_000)
    with place.journal("votes"):
        assert path.read_bytes() == b""


@pytest.mark.parametrize("line", ["not json", "[]", '{"image_id": "a"}', "3"])
def test_a_damaged_journal_line_is_named(place: Workspace, line: str) -> None:
    (place.folder / "votes.journal").write_text(json.dumps(vote("a")) + "\n" + line + "\n")
    with pytest.raises(CorruptFileError, match=r"votes\.journal: line 2 is damaged"):
        place.read("votes")


def test_a_damaged_table_is_named(place: Workspace) -> None:
    (place.folder / "votes.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(CorruptFileError, match=r"votes\.parquet: not a readable votes table"):
        place.read("votes")
    pq.write_table(pa.table({"image_id": ["a"]}), place.folder / "votes.parquet")
    with pytest.raises(CorruptFileError, match="not a readable votes table"):
        place.read("votes")


@given(st.binary(max_size=200))
@settings(max_examples=20, deadline=None)
def test_images_are_stored_once_under_their_hash(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Workspace(folder)
        image_id = place.put(data)
        assert image_id == hashlib.sha256(data).hexdigest() == place.put(data)
        assert place.get(image_id) == data
        assert [path.name for path in place.folder.rglob("*") if path.is_file()] == [image_id]


@pytest.mark.parametrize("image_id", ["", "../../etc/passwd", "A" * 64, "a" * 63])
def test_only_image_ids_become_paths(place: Workspace, image_id: str) -> None:
    with pytest.raises(SourceError, match="not an image id"):
        place.path(image_id)


def test_a_missing_image_and_a_missing_workspace(place: Workspace, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not in the store"):
        place.get("a" * 64)
    with pytest.raises(SourceError, match="no such folder"):
        Workspace(tmp_path / "none")


def test_the_vocabulary_stays(place: Workspace) -> None:
    with pytest.raises(SourceError, match="no classes yet"):
        place.class_names()
    place.set_class_names(["ant", "bée"])
    place.set_class_names(["ant", "bée"])
    assert place.class_names() == ["ant", "bée"]
    with pytest.raises(SourceError, match="holds 2 other classes"):
        place.set_class_names(["bée", "ant"])
    (place.folder / "classes.json").write_text('{"a": 1}')
    with pytest.raises(CorruptFileError, match="expected a list"):
        place.class_names()


def _hold(folder: Path, held: Any, release: Any) -> None:
    with Workspace(folder).locked():
        held.set()
        release.wait(60)


def test_the_lock_is_between_processes_and_ends_with_them(place: Workspace) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(place.folder, held, release))
    process.start()
    assert held.wait(60)
    with pytest.raises(SourceError, match="another noisyweb process"), place.locked():
        pass
    process.kill()
    process.join(60)
    with place.locked():
        pass


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 1)), max_size=8, unique=True),
    st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 1), st.sampled_from(["yes", "no"])), max_size=8),
    st.integers(1, 5),
)
def test_a_journal_is_taken_in_by_a_stream_as_by_a_table(
    old: list[tuple[str, int]], added: list[tuple[str, int, str]], size: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Workspace(folder)
        expected = {key: vote(key[0], "unsure", key[1]) for key in old}
        place.write("votes", pa.Table.from_pylist(list(expected.values()), schema=VOTES))
        with place.journal("votes") as journal:
            for image, label, answer in added:
                journal.add(vote(image, answer, label))
                expected[image, label] = vote(image, answer, label)
        assert place.read("votes").to_pylist() == list(expected.values())
        batches = list(place.scan("votes", size=size))
        assert [row for batch in batches for row in batch.to_pylist()] == list(expected.values())
        assert all(len(batch) <= size for batch in batches)
        assert not list(place.folder.glob("*.journal"))
        # A table may be replaced by what comes of it, and of one file the same rows make the same bytes.
        before = (place.folder / "votes.parquet").read_bytes()
        place.write_batches("votes", place.scan("votes", size=size))
        place.write("votes", place.read("votes"))
        assert (place.folder / "votes.parquet").read_bytes() == before
        answers = [
            answer for batch in place.scan("votes", ["answer", "label"]) for answer in batch["answer"].to_pylist()
        ]
        assert answers == [row["answer"] for row in expected.values()]


def test_rows_come_in_groups_of_one_size_however_they_are_written(place: Workspace) -> None:
    rows = pa.Table.from_pylist([vote(f"{n}") for n in range(150_000)], schema=VOTES)
    place.write("votes", rows)
    groups = pq.read_metadata(place.folder / "votes.parquet")
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [65_536, 65_536, 18_928]
    before = (place.folder / "votes.parquet").read_bytes()
    place.write_batches("votes", place.scan("votes", size=7_777))
    assert (place.folder / "votes.parquet").read_bytes() == before
