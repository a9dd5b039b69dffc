"""``noisyweb train`` as a user meets it: a real process, one line for a mistake, exit code 2."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from noisyweb import plugins
from noisyweb.cli._main import app
from noisyweb.cli.train import train
from noisyweb.training.method import PACKAGE, load_method, parse_option
from noisyweb.training.recipes import load_recipe
from tests.toy_manifest import write_toy_manifest

QUICK = ("--epochs", "2", "--batch-size", "16", "--image-size", "32", "--device", "cpu")


def noisyweb(*arguments: str | Path, cwd: Path, command: str = "train") -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from noisyweb.cli import main; main()", command, *map(str, arguments)]
    return subprocess.run(program, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_manifest(tmp_path_factory.mktemp("toys"))


def test_a_run_from_start_to_finish(manifest: Path, tmp_path: Path) -> None:
    done = noisyweb("--manifest", manifest, "--method", "mentormix", *QUICK, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "toy (drawn), blue noise 0.25: 48 images of 3 classes, 24 clean validation images"
    assert lines[1].startswith("mentormix, preset cifar10-20, alpha 2, percentile 0.8, second_weighting False")
    assert [line.split()[1] for line in lines[2:4]] == ["1/2", "2/2"]
    assert lines[4].startswith("validation accuracy: peak ")
    assert lines[4].endswith("chance is 33.33%")
    folder = tmp_path / "runs" / "toy-blue-0.25-mentormix-s0"
    assert lines[5].endswith(f"-> {folder.relative_to(tmp_path)}")
    expected = {"config.json", "checkpoint.safetensors", "metrics.jsonl", "metrics.parquet", "loss_curve.parquet"}
    expected |= {"classes.parquet"}
    assert {path.name for path in folder.iterdir()} == expected | {"model.safetensors", "summary.json", ".lock"}

    again = noisyweb("--manifest", manifest, "--method", "mentormix", *QUICK, cwd=tmp_path)
    assert (again.returncode, again.stdout.count("epoch")) == (2, 1)
    assert "this run is finished; --overwrite to train again" in again.stderr
    resumed = noisyweb("--manifest", manifest, "--method", "mentormix", "--resume", cwd=tmp_path)
    assert resumed.returncode == 0
    assert lines[4] in resumed.stdout

    final = json.loads((folder / "summary.json").read_text())["final_val_accuracy"]
    evaluated = noisyweb(folder, "--json", cwd=tmp_path, command="eval")
    assert evaluated.returncode == 0, evaluated.stderr
    assert json.loads(evaluated.stdout)["accuracy"] == pytest.approx(
        final, abs=1.5 / 24
    )  # it trained in bfloat16, perhaps
    exported = noisyweb(folder, "--out", "toy.ts", cwd=tmp_path, command="export-model")
    assert exported.returncode == 0, exported.stderr
    assert (tmp_path / "toy.ts").stat().st_size > 1_000_000


def test_dry_run_prints_the_configuration_and_writes_nothing(manifest: Path, tmp_path: Path) -> None:
    done = noisyweb("--manifest", manifest, "--method", "mentormix", "--alpha", "3", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    resolved = json.loads(done.stdout)
    assert resolved["train"]["options"]["alpha"] == 3
    assert resolved["train"]["model"] == "small"
    assert resolved["data"]["num_images"] == 48
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--method", "mentomix"), "unknown method 'mentomix'; did you mean 'mentormix'? known: bootstrapping, "),
        (("--model", "resnet81"), "unknown model 'resnet81'; did you mean 'resnet18'?"),
        (("--batch-size", "500"), "batch size 500 is larger than the training set of 48 images; lower --batch-size"),
        (("--alpha", "2"), "method 'standard' has no option 'alpha'; it has no options"),
        (("--option", "alpha=2"), "method 'standard' has no option 'alpha'; it has no options"),
        (("--recipe", "cifar11"), "unknown recipe 'cifar11'; did you mean 'cifar10'"),
        (("--weights", "none.safetensors"), "none.safetensors"),
        (("--device", "tpu"), "device 'tpu' is not known; expected auto, cpu, cuda or cuda:N"),
        (("--resume",), "no run to resume; train without --resume to begin one"),
    ],
)
def test_mistakes_are_one_line(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["train", "--manifest", str(manifest), *arguments])
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = noisyweb("--manifest", "empty", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("noisyweb: empty: it holds no manifest")
    assert len(done.stderr.splitlines()) == 1


def test_without_torch_one_line_says_what_to_install(manifest: Path, tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["torch"] = None  # what Python does for a package that is not there
sys.argv = ["noisyweb", "train", "--manifest", {str(manifest)!r}]
from noisyweb.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "noisyweb: training needs torch, which is not installed; pip install 'noisyweb[train]'\n"


def test_what_the_help_and_the_page_name_is_there() -> None:
    page = (Path(__file__).parent.parent / "docs" / "training.md").read_text()
    text = " ".join([str(train.__doc__), page])
    named = re.findall(r"--method (\S+)(?: --option (\S+))?", text)
    assert len(named) >= 5
    for method, option in named:
        load_method(method)
        if option:
            parse_option(method, option)
    recipes = re.findall(r"--recipe ([a-z0-9-]+)", text)
    assert recipes
    for recipe in recipes:
        load_recipe(recipe)
    table = re.findall(r"^\| `([a-z-]+)` \|", page.split("## Methods")[1].split("A method is one file")[0], re.M)
    assert sorted(table) == plugins.names(PACKAGE)
