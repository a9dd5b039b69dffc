"""What the sections say: the right numbers, and why where there are none."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from noisyweb.report.inputs import ReportInputs, open_inputs
from noisyweb.report.section import Figure, Fold, Section, Table
from noisyweb.report.sections import classes, confusion, learning, levels, profile, study
from noisyweb.report.style import drawing
from tests.export_builds import Row, clean_row, web_row, write_build
from tests.report_builds import write_hostile, write_rows, write_run, write_study

OURS = (levels, classes, confusion, learning, profile, study)
CLASSES = ("ant", "bee", "cat")


def data_of(section: Section, name: str) -> pa.Table:
    """What a figure or table shows."""
    blocks = [inner for one in section.blocks for inner in (one.blocks if isinstance(one, Fold) else (one,))]
    found = next(one for one in blocks if not isinstance(one, str) and one.name == name)
    assert found.data is not None
    return found.data


@pytest.fixture(autouse=True)
def in_style() -> Iterator[None]:
    """As a report draws."""
    with drawing():
        yield


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> ReportInputs:
    return open_inputs(write_hostile(tmp_path_factory.mktemp("builds") / "pets"))


def flipped(number: int, label: int | None, true: int | None) -> Row:
    """A row labelled ``label`` (if None: rightly); of an unknown class if ``true`` is None."""
    row = {**clean_row(number), "true_label": true}
    if label is None or label == true:
        return {**row, "label": true}
    return {**row, "label": label, "is_clean": False, "noise": "symmetric" if true is not None else "open-set"}


pairs = st.tuples(st.integers(0, 2), st.none() | st.integers(0, 2))


@settings(max_examples=15, deadline=None)
@given(st.lists(pairs, min_size=1, max_size=25))
def test_every_wrong_row_is_counted_once(drawn: list[tuple[int, int | None]]) -> None:
    rows = [flipped(number, *pair) for number, pair in enumerate(drawn)]
    wrong = [(row["label"], row["true_label"]) for row in rows if not row["is_clean"]]
    with tempfile.TemporaryDirectory() as place:
        inputs = open_inputs(write_rows(Path(place), rows, f"{len(wrong) / len(rows):.6f}", CLASSES))
        section, by_class = confusion.draw(inputs), classes.draw(inputs)
    if not wrong:
        assert section.missing
        assert by_class.missing
        return
    found = data_of(section, "confusion-blue").to_pylist()
    assert {(one["given_label"], one["true_label"]): one["rows"] for one in found} == {
        pair: wrong.count(pair) for pair in wrong
    }
    outside = sum(true is None for _, true in wrong)
    assert f"{outside:,} of {len(wrong):,} wrong images" in section.lead
    counted = data_of(by_class, "classes-by-name").to_pylist()
    assert sum(one["wrong"] for one in counted) == len(wrong)
    assert sum(one["images"] for one in counted) == len(rows)
    for one in counted:
        assert one["share"] == one["wrong"] / one["images"]
        assert one["given"] == sum(row["label"] == one["label"] for row in rows)


def test_levels_are_those_of_the_rows(hostile: ReportInputs) -> None:
    section = levels.draw(hostile)
    assert section.lead == "All 4 training sets have exactly as many wrong labels as asked for."
    found = data_of(section, "levels").to_pylist()
    assert [(one["set"], one["wrong"], one["rows"]) for one in found] == [
        ("blue_noise_nl_0.2", 6, 30),
        ("blue_noise_nl_0.4", 12, 30),
        ("red_noise_nl_0.2", 6, 30),
        ("red_noise_nl_0.4", 12, 30),
    ]
    assert [one["realised"] for one in found] == [0.2, 0.4, 0.2, 0.4]


def test_a_level_that_was_missed_is_said_first(tmp_path: Path) -> None:
    rows = [flipped(n, (n + 1) % 3 if n < 6 else None, n % 3) for n in range(25)]
    section = levels.draw(open_inputs(write_rows(tmp_path, rows, "0.4")))
    assert section.lead.startswith("1 of 1 training sets has not as many wrong labels as asked for: ")
    assert "24.00% instead of 40.00%" in section.lead


def test_examples_are_nearest_to_the_middle_level(hostile: ReportInputs) -> None:
    assert [one.name for one in hostile.examples] == ["blue_noise_nl_0.4", "red_noise_nl_0.4"]


@pytest.mark.parametrize("part", [classes, confusion, profile], ids=lambda part: part.TITLE)
def test_no_noise_is_said(part: ModuleType, tmp_path: Path) -> None:
    rows = [clean_row(number) for number in range(12)]
    section = part.draw(open_inputs(write_rows(tmp_path, rows, "0.0")))
    assert "No label is wrong" in section.missing
    assert "`noisyweb build --noise 0.4`" in section.missing
    assert not section.blocks


def test_no_runs_and_no_study_are_said(hostile: ReportInputs) -> None:
    assert "`noisyweb train --manifest DIR`" in learning.draw(hostile).missing
    assert "`noisyweb study --manifest-root DIR`" in study.draw(hostile).missing


def without_bytes(row: Row) -> Row:
    return {**row, "image": {"bytes": None, "path": row["image"]["path"]}}


@pytest.mark.parametrize(
    ("rows", "class_names", "said"),
    [
        ([without_bytes(flipped(n, (n + 1) % 3 if n < 12 else None, n % 3)) for n in range(30)], CLASSES, "no images"),
        ([{**clean_row(n), "label": 0, "true_label": 0} for n in range(18)], CLASSES[:1], "one class"),
        ([flipped(n, (n + 1) % 3 if n < 12 else None, n % 3) for n in range(30)], CLASSES, "no row has votes"),
    ],
    ids=["paths only", "one class", "no votes"],
)
def test_odd_sets_are_drawn_and_what_is_missing_is_said(
    rows: list[Row], class_names: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    if len(class_names) == 1:
        rows = rows + [{**web_row(n), "label": 0} for n in range(12)]
    inputs = open_inputs(write_rows(tmp_path, rows, "0.4", class_names))
    sections = [part.draw(inputs) for part in OURS]
    assert all(bool(section.missing) != bool(section.blocks) for section in sections)
    found = sections[OURS.index(profile)]
    texts = [
        found.missing,
        *(cell for one in found.blocks if isinstance(one, Table) for row in one.rows for cell in row),
    ]
    assert said in " ".join(texts)


def test_curves_are_those_of_the_runs(hostile: ReportInputs, tmp_path: Path) -> None:
    for seed, last in enumerate((0.3, 0.5)):
        curves = [(0.5, 0.1, 0.8), (0.9, 0.4, 0.6), (1.0, 0.9, last)]
        write_run(tmp_path / f"run-{seed}", curves, seed=seed)
    write_run(tmp_path / "clean", [(1.0, None, 0.9)], level=0.0)
    section = learning.draw(open_inputs(hostile.path, runs=[tmp_path]))
    assert section.lead.startswith("3 runs. Most is memorised under blue 40% with plain training: ")
    assert "predicts 90% of the wrong labels" in section.lead
    assert "accuracy is 40.0%, 40.0 points below its peak" in section.lead
    rows = data_of(section, "learning-table").to_pylist()
    assert [(one["kind"], one["runs"], one["peak"]) for one in rows] == [("blue", 2, 0.8), ("clean", 1, 0.9)]
    figure = next(one for one in section.blocks if isinstance(one, Figure))
    assert "mean and range over seeds" in figure.caption
    axes = figure.picture.axes[0]  # type: ignore[union-attr]
    lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    np.testing.assert_allclose(lines["clean validation accuracy"], [0.8, 0.6, 0.4])
    np.testing.assert_allclose(lines["wrong labels fitted"], [0.1, 0.4, 0.9])


def test_a_study_is_told(hostile: ReportInputs, tmp_path: Path) -> None:
    inputs = open_inputs(hostile.path, study=write_study(tmp_path / "study"))
    section = study.draw(inputs)
    assert section.lead == "12 of 13 runs are done. Of the paper's findings, asked of these runs: 1 supported."
    tables = {one.name: one for one in section.blocks if isinstance(one, Table)}
    assert tables["study-findings"].rows == [("Is red better?", "supported", "By +30.0 points.")]
    assert ("blue", "40%", "scratch", "small", "standard", "2", "70.0 ± 2.0", "30.0 ± 2.0", "40.0 ± 2.0") in tables[
        "study-table"
    ].rows
    figure = next(one for one in section.blocks if isinstance(one, Figure))
    panel = figure.picture.axes[0]  # type: ignore[union-attr]
    assert panel.get_title(loc="left") == "plain training"
    solid = {line.get_label(): line.get_xydata().tolist() for line in panel.get_lines() if line.get_linestyle() == "-"}
    assert solid == {"blue": [[0, 0.9], [0.4, 0.3]], "red": [[0, 0.9], [0.4, 0.6]]}
    assert "12 runs." in learning.draw(inputs).lead


def test_a_legend_of_many_kinds_is_all_there(tmp_path: Path) -> None:
    kinds = ["red", "blue", "human", "asymmetric", "asymmetric0.25-instance0.25-nearest0.25-open-set0.25"]
    rows = [flipped(n, (n + 1) % 3 if n < 10 else None, n % 3) for n in range(25)]
    folders = [write_build(tmp_path / "pets", rows, kind, "0.4", class_names=CLASSES) for kind in kinds]
    section = classes.draw(open_inputs(folders[0].parent))
    figure = next(one for one in section.blocks if isinstance(one, Figure) and one.name == "classes-by-name").picture
    assert not isinstance(figure, Image.Image)
    (legend,) = figure.legends
    texts = {text.get_text() for text in legend.get_texts()}
    assert texts == {*(f"{kind} 40%" for kind in kinds[:4]), "asymmetric0.25-instance0.25-nearest0.25-ope… 40%"}
    figure.draw_without_rendering()
    box, axes = legend.get_window_extent(), figure.axes[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert axes.y1 <= box.y0 < box.y1 <= figure.bbox.height
    assert axes.height > 60
