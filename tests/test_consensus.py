from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb import plugins
from noisyweb.consensus import majority, summary, update, verdicts_of
from noisyweb.consensus.methods import _crowd, dawid_skene, glad
from noisyweb.consensus.settings import ConsensusSettings, read_settings
from noisyweb.errors import CorruptFileError, LabelError, UnknownNameError
from noisyweb.schemas import VERDICTS, VOTES
from noisyweb.workspace import Workspace
from tests.conftest import REPO


def table(votes: list[tuple[str, int, str, str]]) -> pa.Table:
    rows = [
        {"image_id": image, "label": label, "annotator": annotator, "answer": answer, "backend": "file"}
        for image, label, annotator, answer in votes
    ]
    return pa.Table.from_pylist(rows, schema=VOTES)


def weak(votes: pa.Table, *annotators: str) -> pa.Table:
    """The same votes, those of some annotators being a machine's."""
    is_weak = pc.is_in(votes["annotator"], pa.array(annotators, pa.string()))
    return votes.set_column(votes.schema.get_field_index("is_weak"), VOTES.field("is_weak"), is_weak)


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


# -- every method ----------------------------------------------------------------------------------------

METHODS = ("majority", "dawid-skene", "glad")


def by(method: str, votes: pa.Table, min_votes: int = 3, count_weak: bool = False) -> pa.Table:
    return verdicts_of(votes, ConsensusSettings(method, min_votes, count_weak))


def shuffled(votes: pa.Table, seed: int) -> pa.Table:
    return votes.take(pa.array(np.random.default_rng(seed).permutation(votes.num_rows)))


def crowd(
    num: int, people: int, each: int, *, share: float, skill: float, seed: int, first: int = 0
) -> tuple[pa.Table, np.ndarray]:
    """A simulated crowd, everybody of whom is right more often than not, and the truth; rows sorted by question."""
    rng = np.random.default_rng(seed)
    truth = rng.random(num) < share
    skills = np.clip(skill + 0.1 * (2 * rng.random(people) - 1), 0.5, 1.0)
    who = np.argsort(rng.random((num, people)), axis=1)[:, :each]
    says = (rng.random(who.shape) < skills[who]) == truth[:, None]
    rows = [
        (f"{n + first:06d}", 0, f"annotator {person:05d}", "yes" if says[n, k] else "no")
        for n in range(num)
        for k, person in enumerate(who[n])
    ]
    return table(rows), truth


def says_clean(verdicts: pa.Table) -> np.ndarray:
    return np.array([value is True for value in verdicts["is_clean"].to_pylist()])


def test_the_methods() -> None:
    assert plugins.names("noisyweb.consensus.methods") == sorted(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_one_verdict_a_question_with_a_vote(method: str) -> None:
    votes = table(
        [("b", 0, f"{n}", "yes") for n in range(3)]
        + [("a", 1, f"{n}", "no") for n in range(4)]
        + [("a", 0, f"{n}", "unsure") for n in range(3)]
        + [("c", 0, "0", "no")]
    )
    rows = by(method, votes).to_pylist()
    key = [(row["label"], row["image_id"]) for row in rows]
    assert key == [(0, "a"), (0, "b"), (0, "c"), (1, "a")]
    assert [row["is_clean"] for row in rows] == [None, True, None, False]
    assert [row["reason"] for row in rows] == ["too few votes", None, "too few votes", None]
    assert [row["votes_total"] for row in rows] == [3, 3, 1, 4]
    assert {row["method"] for row in rows} == {method}
    assert rows[0]["posterior"] is None is rows[0]["agreement"]
    assert rows[1]["posterior"] > 0.5 > rows[3]["posterior"]


@pytest.mark.parametrize("method", METHODS)
def test_no_votes_no_verdicts_by_any_method(method: str) -> None:
    empty = by(method, VOTES.empty_table())
    assert (empty.num_rows, empty.schema) == (0, VERDICTS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_a_crowd_that_always_says_the_same_is_believed(method: str, answer: str) -> None:
    votes = table([(f"{n}", 0, f"{who}", answer) for n in range(20) for who in range(3)])
    assert by(method, votes)["is_clean"].to_pylist() == [answer == "yes"] * 20


@pytest.mark.parametrize("method", METHODS)
def test_an_even_vote_is_a_tie(method: str) -> None:
    votes = table([(image, 0, who, said) for image in "ab" for who, said in (("x", "yes"), ("y", "no"))])
    both = pa.concat_tables([votes, table([("a", 0, "z", "yes"), ("b", 0, "z", "no")])])
    assert by(method, votes, 2)["reason"].to_pylist() == ["tie", "tie"]
    assert by(method, both, 2)["is_clean"].to_pylist() == [True, False]


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_rows_changes_nothing(method: str) -> None:
    votes = weak(crowd(30, 6, 4, share=0.5, skill=0.75, seed=0)[0], "annotator 00003")
    expected = by(method, votes)
    for seed in range(2):
        assert by(method, shuffled(votes, seed)).equals(expected)


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_of_another_kind_is_refused(method: str) -> None:
    with pytest.raises(LabelError, match=r"^answer 'maybe' by annotator 0: expected one of yes, no, unsure$"):
        by(method, answers("maybe"))


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown consensus method 'dawid'.*known: dawid-skene, glad, majority"):
        by("dawid", answers("yes"))


def test_majority_counts_and_the_posterior_is_another_matter() -> None:
    votes, truth = crowd(200, 8, 3, share=0.5, skill=0.85, seed=4)
    counted, judged = majority(votes), by("majority", votes)
    column = VERDICTS.get_field_index("posterior")
    assert counted["posterior"].null_count == 200
    assert judged.remove_column(column).equals(counted.remove_column(column))
    posterior = judged["posterior"].to_numpy()
    assert posterior[truth].mean() > 0.75 > 0.25 > posterior[~truth].mean()


def test_no_verdict_comes_from_no_votes() -> None:
    with pytest.raises(LabelError, match="min_votes is 0; a verdict needs at least 1 vote"):
        majority(answers("yes"), 0)


# -- weak votes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS[:2])
@given(votes=all_votes, machines=st.sets(st.integers(0, 6)), min_votes=st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_weak_votes_never_decide(votes: dict, machines: set[int], min_votes: int, method: str) -> None:
    rows = [(image, label, f"annotator {who}", said) for ((image, label), who), said in votes.items()]
    names = [f"annotator {who}" for who in machines]
    found = {
        (row["image_id"], row["label"]): row for row in by(method, weak(table(rows), *names), min_votes).to_pylist()
    }
    strong = {
        (row["image_id"], row["label"]): row
        for row in majority(table([row for row in rows if row[2] not in names]), min_votes).to_pylist()
    }
    assert set(strong) <= set(found) == {(image, label) for image, label, *_ in rows}
    for key, row in found.items():
        alone = strong.get(key, {"votes_yes": 0, "votes_no": 0, "votes_total": 0, "agreement": None})
        for name in ("votes_yes", "votes_no", "votes_total", "agreement"):
            assert row[name] == alone[name]
        if row["votes_yes"] + row["votes_no"] < min_votes:
            assert (row["is_clean"], row["reason"]) == (None, "too few votes")
        if method == "majority":
            assert row["is_clean"] is alone.get("is_clean")


@pytest.mark.parametrize("method", METHODS)
def test_weak_votes_count_where_they_are_told_to(method: str) -> None:
    votes = weak(answers("no", "no", "no"), "annotator 2")
    [row] = by(method, votes).to_pylist()
    assert (row["is_clean"], row["votes_no"], row["votes_total"]) == (None, 2, 2)
    [row] = by(method, votes, count_weak=True).to_pylist()
    assert (row["is_clean"], row["votes_no"], row["votes_total"]) == (False, 3, 3)
    everybody = weak(answers("no", "no", "no"), *(f"annotator {n}" for n in range(3)))
    assert by(method, everybody)["votes_total"].to_pylist() == [0]
    assert by(method, everybody, count_weak=True)["is_clean"].to_pylist() == [False]


def test_a_machine_is_an_annotator_with_errors_of_its_own() -> None:
    """One that always says the opposite of the crowd tells as much as one that agrees with it."""
    people, truth = crowd(300, 6, 3, share=0.5, skill=0.9, seed=1)
    machine = [(f"{n:06d}", 0, "machine", "no" if truth[n] else "yes") for n in range(300)]
    votes = weak(pa.concat_tables([people, table(machine)]), "machine")
    wrong = (says_clean(by("dawid-skene", votes)) != truth).mean()
    assert wrong < (says_clean(by("dawid-skene", people)) != truth).mean() / 2
    assert majority(votes).equals(majority(people))
    assert by("majority", votes).equals(by("majority", people))


def test_one_name_may_give_both_weak_votes_and_others() -> None:
    """They are two annotators: nothing that the machine gets wrong is held against the person."""
    people, truth = crowd(200, 5, 3, share=0.5, skill=0.9, seed=2)
    machine = [(f"{n:06d}", 1, "annotator 00000", "no") for n in range(200)]
    is_weak = pa.array([False] * people.num_rows + [True] * 200)
    both = pa.concat_tables([people, table(machine)])
    both = both.set_column(both.schema.get_field_index("is_weak"), VOTES.field("is_weak"), is_weak)
    found = by("dawid-skene", both)
    assert (says_clean(found)[:200] == truth).mean() > 0.95


# -- models of the crowd ---------------------------------------------------------------------------------


CROWDS = {
    "many votes a person": (600, 8, 3, 0.5, 0.8),
    "a few votes a person": (300, 100, 3, 0.5, 0.8),
    "three votes a person": (300, 300, 3, 0.6, 0.85),
    "nearly all right": (500, 20, 3, 0.97, 0.85),
    "nearly all wrong": (500, 20, 3, 0.03, 0.85),
    "nearly all right, strangers": (300, 200, 3, 0.95, 0.85),
    "hardly better than chance": (400, 6, 5, 0.5, 0.62),
    "ten questions": (10, 5, 3, 0.5, 0.8),
}


@pytest.mark.parametrize("name", CROWDS)
def test_yes_never_comes_to_mean_no(name: str) -> None:
    """A crowd that is right more often than not is not turned round, however few and one-sided its votes are."""
    num, people, each, share, skill = CROWDS[name]
    votes, truth = crowd(num, people, each, share=share, skill=skill, seed=0)
    counted, weighed = (says_clean(found) for found in (majority(votes, 1), by("dawid-skene", votes, 1)))
    assert (weighed == counted).mean() > 0.7
    assert (weighed != truth).mean() <= (counted != truth).mean() + 0.03


def test_dawid_skene_weighs_annotators() -> None:
    """Two experts against three who guess: the majority is often wrong, Dawid-Skene seldom."""
    rng = np.random.default_rng(0)
    truth = rng.random(200) < 0.5
    skills = (0.98, 0.96, 0.55, 0.52, 0.5)
    rows = [
        (f"{n:06d}", 0, f"{who}", "yes" if (rng.random() < skill) == truth[n] else "no")
        for n in range(200)
        for who, skill in enumerate(skills)
    ]
    wrong = {method: (says_clean(by(method, table(rows))) != truth).mean() for method in METHODS}
    assert wrong["majority"] > 0.07
    assert wrong["dawid-skene"] < 0.04
    assert wrong["glad"] < 0.06


@pytest.mark.parametrize("model", [dawid_skene, glad])
def test_posteriors_of_more_than_two_classes(model: object) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 80)
    task, worker = np.repeat(np.arange(80), 5), np.tile(np.arange(5), 80)
    answer = np.where(rng.random(400) < 0.8, truth[task], rng.integers(0, 4, 400))
    found = model.posteriors(task, worker, answer, 5)  # type: ignore[attr-defined]
    assert found.shape == (80, 5)  # also of a class that nobody named
    assert found.sum(axis=1) == pytest.approx(np.ones(80))
    assert (found.argmax(axis=1) == truth).mean() > 0.9


def test_what_crowd_kit_says_of_its_own_code_is_not_shown(recwarn: pytest.WarningsRecorder) -> None:
    by("glad", answers("yes", "no", "yes"))
    assert not list(recwarn)
    with _crowd.quiet():
        import warnings

        warnings.warn("old", FutureWarning, stacklevel=1)
    assert not list(recwarn)


def test_without_crowd_kit(tmp_path: Path) -> None:
    """A folder where importing it fails as it does where it is not installed."""
    (tmp_path / "crowdkit.py").write_text("raise ModuleNotFoundError(\"No module named 'crowdkit'\", name='crowdkit')")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from noisyweb.consensus import update\n"
        "from noisyweb.workspace import Workspace\n"
        "from noisyweb.errors import MissingExtraError\n"
        "from tests.test_consensus import answers\n"
        "place = Workspace(sys.argv[1])\n"
        "place.write('votes', answers('yes', 'yes', 'yes'))\n"
        "try: update(place, method='dawid-skene')\n"
        "except MissingExtraError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=REPO)
    assert done.stdout == (
        "consensus by Dawid-Skene needs crowd-kit, which is not installed; pip install 'noisyweb[consensus]'\n"
    ), done.stderr
    assert not (tmp_path / "consensus.json").exists()
    assert not (tmp_path / "verdicts.parquet").exists()


def test_importing_consensus_is_light() -> None:
    code = (
        "import sys, noisyweb.consensus, noisyweb.consensus.methods.glad, noisyweb.consensus.methods.dawid_skene\n"
        "import noisyweb.consensus.agreement, noisyweb.consensus.annotators\n"
        "print([n for n in ('crowdkit', 'sklearn', 'nltk', 'pandas', 'torch', 'krippendorff') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, check=True)
    assert done.stdout == "[]\n"


# -- settings --------------------------------------------------------------------------------------------


def test_what_is_asked_for_is_kept(place: Workspace) -> None:
    place.write("votes", weak(answers("no", "no", "no", "yes"), "annotator 2"))
    assert update(place)["reason"].to_pylist() == [None]
    assert not (place.folder / "consensus.json").exists()
    assert update(place, min_votes=4)["reason"].to_pylist() == ["too few votes"]
    assert update(place)["reason"].to_pylist() == ["too few votes"]
    assert update(place, count_weak=True)["is_clean"].to_pylist() == [False]
    assert update(place, method="dawid-skene")["method"].to_pylist() == ["dawid-skene"]
    assert read_settings(place.folder) == ConsensusSettings("dawid-skene", 4, True)
    assert update(place, count_weak=False)["votes_total"].to_pylist() == [3]
    before = (place.folder / "consensus.json").read_bytes()
    with pytest.raises(UnknownNameError, match="unknown consensus method 'vote'"):
        update(place, method="vote")
    with pytest.raises(LabelError, match="min_votes is 0"):
        update(place, min_votes=0)
    assert (place.folder / "consensus.json").read_bytes() == before
    assert place.read("verdicts")["method"].to_pylist() == ["dawid-skene"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "expected an object"),
        ("\xff", "decode"),
        ("[" * 100_000, "recursion"),
        ('{"min_votes": 0}', "min_votes is '0', expected a whole number from 1"),
        ('{"min_votes": true}', "min_votes is 'True'"),
        ('{"min_votes": 1e400}', "min_votes is 'inf'"),
        ('{"min_votes": 99999999999}', "min_votes is '99999999999'"),
        ('{"method": "vote"}', "method is 'vote', expected one of dawid-skene, glad, majority"),
        ('{"method": ["majority"]}', "method is"),
        ('{"method": "../evil"}', "method is '../evil'"),
        ('{"count_weak": 1}', "count_weak is neither true nor false"),
        ('{"speed": 1}', "unknown setting 'speed'"),
    ],
)
def test_damaged_settings(place: Workspace, content: str, why: str) -> None:
    (place.folder / "consensus.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(CorruptFileError, match=r"consensus\.json: damaged \(.*; delete it and run") as raised:
        update(place)
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (place.folder / "verdicts.parquet").exists()


def test_the_summary_tells_weak_votes() -> None:
    votes = weak(answers("no", "no", "no", "yes"), "annotator 2")
    assert next(summary(votes, majority(votes))) == "votes: 4 by 4 annotators on 1 questions; 1 of them weak"


# -- real people -----------------------------------------------------------------------------------------


@pytest.mark.shared
def test_dawid_skene_on_real_people(shared_data: Path) -> None:
    """CIFAR-10N: three answers of ten classes to each of 10,000 images."""
    columns = ["label", "human_1", "human_2", "human_3"]
    labels = pq.read_table(shared_data / "cifar10" / "train.parquet", columns=columns).slice(0, 10_000)
    truth = labels["label"].to_numpy()
    answer = np.stack([labels[name].to_numpy() for name in columns[1:]], axis=1)
    task, worker = np.repeat(np.arange(len(truth)), 3), np.tile(np.arange(3), len(truth))
    found = dawid_skene.posteriors(task, worker, answer.ravel().astype(np.int64), 10)
    counts = np.zeros((len(truth), 10), np.int64)
    np.add.at(counts, (task, answer.ravel()), 1)
    wrong, wrong_by_count = ((each.argmax(axis=1) != truth).mean() for each in (found, counts))
    assert wrong < wrong_by_count < 0.1
    # the same people asked yes-or-no questions: is it what the first one said?
    rows = table(
        [
            (f"{n:05}", int(answer[n, 0]), columns[1 + k], "yes" if answer[n, k] == answer[n, 0] else "no")
            for n in range(len(truth))
            for k in (1, 2)
        ]
    )
    verdicts = by("dawid-skene", rows, 2)
    right = {f"{n:05}": answer[n, 0] == truth[n] for n in range(len(truth))}
    asked = np.array([right[image_id] for image_id in verdicts["image_id"].to_pylist()])
    assert (says_clean(verdicts) == asked).mean() > 0.9
