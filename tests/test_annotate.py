"""The annotation page's server as annotators' browsers speak to it, in a process of its own."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from noisyweb.annotate.book import FILE, Book
from noisyweb.annotate.harvest import harvest, is_pending
from noisyweb.annotate.roster import annotators, invite, revoke
from noisyweb.annotate.writer import Writer
from noisyweb.consensus import update
from noisyweb.errors import CorruptFileError, LabelError
from noisyweb.schemas import VOTES
from noisyweb.votes import add, questions
from noisyweb.workspace import Workspace
from tests.annotation import NAMES, Annotator, PageServer, make_workspace
from tests.conftest import CLASSES, Program, assert_refused, make_tiny_set


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "w", (6, 5, 4))


@pytest.fixture
def server(workspace: Workspace) -> Iterator[PageServer]:
    with PageServer(workspace.folder, ["anna", "bob", "carl"]) as running:
        yield running


def answer_all(annotator: Annotator, says: str = "yes") -> list[str]:
    """Answer until nothing is left; give what was answered."""
    done: list[str] = []
    votes: list[tuple[str, str | None]] = []
    while True:
        reply = annotator.work(votes, want=4)
        done += [question for question, _ in votes]
        votes = [(task["id"], says) for task in reply["tasks"]]
        if not votes:
            return done


def test_three_people_answer_and_the_verdicts_are_there(server: PageServer, workspace: Workspace) -> None:
    for name, says in (("anna", "yes"), ("bob", "yes"), ("carl", "no")):
        answered = answer_all(server.client(name), says)
        assert len(answered) == len(set(answered)) == 15
    said = server.stop()
    assert "votes: 45 by 3 annotators on 15 questions" in said
    votes = workspace.read("votes")
    assert Counter(zip(votes["annotator"].to_pylist(), votes["answer"].to_pylist(), strict=True)) == {
        ("anna", "yes"): 15,
        ("bob", "yes"): 15,
        ("carl", "no"): 15,
    }
    assert set(votes["backend"].to_pylist()) == {"page"}
    assert set(votes["seconds"].to_pylist()) == {1.5}
    assert votes["answered_at"].null_count == 0
    asked = questions(workspace)
    assert set(votes["image_id"].to_pylist()) == set(asked["image_id"].to_pylist())
    assert workspace.read("verdicts")["is_clean"].to_pylist() == [True] * 15


def test_a_task_says_what_is_asked_and_its_image_is_the_stored_one(server: PageServer, workspace: Workspace) -> None:
    anna = server.client("anna")
    tasks = anna.work(want=60)["tasks"]
    names = dict(zip(questions(workspace)["image_id"], questions(workspace)["class_name"], strict=True))
    by_id = {question.id: question for question in Book(workspace.folder).questions()}
    assert len(tasks) == 15
    for task in tasks:
        image_id = by_id[task["id"]].image_id
        reply = anna.http.get(f"/image/{task['id']}")
        assert (reply.content, reply.headers["content-type"]) == (workspace.get(image_id), "image/jpeg")
        assert task["class_name"] == {str(k): str(v) for k, v in names.items()}[image_id]
        assert image_id not in json.dumps(task)


def test_an_answer_sent_again_counts_once_and_one_taken_back_is_gone(server: PageServer, workspace: Workspace) -> None:
    anna = server.client("anna")
    first, second = (task["id"] for task in anna.work(want=2)["tasks"])
    for _ in range(3):
        assert anna.work([(first, "yes"), (second, "no")])["saved"] == 2
    assert anna.work([(second, None)])["progress"]["answered"] == 1
    assert anna.work([(first, "unsure")])["progress"]["answered"] == 1
    server.stop()
    assert workspace.read("votes")["answer"].to_pylist() == ["unsure"]
    history = sqlite3.connect(workspace.folder / FILE).execute("SELECT answer FROM history ORDER BY rowid").fetchall()
    assert [answer for (answer,) in history] == ["yes", "no", None, "unsure"]


def test_an_answer_taken_back_after_it_was_taken_in_goes_there_too(server: PageServer, workspace: Workspace) -> None:
    anna = server.client("anna")
    first, second = (task["id"] for task in anna.work(want=2)["tasks"])
    anna.work([(first, "yes"), (second, "no")])
    status = [server.process.args[0], "label", "status", "--workspace", str(workspace.folder)]  # type: ignore[index]
    assert subprocess.run(status, capture_output=True).returncode == 0  # while the page is open
    assert workspace.read("votes").num_rows == 2
    anna.work([(first, None)])
    server.stop()
    assert workspace.read("votes")["answer"].to_pylist() == ["no"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_good_order(server: PageServer, number: signal.Signals) -> None:
    anna = server.client("anna")
    anna.work([(anna.work(want=1)["tasks"][0]["id"], "yes")])
    assert "votes: 1 by 1 annotators" in server.stop(number)


def test_a_killed_server_goes_on_where_it_was(server: PageServer, workspace: Workspace) -> None:
    anna = server.client("anna")
    tasks = [task["id"] for task in anna.work(want=15)["tasks"]]
    anna.work([(each, "no") for each in tasks[:7]], held=tasks[7:])
    server.kill()
    server.restart()
    assert anna.work()["progress"]["answered"] == 7  # the session lasts
    assert sorted(answer_all(anna)) == sorted(tasks[7:])
    server.stop()
    assert Counter(workspace.read("votes")["answer"].to_pylist()) == {"no": 7, "yes": 8}


def test_two_people_answering_at_the_same_time_lose_no_answer(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "w", (120, 80, 0))
    people = [f"person {n}" for n in range(8)]
    done: dict[str, list[str]] = {}
    with PageServer(workspace.folder, people) as server:
        clients = {name: server.client(name) for name in people}

        def work(name: str) -> None:
            done[name] = answer_all(clients[name], "no")

        threads = [threading.Thread(target=work, args=(name,)) for name in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.stop()
    votes = workspace.read("votes").to_pylist()
    by_id = {question.id: question.image_id for question in Book(workspace.folder).questions()}
    said = Counter((row["image_id"], row["annotator"]) for row in votes)
    assert said == Counter((by_id[question], name) for name, each in done.items() for question in each)
    assert set(Counter(row["image_id"] for row in votes).values()) == {3}


def test_clean_images_stand_beside_and_known_answers_among_the_questions(tmp_path: Path) -> None:
    tiny = make_tiny_set(tmp_path / "tiny", sizes=(11, 7, 20))
    workspace = make_workspace(tmp_path / "w", (30, 20, 10), CLASSES)
    options = ("--dataset", str(tiny.toml), "--known-share", "1")
    with PageServer(workspace.folder, ["anna"], *options) as server:
        assert "questions: 60 about 3 classes, 18 known answers among them" in server.said
        anna = server.client("anna")
        tasks = anna.work(want=60)["tasks"]
        assert {task["samples"] for task in tasks} == {4}
        train = {path.read_bytes(): path.parent.name for path in (tmp_path / "tiny/train").rglob("*.jpg")}
        for label, name in enumerate(CLASSES):
            samples = [anna.http.get(f"/sample/{label}/{place}").content for place in range(4)]
            assert [train[sample] for sample in samples] == [name] * 4
            assert anna.http.get(f"/sample/{label}/4").status_code == 404
        votes: list[tuple[str, str | None]] = []
        for task in tasks:  # anna knows the clean images by heart, and calls everything else wrong
            shown = train.get(anna.http.get(f"/image/{task['id']}").content)
            votes.append((task["id"], "yes" if shown == task["class_name"] else "no"))
        anna.work(votes)
        answer_all(anna, "no")
        server.stop()
    known = {(row["image_id"], row["label"]): row["answer"] for row in workspace.read("known").to_pylist()}
    assert Counter(known.values()) == {"yes": 9, "no": 9}
    answered = workspace.read("known_votes").to_pylist()
    assert len(answered) == 18
    early = {question for question, _ in votes}
    by_key = {(q.image_id, q.label): q.id for q in Book(workspace.folder).questions()}
    assert all(
        row["answer"] == known[row["image_id"], row["label"]]
        for row in answered
        if by_key[row["image_id"], row["label"]] in early
    )
    # known answers are no votes
    assert workspace.read("votes").num_rows == workspace.read("verdicts").num_rows == 60
    before = Book(workspace.folder).questions()
    with PageServer(workspace.folder, [], *options):  # the same ones again, no new ones
        assert Book(workspace.folder).questions() == before


def test_votes_of_other_ways_are_not_asked_for_again(workspace: Workspace) -> None:
    asked = questions(workspace).to_pylist()
    columns = [
        {**row, "annotator": f"imported {n}", "answer": "yes", "backend": "file"} for row in asked for n in range(2)
    ]
    machine = [
        {**row, "annotator": "robot", "answer": "no", "backend": "google-vision", "is_weak": True} for row in asked
    ]
    add(workspace, [pa.Table.from_pylist([*columns, *machine], schema=VOTES)])
    with PageServer(workspace.folder, ["anna", "bob"]) as server:
        assert len(answer_all(server.client("anna"))) == 15
        assert answer_all(server.client("bob")) == []
        server.stop()
    assert workspace.read("verdicts")["votes_yes"].to_pylist() == [3] * 15


def test_a_new_book_takes_nothing_away(workspace: Workspace) -> None:
    asked = questions(workspace).num_rows
    for book_is_new in (False, True):
        with PageServer(workspace.folder, ["anna"]) as server:
            assert len(answer_all(server.client("anna"))) == (0 if book_is_new else asked)
            server.stop()
        assert workspace.read("votes").num_rows == asked
        (workspace.folder / FILE).unlink()  # what one does with a damaged file


def test_verdicts_that_are_older_than_the_votes_are_worked_out_and_a_build_speaks_of_them(
    noisyweb: Program, tmp_path: Path
) -> None:
    tiny = make_tiny_set(tmp_path / "tiny")
    workspace = make_workspace(tmp_path / "w", (3, 3, 3), CLASSES)
    one = questions(workspace).slice(0, 1).to_pylist()[0]
    votes = [{**one, "annotator": f"imported {n}", "answer": "no", "backend": "file"} for n in range(3)]
    add(workspace, [pa.Table.from_pylist(votes, schema=VOTES)])
    update(workspace)
    build = ("build", "--dataset", tiny.toml, "--noise", 0, "--workspace", workspace.folder, "--no-leak-check")
    with PageServer(workspace.folder, ["anna"], "--votes", "1") as server:
        assert "1 votes an image, but a verdict needs 3" in server.said
        anna = server.client("anna")
        answer_all(anna, "no")
        done = noisyweb(*build)
        assert "there are votes that are not in the verdicts" in done.stdout, done.stderr
        server.kill()
    harvest(workspace)  # and then killed
    assert (workspace.read("votes").num_rows, workspace.read("verdicts").num_rows) == (11, 1)
    assert not is_pending(workspace)
    assert "there are votes that are not in the verdicts" in noisyweb(*build, "--out", "other").stdout
    assert "1 wrong, 8 undecided" in noisyweb("label", "status", "--workspace", workspace.folder).stdout
    assert workspace.read("verdicts").num_rows == 9
    assert "votes that are not" not in noisyweb(*build, "--out", "third").stdout


def test_other_commands_take_the_pages_answers_in(noisyweb: Program, server: PageServer, workspace: Workspace) -> None:
    answer_all(server.client("anna"), "no")
    url = questions(workspace)["url"][0].as_py()
    (workspace.folder / "more.csv").write_text(f"url,class,annotator,answer\n{url},ant,dora,no\n", encoding="utf-8")
    done = noisyweb("label", "import", workspace.folder / "more.csv", "--workspace", workspace.folder)
    assert "votes: 16 by 2 annotators on 15 questions" in done.stdout, done.stderr
    answer_all(server.client("bob"), "no")
    done = noisyweb("label", "consensus", "--min-votes", 2, "--workspace", workspace.folder)
    assert "15 wrong" in done.stdout, done.stderr


def test_a_workspace_that_nobody_may_write_to_can_be_read(workspace: Workspace) -> None:
    with PageServer(workspace.folder, ["anna"]) as server:
        answer_all(server.client("anna"))
        server.stop()
    assert not is_pending(workspace)
    before = {path.name: path.stat().st_mtime_ns for path in workspace.folder.iterdir()}
    assert Book(workspace.folder, readonly=True).votes(known=False).num_rows == 15
    assert {path.name: path.stat().st_mtime_ns for path in workspace.folder.iterdir()} == before


def test_what_dedup_drops_is_asked_no_longer_but_its_answers_stay(server: PageServer, workspace: Workspace) -> None:
    anna = server.client("anna")
    tasks = [task["id"] for task in anna.work(want=15)["tasks"]]
    anna.work([(tasks[0], "yes")])
    server.kill()
    by_id = {question.id: question for question in Book(workspace.folder).questions()}
    with workspace.journal("duplicates") as journal:
        for each in tasks[:2]:
            gone = by_id[each]
            row = {"image_id": gone.image_id, "label": gone.label, "kept_id": "a" * 64, "kept_label": 0}
            journal.add({**row, "kind": "near", "against": "web"})
    server.restart()
    assert anna.work([(tasks[1], "no"), ("0" * 24, "yes")])["refused"] == ["0" * 24]  # it was on the page still
    assert set(tasks[:2]) & {task["id"] for task in anna.work(want=15)["tasks"]} == set()
    server.stop()
    assert sorted(workspace.read("votes")["answer"].to_pylist()) == ["no", "yes"]


# -- who may answer --------------------------------------------------------------------------------------


def test_invited_while_it_is_open_and_shut_out_again(server: PageServer, workspace: Workspace) -> None:
    book = Book(workspace.folder)
    token = invite(book, "dora")
    dora = server.stranger("dora")
    assert dora.sign_in(token).status_code == 200
    assert dora.work(want=1)["annotator"] == "dora"
    newer = invite(book, "dora")
    assert dora.http.post("/api/work", json={}).status_code == 401
    assert dora.sign_in(token).status_code == 403
    assert dora.sign_in(newer).status_code == 200
    revoke(book, "dora")
    assert dora.http.post("/api/work", json={}).status_code == 401
    assert dora.sign_in(newer).status_code == 403
    assert annotators(book) == ["anna", "bob", "carl"]
    with pytest.raises(LabelError, match="annotator 'dora': not invited; invited: anna, bob, carl"):
        revoke(book, "dora")


def test_signing_out_ends_the_session(server: PageServer) -> None:
    anna = server.client("anna")
    cookies = dict(anna.http.cookies)
    assert anna.http.post("/api/sign-out", json={}).status_code == 200
    with httpx.Client(base_url=server.address, headers={"Origin": server.address}, cookies=cookies) as stolen:
        assert stolen.post("/api/work", json={}).status_code == 401


def test_nothing_readable_of_tokens_is_kept(server: PageServer, workspace: Workspace) -> None:
    server.client("anna")
    token = server.links["anna"].rpartition(":")[2]
    for file in workspace.folder.glob("labels.sqlite*"):
        assert token.encode() not in file.read_bytes()


def test_names_that_are_none(tmp_path: Path) -> None:
    for name in ("", " ", "a" * 81, "a\nb", "a\0b", "\u202eanna", "\ud800"):
        with pytest.raises(LabelError, match="expected a name of 1 to 80 printable characters"):
            invite(Book(tmp_path), name)


# -- the command -----------------------------------------------------------------------------------------


def test_without_annotators_the_owner_gets_a_link(workspace: Workspace) -> None:
    with PageServer(workspace.folder, []) as server:
        assert f"{server.address}/#" in server.process.stdout.readline()  # type: ignore[union-attr]


def test_invite_prints_links_and_revoke_ends_them(noisyweb: Program, workspace: Workspace) -> None:
    done = noisyweb("label", "invite", "anna", "bo b", "--workspace", workspace.folder, "--page", "https://x.org")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("anna: https://x.org/#anna:")
    assert lines[1].startswith("bo b: https://x.org/#bo%20b:")
    assert "shut out" in noisyweb("label", "invite", "anna", "--revoke", "--workspace", workspace.folder).stdout
    gone = noisyweb("label", "invite", "anna", "--revoke", "--workspace", workspace.folder)
    assert_refused(gone, "annotator 'anna': not invited", "bo b")


def test_a_server_that_cannot_start_ends_nobodys_link(noisyweb: Program, server: PageServer) -> None:
    anna = server.client("anna")
    again = ("label", "serve", "--workspace", server.folder, "--annotator", "anna", "--annotator", "dora")
    assert_refused(noisyweb(*again, "--port", 0), "open already")
    assert anna.work()["annotator"] == "anna"
    assert annotators(Book(server.folder)) == ["anna", "bob", "carl"]
    server.stop()
    with PageServer(server.folder, [], "--annotator", "anna") as other:
        assert "anna: invited before, the link still holds" in other.said
        assert other.links == {}


def test_bad_options_are_one_line(noisyweb: Program, workspace: Workspace, server: PageServer, tmp_path: Path) -> None:
    folder = ("--workspace", workspace.folder)
    assert_refused(noisyweb("label", "serve", *folder, "--port", 0), "open already")
    other = make_workspace(tmp_path / "other", (1, 1, 1))
    port = server.address.rpartition(":")[2]
    folder = ("--workspace", other.folder)
    assert_refused(noisyweb("label", "serve", *folder, "--port", port), "cannot listen at 127.0.0.1 port")
    assert_refused(noisyweb("label", "serve", *folder, "--host", "203.0.113.1", "--port", 0), "cannot listen")
    assert_refused(noisyweb("label", "serve", *folder, "--origin", "x.org"), "origin 'x.org': expected http")
    assert_refused(noisyweb("label", "serve", *folder, "--origin", "http://x:y"), "origin 'http://x:y'")
    assert_refused(noisyweb("label", "serve", *folder, "--certificate", "c.pem"), "--certificate and --key")
    assert_refused(
        noisyweb("label", "serve", *folder, "--certificate", "no.pem", "--key", "no.pem", "--port", 0), "no.pem"
    )
    tiny = make_tiny_set(tmp_path / "tiny")
    stranger = make_workspace(tmp_path / "stranger", (1, 1), ("a", "b"))
    refused = noisyweb("label", "serve", "--workspace", stranger.folder, "--dataset", tiny.toml)
    assert_refused(refused, "its 2 classes are not the 3 of the data set")
    empty = Workspace(tmp_path / "empty", create=True)
    empty.set_class_names(NAMES)
    assert_refused(noisyweb("label", "serve", "--workspace", empty.folder), "no unique images to ask about")
    assert_refused(noisyweb("label", "serve", "--workspace", tmp_path / "none"), "no such folder")


def test_without_starlette_one_line_says_what_to_install(workspace: Workspace) -> None:
    code = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "uvicorn" else find(name, *rest)
from noisyweb.cli import main
main()
"""
    command = [sys.executable, "-c", code, "label", "serve", "--workspace", str(workspace.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert_refused(done, "annotation page needs uvicorn, which is not installed; pip install 'noisyweb[label]'")
    assert not (workspace.folder / FILE).exists()


def test_a_book_that_is_none(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database at all" * 100)
    with pytest.raises(CorruptFileError, match=r"labels.sqlite: damaged"):
        Book(tmp_path)
    (tmp_path / FILE).unlink()
    whole = Book(tmp_path)
    whole.ask((f"{n:064x}", 0) for n in range(2_000))
    whole.close()
    pages = bytearray((tmp_path / FILE).read_bytes())
    pages[20_000:80_000] = b"\xff" * 60_000
    (tmp_path / FILE).write_bytes(bytes(pages))
    with pytest.raises(CorruptFileError, match=r"labels.sqlite: damaged"):
        Book(tmp_path).questions()
    (tmp_path / FILE).unlink()
    sqlite3.connect(tmp_path / FILE).execute("PRAGMA user_version = 7").connection.close()
    sqlite3.connect(tmp_path / FILE).execute("CREATE TABLE salt (salt)").connection.close()
    with pytest.raises(CorruptFileError, match="version 7 of the annotation page's book, expected 1"):
        Book(tmp_path)


def test_a_write_that_fails_is_told_to_all_who_wait_and_the_next_ones_go_on(tmp_path: Path) -> None:
    writer = Writer(Book(tmp_path))
    bad = writer.submit(lambda sql: sql.execute("INSERT INTO no_such_table VALUES (1)"))
    with pytest.raises(sqlite3.OperationalError, match="no_such_table"):
        bad.result(10)
    assert writer.submit(lambda sql: sql.execute("SELECT 7").fetchone()).result(10) == (7,)
    writer.close()
