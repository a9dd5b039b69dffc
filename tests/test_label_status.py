"""What the status of a workspace shows, and the numbers that it is made of."""

from __future__ import annotations

import csv
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.cli._vote_view import annotator_lines, printable
from noisyweb.consensus import majority, update
from noisyweb.consensus.csv_file import write_csv
from noisyweb.consensus.effort import RECENT, Effort, effort, missing
from noisyweb.consensus.tally import tally
from noisyweb.consensus.wanted import wanted
from noisyweb.consensus.worth import WORTH, entropy, worth
from noisyweb.errors import LabelError, OutputError
from noisyweb.funnel import STEPS, by_class, funnel
from noisyweb.schemas import DUPLICATES, KNOWN, VERDICTS, VOTES
from noisyweb.votes import QUESTIONS, add, questions
from noisyweb.workspace import Workspace
from tests.conftest import Program, assert_refused
from tests.test_annotators import timed
from tests.test_consensus import all_votes, table, weak

NAMES = ("ant", "bee", "cat's \x1b[31meye")
IMAGE = {
    "status": "ok",
    "retry": False,
    "attempts": 1,
}


def found(place: Workspace, images: list[tuple[str, int, str | None]]) -> None:
    """Images that a crawl found: URL, label, image id (None: not fetched)."""
    with place.journal("images") as journal:
        for url, label, image_id in images:
            journal.add({**IMAGE, "url": url, "label": label, "image_id": image_id})
    with place.journal("candidates") as journal:
        for url, label, _ in images:
            journal.add({"url": url, "label": label, "provider": "openverse", "query": "q", "rank": 0})


def drop(place: Workspace, keys: list[tuple[str, int]]) -> None:
    rows = [
        {"image_id": image_id, "label": label, "kept_id": "x", "kind": "near", "against": "web"}
        for image_id, label in keys
    ]
    place.write("duplicates", pa.Table.from_pylist(rows, schema=DUPLICATES))


# -- questions and the funnel ----------------------------------------------------------------------------

KEYS = st.tuples(st.sampled_from("abcde"), st.integers(0, 2))


@given(
    st.dictionaries(
        st.tuples(st.text("xyz/é\U0001f41c", max_size=3), st.integers(0, 2)), st.none() | st.sampled_from("abcde")
    ),
    st.sets(KEYS),
    st.dictionaries(KEYS, st.sampled_from([True, False, None])),
    st.sets(KEYS),
)
@settings(deadline=None, max_examples=50)
def test_questions_and_funnel_agree_with_counting(
    tmp_path_factory: pytest.TempPathFactory,
    images: dict,
    dropped: set[tuple[str, int]],
    judged: dict,
    voted: set[tuple[str, int]],
) -> None:
    place = Workspace(tmp_path_factory.mktemp("w"))
    place.set_class_names(NAMES)
    found(place, [(url, label, image_id) for (url, label), image_id in images.items()])
    drop(place, sorted(dropped))
    verdicts = [
        {
            "image_id": key[0],
            "label": key[1],
            "is_clean": is_clean,
            "status": "decided" if is_clean is not None else "u",
        }
        | dict.fromkeys(("votes_yes", "votes_no"), 0)
        | {"votes_total": int(key in voted or is_clean is not None)}
        for key, is_clean in judged.items()
    ]
    place.write("verdicts", pa.Table.from_pylist(verdicts, schema=VERDICTS))
    urls: dict[tuple[int, str], list[str]] = {}
    for (url, label), image_id in images.items():
        if image_id is not None and (image_id, label) not in dropped:
            urls.setdefault((label, image_id), []).append(url)
    asked = questions(place)
    assert asked.schema == QUESTIONS
    assert asked.to_pylist() == [
        {"image_id": image_id, "label": label, "class_name": NAMES[label], "url": min(urls[label, image_id])}
        for label, image_id in sorted(urls)
    ]
    for label, row in enumerate(by_class(place)):
        mine = [(image_id, k) for k, image_id in urls if k == label]
        assert row == {
            "found": sum(k == label for _, k in images),
            "fetched": sum(k == label and image_id is not None for (_, k), image_id in images.items()),
            "unique": len(mine),
            "voted": sum(key in judged and (key in voted or judged[key] is not None) for key in mine),
            "decided": sum(judged.get(key) is not None for key in mine),
            "wrong": sum(judged.get(key) is False for key in mine),
        }
    assert funnel(place) == {step: sum(row[step] for row in by_class(place, asked)) for step in STEPS}


# -- what is left to do ----------------------------------------------------------------------------------


@given(all_votes, st.sets(KEYS))
def test_what_is_missing_agrees_with_the_rule(votes: dict, asked: set[tuple[str, int]]) -> None:
    rows = [(image, label, f"{who}", said) for ((image, label), who), said in votes.items()]
    keys = sorted(asked)
    wanted_by = missing(
        pa.table({"image_id": pa.array([key[0] for key in keys], pa.string()), "label": [key[1] for key in keys]}),
        tally(table(rows)),
    )
    for key, wants in zip(keys, wanted_by.tolist(), strict=True):
        counts = Counter(said for image, label, _, said in rows if (image, label) == key)
        assert wants == wanted(counts["yes"], counts["no"], counts["unsure"]) - counts.total()


def test_the_pace_is_that_of_the_last_people() -> None:
    num = RECENT + 500
    votes = table([(f"{n:06d}", 0, "ann", "yes") for n in range(num)])
    votes = timed(votes, [100.0] * 500 + [2.0] * (RECENT // 2) + [4.0] * (RECENT // 2))
    when = pa.array(np.arange(num) * 1000, VOTES.field("answered_at").type)
    votes = votes.set_column(votes.schema.get_field_index("answered_at"), VOTES.field("answered_at"), when)
    asked = votes.select(["image_id", "label"])
    left = effort(asked, votes, tally(votes))
    assert left == Effort(2 * num, num, 3.0, RECENT)
    assert left.hours == pytest.approx(2 * num * 3 / 3600)
    backwards = votes.take(pa.array(np.arange(num)[::-1].copy()))
    assert effort(asked, backwards, tally(backwards)) == left
    fast = pa.concat_tables([votes, weak(timed(table([("x", 0, "robot", "no")]), [0.0]), "robot")])
    assert effort(asked, fast, tally(fast)).pace_s == 3.0
    untimed = table([("a", 0, "ann", "yes")])
    assert effort(asked, untimed, tally(untimed)).hours is None


@pytest.mark.parametrize("price", [math.nan, math.inf, -0.01])
def test_a_price_that_is_none(price: float) -> None:
    with pytest.raises(LabelError, match=r"^price is .*; expected what a vote costs, a number from 0$"):
        Effort(3, 1, None, 0).cost(price)


# -- what is worth another vote --------------------------------------------------------------------------


def test_entropy() -> None:
    found = entropy(np.array([0.5, 0.0, 1.0, 0.11, 0.89, np.nan]))
    assert found.tolist() == pytest.approx([1.0, 0.0, 0.0, 0.4999, 0.4999, 1.0], abs=1e-4)


def test_the_least_sure_come_first(tmp_path: Path) -> None:
    place = Workspace(tmp_path / "w", create=True)
    place.set_class_names(["ant, red", 'the "bee"'])
    found(place, [(f"http://x/{name}", int(name > "c"), name) for name in "abcdef"])
    verdicts = majority(table([(name, int(name > "c"), f"{n}", "yes") for name in "abcde" for n in range(3)]))
    posterior = pa.array([0.9, 0.2, 0.1, None, 0.6], pa.float32())
    verdicts = verdicts.set_column(VERDICTS.get_field_index("posterior"), VERDICTS.field("posterior"), posterior)
    table_ = worth(questions(place), verdicts)
    assert table_.schema == WORTH
    assert table_["image_id"].to_pylist() == ["d", "e", "b", "a", "c"]  # a and c tie; f has no votes
    write_csv(table_, tmp_path / "next.csv")
    with (tmp_path / "next.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == WORTH.names
    assert [row["image_id"] for row in rows] == ["d", "e", "b", "a", "c"]
    assert [row["class_name"] for row in rows[:3]] == ['the "bee"', 'the "bee"', "ant, red"]
    assert (rows[0]["posterior"], float(rows[0]["entropy"])) == ("", 1.0)
    assert worth(questions(place), VERDICTS.empty_table()).num_rows == 0
    with pytest.raises(OutputError):
        write_csv(table_, tmp_path / "next.csv" / "inside")


# -- the commands ----------------------------------------------------------------------------------------


def test_names_of_others_cannot_command_the_terminal() -> None:
    assert printable("cat\x1b[31m\n\u202e") == "cat\ufffd[31m\ufffd\ufffd"
    assert printable("x" * 50) == "x" * 37 + "..."
    assert printable("Ångström 蟻") == "Ångström 蟻"


def test_only_so_many_annotators_are_listed() -> None:
    from noisyweb.consensus.annotators import annotators

    votes = table([(f"{n}", 0, f"person {who}", "yes") for who in range(5) for n in range(who + 1)])
    found_lines = list(annotator_lines(annotators(votes, tally(votes)), 2))
    assert [line.split("  ")[1].strip() for line in found_lines] == [
        "annotator",
        "person 4",
        "person 3",
        "... and 3 more",
    ]
    assert not list(annotator_lines(annotators(votes, tally(votes)), 0))


@pytest.fixture
def voted(place: Workspace) -> Workspace:
    """Six images of three classes: agreed on, a split, a tie, unsure, weak votes alone, no votes."""
    place.set_class_names(NAMES)
    found(place, [(f"http://x/{name}", "abcdef".index(name) // 2, name) for name in "abcdef"])
    rows = [("a", 0, who, "yes") for who in ("ann", "bob", "cid")]
    rows += [("b", 0, "ann", "no"), ("b", 0, "bob", "no"), ("b", 0, "cid", "yes")]
    rows += [("c", 1, "ann", "no"), ("c", 1, "bob", "yes"), ("d", 1, "ann", "unsure")]
    votes = timed(table(rows), [3.0, 2.0, 4.0, 3.0, 2.0, 4.0, 3.0, 2.0, 4.0])
    add(place, [votes, weak(table([("e", 2, "robot", "no"), ("a", 0, "robot", "no")]), "robot")])
    update(place)
    return place


def test_status(noisyweb: Program, voted: Workspace, tmp_path: Path) -> None:
    known = pa.Table.from_pylist([{"image_id": "k", "label": 0, "answer": "yes"}], schema=KNOWN)
    voted.write("known", known)
    voted.write("known_votes", table([("k", 0, "ann", "no"), ("k", 0, "bob", "yes")]))
    files = ("--worth-file", "o.csv", "--annotators-file", "people.csv")
    done = noisyweb("label", "status", "--workspace", voted.folder, "--price", "0.5", "--worth", "1", *files)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "votes: 11 by 4 annotators on 5 questions; 2 of them weak"
    assert lines[1].startswith("verdicts: 1 right, 1 wrong, 3 undecided (too few votes 3, tie 0)")
    assert lines[2] == "Krippendorff's alpha: 0.067 over 3 questions with two or more yes and no votes"
    assert lines[3] == "found 6  fetched 6  unique 6  voted 4  decided 2  wrong 1"
    # a: 0, b: 2, c: 1, d: 2, e: 3, f: 3
    assert (
        "missing: 11 votes on 5 questions; 0.0 hours at 3.0 s a vote (median of the last 9 measured); " in done.stdout
    )
    assert "5.50 at 0.5 a vote" in done.stdout
    assert "\x1b" not in done.stdout
    people = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  ")}
    assert people["ann"] == ["4", "25.0%", "50.0%", "0.0%", "of", "1", "3.0"]
    assert people["robot"] == ["(machine)", "2", "0.0%", "0.0%", "-", "-"]
    written = {row["annotator"]: row for row in csv.DictReader((tmp_path / "cwd/people.csv").read_text().splitlines())}
    assert sorted(written) == ["ann", "bob", "cid", "robot"]
    assert (written["ann"]["said_no_is_yes"], written["bob"]["said_yes_is_yes"]) == ("1", "1")
    assert any(line.startswith("worth another vote: the 1 least sure of 5 questions with votes") for line in lines)
    assert lines[-1] == "o.csv: 5 questions with votes, the least sure first"
    assert len((tmp_path / "cwd/o.csv").read_text().splitlines()) == 6


def test_status_of_an_empty_workspace(noisyweb: Program, place: Workspace) -> None:
    place.set_class_names(NAMES)
    done = noisyweb("label", "status", "--workspace", place.folder, "--worth", "3")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "votes: 0 by 0 annotators on 0 questions",
        "verdicts: 0 right, 0 wrong, 0 undecided",
        "Krippendorff's alpha: not defined (questions with two or more yes and no votes: 0; none yet)",
        "found 0  fetched 0  unique 0  voted 0  decided 0  wrong 0",
        "missing: 0 votes on 0 questions",
        "worth another vote: the 0 least sure of 0 questions with votes",
    ]


def test_without_a_measured_pace(noisyweb: Program, place: Workspace) -> None:
    place.set_class_names(NAMES)
    found(place, [("http://x/a", 0, "a")])
    done = noisyweb("label", "status", "--workspace", place.folder)
    assert "missing: 3 votes on 1 questions; pace not measured\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "--price", "inf"], ["price is inf", "a number from 0"]),
        (["status", "--worth-file", "classes.json/x"], ["classes.json/x", "cannot be written"]),
        (["consensus", "--method", "vote"], ["unknown consensus method 'vote'", "dawid-skene, glad, majority"]),
    ],
)
def test_mistakes(noisyweb: Program, voted: Workspace, arguments: list[str], words: list[str]) -> None:
    before = (voted.folder / "verdicts.parquet").read_bytes()
    done = noisyweb("label", *arguments, "--workspace", ".", cwd=voted.folder)
    assert_refused(done, *words)
    assert (voted.folder / "verdicts.parquet").read_bytes() == before
    assert not (voted.folder / "consensus.json").exists()


def test_damaged_settings_are_one_line(noisyweb: Program, voted: Workspace) -> None:
    (voted.folder / "consensus.json").write_text('{"method": 7}')
    for command in ("status", "consensus"):
        assert_refused(noisyweb("label", command, "--workspace", voted.folder), "consensus.json: damaged", "delete it")


def test_consensus(noisyweb: Program, voted: Workspace) -> None:
    done = noisyweb("label", "consensus", "--workspace", voted.folder, "--method", "dawid-skene", "--min-votes", "2")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "method: dawid-skene, 2 or more yes and no votes for a verdict, not counting weak ones"
    assert lines[1] == "votes: 11 by 4 annotators on 5 questions; 2 of them weak"
    assert lines[3].startswith("Krippendorff's alpha: 0.067")
    assert lines[4] == "classes that annotators agree least on (2 of 3 with votes):"
    assert lines[5].startswith("  bee: alpha ")
    done = noisyweb("label", "consensus", "--workspace", voted.folder, "--count-weak")
    assert done.stdout.startswith("method: dawid-skene, 2 or more yes and no votes for a verdict, counting weak ones\n")
    assert set(voted.read("verdicts")["method"].to_pylist()) == {"dawid-skene"}
    assert voted.read("verdicts")["votes_total"].to_pylist() == [4, 3, 2, 1, 1]
