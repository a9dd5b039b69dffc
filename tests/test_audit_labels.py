"""Audits of label files whose rows do not go together, and of labels that have come apart from their images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.audit.read_labels import read_labels
from noisyweb.audit.report import AuditReport
from noisyweb.errors import SourceError
from tests.conftest import Program, assert_refused


def audited(folder: Path, ours: str, theirs: str, form: str = "csv") -> AuditReport:
    (folder / f"given.{form}").write_text(ours)
    (folder / "true.csv").write_text(theirs)
    return AuditReport.of(read_labels(folder / f"given.{form}", folder / "true.csv"))


def arrays(folder: Path, ours: np.ndarray, theirs: np.ndarray) -> AuditReport:
    np.save(folder / "given.npy", ours)
    np.save(folder / "true.npy", theirs)
    return AuditReport.of(read_labels(folder / "given.npy", folder / "true.npy"))


TRUE = "id,label\na,cat\nb,dog\nc,cat\n"


@pytest.mark.parametrize(
    ("ours", "form", "words"),
    [
        ('["dog", "cat", "cat"]', "json", "it has no ids and .* has"),
        ("id,label\na,0\nb,1\nc,0\n", "csv", "numbers in both or names in both"),
        ("id,label\na,0\nb,dog\n", "csv", "some labels are numbers and some are names"),
        ("id,label\na\nb,dog\n", "csv", "expected a class number or name in every row"),
        ('[{"id": "a", "label": "cat"}, {"id": "b"}]', "json", "not every row has label and id"),
        ('[{"id": "a", "label": "cat"}, 3]', "json", "not every row has label and id"),
        ('[{"colour": "a"}]', "json", "no column of labels"),
    ],
)
def test_files_that_do_not_go_together(tmp_path: Path, ours: str, form: str, words: str) -> None:
    with pytest.raises(SourceError, match=words) as refused:
        audited(tmp_path, ours, TRUE, form)
    assert "\n" not in str(refused.value)


def test_one_line_at_the_command_line(tmp_path: Path, noisyweb: Program) -> None:
    (tmp_path / "given.json").write_text('["dog", "cat", "cat"]')
    (tmp_path / "true.csv").write_text(TRUE)
    assert_refused(noisyweb("audit", tmp_path / "given.json", "--truth", tmp_path / "true.csv"), "rows cannot be")


def test_two_true_labels_of_one_image(tmp_path: Path) -> None:
    report = audited(tmp_path, "id,label\na,cat\nb,dog\n", "id,label\na,cat\na,dog\nb,dog\nb,dog\n")
    (fault,) = report.faults
    assert (fault.check, fault.where, fault.count, fault.examples) == ("truth", "true.csv", 1, ("a",))


def test_ids_that_differ_in_folders_and_endings(tmp_path: Path) -> None:
    report = audited(tmp_path, "id,label\nx/a.jpg,cat\nb.jpg,dog\n", TRUE)
    assert [(f.check, f.count) for f in report.faults] == [("ids", 2)]
    (note,) = [f for f in report.findings if f.severity == "note"]
    assert "2 ids of given.csv would be in true.csv without folders and endings" in note.message
    assert any("3 of 3 ids of true.csv are not in it" in f.message for f in report.findings)


def test_rows_of_objects(tmp_path: Path) -> None:
    rows = [{"id": "b", "label": "cat"}, {"id": "a", "label": "cat"}]
    (one,) = audited(tmp_path, json.dumps(rows), TRUE, "json").audited.sets
    assert one.wrong.tolist() == [1, 0]


def test_true_labels_that_nobody_knows(tmp_path: Path) -> None:
    report = audited(tmp_path, "id,label\na,1\nb,0\nc,0\n", "id,label\na,-1\nb,0\nc,1\n")
    (one,) = report.audited.sets
    assert one.wrong.tolist() == [-1, 0, 1]
    assert any("1 of 3 true labels are no class" in f.message for f in report.findings)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, -1, 2, -2]), st.sampled_from([0.0, 0.1]), st.integers(2, 50))
def test_labels_that_stand_some_rows_off_are_told(
    tmp_path_factory: pytest.TempPathFactory, seed: int, shift: int, noise: float, num_classes: int
) -> None:
    rng = np.random.default_rng(seed)
    true = np.append(rng.integers(0, num_classes, 2000), num_classes - 1)
    ours = np.where(rng.random(len(true)) < noise, rng.integers(0, num_classes, len(true)), true)
    (fault,) = arrays(tmp_path_factory.mktemp("slip"), np.roll(ours, shift), true).faults
    assert fault.check == "slipped"
    assert f"labels stand {abs(shift)} row" in fault.message
    assert f"too {'low' if shift > 0 else 'high'}" in fault.message


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([10, 100]), st.floats(0, 0.8), st.booleans())
def test_noise_is_not_taken_for_a_slip(
    tmp_path_factory: pytest.TempPathFactory, seed: int, num_classes: int, noise: float, is_sorted: bool
) -> None:
    rng = np.random.default_rng(seed)
    true = np.append(rng.integers(0, num_classes, 5000), num_classes - 1)
    true = np.sort(true) if is_sorted else true
    is_wrong = rng.random(len(true)) < noise
    ours = np.where(is_wrong, (true + rng.integers(1, num_classes, len(true))) % num_classes, true)
    assert arrays(tmp_path_factory.mktemp("noise"), ours, true).faults == []


@pytest.mark.parametrize("num_classes", [4, 10, 100])
def test_shuffled_labels_are_told_without_a_level(tmp_path: Path, num_classes: int) -> None:
    """As in a port whose annotations were of another order than its images."""
    true = np.repeat(np.arange(num_classes), 20_000 // num_classes)
    (fault,) = arrays(tmp_path, np.random.default_rng(1).permutation(true), true).faults
    assert fault.check == "slipped"
    assert f"{1 / num_classes:.1%} would be by chance" in fault.message
