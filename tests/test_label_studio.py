"""Label Studio as it should not be: a server on loopback that loses answers, refuses, and talks nonsense."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisyweb.consensus import update
from noisyweb.errors import CorruptFileError, LabelError, SourceError
from noisyweb.label_studio.push import PushReport, push
from noisyweb.label_studio.record import Pulled, Record, read_record, write_record
from noisyweb.label_studio.server import LabelStudio, server_address
from noisyweb.label_studio.tasks import read_tasks
from noisyweb.labelling.label_studio import collect
from noisyweb.schemas import VOTES
from noisyweb.votes import add, as_votes, questions
from noisyweb.workspace import Workspace
from tests.conftest import Program, assert_refused
from tests.label_studio_server import ask
from tests.studio import CHOICES, LEGACY, PERSONAL, Answer, Lost, Studio, refusal

TOKEN = "NOISYWEB_LABEL_STUDIO_TOKEN"
IMPORT = "/api/projects/1/import"


@pytest.fixture
def studio() -> Iterator[Studio]:
    with Studio() as server:
        yield server


class Pauses(list[float]):
    """Connects without ever waiting; holds the seconds that were to be waited."""

    def __call__(self, url: str, token: str) -> LabelStudio:
        return LabelStudio(url, token, pause=self.append)


def pushed(place: Workspace, studio: Studio, token: str = LEGACY, **options: Any) -> PushReport:
    return push(place, token, url=studio.url, connect=options.pop("connect", Pauses()), **options)


def names(studio: Studio, project: int = 1) -> Counter[str]:
    return Counter(task["data"]["noisyweb_id"] for task in studio.tasks[project])


def wanted(place: Workspace) -> Counter[str]:
    return Counter(f"{row['label']}/{row['image_id']}" for row in questions(place).to_pylist())


# -- addresses, tokens, refusals -----------------------------------------------------------------------------


def test_addresses_have_one_form() -> None:
    assert server_address(" http://LocalHost:8080/ ") == "http://localhost:8080"
    assert server_address("https://labels.example.org/studio//") == "https://labels.example.org/studio"
    for wrong in (
        "",
        "localhost:8080",
        "ftp://x",
        "http://",
        "http://x:99999",
        "http://a b",
        "http://[::1",
        "file:///x",
    ):
        with pytest.raises(LabelError, match="no address of a server; expected one such as http://127"):
            server_address(wrong)
    for wrong in ("http://user:secret@x", "http://x/?token=secret", "http://x/#secret"):
        with pytest.raises(LabelError, match="no user, password") as refused:
            server_address(wrong)
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            refusal(401, "Invalid token."),
            r"the token is refused; set NOISYWEB_LABEL_STUDIO_TOKEN .* \(Invalid token\.\)",
        ),
        (refusal(403, "You do not have permission"), r"may not GET /api/projects; .* \(You do not have permission\)"),
        (refusal(404, "Not found."), r"there is no /api/projects; is this the address"),
        (Answer(b"<html>", 404), r"there is no /api/projects; is this the address of Label Studio"),
        (Answer(b"", 413), r"too large for it or for a proxy before it"),
        (
            refusal(400, "Validation error", title=["too long", "too odd"]),
            r"status 400 \(title: too long; title: too odd\)",
        ),
        (refusal(400, "Validation error", non_field_errors=["no"]), r"is refused, status 400 \(no\)$"),
        (Answer(b"<html>hello", 200), r"answers with text/html, not with JSON; is this the address of Label Studio"),
        (Answer(b"[" * 100_000, 200), r"not with JSON"),
        (Answer(b'{"a": NaN}', 200), r"not with JSON"),
        (
            Answer(b"", 302, {"Location": "http://elsewhere/login"}),
            r"it redirects /api/projects to http://elsewhere/login",
        ),
        (
            Answer({"detail": "\x1b[31m" + "long " * 1000}, 400),
            r"status 400 \(\[31mlong long [long ]{280,300}\.\.\.\)$",
        ),
        (Answer(["odd"], 418), r"GET /api/projects is refused, status 418$"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals_are_one_clear_line(studio: Studio, answer: Answer, message: str) -> None:
    studio.fail("GET", "/api/projects", answer)
    with LabelStudio(studio.url, LEGACY) as server, pytest.raises(LabelError, match=message) as refused:
        server.get("/api/projects")
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(studio.url)


def test_nobody_there() -> None:
    message = r"cannot be reached \(.*refused.*\); does Label Studio run there\?"
    with LabelStudio("http://127.0.0.1:1", LEGACY) as server, pytest.raises(LabelError, match=message):
        server.get("/api/projects")


def test_redirects_are_not_followed(studio: Studio) -> None:
    with Studio() as other, LabelStudio(studio.url, LEGACY) as server:
        studio.fail("POST", "/api/projects", Answer(b"", 307, {"Location": f"{other.url}/api/projects"}))
        with pytest.raises(LabelError, match="redirects"):
            server.post("/api/projects", {"title": "secret plans"})
        assert not other.requests


@pytest.mark.parametrize("token", [LEGACY, PERSONAL])
def test_a_server_that_repeats_the_token_does_not_show_it(studio: Studio, token: str) -> None:
    with LabelStudio(studio.url, token) as server:
        server.get("/api/users")
        said = f"bad {token} {studio.access or token} {'x' * 270} {token}"
        for answer in (refusal(400, said), Answer(b"", 302, {"Location": f"http://x/{token}/{studio.access}"})):
            studio.fail("GET", "/api/users", answer)
            with pytest.raises(LabelError, match=r"\*\*\*") as refused:
                server.get("/api/users")
            assert token[:8] not in str(refused.value)
            assert not studio.access or studio.access not in str(refused.value)


def test_an_answer_without_end_is_not_kept(studio: Studio) -> None:
    studio.fail("GET", "/api/users", Answer(gzip.compress(bytes(260 << 20), 1), 200, {"Content-Encoding": "gzip"}))
    with LabelStudio(studio.url, LEGACY) as server, pytest.raises(LabelError, match="more than 256 MiB"):
        server.get("/api/users")


def test_cookies_are_not_kept(studio: Studio) -> None:
    with LabelStudio(studio.url, LEGACY) as server:
        server.get("/api/users")
        server.get("/api/users")
    assert all("cookie" not in request.headers for request in studio.requests)


def test_a_personal_token_is_exchanged_and_renewed_once(studio: Studio) -> None:
    with LabelStudio(studio.url, PERSONAL) as server:
        server.get("/api/users")
        assert studio.asked("POST", "/api/token/refresh") == 1
        studio.access = "over"
        assert server.get("/api/users") == studio.users
        assert studio.asked("POST", "/api/token/refresh") == 2
        studio.access = "over"
        assert server.post("/api/projects", {"title": "made once"})["title"] == "made once"
        studio.fail("GET", "/api/users", refusal(401, "no"), refusal(401, "still no"))
        with pytest.raises(LabelError, match=r"the token is refused; .*still no"):
            server.get("/api/users")
    assert len(studio.projects) == 1


@pytest.mark.parametrize("answer", [Answer({}), Answer({"access": 5}), Answer({"access": "a\nb"}), Answer([])])
def test_odd_access_tokens_are_refused(studio: Studio, answer: Answer) -> None:
    studio.fail("POST", "/api/token/refresh", answer)
    with LabelStudio(studio.url, PERSONAL) as server, pytest.raises(LabelError, match="expected an access token"):
        server.get("/api/users")
    with LabelStudio(studio.url, "not.the.one") as server, pytest.raises(LabelError, match="the token is refused"):
        server.get("/api/users")


def test_too_many_requests(studio: Studio) -> None:
    pauses = Pauses()
    soon = (datetime.now(UTC) + timedelta(seconds=50)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    waits = ("3", soon, "soon")
    studio.fail("POST", "/api/projects", *(Answer(b"", 429, {"Retry-After": wait}) for wait in waits))
    with pauses(studio.url, LEGACY) as server:
        server.post("/api/projects", {"title": "made once"})
        assert len(studio.projects) == 1
        assert pauses[0] == 3
        assert 0 <= pauses[1] <= 50
        assert pauses[2] == 1
        studio.fail("GET", "/api/users", *[Answer(b"", 429)] * 4)
        with pytest.raises(LabelError, match="it goes on asking for fewer requests; try again later"):
            server.get("/api/users")
        studio.fail("GET", "/api/users", Answer(b"", 429, {"Retry-After": "86400"}))
        with pytest.raises(LabelError, match="it asks to wait 86400 seconds before the next request; come back then"):
            server.get("/api/users")


def test_what_may_pass_is_asked_again(studio: Studio) -> None:
    pauses = Pauses()
    studio.fail("GET", "/api/users", Lost(), Answer(b"<html>", 502), refusal(500, "database is locked"))
    with pauses(studio.url, LEGACY) as server:
        assert server.get("/api/users") == studio.users
        assert pauses == [1, 2, 4]
        studio.fail("GET", "/api/users", *[Answer(b"", 503)] * 4)
        with pytest.raises(LabelError, match="GET /api/users failed with status 503; try again later"):
            server.get("/api/users")
        studio.fail("GET", "/api/users", *[Lost()] * 4)
        with pytest.raises(LabelError, match=r"the answer to GET /api/users was lost \(.+\); try again"):
            server.get("/api/users")


# -- push ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "/label/studio"])
@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("token", [LEGACY, PERSONAL])
def test_push(place: Workspace, prefix: str, later: bool, token: str) -> None:
    ask(place, 5)
    with Studio(prefix=prefix, later=later) as studio:
        for added in (5, 0):
            report = pushed(place, studio, token)
            assert (report.added, report.there) == (added, 5 - added)
        assert names(studio, report.project.id) == wanted(place)
        report = pushed(place, studio, token, project="uploads", upload=True)
        project = report.project.id
        assert names(studio, project) == wanted(place)
        for task in studio.tasks[project]:
            path = task["data"]["image"].removeprefix(f"{prefix}/data/")
            assert studio.contents[path] == place.get(task["data"]["noisyweb_id"].split("/")[1])


def test_large_pushes_go_in_parts(place: Workspace, studio: Studio) -> None:
    ask(place, 2_500, store=False)
    assert pushed(place, studio).added == 2_500
    assert studio.asked("POST", IMPORT) == 3
    sizes = [len(json.loads(each.body)) for each in studio.requests if each.path == IMPORT]
    assert sizes == [1_000, 1_000, 500]
    del studio.tasks[1][500:1_200]
    assert pushed(place, studio).added == 700
    assert names(studio) == wanted(place)


@pytest.mark.parametrize(
    "faults",
    [
        [Lost()],
        [Lost(after=True)],
        [Lost(after=True, part=300)],
        [Lost(listings=0), Lost(after=True, part=1)],
        [Lost(listings=2)],
        [Answer(b"<html>Bad gateway", 502)],
        [refusal(500, "database is locked"), Lost(after=True, part=999)],
        [Answer(b"", 429, {"Retry-After": "0"})],
    ],
    ids=repr,
)
def test_lost_answers_make_no_second_task(place: Workspace, studio: Studio, faults: list[Answer | Lost]) -> None:
    ask(place, 1_200, store=False)
    studio.fail("POST", IMPORT, *faults)
    report = pushed(place, studio)
    assert (report.added, report.repeated) == (1_200, 0)
    assert names(studio) == wanted(place)


def test_a_server_that_loses_everything_ends_the_push(place: Workspace, studio: Studio) -> None:
    ask(place, 3)
    pauses = Pauses()
    studio.fail("POST", IMPORT, *[Lost()] * 3)
    with pytest.raises(LabelError, match=r"the answer to POST /api/projects/\d+/import was lost"):
        pushed(place, studio, connect=pauses)
    assert pauses == [1, 4, 15] * 2
    assert pushed(place, studio).added == 3


def test_a_killed_pushs_last_import_may_still_come(place: Workspace, studio: Studio) -> None:
    ask(place, 30)
    project = pushed(place, studio).project.id
    tasks = studio.tasks[project]
    record = read_record(place.folder)
    assert record.sending == []
    ids = [task["data"]["noisyweb_id"] for task in tasks]
    late, studio.tasks[project] = tasks[20:], tasks[:20]
    write_record(place.folder, Record(record.url, project, [ids[20], ids[-1]]))

    class Arriving(Pauses):
        def append(self, seconds: float) -> None:
            super().append(seconds)
            if len(self) == 2:  # while the push waits for the second time
                studio.tasks[project] += late

    pauses = Arriving()
    assert pushed(place, studio, connect=pauses).added == 0
    assert pauses == [1, 4]
    assert names(studio, project) == wanted(place)


@pytest.mark.parametrize("after", [False, True])
def test_a_project_whose_answer_was_lost(place: Workspace, studio: Studio, after: bool) -> None:
    ask(place, 3)
    studio.fail("POST", "/api/projects", Lost(after=after))
    if after:
        assert pushed(place, studio).project.is_new
    else:
        with pytest.raises(LabelError, match="the answer to POST /api/projects was lost"):
            pushed(place, studio)
        pushed(place, studio)
    assert len(studio.projects) == 1
    assert names(studio) == wanted(place)


@pytest.mark.parametrize("after", [False, True])
def test_uploads_whose_answer_was_lost(place: Workspace, studio: Studio, after: bool) -> None:
    ask(place, 7)
    studio.fail("POST", IMPORT, Lost(after=after))
    assert pushed(place, studio, upload=True).added == 7
    assert len(studio.files[1]) == 7
    del studio.tasks[1][3:]
    assert pushed(place, studio, upload=True).added == 4
    assert len(studio.files[1]) == 7  # what is there is used again
    assert names(studio) == wanted(place)


def test_uploads_are_cut_by_bytes_and_by_number(place: Workspace, studio: Studio) -> None:
    ask(place, 120)
    rows = place.read("images").to_pylist()
    for number, row in enumerate(rows[:5]):
        row["image_id"] = place.put(b"\xff\xd8\xff" + bytes([number]) * (9 << 20))
    place.write("images", pa.Table.from_pylist(rows, schema=place.read("images").schema))
    assert pushed(place, studio, upload=True).added == 120
    sent = [each.body for each in studio.requests if "multipart" in each.headers.get("content-type", "")]
    assert len(sent) >= 3
    assert max(map(len, sent)) < 21 << 20
    assert max(body.count(b"filename=") for body in sent) == 50
    assert len(studio.contents) == 120


def test_an_image_that_is_gone_stops_an_upload(place: Workspace, studio: Studio) -> None:
    ask(place, 3)
    place.path(questions(place)["image_id"][1].as_py()).unlink()
    with pytest.raises(SourceError, match="is not in the store"):
        pushed(place, studio, upload=True)


def test_undecided_only(place: Workspace, studio: Studio) -> None:
    ask(place, 4)
    asked = questions(place).to_pylist()
    rows = [
        {"image_id": row["image_id"], "label": row["label"], "annotator": who, "answer": answer, "backend": "x"}
        for row, answers in zip(asked, (["yes"] * 3, ["no"] * 3, ["yes", "no", "unsure"]), strict=False)
        for who, answer in zip("abc", answers, strict=True)
    ]
    add(place, [as_votes(pa.Table.from_pylist(rows))])
    update(place)
    assert pushed(place, studio, undecided=True).added == 2
    assert names(studio) == Counter(f"{row['label']}/{row['image_id']}" for row in asked[2:])
    assert pushed(place, studio).added == 2


def test_nothing_to_show(place: Workspace, studio: Studio) -> None:
    place.set_class_names(["ant"])
    with pytest.raises(LabelError, match="it has no images to ask about; start with `noisyweb crawl`"):
        pushed(place, studio)


def test_images_without_a_web_address_need_uploads(place: Workspace, studio: Studio) -> None:
    ask(place, 3)
    rows = [
        row | {"url": row["url"].replace("http://127.0.0.1:9", "file:///home")}
        for row in place.read("images").to_pylist()
    ]
    place.write("images", pa.Table.from_pylist(rows, schema=place.read("images").schema))
    with pytest.raises(
        LabelError, match=r"3 of 3 images have no web address .* such as file:///home/\d.jpg; push with --upload"
    ):
        pushed(place, studio)
    assert not studio.requests
    assert pushed(place, studio, upload=True).added == 3
    assert "/home" not in json.dumps(studio.tasks[1])


def test_two_projects_of_one_title(place: Workspace, studio: Studio) -> None:
    ask(place, 3)
    for number in (7, 9):
        studio.projects.append({"id": number, "title": "twins", "parsed_label_config": CHOICES})
        studio.tasks[number] = []
    with pytest.raises(LabelError, match="2 projects are titled 'twins'; name one by its id: --project 7, 9"):
        pushed(place, studio, project="twins")
    assert pushed(place, studio, project="9").project.title == "twins"
    assert pushed(place, studio, project="twin").project.is_new  # a title that others contain


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"parsed_label_config": {}}, "has another labelling interface"),
        ({"parsed_label_config": {"answer": {"labels": ["yes", "no"]}}}, "has another labelling interface"),
        ({"parsed_label_config": {"answer": {"labels": [1, None, {}]}}}, "has another labelling interface"),
        ({"parsed_label_config": None}, "'parsed_label_config' is NoneType, expected an object"),
        ({"title": 5}, "'title' is int, expected text"),
        ({"id": True}, "'id' is bool, expected a whole number"),
        ({"id": "1"}, "'id' is str, expected a whole number"),
    ],
)
def test_odd_projects(place: Workspace, studio: Studio, made: dict[str, Any], message: str) -> None:
    ask(place, 1)
    studio.fail("POST", "/api/projects", Answer({"id": 1, "title": "t", "parsed_label_config": CHOICES} | made, 201))
    with pytest.raises(LabelError, match=message):
        pushed(place, studio)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer({"task_count": 2}), "3 tasks were sent, it says that it added 2"),
        (Answer({"task_count": "3"}), "'task_count' is str, expected a whole number"),
        (Answer({}), "'import' is NoneType, expected a whole number"),
        (Answer([]), "an import answers in another shape than Label Studio does: found list, expected an object"),
        (Answer({"import": 77}), r"an import failed \(no such import\); see the server's log"),
        (refusal(400, "no", non_field_errors=["Error at item 0"]), r"is refused, status 400 \(Error at item 0\)"),
        (Answer(b"", 413), "too large for it"),
    ],
)
def test_odd_imports(place: Workspace, studio: Studio, answer: Answer, message: str) -> None:
    ask(place, 3)
    studio.fail("POST", IMPORT, answer)
    with pytest.raises(LabelError, match=message):
        pushed(place, studio)


def test_odd_uploads(place: Workspace, studio: Studio) -> None:
    ask(place, 1)
    studio.fail(
        "POST",
        IMPORT,
        Answer({"task_count": 1, "file_upload_ids": ["x"]}),
        Answer({"task_count": 1, "file_upload_ids": []}),
    )
    with pytest.raises(LabelError, match="an upload answers in another shape"):
        pushed(place, studio, upload=True)
    with pytest.raises(LabelError, match=r"image [0-9a-f]{64} was uploaded, and is not among the files of project 1"):
        pushed(place, studio, upload=True)
    studio.fail("GET", "/api/projects/1/file-uploads", Answer({}))
    with pytest.raises(LabelError, match="its list of files answers in another shape"):
        pushed(place, studio, upload=True)


def test_another_push_waits_for_its_turn(place: Workspace, studio: Studio) -> None:
    ask(place, 1)
    with place.locked(), pytest.raises(SourceError, match="another noisyweb process is writing to it"):
        pushed(place, studio)
    assert not studio.requests


def test_tasks_made_twice_by_others_are_told(place: Workspace, studio: Studio) -> None:
    ask(place, 4)
    pushed(place, studio)
    studio.tasks[1] += [dict(task, id=1000 + n) for n, task in enumerate(studio.tasks[1][:3])]
    report = pushed(place, studio)
    assert (report.added, report.there, report.repeated) == (0, 4, 3)


# -- lists of tasks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_a_server_may_give_smaller_pages(place: Workspace, limit: int) -> None:
    ask(place, 60)
    with Studio(page_limit=limit) as studio:
        assert pushed(place, studio).added == 60
        assert pushed(place, studio).there == 60
        assert len(list(pulled(place, studio))) == 0


def test_tasks_that_are_removed_meanwhile_hide_none(place: Workspace) -> None:
    ask(place, 300, store=False)
    with Studio(page_limit=10) as studio:
        pushed(place, studio)
        with LabelStudio(studio.url, LEGACY) as server:
            done = []

            def read(task: Any) -> int:
                if len(done) == 5:
                    del studio.tasks[1][:3]  # the others move up: three of the second page are on the first now
                done.append(task["id"])
                return int(task["id"])

            assert read_tasks(server, 1, read) == [task["id"] for task in studio.tasks[1]]

            def spoil(task: Any) -> None:
                studio.tasks[1] = studio.tasks[1][1:]

            with pytest.raises(LabelError, match="tasks of project 1 are being removed; try again when that is done"):
                read_tasks(server, 1, spoil)


@pytest.mark.parametrize(
    "answer",
    [
        Answer([]),
        Answer({"tasks": []}),
        Answer({"total": 1, "tasks": {}}),
        Answer({"total": True, "tasks": []}),
        Answer({"total": 1, "tasks": [5]}),
        Answer({"total": 1, "tasks": [{"id": None}]}),
        Answer(b"<html>", 200),
    ],
)
def test_odd_lists(place: Workspace, studio: Studio, answer: Answer) -> None:
    ask(place, 1)
    studio.fail("GET", "/api/tasks", answer)
    with pytest.raises(LabelError, match=r"answers in another shape than Label Studio does|not with JSON"):
        pushed(place, studio)


# -- pull ------------------------------------------------------------------------------------------------------


def pulled(place: Workspace, studio: Studio, **options: str) -> list[dict[str, Any]]:
    given = {"workspace": str(place.folder), "token": LEGACY, **options}
    return [row for table in collect(questions(place), given) for row in table.to_pylist()]


def said(answer: Any, by: Any = 1, at: str = "2026-01-02T03:04:05.678900Z", **more: Any) -> dict[str, Any]:
    value = {"from_name": "answer", "to_name": "image", "type": "choices", "value": {"choices": [answer]}}
    common = {"id": 1, "result": [value], "was_cancelled": False, "lead_time": None, "created_at": at, "updated_at": at}
    return common | {"completed_by": by} | more


def test_pull(place: Workspace, studio: Studio) -> None:
    ask(place, 3)
    pushed(place, studio)
    tasks = studio.tasks[1]
    asked = questions(place).to_pylist()
    studio.users = [
        {"id": 1, "email": "owner@example.com"},
        {"id": 2, "email": "Deleted"},
        {"id": 3, "email": "Deleted"},
    ]
    tasks[0]["annotations"] = [said("yes", lead_time=1.5), said("no", 2), said("unsure", 3, lead_time=-1)]
    tasks[1]["annotations"] = [
        said("no", {"id": 4, "email": "guest@example.com"}),
        said("no", {"id": 5, "email": "a b"}),
    ]
    tasks[2]["annotations"] = [
        said("no", None),
        said("yes", was_cancelled=True),
        said("perhaps"),
        said("yes", result=None),
    ]
    rows = pulled(place, studio)
    assert [(row["annotator"], row["answer"], row["seconds"]) for row in rows] == [
        ("label-studio:2", "no", None),
        ("label-studio:3", "unsure", None),
        ("label-studio:owner@example.com", "yes", 1.5),
        ("label-studio:5", "no", None),
        ("label-studio:guest@example.com", "no", None),
    ]
    assert [row["image_id"] for row in rows] == [asked[0]["image_id"]] * 3 + [asked[1]["image_id"]] * 2
    assert rows[0]["answered_at"] == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    assert read_record(place.folder).pulled == Pulled(tasks=3, votes=5, cancelled=1, unusable=3)
    assert pa.Table.from_pylist(rows, schema=VOTES).num_rows == 5


def test_names_stay_as_they_were_first(place: Workspace, studio: Studio) -> None:
    ask(place, 1)
    pushed(place, studio)
    studio.users = [{"id": 2, "email": "anna@example.com"}]
    studio.tasks[1][0]["annotations"] = [said("yes", 2)]
    first = pulled(place, studio)
    for users in ([{"id": 2, "email": "anna@else.example"}], []):
        studio.users = users
        assert pulled(place, studio) == first
    studio.fail("GET", "/api/users", refusal(403, "no"))
    assert pulled(place, studio) == first
    studio.fail("GET", "/api/users", Answer({}))
    with pytest.raises(LabelError, match="its list of users answers in another shape"):
        pulled(place, studio)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (5, "found int, expected an object"),
        (said("yes", by="anna"), "'completed_by' is str, expected a whole number or an object or null"),
        (said("yes", by={}), "'id' is NoneType, expected a whole number"),
        (said("yes", was_cancelled="no"), "'was_cancelled' is str, expected a truth or null"),
        (said("yes", result="yes"), "'result' is str, expected a list or null"),
        (said("yes", lead_time="long"), "'lead_time' is str, expected a whole number or a number or null"),
        (said("yes", at="yesterday"), "'created_at' is 'yesterday', expected a time"),
        (said("yes", updated_at="0001-01-01T00:00:00+14:00"), "'updated_at' is '0001"),
        (said("yes", id="1"), "'id' is str"),
    ],
    ids=repr,
)
def test_odd_annotations(place: Workspace, studio: Studio, annotation: Any, message: str) -> None:
    ask(place, 1)
    pushed(place, studio)
    before = (place.folder / "label_studio.json").read_bytes()
    studio.tasks[1][0]["annotations"] = [annotation]
    with pytest.raises(LabelError, match=message):
        pulled(place, studio)
    assert (place.folder / "label_studio.json").read_bytes() == before


def test_strange_results_are_counted(place: Workspace, studio: Studio) -> None:
    ask(place, 1)
    pushed(place, studio)
    value = said("yes")["result"][0]
    strange = [
        [],
        [5],
        [value, value],
        [value | {"value": {"choices": ["yes", "no"]}}],
        [value | {"value": {"choices": [["yes"]]}}],
        [value | {"value": {"choices": "yes"}}],
        [value | {"value": None}],
        [value | {"type": "textarea"}],
        [value | {"from_name": "else"}],
    ]
    studio.tasks[1][0]["annotations"] = [said("yes", result=result) for result in strange]
    assert pulled(place, studio) == []
    assert read_record(place.folder).pulled == Pulled(tasks=1, unusable=len(strange))
    text = {"from_name": "comment", "type": "textarea", "value": {"text": ["hm"]}}
    studio.tasks[1][0]["annotations"] = [said("yes", result=[text, value], lead_time=10**400, updated_at=None)]
    assert [(row["answer"], row["seconds"]) for row in pulled(place, studio)] == [("yes", None)]


def test_tasks_that_are_not_ours_are_counted(place: Workspace, studio: Studio) -> None:
    ask(place, 1)
    pushed(place, studio)
    [ours] = studio.tasks[1]
    name = ours["data"]["noisyweb_id"]
    strangers: list[Any] = [
        None,
        {},
        {"noisyweb_id": name},
        {"noisyweb_id": 5, "class_name": "ant"},
        {"noisyweb_id": f"1/{name[2:]}", "class_name": "ant"},
        {"noisyweb_id": f"00/{name[2:]}", "class_name": "ant"},
        {"noisyweb_id": f"{name}\n", "class_name": "ant"},
    ]
    studio.tasks[1] += [
        {"id": 100 + number, "data": data, "annotations": [said("no")]} for number, data in enumerate(strangers)
    ]
    ours["annotations"] = [said("yes")]
    assert [row["answer"] for row in pulled(place, studio)] == ["yes"]
    assert read_record(place.folder).pulled == Pulled(tasks=8, votes=1, strangers=7)
    ours["data"]["class_name"] = "wasp"
    with pytest.raises(
        LabelError, match=r"asks about 'wasp' as class 0, which is 'ant' in this workspace: it belongs to"
    ):
        pulled(place, studio)


annotations = st.tuples(
    st.integers(0, 3),  # task
    st.integers(1, 3),  # user
    st.integers(0, 5),  # minute of change
    st.sampled_from(["yes", "no", "unsure", "perhaps", None]),  # None: skipped
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_=st.lists(annotations, max_size=30))
def test_votes_are_the_latest_answers(
    tmp_path_factory: pytest.TempPathFactory, studio: Studio, given_: list[tuple[int, int, int, str | None]]
) -> None:
    place = Workspace(tmp_path_factory.mktemp("w"), create=True)
    ask(place, 3, store=False)
    report = pushed(place, studio, project=place.folder.name)
    tasks = studio.tasks[report.project.id]
    tasks.append({"id": 10_000, "data": tasks[0]["data"], "annotations": []})  # a second task of one question
    expected: dict[tuple[str, int], tuple[int, int, str]] = {}
    for number, (task, user, minute, answer) in enumerate(given_):
        at = f"2026-01-01T00:0{minute}:00Z"
        tasks[task]["annotations"].append(
            said(answer or "yes", user, id=number, was_cancelled=answer is None, updated_at=at)
        )
        key = (tasks[task]["data"]["noisyweb_id"], user)
        if answer in ("yes", "no", "unsure"):
            expected[key] = max(expected.get(key, (-1, -1, "")), (minute, number, answer))
    rows = pulled(place, studio)
    studio.users = [{"id": 1, "email": "owner@example.com"}]
    people = {1: "label-studio:owner@example.com", 2: "label-studio:2", 3: "label-studio:3"}
    got = {(f"{row['label']}/{row['image_id']}", row["annotator"]): row["answer"] for row in rows}
    assert got == {(name, people[user]): answer for (name, user), (_, _, answer) in expected.items()}
    keys = [(row["label"], row["image_id"], row["annotator"]) for row in rows]
    assert keys == sorted(set(keys))
    seen = read_record(place.folder).pulled
    answers = [answer for *_, answer in given_]
    assert (seen.votes, seen.cancelled, seen.unusable) == (len(rows), answers.count(None), answers.count("perhaps"))
    assert seen.votes + seen.superseded + seen.cancelled + seen.unusable == len(given_)


# -- what a workspace remembers ----------------------------------------------------------------------------------


def test_server_and_project_are_remembered(place: Workspace, studio: Studio) -> None:
    ask(place, 2)
    with pytest.raises(LabelError, match="no Label Studio server is known yet; name it with --url"):
        push(place, LEGACY)
    with pytest.raises(LabelError, match="nothing was pushed to Label Studio yet; name a project with --project"):
        pulled(place, studio, url=studio.url)
    with pytest.raises(LabelError, match="no project is titled 'mine'; push first, or name another"):
        pulled(place, studio, url=studio.url, project="mine")
    pushed(place, studio, project="mine")
    assert push(place, LEGACY).there == 2
    with Studio() as other:
        message = rf"--url {other.url}: this workspace was pushed to {studio.url}, project 1; leave --url out, or name"
        with pytest.raises(LabelError, match=message):
            pushed(place, other)
        with pytest.raises(LabelError, match=message):
            pulled(place, other, url=other.url)
        assert not other.requests
        assert pushed(place, other, project="mine").added == 2
        assert read_record(place.folder).url == other.url
        assert pulled(place, studio, url=studio.url, project="mine") == []
        assert read_record(place.folder).url == other.url  # a pull leaves it as it is
    studio.tasks.clear()
    with pytest.raises(LabelError, match="project 1 is not there, or the token's user may not see it"):
        pushed(place, studio, project="1")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"pulled": {}, "url": 5}',
        '{"pulled": {}, "project": "x"}',
        '{"pulled": {"odd": 1}}',
        '{"pulled": {"votes": null}}',
        '{"pulled": {}, "annotators": {"a": []}}',
        '{"pulled": {}, "annotators": {"a": {"1": 2}}}',
        '{"pulled": {}, "sending": [1]}',
        '{"pulled": {}, "sending": "x"}',
        '{"pulled": {}, "odd": 1}',
        "[" * 100_000,
    ],
)
def test_damaged_records(place: Workspace, content: str) -> None:
    (place.folder / "label_studio.json").write_text(content)
    with pytest.raises(CorruptFileError, match=r"label_studio.json: damaged \(.*\); restore it from a copy, or delete"):
        read_record(place.folder)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = Record("http://x", 3, ["a", "b"], {"http://x": {"1": "label-studio:é@x"}}, Pulled(1, 2, 3, 4, 5, 6))
    assert read_record(tmp_path) == Record()
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record


# -- commands ----------------------------------------------------------------------------------------------------


def test_the_token_is_in_no_output(place: Workspace, studio: Studio, noisyweb: Program, tmp_path: Path) -> None:
    ask(place, 2)
    environ = {**os.environ, TOKEN: LEGACY}
    refused = refusal(403, f"no {LEGACY}")
    studio.fail("GET", "/api/projects", refused)
    done = noisyweb("label", "push", "--workspace", place.folder, "--url", studio.url, env=environ)
    assert_refused(done, "may not GET /api/projects", "***")
    assert LEGACY not in done.stdout + done.stderr
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[label-studio]\ntoken = "{PERSONAL}"\n')
    environ.pop(TOKEN)
    assert_refused(noisyweb("label", "pull", "--workspace", place.folder, env=environ), TOKEN)
    done = noisyweb("label", "push", "--workspace", place.folder, "--url", studio.url, "--keys", keys, env=environ)
    project = read_record(place.folder).project
    assert f"project {project} made: noisyweb w\ntasks: 2 added, 0 already there\n" in done.stdout, done.stderr
    studio.tasks[project][0]["annotations"] = [said("yes"), said("no", was_cancelled=True)]
    done = noisyweb("label", "pull", "--workspace", place.folder, "--keys", keys, env=environ)
    assert "votes: 1 new, 0 changed, 0 already there\n" in done.stdout, done.stderr
    assert done.stdout.endswith("Label Studio: 1 votes in 2 tasks\nnot counted: 1 skipped\n")
