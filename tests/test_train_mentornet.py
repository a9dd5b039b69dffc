"""``noisyweb train-mentornet``: what is learned, from what, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from noisyweb.cli._main import app
from noisyweb.errors import TrainingError, UnknownNameError
from noisyweb.training.checkpoint import load
from noisyweb.training.curricula import CURRICULA, load_target
from noisyweb.training.mentor_rows import read_rows
from noisyweb.training.mentor_training import TargetRows, curriculum_rows, fit_error, train_mentor
from noisyweb.training.mentornet import Mentor, load_curriculum
from noisyweb.training.method import Clock

CPU = torch.device("cpu")


def small_rows(num: int = 400, percents: tuple[int, ...] = (10, 90)) -> TargetRows:
    """Labels are right where the loss is below its moving average."""
    generator = torch.Generator().manual_seed(0)
    diff = torch.rand(num, generator=generator) * 4 - 2
    percent = torch.tensor(percents)[torch.arange(num) % len(percents)]
    return TargetRows(diff + 2, diff, percent, (diff < 0).float())


def write_csv(path: Path, rows: TargetRows) -> Path:
    lines = [
        f"{percent},{loss:.4f},{diff:.4f},{bool(v)}".lower()
        for loss, diff, percent, v in zip(*(c.tolist() for c in rows), strict=True)
    ]
    path.write_text("\n".join(["percent,loss,diff,is_clean", *lines]) + "\n")
    return path


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["train-mentornet", *map(str, arguments)])


# -- training ------------------------------------------------------------------------------------------


def test_a_few_steps_learn_a_threshold() -> None:
    rows = small_rows()
    error = fit_error(train_mentor(rows, steps=150), rows)
    assert error.before is not None
    assert error.before < 0.1, "always one half would be 0.5"
    assert error.after is not None
    assert error.after < 0.1


def test_same_seed_same_network_and_the_global_generator_is_left_alone() -> None:
    rows = small_rows()
    torch.manual_seed(5)
    first = train_mentor(rows, steps=5, seed=3).state_dict()
    drawn = torch.rand(1)
    torch.manual_seed(6)
    again, other = train_mentor(rows, steps=5, seed=3).state_dict(), train_mentor(rows, steps=5, seed=4).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))


def test_percents_without_rows_are_as_the_nearest_with_rows() -> None:
    network = train_mentor(small_rows(percents=(10, 60)), steps=20)
    loss, diff = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 1.0])
    at = {percent: network.weigh(loss, diff, percent) for percent in (0, 10, 34, 36, 60, 99)}
    assert torch.equal(at[0], at[10])
    assert torch.equal(at[34], at[10])
    assert not torch.equal(at[10], at[60])
    assert torch.equal(at[36], at[60])
    assert torch.equal(at[99], at[60])


def test_fit_error_by_phase() -> None:
    network = train_mentor(small_rows(), steps=1)
    rows = TargetRows(torch.ones(3), torch.zeros(3), torch.tensor([0, 79, 80]), torch.tensor([1.0, 0.0, 1.0]))
    given = [float(network.weigh(torch.ones(1), torch.zeros(1), percent)) for percent in (0, 79, 80)]
    error = fit_error(network, rows)
    assert error.before == pytest.approx(((1 - given[0]) + given[1]) / 2, abs=1e-6)
    assert error.after == pytest.approx(1 - given[2], abs=1e-6)
    assert fit_error(network, TargetRows(*(column[:2] for column in rows))).after is None


@pytest.mark.parametrize("steps", [0, -1, 10**9])
def test_steps_out_of_range(steps: int) -> None:
    with pytest.raises(TrainingError, match=f"^steps {steps} is out of range; expected 1 to 10,000,000"):
        train_mentor(small_rows(), steps=steps)


@pytest.mark.slow
def test_the_released_curriculum_is_learned() -> None:
    rows = curriculum_rows("predefined")
    network = train_mentor(rows, steps=6000)  # a fifth of the default: about 10 s
    error = fit_error(network, TargetRows(*(column[::7] for column in rows)))
    assert error.before is not None
    assert error.before < 0.002
    assert error.after is not None
    assert error.after < 0.01
    released = {0.1: 0.90, 0.2: 0.80, 0.3: 0.70, 0.5: 0.48, 0.75: 0.23, 1.0: 0.00}
    for loss in (0.5, 2.0, 8.0):
        loss_1 = torch.tensor([loss])
        assert float(network.weigh(loss_1, torch.tensor([0.0]), 50)) > 0.95
        assert float(network.weigh(loss_1, torch.tensor([0.1]), 50)) < 0.2
        for diff, weight in released.items():
            assert float(network.weigh(loss_1, torch.tensor([diff]), 95)) == pytest.approx(weight, abs=0.07)


# -- curricula -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CURRICULA)
def test_targets_are_weights_on_the_whole_grid(name: str) -> None:
    for gamma in (None, 0.001, 1000.0) if name in ("focal", "linear-self-paced") else (None,):
        rows = curriculum_rows(name, gamma)
        assert len(rows.weight) == 1_200_000
        assert bool(((rows.weight >= 0) & (rows.weight <= 1)).all())


@pytest.mark.parametrize("gamma", [0.0, -1.0, float("nan"), float("inf"), 1e-9])
def test_gamma_out_of_range(gamma: float) -> None:
    with pytest.raises(TrainingError, match=r"^gamma .* is out of range; expected 0.001 to 1000, such as 1"):
        load_target("focal", gamma)


# -- the command ---------------------------------------------------------------------------------------


def test_the_command_writes_a_mentor_that_weighs(tmp_path: Path) -> None:
    rows = write_csv(tmp_path / "rows.csv", small_rows())
    out = tmp_path / "mentor.safetensors"
    done = command("--rows", rows, "--steps", 100, "--seed", 2, "--out", out)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"{rows}: 400 rows, 100 steps, seed 2"
    assert lines[1].startswith("mean absolute error of the weights: below 80 % of the training 0.")
    assert lines[2] == f"{out}: use it with noisyweb train --method mentornet --mentor {out}"
    mentor = Mentor(0.5, 0, CPU, load_curriculum(str(out), CPU))
    weights = mentor.weigh(torch.tensor([0.0, 1.0, 3.0]), Clock(90, 100, 10))  # the average is 0.5
    assert 0 <= weights[2] < 0.2 < 0.8 < weights[0] <= 1
    assert load(out)[1]["about"] == {"curriculum": "rows", "rows": read_rows(rows).digest, "steps": 100, "seed": 2}

    again = tmp_path / "again.safetensors"
    assert command("--rows", rows, "--steps", 100, "--seed", 2, "--out", again).exit_code == 0
    assert again.read_bytes() == out.read_bytes()
    refused = command("--rows", rows, "--steps", 100, "--out", out)
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (2, 1)
    assert f"{out}: it is there already; --overwrite to replace it" in refused.stderr
    assert command("--rows", rows, "--steps", 100, "--seed", 3, "--out", out, "--overwrite").exit_code == 0
    assert again.read_bytes() != out.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "nothing to learn from; name one of --curriculum, --rows and --run"),
        ("--curriculum focal --rows rows.csv", "--curriculum and --rows exclude each other; name one of"),
        ("--curriculum focl", "unknown curriculum 'focl'; did you mean 'focal'? known: focal, hard-example"),
        ("--curriculum focal --gamma 0", "gamma 0.0 is out of range; expected 0.001 to 1000, such as 1"),
        ("--curriculum self-paced --gamma 1", "curriculum 'self-paced' has no gamma; only linear-self-paced and focal"),
        ("--curriculum focal --steps 0", "steps 0 is out of range; expected 1 to 10,000,000"),
        ("--rows rows.csv --gamma 1", "--gamma goes with --curriculum only; leave it out"),
        ("--rows rows.csv --percentile 0.5", "--percentile goes with --run only; leave it out"),
        ("--rows no/such.csv", "no/such.csv: no such file; expected a CSV or Parquet table"),
        ("--run no/such", "no/such: no training run is here"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: str, message: str) -> None:
    done = command(*arguments.split(), "--out", tmp_path / "mentor")
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    done = command("--curriculum", "focal", "--out", tmp_path, "--overwrite")
    assert done.exit_code == 2
    assert (
        done.stderr
        == f"noisyweb: {tmp_path}: a folder; name a file with --out, such as {tmp_path}/mentor.safetensors\n"
    )


def test_unknown_curriculum() -> None:
    with pytest.raises(UnknownNameError, match="unknown curriculum"):
        curriculum_rows("release")
