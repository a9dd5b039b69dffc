from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from noisyweb.decode import NotUsableError, pillow_in_bounds
from noisyweb.errors import CrawlError, LabelError
from noisyweb.google_vision.client import Patience, connect
from noisyweb.google_vision.cost import PRICES, Prices, cost_usd
from noisyweb.google_vision.images import (
    BYTES_PER_REQUEST,
    IMAGES_PER_REQUEST,
    MAX_IMAGE_BYTES,
    batches,
    json_bytes,
    prepare,
)
from noisyweb.google_vision.labels import Asked, Pace, ask
from noisyweb.google_vision.match import Vocabulary, answers, is_same, words
from noisyweb.google_vision.plan import plan, waiting
from noisyweb.labelling.google_vision import collect
from noisyweb.schemas import VOTES
from noisyweb.votes import add, questions
from noisyweb.workspace import Workspace
from tests.conftest import PROGRAM, assert_refused
from tests.vision_emulator import AWAY, BUSY, HANG_UP, NO_BILLING, Reply, VisionEmulator, refusal
from tests.web import photo

COMMAND = (str(PROGRAM), "label", "vision")
QUICK = Patience(first_s=0.01, most_s=0.05, deadline_s=20)
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
FAST = 10**7  # images a minute


def fill(place: Workspace, classes: Mapping[str, Sequence[bytes]]) -> dict[str, list[str]]:
    """Images of classes, as a crawl leaves them; returns their ids."""
    place.set_class_names(list(classes))
    ids: dict[str, list[str]] = {}
    with place.journal("images") as journal:
        for label, (name, images) in enumerate(classes.items()):
            ids[name] = [place.put(data) for data in images]
            for image_id in ids[name]:
                row = {"url": f"http://x/{image_id}", "label": label, "status": "ok", "image_id": image_id}
                journal.add({**row, "retry": False, "attempts": 1})
    return ids


def photos(first: int, count: int) -> list[bytes]:
    return [photo(number, side=40) for number in range(first, first + count)]


def run(place: Workspace, emulator: VisionEmulator, patience: Patience = QUICK, **options: Any) -> Asked:
    with place.locked(), connect(emulator.base, patience) as annotate:
        return ask(place, annotate, pace=Pace(FAST), now=lambda: NOW, **options)


def votes_of(place: Workspace, **options: object) -> dict[tuple[str, int], str]:
    said = {name: str(value) for name, value in options.items()}
    [table] = collect(questions(place), {"workspace": str(place.folder), **said})
    return {(row["image_id"], row["label"]): row["answer"] for row in table.to_pylist()}


def program(*args: object, text: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE", "CLOUDSDK"))}
    return subprocess.run(
        [*COMMAND, *map(str, args)], input=text, capture_output=True, text=True, timeout=120, env={**plain, **environ}
    )


# -- what it costs -----------------------------------------------------------------------------------------


def test_cost_of_well_known_counts() -> None:
    assert [cost_usd(n) for n in (0, 1_000, 1_001, 10_000)] == [0, 0, Decimal("0.0015"), Decimal("13.5")]
    assert cost_usd(5_000_000) == Decimal("7498.5")
    assert cost_usd(5_000_001) == Decimal("7498.501")
    assert cost_usd(1_000, PRICES.num_free) == Decimal("1.5")
    assert PRICES.num_free == 1_000


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 300)), max_size=3),
    st.integers(0, 300),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_cost_is_the_sum_of_what_each_unit_costs(
    steps: list[tuple[int, int]], last: int, before: int, count: int
) -> None:
    tiers: list[tuple[int | None, Decimal]] = []
    prices: list[int] = []
    for width, cents in steps:
        prices += [cents] * width
        tiers.append((len(prices), Decimal(cents) / 100))
    tiers.append((None, Decimal(last) / 100))
    each = prices + [last] * 100
    assert cost_usd(count, before, Prices("", tiers)) == Decimal(sum(each[before : before + count])) / 100_000


@given(st.integers(0, 10**8), st.integers(0, 10**8), st.integers(0, 10**8))
def test_cost_adds_up(before: int, first: int, second: int) -> None:
    assert cost_usd(first, before) + cost_usd(second, before + first) == cost_usd(first + second, before)
    assert cost_usd(first) <= cost_usd(first, PRICES.num_free)


# -- requests ----------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, MAX_IMAGE_BYTES), max_size=60))
def test_batches_keep_order_and_limits(sizes: list[int]) -> None:
    found = list(batches(enumerate(sizes)))
    assert [place for batch in found for place in batch] == list(range(len(sizes)))
    for batch in found:
        total = 64 + sum(json_bytes(sizes[place]) for place in batch)
        assert 1 <= len(batch) <= IMAGES_PER_REQUEST
        assert total <= BYTES_PER_REQUEST
        following = sizes[batch[-1] + 1 :]
        if following and len(batch) < IMAGES_PER_REQUEST:
            assert total + json_bytes(following[0]) > BYTES_PER_REQUEST


def test_images_go_as_they_are_or_smaller_or_not_at_all() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1_700, 1_700, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    with pillow_in_bounds():
        assert prepare(photo(1)) == photo(1)
        smaller = prepare(out.getvalue())
        for reason, data in (("not-an-image", b"hello"), ("svg", b"<svg></svg>"), ("other-format", b"BM" + bytes(99))):
            with pytest.raises(NotUsableError, match=reason):
                prepare(data)
    assert len(smaller) <= MAX_IMAGE_BYTES < len(out.getvalue())
    assert Image.open(io.BytesIO(smaller)).size == (1_700, 1_700)


@given(st.lists(st.tuples(st.integers(1, 16), st.floats(0, 5)), min_size=2, max_size=40), st.integers(16, 5_000))
def test_pace(requests: list[tuple[int, float]], per_minute: int) -> None:
    clock = [0.0]
    pace = Pace(per_minute, lambda: clock[0], lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    starts = []
    for count, busy_s in requests:
        pace.wait(count)
        starts.append(clock[0])
        clock[0] += busy_s
    for place, (start, following) in enumerate(pairwise(starts)):
        assert following - start >= 60 * requests[place][0] / per_minute - 1e-6


# -- asking ------------------------------------------------------------------------------------------------


def test_each_image_is_asked_about_once_and_its_answer_kept(place: Workspace) -> None:
    shared = photo(7)
    ids = fill(place, {"cat": [*photos(100, 20), shared], "dog": [*photos(200, 20), shared]})
    [both] = set(ids["cat"]) & set(ids["dog"])
    with VisionEmulator({both: [("Cat", 0.875), ("Dog", 0.75)]}) as vision:
        asked = run(place, vision)
        assert (asked.num_answered, asked.num_requests, asked.problem) == (41, 3, None)
        assert list(asked.lines()) == ["Cloud Vision: 41 images labelled in 3 requests"]
        assert sorted(map(len, vision.batches)) == [9, 16, 16]
        assert Counter(image for batch in vision.batches for image in batch) == Counter({*ids["cat"], *ids["dog"]})
        assert not vision.violations
        again = run(place, vision)
        assert (again.num_requests, vision.num_requests) == (0, 3)
    rows = {row["image_id"]: row for row in place.read("vision_labels").to_pylist()}
    cat = {"mid": "/m/0", "description": "Cat", "score": 0.875, "topicality": 0.875}
    dog = {"mid": "/m/1", "description": "Dog", "score": 0.75, "topicality": 0.75}
    assert rows.pop(both) == {
        "image_id": both,
        "labels": [cat, dog],
        "error": None,
        "retry": False,
        "model": "builtin/stable",
        "answered_at": "2026-11-25T12:00:00+00:00",
    }
    assert all(row["labels"] == [] and row["error"] is None for row in rows.values())
    assert not (place.folder / "vision_labels.journal").exists()


def test_a_limit_is_shared_by_the_classes(place: Workspace) -> None:
    ids = fill(place, {"cat": photos(100, 9), "dog": photos(200, 2), "eel": photos(300, 9)})
    first = waiting(place, 8)
    assert [sum(image in set(ids[name]) for image in first) for name in ids] == [3, 2, 3]
    with VisionEmulator() as vision:
        assert run(place, vision, max_images=8).num_answered == 8
        assert vision.batches == [first]
        assert run(place, vision, max_images=0).num_requests == 0
        assert run(place, vision).num_answered == 12
    assert waiting(place) == []


def test_big_images_go_in_smaller_batches(place: Workspace) -> None:
    big = [photo(n, kind="PNG") + bytes(3_000_000) for n in range(5)]  # what follows a PNG's end is ignored
    fill(place, {"cat": [*big, photo(8) + bytes(MAX_IMAGE_BYTES)]})
    planned = plan(place)
    with VisionEmulator() as vision:
        asked = run(place, vision)
        assert not vision.violations
        assert asked.num_answered == 6
        assert max(vision.sizes) <= 10_000_000
        assert len(vision.sizes) <= planned.num_requests <= 4
        assert sum(vision.sizes) <= planned.num_bytes
        assert planned.num_reduced == 1
    assert waiting(place) == []


def test_what_cannot_be_sent_is_a_row_with_its_reason(place: Workspace) -> None:
    ids = fill(place, {"cat": [photo(1), b"<html>no image</html>", photo(2)]})["cat"]
    data = place.get(ids[2])
    place.path(ids[2]).unlink()
    assert plan(place).num_missing == 1
    with VisionEmulator() as vision:
        asked = run(place, vision)
        assert list(asked.lines()) == [
            "Cloud Vision: 1 images labelled in 1 requests",
            "without labels: 1 (not-an-image)",
            "without labels: 1 (not-stored)",
        ]
        assert vision.batches == [[ids[0]]]
        assert place.put(data) == ids[2]
        assert run(place, vision).num_answered == 1
        assert vision.batches == [[ids[0]], [ids[2]]]
    rows = {row["image_id"]: (row["error"], row["retry"]) for row in place.read("vision_labels").to_pylist()}
    assert rows == {ids[0]: (None, False), ids[1]: ("not-an-image", False), ids[2]: (None, False)}


def test_errors_of_single_images_are_rows_and_passing_ones_are_asked_again(place: Workspace) -> None:
    ids = fill(place, {"cat": photos(0, 5)})["cat"]
    with VisionEmulator() as vision:
        vision.errors = {ids[0]: (3, "Bad image data."), ids[1]: (13, "Internal error."), ids[2]: (99, "New.")}
        asked = run(place, vision)
        assert asked.problem is None
        assert asked.errors == {
            "INVALID_ARGUMENT: Bad image data.": 1,
            "INTERNAL: Internal error.": 1,
            "code 99: New.": 1,
        }
        assert set(votes_of(place)) == {(ids[3], 0), (ids[4], 0)}
        vision.errors = {}
        assert run(place, vision).num_answered == 1
        assert vision.batches[1] == [ids[1]]
    assert waiting(place) == []


def test_images_that_fail_again_and_again_stand_in_nobodys_way(place: Workspace) -> None:
    fill(place, {"cat": photos(0, 6)})
    first = waiting(place, 2)
    with VisionEmulator() as vision:
        vision.errors = dict.fromkeys(first, (14, "Try later."))
        for _ in range(4):
            run(place, vision, max_images=2)
        assert vision.batches[0] == vision.batches[3] == first
        assert not set(first) & {*vision.batches[1], *vision.batches[2]}
    assert waiting(place) == first


def test_labels_beside_an_error_count(place: Workspace) -> None:
    fill(place, {"cat": photos(0, 1)})
    label = {"mid": "/m/1", "description": "Cat", "score": 0.75, "topicality": 0.5}
    reply = Reply({"responses": [{"labelAnnotations": [label], "error": {"code": 13, "message": "later"}}]})
    with VisionEmulator() as vision:
        vision.instead.append(reply)
        assert run(place, vision).num_answered == 1
    assert place.read("vision_labels")["labels"].to_pylist() == [[label]]


@pytest.mark.parametrize("trouble", [BUSY, AWAY, refusal(500, "INTERNAL", "oops"), Reply(b"<html>Bad gateway", 502)])
def test_what_may_pass_is_tried_again(place: Workspace, trouble: Reply) -> None:
    fill(place, {"cat": photos(0, 20)})
    with VisionEmulator() as vision:
        vision.instead.extend([trouble] * 3)
        told: list[str] = []
        with place.locked(), connect(vision.base, QUICK, told.append) as annotate:
            assert ask(place, annotate, pace=Pace(FAST)).problem is None
        assert len(told) == 1
        assert told[0].startswith(f"HTTP {trouble.status}: ")
        assert told[0].endswith("; trying again for up to 20 s")
        assert vision.num_requests == 5
        assert sum(map(len, vision.batches)) == 20


def test_a_lost_connection_is_tried_again_once_there_was_one(place: Workspace) -> None:
    fill(place, {"cat": photos(0, 20)})
    with VisionEmulator() as vision:
        vision.instead.append(HANG_UP)
        asked = run(place, vision)
        assert asked.problem is not None
        assert "cannot be reached" in asked.problem
        assert vision.num_requests == 1
        vision.instead.extend([Reply({"responses": [{}] * 16}), HANG_UP, HANG_UP])
        assert run(place, vision).problem is None
        assert vision.num_requests == 5
        assert list(map(len, vision.batches)) == [4]


def test_a_busy_service_ends_with_one_line_and_a_rerun_goes_on(place: Workspace) -> None:
    fill(place, {"cat": photos(0, 40)})
    with VisionEmulator() as vision:
        vision.instead.extend([Reply({"responses": [{}] * 16}), *[BUSY] * 10_000])
        asked = run(place, vision, Patience(0.01, 0.02, 0.2))
        assert asked.problem is not None
        assert asked.problem.startswith("Cloud Vision: busy or out of reach for 0.2 s (HTTP 429: Quota exceeded")
        assert asked.problem.endswith(
            "; 16 new answers are kept and 24 images are left: run the same command again to go on"
        )
        assert vision.num_requests > 3
        vision.instead.clear()
        assert run(place, vision).num_answered == 24
        assert list(map(len, vision.batches)) == [16, 8]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (NO_BILLING, "it refuses, HTTP 403: This API method requires billing to be enabled.; see that the project"),
        (refusal(400, "INVALID_ARGUMENT", "Request\n is odd"), "it refuses, HTTP 400: Request is odd;"),
        (refusal(404, "NOT_FOUND", "no method"), "it refuses, HTTP 404: no method;"),
        (refusal(401, "UNAUTHENTICATED", "who?"), "the Google credentials do not work"),
        (Reply(b"{not json"), "that is no answer of Cloud Vision's"),
        (Reply(b"[" * 100_000), "that is no answer of Cloud Vision's"),
        (Reply(b"\xff\xfe"), "that is no answer of Cloud Vision's"),
        (Reply(b"[" * 100_000, 403), "that is no answer of Cloud Vision's"),
        (Reply({"error": "no object"}, 403), "that is no answer of Cloud Vision's"),
        (Reply([1, 2]), "that is no answer of Cloud Vision's"),
        (Reply({"responses": 5}), "that is no answer of Cloud Vision's"),
        (Reply({"responses": [{}]}), r"(1 answers for 2 images)"),
        (Reply({"responses": [{}, {"labelAnnotations": [{"score": "NaN"}]}]}), "(score nan,"),
        (Reply({"responses": [{}, {"labelAnnotations": [{"score": 1.5}]}]}), "(score 1.5,"),
        (Reply({"responses": [{}, {"labelAnnotations": [{"description": "x" * 501}]}]}), "(a label of 501 characters)"),
        (Reply({"responses": [{}, {"labelAnnotations": [{"score": 0.5}] * 51}]}), "(51 labels where at most 50"),
    ],
)
def test_what_will_not_pass_ends_at_once_with_one_line(place: Workspace, reply: Reply, message: str) -> None:
    fill(place, {"cat": photos(0, 2)})
    with VisionEmulator() as vision:
        vision.instead.append(reply)
        asked = run(place, vision)
        assert asked.problem is not None
        assert message in asked.problem
        assert "0 new answers are kept and 2 images are left" in asked.problem
        assert "\n" not in asked.problem
        assert len(asked.problem) < 600
        assert vision.num_requests == 1
    assert place.read("vision_labels").num_rows == 0


@pytest.mark.parametrize(
    "address",
    [
        "http://vision.googleapis.com",
        "https://example.org",
        "https://vision.googleapis.com.example.org",
        "https://example.org/.googleapis.com",
        "https://example.org\\.googleapis.com",
        "https://example.org#.googleapis.com",
        "https://user@vision.googleapis.com",
        "http://10.0.0.1:80",
        "http://127.0.0.1:80@example.org",
        "http://127.0.0.1.example.org",
        "http://127.0.0.1:99999999",
        "http://[::1",
        "127.0.0.1:80",
        "ftp://127.0.0.1",
        "",
    ],
)
def test_images_go_to_google_or_nowhere(address: str) -> None:
    with pytest.raises(LabelError, match=r"expected https://\.\.\.googleapis"), connect(address):
        pass


# -- from labels to answers --------------------------------------------------------------------------------


def test_words() -> None:
    assert words("Café-Racer_2") == ("cafe", "racer", "2")
    assert words("cat's eye") == ("cats", "eye")
    assert words("★ — ★") == ()
    assert words("STRASSE") == words("straße")


@pytest.mark.parametrize(
    ("one", "many"),
    [
        *[("cat", "cats"), ("bus", "buses"), ("glass", "glasses"), ("box", "boxes"), ("church", "churches")],
        *[("house", "houses"), ("cherry", "cherries"), ("cookie", "cookies"), ("toy", "toys"), ("potato", "potatoes")],
        *[("shoe", "shoes"), ("axe", "axes"), ("lens", "lenses"), ("brush", "brushes"), ("quiz", "quizes")],
    ],
)
def test_regular_plurals(one: str, many: str) -> None:
    assert is_same(one, many)
    assert is_same(many, one)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("car", "cart"),
        ("glas", "glass"),
        ("bus", "bu"),
        ("to", "toe"),
        ("hous", "house"),
        ("toy", "toies"),
        ("a", "as"),
    ],
)
def test_words_that_are_not_the_same(left: str, right: str) -> None:
    assert not is_same(left, right)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_a_name_and_names_itself(name: str, description: str) -> None:
    vocabulary = Vocabulary({0: [name]})
    assert vocabulary.classes(name)[0] == (frozenset({0}) if words(name) else frozenset())
    named, held = vocabulary.classes(description)
    assert not named & held


VOCABULARY = Vocabulary({0: ["cat", "kitty"], 1: ["hotdog"], 2: ["lion"], 3: ["Audi S4 Sedan 2012"], 4: ["T-shirt"]})


@pytest.mark.parametrize(
    ("description", "named", "held"),
    [
        ("Cat", {0}, set()),
        ("CATS", {0}, set()),
        ("Kitties", {0}, set()),
        ("Domestic cat", set(), {0}),
        ("Small to medium-sized cats", set(), {0}),
        ("Caterpillar", set(), set()),
        ("Hot dog", {1}, set()),
        ("Hot dogs", {1}, set()),
        ("Sea lion", set(), {2}),
        ("Audi S4", set(), set()),
        ("audi s4 sedan-2012", {3}, set()),
        ("Tshirt", {4}, set()),
        ("Printed T-shirts", set(), {4}),
        ("", set(), set()),
    ],
)
def test_what_a_label_names(description: str, named: set[int], held: set[int]) -> None:
    assert [set(found) for found in VOCABULARY.classes(description)] == [named, held]


def test_no_needs_a_word_that_vision_has_used() -> None:
    seen = {
        "sure": [("Cat", 0.9), ("Whiskers", 0.8)],
        "weak": [("Cat", 0.3)],
        "near": [("Cat food", 0.9)],
        "other": [("Dog", 0.9)],
        "empty": [],
    }
    asked = [(image, 0) for image in seen] + [("other", 3), ("gone", 0)]
    found = answers(asked, seen.items(), VOCABULARY, 0.5)
    assert found == ["yes", "unsure", "unsure", "no", "no", "unsure", None]
    without = [(image, labels) for image, labels in seen.items() if image not in ("sure", "weak")]
    assert answers([("other", 0)], without, VOCABULARY, 0.5) == ["unsure"]
    assert answers([("weak", 0), ("sure", 0)], seen.items(), VOCABULARY, 0.3) == ["yes", "yes"]
    assert answers([("sure", 0)], seen.items(), VOCABULARY, 0.95) == ["unsure"]


def test_votes_are_weak_and_follow_the_kept_answers(place: Workspace, tmp_path: Path) -> None:
    ids = fill(place, {"cat": photos(0, 3), "Audi S4 Sedan 2012": photos(10, 2)})
    a, b, c = ids["cat"]
    d, e = ids["Audi S4 Sedan 2012"]
    with VisionEmulator({a: [("Cat", 0.75)], b: [("Dog", 0.9)], d: [("Audi", 0.9)], e: [("Car", 0.9)]}) as vision:
        vision.errors[c] = (13, "later")
        run(place, vision)
        num_requests = vision.num_requests
        expected = {(a, 0): "yes", (b, 0): "no", (d, 1): "unsure", (e, 1): "unsure"}
        assert votes_of(place) == expected
        assert votes_of(place, min_score=0.8) == {**expected, (a, 0): "unsure"}
        names = tmp_path / "names.toml"
        names.write_text(
            '["Audi S4 Sedan 2012"]\nsynonyms = ["Audi"]\nde = ["Car"]\nen = ["Saloon"]\n', encoding="utf-8"
        )
        assert votes_of(place, names=names) == {**expected, (d, 1): "yes", (e, 1): "no"}
        assert vision.num_requests == num_requests
    [table] = collect(questions(place), {"workspace": str(place.folder)})
    assert table.schema == VOTES
    assert set(table["annotator"].to_pylist()) == set(table["backend"].to_pylist()) == {"google-vision"}
    assert set(table["is_weak"].to_pylist()) == {True}
    assert set(table["answered_at"].to_pylist()) == {NOW}
    report = add(place, [table])
    assert (report.new, report.changed, report.same) == (4, 0, 0)
    again = add(place, collect(questions(place), {"workspace": str(place.folder), "min_score": "0.8"}))
    assert (again.new, again.changed, again.same) == (0, 1, 3)


def test_without_answers_there_are_no_votes(place: Workspace) -> None:
    fill(place, {"cat": photos(0, 1)})
    assert votes_of(place) == {}


@pytest.mark.parametrize("text", ["x", "1.1", "-0.1", "nan", ""])
def test_min_score_is_checked(place: Workspace, text: str) -> None:
    fill(place, {"cat": photos(0, 1)})
    with pytest.raises(LabelError, match=r"min_score = .*expected a number from 0 to 1"):
        votes_of(place, min_score=text)


def test_options_are_checked(place: Workspace, tmp_path: Path) -> None:
    fill(place, {"cat": photos(0, 1)})
    with pytest.raises(LabelError, match="no workspace was named"):
        list(collect(questions(place), {}))
    (tmp_path / "names.toml").write_text('[dog]\nsynonyms = ["hound"]\n', encoding="utf-8")
    with pytest.raises(CrawlError, match="'dog' is none of the 1 classes"):
        votes_of(place, names=tmp_path / "names.toml")


# -- the program -------------------------------------------------------------------------------------------


def test_dry_run_needs_neither_network_nor_credentials(place: Workspace) -> None:
    fill(place, {"cat": photos(0, 20), "dog": photos(0, 20)})
    before = sorted(path.name for path in place.folder.iterdir())
    done = program("--workspace", place.folder, "--dry-run", "--max-images", 17, NO_GCE_CHECK="true")
    assert done.returncode == 0, done.stderr
    size = sum(json_bytes(len(data)) for data in photos(0, 20)) / 20 * 17 / 1e6
    lines = done.stdout.splitlines()
    assert lines[0] == "images to send: 17, 3 more left for later; 0 are done already"
    assert lines[1].startswith("requests: 2 of at most 16 images, ")
    assert lines[1].endswith("MB in all; at least 1 s at 1,800 images a minute")
    assert abs(float(lines[1].split()[7]) - size) < 0.1
    assert lines[2].startswith("cost: USD 0.00 if none of the month's 1,000 free units are used, USD 0.03 if all are ")
    assert lines[3] == "Nothing was sent and nothing written."
    assert sorted(path.name for path in place.folder.iterdir()) == before


def test_the_program_asks_before_it_sends(place: Workspace) -> None:
    a, _ = fill(place, {"cat": photos(0, 2)})["cat"]
    with VisionEmulator({a: [("Cat", 0.75)]}) as vision:
        args = ("--workspace", place.folder, "--api-endpoint", vision.base, "--per-minute", FAST)
        refused = program(*args, text="n\n")
        assert "Send 2 images to Cloud Vision? [y/N]" in refused.stdout
        assert refused.stdout.endswith("Nothing was sent and nothing written.\n")
        assert program(*args).returncode == 1
        assert vision.num_requests == 0
        agreed = program(*args, text="y\n")
        assert agreed.returncode == 0, agreed.stderr
        assert (
            "Cloud Vision: 2 images labelled in 1 requests\nvotes: 2 new, 0 changed, 0 already there" in agreed.stdout
        )
        assert vision.num_requests == 1
        again = program(*args, "--min-score", 0.8)
        assert "images to send: 0; 2 are done already" in again.stdout
        assert "votes: 0 new, 1 changed, 1 already there" in again.stdout
        assert vision.num_requests == 1
    votes = place.read("votes").to_pylist()
    assert {(vote["answer"], vote["annotator"], vote["is_weak"]) for vote in votes} == {
        ("unsure", "google-vision", True),
        ("no", "google-vision", True),
    }


def test_the_program_keeps_what_came_before_a_refusal(place: Workspace) -> None:
    fill(place, {"cat": photos(0, 20)})
    with VisionEmulator() as vision:
        vision.instead.extend([Reply({"responses": [{}] * 16}), NO_BILLING])
        done = program("--workspace", place.folder, "--api-endpoint", vision.base, "--yes", "--per-minute", FAST)
        assert_refused(done, "billing to be enabled", "16 new answers are kept and 4 images are left", "run the same")
        assert "votes: 16 new" in done.stdout
    assert place.read("vision_labels").num_rows == 16


def test_without_credentials_one_line_says_what_to_do(place: Workspace, tmp_path: Path) -> None:
    fill(place, {"cat": photos(0, 1)})
    args = ("--workspace", place.folder, "--yes")
    nothing = {"NO_GCE_CHECK": "true", "HOME": str(tmp_path), "PATH": "/nowhere"}
    assert_refused(program(*args, **nothing), "no usable Google credentials", "gcloud auth application-default login")
    lost = program(*args, **nothing, GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / "lost.json"))
    assert_refused(lost, "lost.json was not found", "GOOGLE_APPLICATION_CREDENTIALS")
    account = {"type": "service_account", "client_email": "a@b", "token_uri": "https://x", "private_key": "secret"}
    (tmp_path / "odd.json").write_text(json.dumps(account))
    odd = program(*args, **nothing, GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / "odd.json"))
    assert_refused(odd, "no usable Google credentials")
    assert "secret" not in odd.stderr
    assert place.read("vision_labels").num_rows == 0


def test_mistakes_are_one_line_before_anything_is_sent(place: Workspace, tmp_path: Path) -> None:
    fill(place, {"cat": photos(0, 1)})
    (tmp_path / "names.toml").write_text("[", encoding="utf-8")
    with VisionEmulator() as vision:
        args = ("--api-endpoint", vision.base, "--yes")
        assert_refused(program("--workspace", tmp_path / "no", *args), "no such folder")
        wrong = program("--workspace", place.folder, "--names", tmp_path / "names.toml", *args)
        assert_refused(wrong, "cannot be read as names")
        elsewhere = program("--workspace", place.folder, "--yes", "--api-endpoint", "https://example.org")
        assert_refused(elsewhere, "expected https://...googleapis.com")
        assert vision.num_requests == 0


def test_without_the_extra_one_line_says_what_to_install(place: Workspace) -> None:
    fill(place, {"cat": photos(0, 1)})
    code = """
import sys
sys.modules["google.cloud.vision"] = None  # what Python does for a package that is not there
from noisyweb.cli import main
main()
"""
    command = [sys.executable, "-c", code, "label", "vision", "--workspace", str(place.folder)]
    plan_only = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, timeout=60)
    assert plan_only.returncode == 0
    done = subprocess.run([*command, "--yes"], capture_output=True, text=True, timeout=60)
    assert_refused(done, "needs google-cloud-vision, which is not installed; pip install 'noisyweb[google]'")


def test_no_command_imports_google_unless_it_asks() -> None:
    code = (
        "import sys\n"
        "import noisyweb.labelling.google_vision, noisyweb.google_vision.labels, noisyweb.cli.label_vision\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('google', 'grpc', 'requests')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_killed_again_and_again_nothing_is_paid_for_twice_but_one_batch_a_kill(tmp_path: Path) -> None:
    count, kills = 150, 4
    places = [Workspace(tmp_path / name, create=True) for name in ("calm", "killed")]
    for one in places:
        fill(one, {"cat": photos(0, count // 2), "dog": photos(500, count // 2)})
    killed = places[1]
    everything = set(waiting(killed))
    truth = {image_id: [("Cat", 0.75)] for image_id in sorted(everything)[:40]}
    with VisionEmulator(truth) as vision:
        run(places[0], vision)
    with VisionEmulator(truth) as vision:
        args = ("--workspace", str(killed.folder), "--api-endpoint", vision.base, "--yes", "--per-minute", str(FAST))
        for kill in range(kills):
            vision.held.clear()
            vision.release.clear()
            vision.hold_at = vision.num_requests + kill % 3  # after 0, 1 or 2 answers it gets stuck, and is killed
            kept, num_batches = kept_ids(killed), len(vision.batches)
            process = subprocess.Popen([*COMMAND, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert vision.held.wait(60)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
            vision.release.set()
            sent = [image for batch in vision.batches[num_batches:] for image in batch]
            assert not kept & set(sent)
            assert set(sent[: 16 * (kill % 3)]) == kept_ids(killed) - kept
        kept, num_batches = kept_ids(killed), len(vision.batches)
        done = program(*args)
        assert done.returncode == 0, done.stderr
        assert not kept & {image for batch in vision.batches[num_batches:] for image in batch}
        sent_often = Counter(image for batch in vision.batches for image in batch)
        assert set(sent_often) == everything == kept_ids(killed)
        assert sent_often.total() <= count + IMAGES_PER_REQUEST * kills
        assert not vision.violations
    assert killed.read("vision_labels").num_rows == count
    without_time = [one.read("vision_labels").drop_columns("answered_at") for one in places]
    assert without_time[0].equals(without_time[1])
    assert votes_of(killed) == votes_of(places[0])


def kept_ids(place: Workspace) -> set[str]:
    table: pa.Table = place.read("vision_labels")
    return set(table["image_id"].to_pylist())
