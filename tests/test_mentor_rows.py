"""Rows that a MentorNet learns from: tables and runs, whole, damaged and hostile."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from noisyweb.cli._main import app
from noisyweb.data import NoisyImages
from noisyweb.errors import CorruptFileError, NoisywebError, SourceError, TrainingError
from noisyweb.training.facts import facts_of
from noisyweb.training.mentor_rows import read_rows, run_rows
from noisyweb.training.row_history import write_rows
from tests.toy_manifest import write_toy_manifest

# -- rows of a table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_are_read(tmp_path: Path, suffix: str) -> None:
    columns = {
        "percent": [0, 79.9, 100],
        "loss": [0.5, 2, 3],
        "diff": [-0.5, 1, 0],
        "is_clean": [True, False, True],
        "note": ["a", "b", "c"],
    }
    path = tmp_path / f"rows{suffix}"
    if suffix == ".csv":
        path.write_text("\n".join(",".join(map(str, line)) for line in [columns, *zip(*columns.values(), strict=True)]))
    else:
        pq.write_table(pa.table(columns), path)
    rows = read_rows(path)
    assert [column.tolist() for column in rows] == [[0.5, 2, 3], [-0.5, 1, 0], [0, 79, 99], [1, 0, 1]]
    assert [str(column.dtype) for column in rows] == ["torch.float32"] * 2 + ["torch.int64", "torch.float32"]


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("percent,loss,diff\n1,2,3\n", SourceError, "there is no column 'is_clean'; expected percent, loss, diff, is"),
        ("percent,loss,loss,diff,is_clean\n1,2,2,3,true\n", SourceError, "there are several columns 'loss'"),
        ("percent,loss,diff,is_clean\n", SourceError, "it has no rows"),
        ("percent,loss,diff,is_clean\n1,2,3,true\n1,nan,3,true\n", SourceError, "loss of row 1 is missing, expected a"),
        (
            "percent,loss,diff,is_clean\n1,,3,true\n1,2,3,true\n",
            SourceError,
            "loss of row 0 is missing, expected a num",
        ),
        (
            "percent,loss,diff,is_clean\n1,inf,3,true\n",
            SourceError,
            "loss of row 0 is inf, expected a number from 0 to",
        ),
        ("percent,loss,diff,is_clean\n1,-2,3,true\n", SourceError, "loss of row 0 is -2"),
        (
            "percent,loss,diff,is_clean\n101,2,3,true\n",
            SourceError,
            "percent of row 0 is 101, expected a number from 0",
        ),
        ("percent,loss,diff,is_clean\n1,2,-1e30,true\n", SourceError, "diff of row 0 is -1e+30"),
        ("percent,loss,diff,is_clean\n1,2,x,true\n", SourceError, "column 'diff' holds string, expected numbers"),
        ("percent,loss,diff,is_clean\n1,2,3,maybe\n", SourceError, "column 'is_clean' holds string"),
        ("percent,loss,diff,is_clean\n1,2,3,2\n", SourceError, "is_clean of row 0 is 2"),
        ("percent,loss,diff,is_clean\n1,2,3,0.5\n", SourceError, "is_clean holds 0.5, expected true or false"),
        ("percent,loss,diff,is_clean\n1,2,3,true\n1,2,3,\n", SourceError, "is_clean of row 1 is missing"),
        ("percent,loss,diff,is_clean\n1,2,3\n", CorruptFileError, "cannot be read as CSV"),
        ("", CorruptFileError, "cannot be read as CSV"),
    ],
)
def test_hostile_csv(tmp_path: Path, text: str, kind: type[NoisywebError], message: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(kind) as error:
        read_rows(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_hostile_parquet(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    with pytest.raises(SourceError, match="no such file; expected a CSV or Parquet table with percent, loss, diff"):
        read_rows(path)
    path.write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(CorruptFileError, match="cannot be read as Parquet"):
        read_rows(path)
    column = pa.array([1.0])
    good = {"percent": column, "loss": column, "diff": column, "is_clean": pa.array([True])}
    pq.write_table(pa.table({**good, "diff": pa.array([[1.0]])}), path)
    with pytest.raises(SourceError, match=r"column 'diff' holds list<.*>, expected numbers or true and false"):
        read_rows(path)
    pq.write_table(pa.table({**good, "is_clean": pa.array([None], pa.bool_())}), path)
    with pytest.raises(SourceError, match="is_clean of row 0 is missing"):
        read_rows(path)
    pq.write_table(pa.table({**good, "percent": pa.array([True])}), path)
    with pytest.raises(SourceError, match="column 'percent' holds bool, expected numbers"):
        read_rows(path)
    with pytest.raises(CorruptFileError, match="cannot be read as Parquet"):
        read_rows(tmp_path)


# -- rows of a run -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_manifest(tmp_path_factory.mktemp("toys"), num_images=8, num_validation=0)


def write_run(folder: Path, manifest: Path, **changes: Any) -> Path:
    """A run of two epochs; row 0 was not looked at in the second."""
    folder.mkdir()
    data = {"where": str(manifest), "digest": facts_of(NoisyImages(manifest), 0, "toys").digest}
    content = {"train": {"epochs": 2}, "data": {**data, **changes}}
    (folder / "config.json").write_text(json.dumps(content))
    for epoch, first in ((1, 0.0), (2, np.nan)):
        loss = np.array([first, *range(1, 8)], np.float32) / epoch
        write_rows(folder, epoch, loss, np.zeros(8, np.int64), np.full(8, np.nan, np.float32))
    return folder


def test_rows_of_a_run(tmp_path: Path, manifest: Path) -> None:
    rows = run_rows(write_run(tmp_path / "run", manifest), p=1.0)
    is_clean = NoisyImages(manifest).is_clean.astype(float).tolist()
    assert rows.percent.tolist() == [25] * 8 + [75] * 7
    assert rows.loss.tolist() == [*range(8), *(i / 2 for i in range(1, 8))]
    assert rows.diff.tolist() == [*range(-7, 1), *(i / 2 - 3.5 for i in range(1, 8))]
    assert rows.weight.tolist() == is_clean + is_clean[1:]
    assert 0 < sum(is_clean) < 8


def break_epochs(run: Path) -> None:
    (run / "config.json").write_text(json.dumps({"train": {"epochs": "two"}, "data": {}}))


def break_row(run: Path) -> None:
    table = pq.read_table(run / "rows" / "epoch-0001.parquet")
    pq.write_table(table.set_column(1, "row", pa.array([8] * 8, pa.int32())), run / "rows" / "epoch-0001.parquet")


def break_file(run: Path) -> None:
    (run / "rows" / "epoch-0002.parquet").write_bytes(b"junk")


def keep_none(run: Path) -> None:
    for file in (run / "rows").iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("broken", "kind", "message"),
    [
        (break_epochs, CorruptFileError, "config.json: epochs 'two', expected a positive number"),
        (break_row, SourceError, "epoch-0001.parquet: row of row 0 is 8, expected a number from 0 to 7"),
        (break_file, CorruptFileError, "epoch-0002.parquet: cannot be read as Parquet"),
        (keep_none, TrainingError, r"the run kept no rows \(rows/\*.parquet\); train again with --row-history"),
    ],
)
def test_damaged_runs(
    tmp_path: Path, manifest: Path, broken: Callable[[Path], None], kind: type[NoisywebError], message: str
) -> None:
    run = write_run(tmp_path / "run", manifest)
    broken(run)
    with pytest.raises(kind, match=message):
        run_rows(run)


def test_runs_that_do_not_fit(tmp_path: Path, manifest: Path) -> None:
    with pytest.raises(TrainingError, match="no training run is here; name the run folder of `noisyweb train`"):
        run_rows(tmp_path)
    with pytest.raises(TrainingError, match="was trained on another manifest; name its own with --manifest"):
        run_rows(write_run(tmp_path / "other", manifest, digest="0" * 64))
    moved = write_run(tmp_path / "moved", manifest, where=str(tmp_path / "gone"))
    with pytest.raises(SourceError, match="gone: no such folder"):
        run_rows(moved)
    assert len(run_rows(moved, str(manifest)).loss) == 15
    with pytest.raises(TrainingError, match="the run does not say where its manifest is; name it with --manifest"):
        run_rows(write_run(tmp_path / "mute", manifest, where=None))
    with pytest.raises(TrainingError, match=r"percentile nan is out of range; expected a share 0..1"):
        run_rows(moved, str(manifest), float("nan"))


def test_the_command_learns_from_a_run(tmp_path: Path, manifest: Path) -> None:
    run, out = write_run(tmp_path / "run", manifest), tmp_path / "mentor"
    options = ["--manifest", manifest, "--percentile", 0.6, "--steps", 5, "--out", out]
    done = CliRunner().invoke(app, ["train-mentornet", "--run", str(run), *map(str, options)])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"{run}: 15 rows, 5 steps, seed 0"
    assert lines[1].endswith("from 80 % on no rows")
    assert lines[2].endswith(f"--method mentornet --mentor {out} --percentile 0.6")
