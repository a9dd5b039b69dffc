"""The report's provenance: votes, licences and the funnel, each image counted once and every loss accounted for."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.consensus import update
from noisyweb.consensus.agreement import agreement as agreement_of
from noisyweb.consensus.tally import tally
from noisyweb.funnel import STEPS, funnel
from noisyweb.report.inputs import open_inputs
from noisyweb.report.page import figures_of
from noisyweb.report.sections import agreement, sources
from noisyweb.report.sections import funnel as funnel_section
from noisyweb.report.style import drawing
from noisyweb.schemas import VERDICTS
from noisyweb.votes import add
from noisyweb.workspace import Workspace
from tests.export_builds import blue_rows, red_rows, write_build, write_builds
from tests.test_consensus import table
from tests.test_label_status import NAMES, drop, found
from tests.test_report_pictures import HOSTILE, data_of


@pytest.fixture(autouse=True)
def in_style() -> Iterator[None]:
    with drawing():
        yield


# -- agreement -------------------------------------------------------------------------------------------


def test_votes_of_the_rows_are_counted_once(tmp_path: Path) -> None:
    section = agreement.draw(open_inputs(write_builds(tmp_path)))
    counts = data_of(section, "agreement-votes").to_pylist()
    assert counts == [{"votes_for_yes": "0 of 3", "wrong": 3}, {"votes_for_yes": "1 of 4", "wrong": 3}]
    assert "87.5% of an image's votes are on one side" in section.lead


def test_annotators_of_a_workspace(tmp_path: Path) -> None:
    place = Workspace(tmp_path / "w", create=True)
    place.set_class_names(NAMES)
    votes = [(name, 0, who, "yes") for name in "abc" for who in ("ann", "bob", HOSTILE)]
    votes += [("d", 1, "ann", "no"), ("d", 1, HOSTILE, "yes"), ("e", 1, "ann", "unsure")]
    add(place, [table(votes)])
    update(place)
    section = agreement.draw(open_inputs(write_builds(tmp_path / "b"), workspace=place.folder))
    alpha = agreement_of(tally(place.read("votes"))).overall
    assert f"alpha is {alpha.value:.3f} over {alpha.num_questions} questions" in section.lead
    assert sum(data_of(section, "agreement-votes")["right"].to_pylist()) == 3
    assert sorted(data_of(section, "annotators")["annotator"].to_pylist()) == sorted(["ann", "bob", HOSTILE])


# -- sources and the funnel ------------------------------------------------------------------------------


def test_each_image_has_one_licence(tmp_path: Path) -> None:
    inputs = open_inputs(write_builds(tmp_path))
    section = sources.draw(inputs)
    seen: dict[str, str] = {}
    for one in inputs.manifests:
        seen |= dict(zip(one.images.ids, one.manifest.rows["source"].to_pylist(), strict=True))
    sizes = Counter(seen.values())
    for name in ("sources-licences", "sources-hosts", "sources-creators"):
        counts = data_of(section, name)
        assert {source: sum(counts[source].to_pylist()) for source in sizes} == sizes
    by_host = {row["host"]: row["web"] for row in data_of(section, "sources-hosts").to_pylist()}
    assert by_host == {"not stated": 0, "example.org": sizes["web"]}


KEYS = st.tuples(st.sampled_from("abcde"), st.integers(0, 2))


@given(
    st.dictionaries(st.tuples(st.text("xyz", max_size=3), st.integers(0, 2)), st.none() | st.sampled_from("abcde")),
    st.sets(KEYS),
    st.dictionaries(KEYS, st.sampled_from([True, False, None])),
)
@settings(deadline=None, max_examples=30)
def test_what_is_lost_adds_up(
    tmp_path_factory: pytest.TempPathFactory, images: dict, dropped: set[tuple[str, int]], judged: dict
) -> None:
    place = Workspace(tmp_path_factory.mktemp("w"))
    place.set_class_names(NAMES)
    found(place, [(url, label, image_id) for (url, label), image_id in images.items()])
    drop(place, sorted(dropped))
    verdicts = [
        {"image_id": key[0], "label": key[1], "is_clean": is_clean, "status": "decided", "votes_total": 3}
        | dict.fromkeys(("votes_yes", "votes_no"), 0)
        for key, is_clean in judged.items()
    ]
    place.write("verdicts", pa.Table.from_pylist(verdicts, schema=VERDICTS))
    builds = tmp_path_factory.mktemp("b")
    write_build(builds, red_rows(3, 1), "red")
    section = funnel_section.draw(open_inputs(builds, workspace=place.folder))
    if not images:
        return
    counts = funnel(place)
    assert data_of(section, "funnel")["images"].to_pylist() == [*(counts[step] for step in STEPS), 1]
    [told] = [one for one in figures_of(section) if one.name == "funnel-reasons"]
    lost: Counter[str] = Counter()
    for step, _, number, _ in told.rows:
        lost[step] += int(number)
    assert {step: counts[step] - counts[after] for step, after in itertools.pairwise(STEPS)} == {
        step: lost[step] for step in STEPS[:-1]
    }


@pytest.mark.parametrize("part", [agreement, sources, funnel_section])
def test_sets_without_provenance_say_so(part: ModuleType, tmp_path: Path) -> None:
    write_build(tmp_path, blue_rows(14, 6), "blue", locked=False)
    section = part.draw(open_inputs(tmp_path))
    assert "`" in section.missing
    assert not section.blocks
