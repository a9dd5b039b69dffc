"""Tables in SQLite: nothing is changed by the way there and back, and nothing is lost by a kill."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb import schemas
from noisyweb.errors import CorruptFileError, OutputError
from noisyweb.tabledb import BATCH_ROWS, Database
from noisyweb.workspace import CRAWL_TABLES, TABLES, Workspace

NUM_MANY = 66_000  # rows of more than one batch of Parquet
IMAGE_ORDER = CRAWL_TABLES["images"]


def image_row(number: int, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(schemas.IMAGES.names)
    row |= {"url": f"http://h/{number}", "label": 0, "status": "failed", "retry": True, "attempts": 1}
    return row | changes


def place_in(folder: Path, rows: Sequence[dict[str, Any]] = ()) -> Workspace:
    place = Workspace(folder, create=True)
    if rows:
        place.write("images", pa.Table.from_pylist(list(rows), schema=schemas.IMAGES))
    return place


def leftovers(place: Workspace) -> list[str]:
    return sorted(path.name for path in place.folder.iterdir() if path.name.startswith("crawl.sqlite"))


def value_of(field: pa.Field) -> st.SearchStrategy[Any]:
    kind = field.type
    if pa.types.is_boolean(kind):
        values: st.SearchStrategy[Any] = st.booleans()
    elif pa.types.is_integer(kind):
        edge = 2 ** (kind.bit_width - 1)
        values = st.integers(-edge, edge - 1)
    elif pa.types.is_fixed_size_binary(kind):
        values = st.binary(min_size=kind.byte_width, max_size=kind.byte_width)
    else:
        values = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    return st.none() | values if field.nullable else values


def rows_of(name: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    schema, key = TABLES[name]
    row = st.fixed_dictionaries({field.name: value_of(field) for field in schema})
    return st.lists(row, max_size=12, unique_by=lambda row: tuple(row[column] for column in key))


@pytest.mark.parametrize("name", sorted(CRAWL_TABLES))
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_rows_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject) -> None:
    """Parquet to SQLite to Parquet: nulls, any text, booleans, bytes, the largest numbers."""
    place = Workspace(tmp_path_factory.mktemp("w"))
    rows = data.draw(rows_of(name))
    schema, key = TABLES[name]
    table = pa.Table.from_pylist(rows, schema=schema)
    place.write(name, table)
    with place.database() as database:
        assert place.read(name).schema == schema
        assert database.table(name).num_rows == len(rows)
    found = place.read(name)
    assert found.schema == schema
    assert {tuple(row[c] for c in key): row for row in found.to_pylist()} == {
        tuple(row[c] for c in key): row for row in rows
    }
    assert leftovers(place) == []


def test_rows_with_the_same_key_replace_one_another(tmp_path: Path) -> None:
    database = Database(tmp_path / "x", TABLES)
    database.put("images", image_row(1, detail="old", width=3))
    database.put("images", {"url": "http://h/1", "label": 0, "status": "ok", "retry": False, "attempts": 2})
    database.put("images", image_row(1, label=1))
    rows = database.table("images", IMAGE_ORDER).to_pylist()
    assert rows == [image_row(1, status="ok", retry=False, attempts=2), image_row(1, label=1)]
    database.close()


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "x", TABLES)
    with pytest.raises(ZeroDivisionError), database.transaction():
        database.put("images", image_row(1))
        _ = 1 / 0
    assert database.table("images").num_rows == 0
    with database.transaction():
        database.put("images", image_row(1))
    database.close()
    again = Database(tmp_path / "x", TABLES, readonly=True)
    assert again.table("images").num_rows == 1
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        again.put("images", image_row(2))
    again.close()


def test_a_database_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be opened") as caught:
        Database(tmp_path / "no folder" / "x", TABLES)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", ["DROP COLUMN detail", "ADD COLUMN colour TEXT"])
def test_a_database_of_another_version_is_one_line_and_stays(tmp_path: Path, change: str) -> None:
    path = tmp_path / "crawl.sqlite"
    Database(path, {"images": TABLES["images"]}).close()
    with sqlite3.connect(path) as other:
        other.execute(f"ALTER TABLE images {change}")
    other.close()
    with pytest.raises(
        CorruptFileError, match=r"crawl.sqlite: table images is of another version \(column '(detail|colour)'\)"
    ):
        Database(path, {"images": TABLES["images"]})
    assert path.exists()


def test_a_full_disk_is_one_line_and_costs_nothing(tmp_path: Path) -> None:
    place = place_in(tmp_path / "w")
    with pytest.raises(OutputError, match=r"crawl\.sqlite: the disk is full") as caught, place.database() as database:
        database.put("images", image_row(0))
        [pages] = database.sql.execute("PRAGMA page_count").fetchone()
        database.sql.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own way to be full
        with database.transaction():
            for number in range(1000):
                database.put("images", image_row(number, detail="x" * 100))
    assert "\n" not in str(caught.value)
    assert urls(place) == ["http://h/0"]
    with place.database():
        pass
    assert urls(place) == ["http://h/0"]


def test_a_mistake_in_a_statement_is_not_taken_for_the_users(tmp_path: Path) -> None:
    place = place_in(tmp_path / "w")
    with pytest.raises(sqlite3.OperationalError, match="no such table"), place.database() as database:
        database.sql.execute("SELECT * FROM nowhere")


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 40))
def test_an_export_is_sorted_and_the_same_bytes_for_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, turns: random.Random, number: int
) -> None:
    folder = tmp_path_factory.mktemp("e")
    rows = [image_row(n // 3, label=n % 3, detail=f"é{n}" if n % 2 else None) for n in range(number)]
    written = []
    for attempt in range(2):
        turns.shuffle(rows)
        database = Database(folder / f"{attempt}.sqlite", TABLES)
        for row in rows:
            database.put("images", row)
        database.export("images", folder / f"{attempt}.parquet", IMAGE_ORDER)
        database.remove()
        written.append((folder / f"{attempt}.parquet").read_bytes())
    assert written[0] == written[1]
    found = pq.read_table(folder / "0.parquet")
    assert found.schema == schemas.IMAGES
    keys = [(row["label"], row["url"]) for row in found.to_pylist()]
    assert keys == sorted((row["label"], row["url"]) for row in rows)
    assert sorted(path.name for path in folder.iterdir()) == ["0.parquet", "1.parquet"]


def test_tables_of_many_batches_are_whole(tmp_path: Path) -> None:
    rows = [image_row(number) for number in range(2 * BATCH_ROWS + 7)]
    place = place_in(tmp_path / "w", rows)
    with place.database() as database:
        assert [len(batch) for batch in database.batches("images")] == [BATCH_ROWS, BATCH_ROWS, 7]
    found = place.read("images")
    assert sorted(found.column("url").to_pylist()) == sorted(row["url"] for row in rows)


WRITE = """
import sys
from noisyweb.workspace import Workspace
from tests.test_tabledb import image_row
place = Workspace(sys.argv[1])
with place.database() as database:
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        database.put("images", image_row(number))
    database.sql.execute("BEGIN")
    database.put("images", image_row(10**6))  # never committed
    print("ready", flush=True)
    sys.stdin.read()
"""


def kill_when_ready(code: str, *arguments: object) -> None:
    """Run a program, wait for it to say that it is ready, and kill it with signal 9."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()


def urls(place: Workspace) -> list[str]:
    return sorted(place.read("images").column("url").to_pylist())


def expected(last: int, first: int = 0) -> list[str]:
    return sorted(f"http://h/{number}" for number in range(first, last))


def test_rows_of_a_killed_process_are_there_and_the_next_goes_on_with_them(tmp_path: Path) -> None:
    place = place_in(tmp_path / "w", [image_row(number) for number in range(10)])
    before = (place.folder / "images.parquet").read_bytes()
    kill_when_ready(WRITE, place.folder, 10, 60)
    assert urls(place) == expected(60)
    kill_when_ready(WRITE, place.folder, 60, 90)
    assert urls(place) == expected(90)
    assert (place.folder / "images.parquet").read_bytes() == before
    assert "crawl.sqlite" in leftovers(place)
    with place.database() as database:
        assert database.table("images").num_rows == 90
        database.put("images", image_row(90))
    assert leftovers(place) == []
    assert urls(place) == expected(91)
    assert place.read("images").equals(pq.read_table(place.folder / "images.parquet"))


@pytest.mark.parametrize("name", ["images", "candidates"])
def test_folding_turns_what_a_killed_process_left_into_parquet(tmp_path: Path, name: str) -> None:
    place = place_in(tmp_path / "w")
    kill_when_ready(WRITE, place.folder, 0, 20)
    assert place.fold(name).num_rows == (20 if name == "images" else 0)
    assert leftovers(place) == []
    assert pq.read_table(place.folder / "images.parquet").num_rows == 20


def test_an_error_in_the_block_keeps_the_database_and_its_rows(tmp_path: Path) -> None:
    place = place_in(tmp_path / "w")
    with pytest.raises(ZeroDivisionError), place.database() as database:
        database.put("images", image_row(1))
        _ = 1 / 0
    assert "crawl.sqlite" in leftovers(place)
    assert urls(place) == ["http://h/1"]
    with place.database():
        pass
    assert leftovers(place) == []
    assert urls(place) == ["http://h/1"]


LOAD = """
import sys
from noisyweb.workspace import Workspace
place = Workspace(sys.argv[1])
rows = place._files.batches
def announced(name):
    for number, batch in enumerate(rows(name)):
        if name == "images" and number == 1:
            print("ready", flush=True)
            sys.stdin.read()
        yield batch
place._files.batches = announced
with place.database():
    pass
"""


def test_a_kill_while_the_tables_are_being_loaded_loses_nothing(tmp_path: Path) -> None:
    place = place_in(tmp_path / "w")
    columns = {name: [value] * NUM_MANY for name, value in image_row(0).items()}
    columns["url"] = [f"http://h/{number}" for number in range(NUM_MANY)]
    place.write("images", pa.table(columns, schema=schemas.IMAGES))
    kill_when_ready(LOAD, place.folder)
    assert "crawl.sqlite" in leftovers(place)
    assert place.read("images").num_rows == NUM_MANY
    with place.database() as database:
        assert database.sql.execute("SELECT count(*) FROM images").fetchone() == (NUM_MANY,)
    assert leftovers(place) == []
    assert place.read("images").num_rows == NUM_MANY


def test_a_journal_counts_when_loading_and_never_again(tmp_path: Path) -> None:
    """Not even if the process died after it was loaded and before it was deleted."""
    place = place_in(tmp_path / "w", [image_row(1), image_row(2)])
    with place.journal("images") as journal:
        journal.add(image_row(2, detail="from the journal"))
        journal.add(image_row(3))
    copy = (place.folder / "images.journal").read_bytes()
    with pytest.raises(ZeroDivisionError), place.database() as database:
        details = {row["url"][-1]: row["detail"] for row in database.table("images").to_pylist()}
        assert details == {"1": None, "2": "from the journal", "3": None}
        database.put("images", image_row(2, detail="newer"))
        _ = 1 / 0
    (place.folder / "images.journal").write_bytes(copy)
    for _ in range(2):
        with place.database():
            pass
        details = {row["url"][-1]: row["detail"] for row in place.read("images").to_pylist()}
        assert details == {"1": None, "2": "newer", "3": None}


def damages(good: bytes) -> dict[str, bytes]:
    noise = random.Random(1).randbytes(len(good))
    return {
        "noise": noise,
        "noise behind the header": good[:100] + noise[100:],
        "noise in the pages": good[:4096] + noise[4096:],
        "cut in half": good[: len(good) // 2],
        "text": b"not a database" * 1000,
    }


@pytest.mark.parametrize("kind", damages(b""))
def test_a_damaged_database_is_one_line_that_names_it(tmp_path: Path, kind: str) -> None:
    place = place_in(tmp_path / "w", [image_row(number) for number in range(2000)])
    with pytest.raises(ZeroDivisionError), place.database():
        _ = 1 / 0
    path = place.folder / "crawl.sqlite"
    path.write_bytes(damages(path.read_bytes())[kind])
    for reading in (True, False):
        with pytest.raises(CorruptFileError, match=r"crawl\.sqlite: damaged \(") as caught:
            if reading:
                place.read("images")
            else:
                with place.database() as database:
                    database.table("images")
        assert "\n" not in str(caught.value)
    for name in leftovers(place):
        os.rename(place.folder / name, tmp_path / name)
    assert place.read("images").num_rows == 2000  # as the message says


def test_reading_does_not_change_the_database_of_a_killed_process(tmp_path: Path) -> None:
    place = place_in(tmp_path / "w")
    kill_when_ready(WRITE, place.folder, 0, 20)
    before = {name: (place.folder / name).read_bytes() for name in leftovers(place) if not name.endswith("-shm")}
    assert "crawl.sqlite-wal" in before
    for _ in range(2):
        assert urls(place) == expected(20)
    assert {name: (place.folder / name).read_bytes() for name in before} == before


def test_a_table_can_be_read_while_a_crawl_writes_it(tmp_path: Path) -> None:
    place = place_in(tmp_path / "w")
    with place.database() as database:
        for number in range(5):
            database.put("images", image_row(number))
            assert urls(place) == expected(number + 1)
        with database.transaction():
            database.put("images", image_row(5))
            assert urls(place) == expected(5)
        assert urls(place) == expected(6)


def test_whoever_reads_while_the_crawl_ends_does_not_bring_old_rows_back(tmp_path: Path) -> None:
    place = place_in(tmp_path / "w")
    with place.database() as database:
        database.put("images", image_row(0))
        reader = sqlite3.connect(place.folder / "crawl.sqlite", isolation_level=None)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM images").fetchone() == (1,)
        database.put("images", image_row(1))
    assert leftovers(place) == []
    reader.close()
    assert leftovers(place) == []
    assert urls(place) == expected(2)


def test_tables_are_written_without_pandas_and_a_crawl_starts_without_httpx(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; import noisyweb.crawl\n"
        "from noisyweb.workspace import Workspace; from tests.test_tabledb import image_row\n"
        "place = Workspace(Path(sys.argv[1]), create=True)\n"
        "with place.locked(), place.database() as database: database.put('images', image_row(1))\n"
        "print(place.read('images').num_rows, [n for n in ('pandas', 'httpx', 'rich') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 []"
