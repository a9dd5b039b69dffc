"""Audits of what `noisyweb export --to cnwl` writes, whole and one level alone, and of data sets side by side."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from noisyweb.audit.read_release import read_release
from noisyweb.audit.report import AuditReport
from noisyweb.build import Recipe, build
from noisyweb.dataset import load_dataset
from noisyweb.export import export_builds, open_builds
from tests.conftest import Program, TinySet


@pytest.fixture
def builds(tiny: TinySet, tmp_path: Path) -> Path:
    dataset = load_dataset(str(tiny.toml))
    for kind, levels in (("red", ["0.2", "0.6"]), ("blue", ["0", "0.2"])):
        list(build(dataset, Recipe.of(kind, [Decimal(level) for level in levels]), out=tmp_path / "builds"))
    return tmp_path / "builds"


def exported(builds: Path, target: Path) -> Path:
    target.mkdir()
    export_builds(open_builds(builds), "cnwl", target)
    return target


def audited(folder: Path) -> AuditReport:
    (one,) = read_release(folder)
    return AuditReport.of(one)


def test_exports_are_sound(builds: Path, tmp_path: Path) -> None:
    """All that an export annotates is wrong, since it lists only what it uses; that is no lost verdict."""
    report = audited(exported(builds / "tiny", tmp_path / "all"))
    assert report.findings == ()
    assert {one.name: one.num_wrong for one in report.audited.sets} == {
        "blue_noise_nl_0.0": 0,
        "blue_noise_nl_0.2": 8,
        "red_noise_nl_0.2": 8,
        "red_noise_nl_0.6": 23,
    }


def test_one_red_level_alone(builds: Path, tmp_path: Path) -> None:
    """No split without noise is beside it; red noise changes no label of a clean image."""
    folder = exported(builds / "tiny" / "red_noise_nl_0.6", tmp_path / "one")
    report = audited(folder)
    assert report.findings == ()
    (one,) = report.audited.sets
    assert (one.num_wrong, one.num_unknown) == (23, 0)
    split = folder / "tiny" / "split" / "red_noise_nl_0.6"
    (split.parent / "blue_noise_nl_0.6").write_text(split.read_text())
    report = audited(folder)
    blue, _ = report.audited.sets
    assert (blue.num_unknown, blue.unresolved) == (15, [])
    assert [f.count for f in report.findings if f.check == "truth"] == [15]
    split.write_text(split.read_text() + "00000000000000ff.jpg 1\n")
    (fault,) = [f for f in audited(folder).faults if f.check == "ids"]
    assert fault.examples == ("00000000000000ff",)


def test_builds_of_several_data_sets(builds: Path, noisyweb: Program) -> None:
    done = noisyweb("audit", builds)
    assert done.returncode == 0, done.stderr
    assert "sound" in done.stdout
