"""Simulated annotators, and the votes of the drawn edition that they gave."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisyweb.drawn.vocabulary import cars
from noisyweb.drawn.web import hits_of
from noisyweb.errors import LabelError
from noisyweb.labelling.simulated import MORE, Crowd, collect, vote
from noisyweb.schemas import ANSWERS, VOTES

ROOT = Path(__file__).parents[1]


def _ask(num: int, crowd: Crowd, *, right: bool = True, hard: bool = False, seed: int = 0) -> pa.Table:
    images = [f"image-{n}" for n in range(num)]
    return vote(images, [3] * num, np.full(num, right), np.full(num, hard), crowd, seed)


def _share(votes: pa.Table, answer: str) -> float:
    return float(pc.mean(pc.cast(pc.equal(votes["answer"], answer), pa.float64())).as_py())


def test_skill_is_the_probability_of_the_right_answer() -> None:
    crowd = Crowd(skill=0.9, spread=0.0, unsure=0.0, lookalike=0.2)
    # the first three of everybody, told from the two more by looking at unanimous questions only, would be
    # biased; with `first` large, the two more are few
    many = Crowd(**{**crowd.__dict__, "first": 30})
    assert _share(_ask(500, many), "yes") == pytest.approx(0.9, abs=0.01)
    assert _share(_ask(500, many, right=False), "no") == pytest.approx(0.9, abs=0.01)
    assert _share(_ask(500, many, right=False, hard=True), "no") == pytest.approx(0.7, abs=0.015)


def test_unsure_has_its_rate() -> None:
    votes = _ask(500, Crowd(first=30, unsure=0.1))
    assert _share(votes, "unsure") == pytest.approx(0.1, abs=0.01)


@given(
    num=st.integers(0, 40),
    first=st.integers(1, 38),
    skill=st.floats(0, 1),
    unsure=st.floats(0, 1),
    seed=st.integers(-5, 5),
)
def test_two_more_are_asked_where_the_first_do_not_agree(
    num: int, first: int, skill: float, unsure: float, seed: int
) -> None:
    votes = _ask(num, Crowd(first=first, skill=skill, unsure=unsure), seed=seed).to_pylist()
    by_image: dict[str, list[dict[str, object]]] = {}
    for row in votes:
        by_image.setdefault(str(row["image"]), []).append(row)
    assert len(by_image) == num
    for rows in by_image.values():
        assert len({row["annotator"] for row in rows}) == len(rows) in (first, first + MORE)
        answers = Counter(str(row["answer"]) for row in rows)
        assert set(answers) <= set(ANSWERS)
        if len(rows) == first:
            assert len(answers) == 1
            assert "unsure" not in answers
        elif first > 1:
            assert len(answers) > 1 or "unsure" in answers


def test_answers_hang_on_the_image_alone() -> None:
    images, labels = ["a", "b", "c"], [0, 1, 0]
    right, hard = np.array([True, False, True]), np.array([False, True, False])
    whole = vote(images, labels, right, hard, Crowd(skill=0.6), 7)
    alone = vote(images[1:2], labels[1:2], right[1:2], hard[1:2], Crowd(skill=0.6), 7)
    assert whole.filter(pc.equal(whole["image"], "b")).equals(alone)
    assert not whole.equals(vote(images, labels, right, hard, Crowd(skill=0.6), 8))


# -- the backend -----------------------------------------------------------------------------------------


def _questions(urls: list[str], label: int, name: str) -> pa.Table:
    return pa.table(
        {
            "image_id": [f"{n:064x}" for n in range(len(urls))],
            "label": pa.array([label] * len(urls), pa.int32()),
            "class_name": [name] * len(urls),
            "url": urls,
        }
    )


def _collect(questions: pa.Table, **options: str) -> pa.Table:
    return pa.concat_tables([VOTES.empty_table(), *collect(questions, options)])


def test_the_drawn_web_needs_no_table_of_the_truth() -> None:
    name = cars().class_names[10]
    hits = [hit for hit in hits_of(10) if hit.kind not in ("dead", "duplicate")]
    urls = [hit.url.replace("https://drawn.invalid", "http://127.0.0.1:9") for hit in hits]
    votes = _collect(_questions(urls, 2, name), skill="1")
    assert votes.schema.equals(VOTES)
    assert set(votes["backend"].to_pylist()) == {"simulated"}
    for n, hit in enumerate(hits):
        answers = votes.filter(pc.equal(votes["image_id"], f"{n:064x}"))["answer"].to_pylist()
        assert Counter(answers).most_common(1)[0][0] == ("yes" if hit.is_right else "no") or hit.is_lookalike


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("key", ["image_id", "url"])
def test_the_truth_may_be_a_table(tmp_path: Path, suffix: str, key: str) -> None:
    questions = _questions(["http://a/1", "http://a/2"], 0, "cat")
    truth = pa.table({key: questions[key], "label": pa.array([0, 0]), "is_right": [True, False]})
    path = tmp_path / f"truth{suffix}"
    pcsv.write_csv(truth, path) if suffix == ".csv" else pq.write_table(truth, path)
    votes = _collect(questions, truth=str(path), skill="1", annotators="30")
    first = pc.equal(votes["image_id"], questions["image_id"][0])
    assert _share(votes.filter(first), "yes") > 0.7 > 0.3 > _share(votes.filter(pc.invert(first)), "yes")
    assert votes.equals(_collect(questions, truth=str(path), skill="1", annotators="30"))


def test_no_questions_no_votes() -> None:
    assert _collect(_questions([], 0, "cat")).num_rows == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the drawn web does not say what http://a/1 shows; 1 of 1 images are unknown"),
        ({"skill": "1.5"}, r"skill = '1.5'; expected a number from 0 to 1"),
        ({"skill": "nan"}, r"skill = 'nan'"),
        ({"annotators": "0"}, r"annotators = '0'; expected a whole number from 1 to 38"),
        ({"annotators": "2.5"}, r"annotators = '2.5'"),
        ({"truth": "no-such.csv"}, "no such file"),
        ({"truth": "truth.txt"}, "what is a .txt"),
        ({"truth": "{tmp}/other.csv"}, "does not say what http://a/1 shows"),
        ({"truth": "{tmp}/columns.csv"}, "it has no column 'is_right'"),
        ({"truth": "{tmp}/broken.parquet"}, "cannot be read as a table"),
    ],
)
def test_what_cannot_be_answered(tmp_path: Path, options: dict[str, str], message: str) -> None:
    (tmp_path / "other.csv").write_text("url,label,is_right\nhttp://a/2,0,true\n")
    (tmp_path / "columns.csv").write_text("url,label\nhttp://a/1,0\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1, or not")
    filled = {name: value.replace("{tmp}", str(tmp_path)) for name, value in options.items()}
    with pytest.raises(LabelError, match=message):
        _collect(_questions(["http://a/1"], 0, "cat"), **filled)


# -- the bundled votes -----------------------------------------------------------------------------------


def test_the_bundled_votes_are_what_the_script_makes() -> None:
    spec = importlib.util.spec_from_file_location("make_drawn_votes", ROOT / "tests/assets/make_drawn_votes.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    bundled = pq.read_table(script.TARGET)
    assert bundled.equals(script.simulate_votes().cast(bundled.schema))
    assert script.TARGET.stat().st_size < 300_000
    assert len(pc.unique(bundled["annotator"])) == 40
