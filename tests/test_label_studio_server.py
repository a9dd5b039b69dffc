"""Push to a real Label Studio, answers of three people there, pull."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from noisyweb.errors import LabelError
from noisyweb.label_studio.push import PushReport, push
from noisyweb.label_studio.record import read_record
from noisyweb.label_studio.server import LabelStudio
from noisyweb.labelling.label_studio import collect
from noisyweb.votes import VoteReport, add, questions
from noisyweb.workspace import Workspace
from tests.conftest import Program, assert_refused
from tests.label_studio_server import CLASSES, LabelStudioServer, Person, ask, label_studio_program

pytestmark = [pytest.mark.label_studio, pytest.mark.slow, pytest.mark.timeout(1800)]

TOKEN = "NOISYWEB_LABEL_STUDIO_TOKEN"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    """One server for all tests; each makes a project of its own."""
    with LabelStudioServer(label_studio_program(), tmp_path_factory.mktemp("label-studio")) as running:
        yield running


@pytest.fixture(scope="module")
def people(server: LabelStudioServer) -> list[Person]:
    """Three annotators."""
    return [server.sign_up(f"{name}@example.com") for name in ("anna", "bob", "carla")]


def expected_tasks(place: Workspace) -> dict[str, tuple[str, str]]:
    """By noisyweb_id: class name and web address of each question."""
    return {
        f"{row['label']}/{row['image_id']}": (row["class_name"], row["url"]) for row in questions(place).to_pylist()
    }


def pushed_tasks(server: LabelStudioServer, project: int) -> dict[str, dict[str, Any]]:
    """By noisyweb_id: the tasks; there may be one of each only."""
    tasks = server.tasks(project)
    named = {task["data"]["noisyweb_id"]: task for task in tasks}
    assert len(named) == len(tasks)
    return named


def pull(place: Workspace, server: LabelStudioServer, token: str = "", **options: str) -> VoteReport:
    given = {"workspace": str(place.folder), "token": token or server.token, **options}
    with place.locked():
        return add(place, collect(questions(place), given))


def votes_of(place: Workspace) -> set[tuple[str, str, str]]:
    """noisyweb_id, annotator and answer of every vote."""
    rows = place.read("votes").to_pylist()
    return {(f"{row['label']}/{row['image_id']}", row["annotator"], row["answer"]) for row in rows}


def test_push_by_address_asks_each_question_once(server: LabelStudioServer, tmp_path: Path) -> None:
    place = Workspace(tmp_path / "sixty", create=True)
    ask(place, 60)
    first = push(place, server.token, url=server.url + "/")
    assert (first.added, first.there, first.repeated, list(first.unshowable)) == (60, 0, 0, [])
    assert first.project.is_new
    assert first.project.title == "noisyweb sixty"
    tasks = pushed_tasks(server, first.project.id)
    asked = {name: (task["data"]["class_name"], task["data"]["image"]) for name, task in tasks.items()}
    assert asked == expected_tasks(place)
    settings = server.call("GET", f"/api/projects/{first.project.id}").json()
    assert settings["maximum_annotations"] == 3
    assert settings["show_instruction"]
    assert settings["parsed_label_config"]["answer"]["labels"] == ["yes", "no", "unsure"]

    second = push(place, server.token)  # server and project are remembered
    assert (second.added, second.there, second.project.is_new) == (0, 60, False)
    (place.folder / "label_studio.json").unlink()
    third = push(place, server.token, url=server.url)  # found again by its title
    assert (third.added, third.there, third.project.id) == (0, 60, first.project.id)
    assert pushed_tasks(server, first.project.id).keys() == tasks.keys()


def test_uploaded_images_come_back_byte_for_byte(server: LabelStudioServer, tmp_path: Path) -> None:
    place = Workspace(tmp_path / "uploads", create=True)
    ask(place, 12)
    odd = place.put(b"II*\0 a TIFF that was stored undecoded")
    images = place.read("images").to_pylist()
    images += [
        images[0] | {"label": 1},  # the first image was found for another class, too
        images[0] | {"image_id": odd, "url": "http://127.0.0.1:9/odd.tif"},
    ]
    place.write("images", place.read("images").from_pylist(images, schema=place.read("images").schema))
    report = push(place, server.token, url=server.url, upload=True)
    assert (report.added, list(report.unshowable)) == (13, [odd])
    tasks = pushed_tasks(server, report.project.id)
    assert len(tasks) == 13
    for name, task in tasks.items():
        image_id = name.split("/")[1]
        assert server.call("GET", task["data"]["image"]).content == place.get(image_id)
    again = push(place, server.token, upload=True)
    assert (again.added, again.there) == (0, 13)
    assert len(pushed_tasks(server, report.project.id)) == 13
    assert len(files_of(server, report.project.id)) == 12


def files_of(server: LabelStudioServer, project: int) -> list[str]:
    found = server.call("GET", f"/api/projects/{project}/file-uploads?all=true").json()
    return [entry["file"].rsplit("/", 1)[1][9:73] for entry in found]


PUSH = """
import sys
from pathlib import Path
from noisyweb.label_studio.push import push
from noisyweb.workspace import Workspace
folder, url, upload, token = sys.argv[1:]
say = lambda what, done, total: print(what, done, flush=True)
push(Workspace(folder), token, url=url, upload=bool(upload), progress=say)
print("done", flush=True)
"""


def killed_push(server: LabelStudioServer, folder: Path, upload: bool, moment: str) -> bool:
    """Push in a process that is killed when it says a text; did it get so far?"""
    command = [sys.executable, "-c", PUSH, str(folder), server.url, "1" if upload else "", server.token]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reached = any(line.startswith(moment) for line in process.stdout)
        process.kill()
        assert process.wait(60) == -9
    return reached


def test_a_killed_push_goes_on_where_it_was(server: LabelStudioServer, tmp_path: Path) -> None:
    place = Workspace(tmp_path / "killed", create=True)
    ask(place, 6_000, store=False)
    for moment in ("tasks listed", "tasks added 1000", "tasks added", "tasks added 2000"):
        assert killed_push(server, place.folder, False, moment)
    project = read_record(place.folder).project
    assert read_record(place.folder).sending
    before = len(server.tasks(project))
    assert 1_000 <= before < 6_000
    report = push(place, server.token)
    assert (report.project.id, report.there + report.added, report.repeated) == (project, 6_000, 0)
    asked = {name: task["data"]["image"] for name, task in pushed_tasks(server, project).items()}
    assert asked == {name: url for name, (_, url) in expected_tasks(place).items()}
    assert read_record(place.folder).sending == []


def test_a_killed_upload_goes_on_where_it_was(server: LabelStudioServer, tmp_path: Path) -> None:
    place = Workspace(tmp_path / "killed upload", create=True)
    ask(place, 170)
    for moment in ("images uploaded 50", "tasks added", "images uploaded"):
        assert killed_push(server, place.folder, True, moment)
    project = read_record(place.folder).project
    assert 50 <= len(server.tasks(project)) < 170
    report = push(place, server.token, upload=True)
    assert report.there + report.added == 170
    tasks = pushed_tasks(server, project)
    assert tasks.keys() == expected_tasks(place).keys()
    for name, task in tasks.items():
        assert server.call("GET", task["data"]["image"]).content == place.get(name.split("/")[1])
    # what a killed process had uploaded was used; only what was on its way may be there twice
    assert all(count <= 2 for count in Counter(files_of(server, project)).values())


def test_answers_become_votes(server: LabelStudioServer, people: list[Person], tmp_path: Path) -> None:
    place = Workspace(tmp_path / "votes", create=True)
    ask(place, 6)
    project = push(place, server.token, url=server.url).project.id
    server.call("POST", f"/api/projects/{project}/import", json=[{"data": {"image": "http://127.0.0.1:9/else.jpg"}}])
    tasks = {name: task["id"] for name, task in pushed_tasks_of_ours(server, project).items()}
    names = sorted(tasks)
    anna, bob, carla = people
    expected = set()
    changed = 0
    for number, name in enumerate(names):
        for person, answer in zip(people, ("yes", "no", ("yes", "unsure")[number % 2]), strict=True):
            changed = server.annotate(tasks[name], answer, person.token, lead_time=2.5 + number)
            expected.add((name, f"label-studio:{person.email}", answer))
    # skipped by the owner; two choices; an unknown one; a prediction; none of them is a vote
    server.annotate(tasks[names[0]], "yes", was_cancelled=True)
    server.annotate(tasks[names[1]], ["yes", "no"])
    server.annotate(tasks[names[2]], "perhaps")
    value = {"from_name": "answer", "to_name": "image", "type": "choices", "value": {"choices": ["no"]}}
    server.call("POST", "/api/predictions/", json={"task": tasks[names[0]], "result": [value], "model_version": "m"})

    start = datetime.now(UTC)
    assert pull(place, server) == VoteReport(18, 0, 0)
    assert votes_of(place) == expected
    votes = place.read("votes").to_pylist()
    assert {row["seconds"] for row in votes} == {2.5 + number for number in range(6)}
    assert all(abs((row["answered_at"] - start).total_seconds()) < 600 for row in votes)
    assert {row["backend"] for row in votes} == {"label-studio"}
    seen = read_record(place.folder).pulled
    assert (seen.tasks, seen.votes, seen.strangers) == (7, 18, 1)
    assert (seen.cancelled, seen.unusable, seen.superseded) == (1, 2, 0)

    before = (place.folder / "votes.parquet").read_bytes()
    assert pull(place, server, anna.token) == VoteReport(0, 0, 18)  # whoever's token
    assert (place.folder / "votes.parquet").read_bytes() == before

    # carla changes an answer in place, bob answers anew
    server.call("PATCH", f"/api/annotations/{changed}/", carla.token, json={"result": [value]})
    server.annotate(tasks[names[0]], "unsure", bob.token)
    last = (("yes", "unsure")[5 % 2], names[5])
    expected -= {(last[1], f"label-studio:{carla.email}", last[0]), (names[0], f"label-studio:{bob.email}", "no")}
    expected |= {(last[1], f"label-studio:{carla.email}", "no"), (names[0], f"label-studio:{bob.email}", "unsure")}
    assert pull(place, server) == VoteReport(0, 2, 16)
    assert votes_of(place) == expected
    assert read_record(place.folder).pulled.superseded == 1


def pushed_tasks_of_ours(server: LabelStudioServer, project: int) -> dict[str, dict[str, Any]]:
    tasks = server.tasks(project)
    return {task["data"]["noisyweb_id"]: task for task in tasks if "noisyweb_id" in task["data"]}


def test_an_annotator_who_is_removed_stays_one_person(server: LabelStudioServer, tmp_path: Path) -> None:
    dora = server.sign_up("dora@example.com")
    place = Workspace(tmp_path / "removed", create=True)
    ask(place, 1)
    project = push(place, server.token, url=server.url).project.id
    [task] = server.tasks(project)
    server.annotate(task["id"], "yes", dora.token)
    pull(place, server)
    [user] = [user["id"] for user in server.call("GET", "/api/users").json() if user["email"] == dora.email]
    server.call("DELETE", f"/api/organizations/1/memberships/{user}/")
    assert "Deleted" in {user["email"] for user in server.call("GET", "/api/users").json()}
    assert pull(place, server) == VoteReport(0, 0, 1)
    assert {annotator for _, annotator, _ in votes_of(place)} == {"label-studio:dora@example.com"}


def test_personal_access_tokens(server: LabelStudioServer, people: list[Person], tmp_path: Path) -> None:
    place = Workspace(tmp_path / "personal", create=True)
    ask(place, 3)
    token = people[0].personal_token
    report = push(place, token, url=server.url)
    assert report.added == 3
    assert pull(place, server, token) == VoteReport(0, 0, 0)
    with LabelStudio(server.url, token) as client:
        client.get("/api/users")
        client._access = old = server.expired(token)
        assert client.get(f"/api/projects/{report.project.id}")["task_number"] == 3
        assert client._access != old
    for wrong in ("0" * 40, server.expired(token), f"{token}x"):
        with pytest.raises(LabelError, match="the token is refused; set NOISYWEB_LABEL_STUDIO_TOKEN") as refused:
            push(place, wrong)
        assert wrong not in str(refused.value)


def test_projects_that_are_not_ours_are_refused(server: LabelStudioServer, tmp_path: Path) -> None:
    place = Workspace(tmp_path / "place", create=True)
    ask(place, 3)
    for project in ("first project", "1"):
        with pytest.raises(LabelError, match=r"project 1, 'first project', has another labelling interface"):
            push(place, server.token, url=server.url, project=project)
    with pytest.raises(LabelError, match=r"project 987654321 is not there"):
        push(place, server.token, url=server.url, project="987654321")
    with pytest.raises(LabelError, match=r"title: Ensure this field has no more than 50 characters"):
        push(place, server.token, url=server.url, project="x" * 51)
    assert not (place.folder / "label_studio.json").exists()

    mine = push(place, server.token, url=server.url, project='cats & "ants" <b>')
    assert mine.project.title == 'cats & "ants" <b>'
    assert push(place, server.token, project=str(mine.project.id)).there == 3
    other = Workspace(tmp_path / "other", create=True)
    ask(other, 3)
    (other.folder / "classes.json").write_text('["wasp", "bee", "cow"]')
    with pytest.raises(LabelError, match=r"asks about 'ant' as class 0, which is 'wasp' in this workspace"):
        push(other, server.token, url=server.url, project=str(mine.project.id))
    with pytest.raises(LabelError, match=r"asks about 'ant' as class 0, which is 'wasp' in this workspace"):
        pull(other, server, url=server.url, project=str(mine.project.id))
    assert CLASSES[0] == "ant"


def test_the_commands(server: LabelStudioServer, people: list[Person], noisyweb: Program, tmp_path: Path) -> None:
    place = Workspace(tmp_path / "place", create=True)
    ask(place, 4)
    import os

    environ = os.environ | {TOKEN: server.token}
    assert_refused(noisyweb("label", "push", "--workspace", place.folder, env=os.environ), TOKEN, "[label-studio]")
    assert_refused(noisyweb("label", "push", "--workspace", place.folder, env=environ), "--url")
    assert_refused(noisyweb("label", "pull", "--workspace", place.folder, "--url", server.url, env=environ), "pushed")
    done = noisyweb("label", "push", "--workspace", place.folder, "--url", server.url, "--upload", env=environ)
    assert done.returncode == 0, done.stderr
    project = read_record(place.folder).project
    assert done.stdout.splitlines() == [
        f"project {project} made: noisyweb place",
        "tasks: 4 added, 0 already there",
        f"answer at {server.url}/projects/{project}, then: noisyweb label pull --workspace {place.folder}",
    ]
    tasks = server.tasks(project)
    for person in people:
        server.annotate(tasks[0]["id"], "yes", person.token)
    server.annotate(tasks[0]["id"], "yes", was_cancelled=True)
    done = noisyweb("label", "pull", "--workspace", place.folder, env=environ)
    assert done.returncode == 0, done.stderr
    assert "votes: 3 new, 0 changed, 0 already there\n" in done.stdout
    assert done.stdout.endswith("Label Studio: 3 votes in 4 tasks\nnot counted: 1 skipped\n")
    done = noisyweb("label", "push", "--workspace", place.folder, "--project", "the rest", "--undecided", env=environ)
    assert "tasks: 3 added, 0 already there\n" in done.stdout, done.stderr
    assert server.token not in done.stdout + done.stderr
    assert isinstance(push(place, server.token), PushReport)
