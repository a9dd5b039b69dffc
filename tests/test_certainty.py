"""How sure the level is: the posterior of the two-coin model, joint draws from it, and intervals of levels."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.special import expit

from noisyweb.build import Recipe, build
from noisyweb.build_folder import Built
from noisyweb.certainty import Certainty, WrongDraws, posterior, wrong_draws
from noisyweb.certainty.ballots import Ballots
from noisyweb.certainty.spread import Spreads, find_spreads
from noisyweb.certainty.two_coin import RATES, Prior, TwoCoin, log_density, mode
from noisyweb.consensus import update
from noisyweb.dataset import load_dataset
from noisyweb.lock import LOCK_NAME, read_lock
from noisyweb.sources import drawn
from noisyweb.verify import verify
from noisyweb.votes import as_votes, questions
from noisyweb.workspace import Workspace
from tests.conftest import CLASSES, Program, TinySet, paint

Row = tuple[str, int, str, str, bool | None]


def table(rows: Sequence[Row]) -> pa.Table:
    names = ("image_id", "label", "annotator", "answer", "is_weak")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    types = {"label": pa.int32(), "is_weak": pa.bool_()}
    whole = {name: pa.array(list(column), types.get(name, pa.string())) for name, column in columns.items()}
    return as_votes({**whole, "backend": pa.array(["file"] * len(rows), pa.string())})


def said(answers: dict[str, str], label: int = 0) -> list[Row]:
    """Votes of annotators a, b, c, ... on images, a letter each: y, n or u."""
    words = {"y": "yes", "n": "no", "u": "unsure"}
    return [
        (image, label, "abcdefgh"[place], words[letter], None)
        for image, letters in answers.items()
        for place, letter in enumerate(letters)
    ]


def asked_of(votes: pa.Table) -> pa.Table:
    """All questions that there are votes on."""
    index = Ballots.of(votes).index
    return pa.table({"image_id": index.image_ids, "label": pa.array(index.labels)})


@dataclasses.dataclass(frozen=True)
class Town:
    """People who answer as the model has it: votes, and which question of ``asked`` is about a wrong image."""

    votes: pa.Table
    asked: pa.Table
    is_wrong: npt.NDArray[np.bool_]

    @classmethod
    def simulate(cls, seed: int, num: int = 800, spread: float = 0.0, annotators: int = 12, each: int = 4) -> Town:
        rng = np.random.default_rng(seed)
        label = np.sort(rng.integers(0, 8, num)).astype(np.int32)
        wrong = rng.random(num) < rng.beta(4, 4, 8)[label]
        rate, ease = rng.normal(2.0, 0.5, (2, annotators)), rng.standard_normal(num)
        people = np.argsort(rng.random((num, annotators)), axis=1)[:, :each]
        right = rng.random((num, each)) < expit(rate[wrong.astype(int)[:, None], people] + spread * ease[:, None])
        yes = (right != wrong[:, None]).ravel()
        rows = zip(
            [f"{i:05d}" for i in np.repeat(np.arange(num), each)],
            np.repeat(label, each).tolist(),
            [f"p{person}" for person in people.ravel()],
            np.where(yes, "yes", "no").tolist(),
            [None] * len(yes),
            strict=True,
        )
        votes = table(list(rows))
        return cls(votes, asked_of(votes), wrong)


votes_of_any_kind = st.lists(
    st.tuples(
        st.sampled_from(["i", "j", "ä", "k"]),
        st.integers(0, 3),
        st.sampled_from(["anna", "bo", "cyd"]),
        st.sampled_from(["yes", "no", "unsure"]),
        st.sampled_from([None, True, False]),
    ),
    max_size=30,
    unique_by=lambda row: row[:3],
)


@settings(deadline=None, max_examples=60)
@given(votes_of_any_kind, st.randoms())
def test_each_question_gets_a_probability_if_anybody_decided_and_order_is_nothing(rows: list[Row], random: Any) -> None:
    found = posterior(table(rows))
    keys = sorted({(row[1], row[0]) for row in rows})
    decided = {(row[1], row[0]) for row in rows if row[3] != "unsure" and not row[4]}
    assert found.shape == (len(keys),)
    assert [not np.isnan(p) for p in found] == [key in decided for key in keys]
    assert ((found >= 0) & (found <= 1) | np.isnan(found)).all()
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert posterior(table(shuffled)).tobytes() == found.tobytes()
    asked = pa.table({"image_id": [key[1] for key in keys], "label": pa.array([key[0] for key in keys], pa.int32())})
    draws = wrong_draws(table(rows), asked, num=3)
    if not keys or decided != set(keys):
        assert draws is None
    else:
        again = wrong_draws(table(shuffled), asked, num=3)
        assert draws is not None
        assert again is not None
        assert draws.packed.tobytes() == again.packed.tobytes()
        assert (draws.num_votes, draws.num_images) == (sum(r[3] != "unsure" and not r[4] for r in rows), len(keys))


def test_a_clear_majority_is_believed_and_what_decides_nothing_is_left_out() -> None:
    rows = said({f"y{n}": "yyy" for n in range(20)} | {f"n{n}": "nnn" for n in range(20)} | {"z": "yyn", "q": "nyn"})
    found = dict(zip(asked_of(table(rows))["image_id"].to_pylist(), posterior(table(rows)), strict=True))
    assert found["y0"] > 0.98
    assert found["n0"] < 0.02
    assert found["n0"] < found["q"] < 0.5 < found["z"] < found["y0"]
    more: list[Row] = [
        ("z", 0, "machine", "no", True),
        ("z", 0, "dora", "unsure", None),
        ("new", 0, "dora", "no", True),
    ]
    with_more = posterior(table([*rows, *more]))
    names = asked_of(table([*rows, *more]))["image_id"].to_pylist()
    assert np.isnan(with_more[names.index("new")])
    assert with_more[names.index("z")] == found["z"]


def test_an_annotator_who_guesses_counts_for_less() -> None:
    rng = np.random.default_rng(0)
    answers = {}
    for n in range(200):
        letter = "y" if n % 2 else "n"
        answers[f"{n:03d}"] = letter * 3 + "yn"[int(rng.integers(2))]
    answers |= {"against-d": "yuun", "against-c": "uuyn"}
    found = dict(
        zip(asked_of(table(said(answers)))["image_id"].to_pylist(), posterior(table(said(answers))), strict=True)
    )
    assert found["against-d"] > 0.8
    assert found["against-c"] > 0.8


def test_names_of_classes_and_annotators_are_nothing() -> None:
    town = Town.simulate(1, num=300)
    found = posterior(town.votes)
    turned = pa.array(7 - town.votes["label"].to_numpy(), pa.int32())
    people = pa.array([f"x{name[::-1]}" for name in town.votes["annotator"].to_pylist()])
    other = posterior(town.votes.set_column(1, "label", turned).set_column(2, "annotator", people))
    order = np.lexsort((np.arange(300), 7 - town.asked["label"].to_numpy()))
    assert np.allclose(other, found[order], atol=1e-3)


def test_the_seed_and_only_the_seed_changes_the_draws() -> None:
    town = Town.simulate(2, num=200)

    def draws(seed: int) -> bytes:
        found = wrong_draws(town.votes, town.asked, num=20, seed=seed)
        assert found is not None
        return found.packed.tobytes()

    assert draws(0) == draws(0) != draws(1)


def test_draws_agree_with_the_posterior_and_come_in_the_order_asked_for() -> None:
    town = Town.simulate(3)
    found = wrong_draws(town.votes, town.asked)
    assert found is not None
    share = found.unpacked().mean(axis=0)
    assert np.abs(share - (1 - posterior(town.votes))).mean() < 0.02
    assert np.corrcoef(share, town.is_wrong)[0, 1] > 0.9
    some = np.array([5, 700, 3])
    part = wrong_draws(town.votes, town.asked.take(pa.array(some)))
    assert part is not None
    assert (part.unpacked() == found.unpacked()[:, some]).all()


def test_questions_that_nobody_answered_have_no_draws() -> None:
    votes = table([*said({"i": "yyn", "j": "nnn", "k": "uuu"}), ("weak", 0, "m", "no", True)])
    for image, label in (("k", 0), ("weak", 0), ("stranger", 0), ("i", 1)):
        asked = pa.table({"image_id": ["i", image], "label": pa.array([0, label], pa.int32())})
        assert wrong_draws(votes, asked) is None
    assert (
        wrong_draws(table([]), pa.table({"image_id": pa.array([], pa.string()), "label": pa.array([], pa.int32())}))
        is None
    )


@pytest.mark.parametrize("spread", [0.0, 0.8])
def test_intervals_cover_the_truth_about_as_often_as_they_say(spread: float) -> None:
    covered = 0
    for seed in range(20):
        town = Town.simulate(100 + seed, num=500, spread=spread)
        draws = wrong_draws(town.votes, town.asked, num=100)
        assert draws is not None
        images = np.flatnonzero(posterior(town.votes) < 0.5)
        certainty = draws.certainty(images, len(images))
        covered += certainty.low <= round(town.is_wrong[images].mean(), 6) <= certainty.high
    assert covered >= 16  # of 20: at 95 % there are fewer once in 400 times


def spread_of(town: Town) -> Spreads:
    ballots = Ballots.of(town.votes)
    return find_spreads(ballots, TwoCoin(ballots))


def test_errors_in_common_are_found_in_the_votes() -> None:
    alone, together = (spread_of(Town.simulate(4, 3000, spread, each=6)) for spread in (0.0, 1.0))
    assert alone.quantiles(100)[-3] < 0.4
    assert 0.7 < together.quantiles(100)[2] < together.quantiles(100)[-3] < 1.4
    for found in (alone, together):
        assert found.weights().sum() == pytest.approx(1.0)
        assert (np.diff(found.quantiles(50)) > 0).all()


def test_three_votes_a_question_do_not_tell_how_much_people_err_together() -> None:
    few = spread_of(Town.simulate(5, 3000, 0.0, annotators=3, each=3)).quantiles(100)
    assert few[-3] > 0.9  # nor is it claimed that they do


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=4), st.floats(0, 1.5))
def test_the_most_probable_logit_is_just_that(counts: list[tuple[int, int]], spread: float) -> None:
    correct, missed = np.array(counts, np.float64).T[:, None, None, :]
    shift, mean, prior = spread * np.arange(len(counts), dtype=np.float64), np.array([[2.0]]), Prior(2.0, 1.0, 0.7)
    peak, width = mode(correct, correct + missed, shift, mean, prior)

    def height(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return log_density(logits, correct, correct + missed, shift, mean, prior)

    assert 0 < width.item() <= RATES.about
    for step in (-0.01, 0.01):
        assert height(peak) > height(peak + step)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 5), st.data())
def test_wrong_images_are_counted_in_packed_draws(num: int, draws: int, data: st.DataObject) -> None:
    wrong = np.array(
        data.draw(st.lists(st.lists(st.booleans(), min_size=num, max_size=num), min_size=draws, max_size=draws))
    )
    rows = np.array(data.draw(st.lists(st.integers(0, num - 1), unique=True)), np.int64)
    found = WrongDraws(np.packbits(wrong, axis=1), num, 7, 3)
    assert (found.unpacked() == wrong).all()
    assert found.num_wrong(rows).tolist() == wrong[:, rows].sum(axis=1).tolist()
    level = found.certainty(rows, 2 * num)
    assert 0 <= level.low <= level.mean <= level.high <= len(rows) / num / 2 + 1e-6
    assert Certainty.of_record(json.loads(json.dumps(level.record()))) == level


@pytest.mark.parametrize(
    "change",
    [{"mean": "0.4"}, {"low": None}, {"high": 1.2}, {"low": 0.5}, {"draws": 4.5}, {"votes": True}, {"method": 3},
     {"mean": float("nan")}],
)  # fmt: skip
def test_a_record_that_is_damaged_is_not_read(change: dict[str, Any]) -> None:
    whole = Certainty(0.39, 0.38, 0.4, 400, 9, 3).record()
    assert Certainty.of_record(whole) is not None
    assert Certainty.of_record({**whole, **change}) is None
    assert Certainty.of_record([whole]) is None
    assert Certainty.of_record(None) is None


# -- in builds ----------------------------------------------------------------------------------------------


def test_the_drawn_editions_interval_covers_what_is_known_of_it() -> None:
    pool = load_dataset("cars").pool()
    assert pool is not None
    assert pool.wrong_draws is not None
    draws = pool.wrong_draws()
    assert draws is not None
    mistaken = int(pool.notes[0].split()[0])
    assert mistaken == 9
    level = draws.certainty(np.arange(len(pool)), len(pool))
    assert level.low <= round(1 - mistaken / len(pool), 6) <= level.high
    assert level.high - level.low < 0.003
    assert (draws.num_images, draws.num_annotators) == (len(pool), 40)
    assert drawn  # the source that this is about


def crawled(tiny: TinySet, folder: Path) -> Workspace:
    """A workspace with votes: per class as many web images as the tiny set has clean ones, three in four wrong."""
    place = Workspace(folder, create=True)
    place.set_class_names(CLASSES)
    answers = {0: "yyy", 1: "nnn", 2: "nyn", 3: "nnn"}
    with place.journal("images") as journal, place.journal("votes") as votes:
        for label, size in enumerate(tiny.sizes):
            for n in range(size):
                paint(folder / "raw.jpg", 300 + n, 60 + 80 * label)
                data = (folder / "raw.jpg").read_bytes()
                width, height = Image.open(io.BytesIO(data)).size
                image_id = place.put(data)
                row = {"url": f"http://x/{label}/{n}", "label": label, "status": "ok", "retry": False, "attempts": 1}
                journal.add({**row, "image_id": image_id, "width": width, "height": height, "format": "jpeg"})
                for image, _, annotator, answer, _ in said({image_id: answers[n % 4]}):
                    vote = {"image_id": image, "label": label, "annotator": annotator, "answer": answer}
                    votes.add({**vote, "backend": "file"})
    update(place)
    return place


def build_crawled(tiny: TinySet, folder: Path, out: Path, *levels: str, kind: str = "red") -> list[Built]:
    dataset = load_dataset(str(tiny.toml)).with_workspace(folder)
    return list(build(dataset, Recipe.of(kind, [Decimal(x) for x in levels]), out=out, leak_check=False))


def test_a_build_from_a_workspace_says_how_sure_its_level_is(tiny: TinySet, tmp_path: Path) -> None:
    place = crawled(tiny, tmp_path / "w")
    validation, none, some, most = build_crawled(tiny, place.folder, tmp_path / "a", "0", "0.2", "0.5")
    assert validation.certainty is None
    assert none.certainty is None
    assert some.certainty is not None
    assert most.certainty is not None
    assert 0.1 < some.certainty.low <= some.certainty.mean <= some.certainty.high <= round(8 / 38, 6)
    assert some.certainty.mean < most.certainty.low
    assert (some.certainty.votes, some.certainty.annotators) == (3 * 38, 3)
    locked = read_lock(some.folder)["result"]["certainty"]
    assert locked == some.certainty.record()
    assert sorted(locked) == ["annotators", "draws", "high", "low", "mean", "method", "votes"]
    assert "certainty" not in read_lock(none.folder)["result"]
    card = (some.folder.parent / "README.md").read_text()
    assert f"- red_noise_nl_0.2: {some.certainty}\n" in card
    assert "- red_noise_nl_0: annotators" not in card
    assert verify(some.folder).num_wrong == 8
    build_crawled(tiny, place.folder, tmp_path / "b", "0.2")
    other = tmp_path / "b/tiny/red_noise_nl_0.2" / LOCK_NAME
    assert other.read_bytes() == (some.folder / LOCK_NAME).read_bytes()


def test_a_build_of_which_the_votes_say_nothing_is_silent(tiny: TinySet, tmp_path: Path) -> None:
    place = crawled(tiny, tmp_path / "w")
    *_, flipped = build_crawled(tiny, place.folder, tmp_path / "blue", "0.2", kind="blue")
    assert flipped.certainty is None
    kept = place.read("votes")
    [first] = questions(place).slice(1, 1).to_pylist()  # verdicts whose votes are gone
    place.write("votes", kept.filter(pa.array([vote != first["image_id"] for vote in kept["image_id"].to_pylist()])))
    assert len(place.read("votes")) < len(kept)
    *_, red = build_crawled(tiny, place.folder, tmp_path / "red", "0.2")
    gone = {row["image_id"] for row in place.read("verdicts").to_pylist() if row["is_clean"] is False}
    assert (red.certainty is None) == (first["image_id"] in gone)


def test_a_lock_of_an_earlier_version_or_a_damaged_one_is_read(tiny: TinySet, tmp_path: Path) -> None:
    place = crawled(tiny, tmp_path / "w")
    _, first = build_crawled(tiny, place.folder, tmp_path, "0.1")
    for certainty in (None, "sure", {"mean": 0.1}):
        content = json.loads((first.folder / LOCK_NAME).read_text())
        content["result"]["certainty"] = certainty
        (first.folder / LOCK_NAME).write_text(json.dumps(content))
        build_crawled(tiny, place.folder, tmp_path, "0.2")
        card = (first.folder.parent / "README.md").read_text()
        assert "- red_noise_nl_0.2: annotators err" in card
        assert "- red_noise_nl_0.1: annotators err" not in card
        assert verify(first.folder).num_rows == 38


def test_the_program_prints_it(tiny: TinySet, tmp_path: Path, noisyweb: Program) -> None:
    place = crawled(tiny, tmp_path / "w")
    run = ("build", "--dataset", tiny.toml, "--noise", "0.4", "--no-leak-check")
    with_votes = noisyweb(*run, "--workspace", place.folder, "--out", "a")
    assert with_votes.returncode == 0, with_votes.stderr
    assert "\n  annotators err: the true level is " in with_votes.stdout
    assert "% (95% interval " in with_votes.stdout
    without = noisyweb(*run, "--out", "b")
    assert without.returncode == 0, without.stderr
    assert "annotators err" not in without.stdout
