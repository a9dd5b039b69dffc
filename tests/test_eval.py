"""``noisyweb eval``: every figure against one worked out by hand, and what the table is read with."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner, Result

from noisyweb.cli._main import app
from noisyweb.data import NoisyImages
from noisyweb.training import checkpoint
from noisyweb.training.data import decode_all
from noisyweb.training.evaluation import evaluate
from noisyweb.training.images import Resident
from noisyweb.training.metrics import Truth
from noisyweb.training.predict import Predictions, images_for, predict
from noisyweb.training.scores import ClassScore, Confusion, score
from noisyweb.training.student import Student
from noisyweb.training.trained import load_trained
from tests.conftest import assert_refused
from tests.toy_manifest import write_toy_manifest
from tests.toy_run import SIZE, write_config, write_toy_run

NAMES = ["red", "green", "blue"]


def run_eval(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["eval", *map(str, arguments), "--device", "cpu"])


def refused(result: Result, *words: str) -> None:
    arguments = ["noisyweb", "eval"]
    assert_refused(subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr), *words)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_manifest(tmp_path_factory.mktemp("toys"), level=0.25)


@pytest.fixture(scope="module")
def trained_run(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that knows its colours."""
    folder = tmp_path_factory.mktemp("runs") / "taught"
    write_toy_run(folder, manifest, steps=40)
    return folder


def by_hand(network: nn.Module, images: NoisyImages, imagenet: bool = False) -> npt.NDArray[np.float64]:
    """Probabilities [N, K], one image at a time."""
    rows = []
    for row in range(len(images)):
        small = images.image(row).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        x = np.asarray(small, np.float64) / 255
        x = (x - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225] if imagenet else 2 * x - 1
        with torch.no_grad():
            logits = network(torch.from_numpy(x.transpose(2, 0, 1)[None]).float())[0].double().numpy()
        rows.append(np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum())
    return np.stack(rows)


@pytest.mark.parametrize(("num_networks", "normalisation"), [(1, "unit"), (2, "imagenet")])
def test_the_table_is_what_the_network_says(
    manifest: Path, tmp_path: Path, num_networks: int, normalisation: str
) -> None:
    network = write_toy_run(tmp_path / "run", manifest, num_networks=num_networks, normalisation=normalisation)
    out = tmp_path / "new" / "predictions.parquet"
    done = run_eval(tmp_path / "run", "--manifest", manifest, "--out", out, "--batch-size", 7, "--json")
    assert done.exit_code == 0, done.stderr
    images = NoisyImages(manifest)
    probs = by_hand(network, images, normalisation == "imagenet")
    table = pq.read_table(out)
    rows = table.to_pydict()
    found = table["pred_probs"].combine_chunks().flatten().to_numpy().reshape(len(images), -1)
    assert found.dtype == np.float32
    assert np.allclose(found, probs, atol=1e-5)
    assert np.allclose(found.sum(1), 1, atol=1e-6)
    assert rows["row"] == list(range(len(images)))
    assert rows["image_id"] == images.ids
    assert rows["label"] == images.labels.tolist()
    assert rows["predicted"] == found.argmax(1).tolist()
    assert rows["correct"] == [a == b for a, b in zip(rows["label"], rows["predicted"], strict=True)]
    assert np.allclose(rows["loss"], -np.log(probs[np.arange(len(images)), images.labels]), atol=1e-4)
    assert rows["is_clean"] == images.is_clean.tolist()
    assert rows["true_label"] == images.true_labels.tolist()
    told = json.loads(table.schema.metadata[b"noisyweb"])
    assert (told["class_names"], told["dataset"], told["model"]) == (NAMES, "toy", "small")
    shown = json.loads(done.stdout)
    assert shown["accuracy"] == pytest.approx(np.mean(rows["correct"]))
    assert shown["loss"] == pytest.approx(np.mean(rows["loss"]), abs=1e-6)
    again = tmp_path / "again.parquet"
    assert run_eval(tmp_path / "run", "--manifest", manifest, "--out", again, "--batch-size", 7).exit_code == 0
    assert again.read_bytes() == out.read_bytes()


def test_scores_by_hand() -> None:
    """Ten rows of classes a, b, d; none of c. Wrong labels: rows 3 (truth b), 8 (truth a) and 9 (outside)."""
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 3, 3], np.int32)
    predicted = np.array([0, 0, 1, 1, 1, 3, 3, 0, 3, 0])
    loss = np.arange(10, dtype=np.float32)
    clean = np.array([True, True, True, False, True, True, True, True, False, False])
    true = np.array([0, 0, 0, 1, 1, -1, 1, 1, 0, -1], np.int32)  # row 5: right, so its label is the true one
    scores = score(Predictions(predicted, loss), Truth(labels, clean, true), ["a", "b", "c", "d"])
    assert (scores.num_images, scores.accuracy, scores.loss) == (10, 0.4, 4.5)
    assert scores.balanced_accuracy == pytest.approx((2 / 4 + 1 / 4 + 1 / 2) / 3)
    assert scores.classes == [
        ClassScore(0, "a", 4, 0.5, "b"),
        ClassScore(1, "b", 4, 0.25, "d"),
        ClassScore(2, "c", 0, None, None),
        ClassScore(3, "d", 2, 0.5, "a"),
    ]
    assert scores.confused == [
        Confusion("a", "b", 2, 0.5),
        Confusion("b", "d", 2, 0.5),
        Confusion("b", "a", 1, 0.25),
        Confusion("d", "a", 1, 0.5),
    ]
    noise = scores.noise
    assert noise is not None
    assert (noise.num_right, noise.num_wrong, noise.num_known) == (7, 3, 9)
    assert noise.accuracy_right == pytest.approx(3 / 7)  # rows 0, 1, 4
    assert noise.wrong_fitted == pytest.approx(1 / 3)  # row 8
    assert noise.wrong_corrected == pytest.approx(1 / 2)  # row 3 of 3 and 8
    assert noise.accuracy_true == pytest.approx(4 / 9)
    assert noise.loss_right == pytest.approx((0 + 1 + 2 + 4 + 5 + 6 + 7) / 7)
    assert noise.loss_wrong == pytest.approx((3 + 8 + 9) / 3)
    outside = Truth(labels[8:], clean[8:], np.full(2, -1, np.int32))
    all_wrong = score(Predictions(predicted[8:], loss[8:]), outside, list("abcd"))
    assert all_wrong.noise is not None
    unknown = (all_wrong.noise.accuracy_right, all_wrong.noise.wrong_corrected, all_wrong.noise.accuracy_true)
    assert unknown == (None, None, None)


def test_evaluation_in_training_says_the_same(manifest: Path, trained_run: Path) -> None:
    trained = load_trained(trained_run)
    images = images_for(trained, manifest)
    predictions = predict(trained, images)
    expected = evaluate(Student(trained.network, "fp32", True), Resident(decode_all(images, SIZE, "toys")), len(NAMES))
    scores = score(predictions, Truth(images.labels, images.is_clean, images.true_labels), NAMES)
    assert scores.accuracy == expected.accuracy
    assert scores.loss == pytest.approx(expected.loss, rel=1e-6)
    assert [one.accuracy for one in scores.classes] == expected.class_accuracy.tolist()


def test_validation_is_what_is_asked_first(trained_run: Path) -> None:
    done = run_eval(trained_run)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "small at 16 px, fp32 on cpu; toy (drawn), validation: 24 images of 3 classes"
    assert lines[1].startswith("accuracy 100.00%, balanced 100.00%, loss 0.")
    assert lines[1].endswith("; chance is 33.33%")
    assert lines[2:] == [
        "",
        "class  images  accuracy  most often taken for",
        "red         8   100.00%",
        "green       8   100.00%",
        "blue        8   100.00%",
    ]
    assert run_eval(trained_run / "model.safetensors").stdout == done.stdout


def test_wrong_labels_are_told_apart(manifest: Path, trained_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.parquet"
    done = run_eval(trained_run, "--manifest", manifest, "--out", out, "--precision", "bf16")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].startswith("accuracy 75.00%, ")
    assert lines[2] == "against true labels 100.00% of the 48 images with a known one"
    assert lines[3].startswith("right labels: 100.00% of 36 fitted, loss 0.")
    assert lines[4].startswith("wrong labels: 0.00% of 12 fitted, loss ")
    assert lines[4].endswith("; the true class is seen in 100.00% of the 12 where it is known")
    table = pq.read_table(out).to_pandas()
    counts = table[~table.correct].groupby(["label", "predicted"]).size()
    shown = lines[lines.index("most confused") + 1 : -1]
    assert sorted(int(line.split()[0]) for line in shown) == sorted(counts)
    assert lines[-1] == f"{out}: predictions for 48 images"


def test_many_classes_show_their_ends(capsys: pytest.CaptureFixture[str]) -> None:
    from noisyweb.cli.eval import _print_classes, _print_confused

    names = [f"c{number:02d}" for number in range(20)]
    labels = np.repeat(np.arange(20, dtype=np.int32), 20)
    predicted = np.where(np.arange(400) % 20 < labels, labels, (labels + 1) % 20)  # class k has accuracy k / 20
    truth = Truth(labels, np.ones(400, bool), labels)
    scores = score(Predictions(predicted, np.zeros(400, np.float32)), truth, names)
    _print_classes(scores.classes, everything=False)
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[0] for row in rows] == [*names[:10], "...", *names[17:]]
    assert rows[10] == "... 7 more (--all)"
    assert rows[0] == "c00        20     0.00%  c01"
    _print_classes(scores.classes, everything=True)
    assert [row.split()[0] for row in capsys.readouterr().out.splitlines()[2:]] == names
    _print_confused(scores, everything=False)
    pairs = capsys.readouterr().out.splitlines()[2:]
    assert pairs == [
        f"{20 - k:>6}  {names[k]} taken for {names[k + 1]} ({1 - k / 20:.1%} of its images)" for k in range(5)
    ]


def test_cleanlab_finds_the_wrong_labels(manifest: Path, trained_run: Path, tmp_path: Path) -> None:
    filtering = pytest.importorskip("cleanlab.filter")
    out = tmp_path / "p.parquet"
    assert run_eval(trained_run, "--manifest", manifest, "--out", out).exit_code == 0
    rows = pq.read_table(out)
    probs = rows["pred_probs"].combine_chunks().flatten().to_numpy().reshape(len(rows), -1)
    issues = filtering.find_label_issues(rows["label"].to_numpy(), probs, n_jobs=1)
    assert issues.tolist() == [not clean for clean in rows["is_clean"].to_pylist()]


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def resaved(file: Path, **changes: Any) -> None:
    tensors, info = checkpoint.load(file)
    checkpoint.save(file, tensors, {**info, **changes})


def test_what_is_no_trained_network(manifest: Path, tmp_path: Path) -> None:
    refused(run_eval(tmp_path / "none"), "there is nothing; expected a finished run")
    (tmp_path / "empty").mkdir()
    refused(run_eval(tmp_path / "empty"), "no run is here; expected a finished run")
    write_config(tmp_path / "begun", manifest)
    refused(run_eval(tmp_path / "begun"), "this run is not finished", "--resume")
    refused(run_eval(manifest / "train-00000-of-00001.parquet"), "not a readable checkpoint")

    write_toy_run(tmp_path / "run", manifest)
    file = tmp_path / "run" / "model.safetensors"
    good = file.read_bytes()
    damage(file)
    refused(run_eval(tmp_path / "run"), "the checkpoint is damaged")
    for change, words in (
        ({"model": "resnet18"}, "its tensors are not those of the model 'resnet18'"),
        ({"class_names": ["red", "green"]}, "('classifier.bias': found float32 [3], expected float32 [2])"),
        ({"num_networks": 2}, "its tensors are not those of the model 'small'"),
        ({"num_networks": 1e9}, "not a trained network (num_networks is 1000000000.0)"),
        ({"class_names": []}, "not a trained network (class_names is [])"),
        ({"image_size": True}, "not a trained network (image_size is True)"),
        ({"normalisation": "other"}, "not a trained network (normalisation is 'other')"),
        ({"model": "tiny"}, "unknown model 'tiny'"),
    ):
        file.write_bytes(good)
        resaved(file, **change)
        refused(run_eval(tmp_path / "run"), words)
    tensors, info = checkpoint.load(file)
    tensors["classifier.bias"][0] = float("nan")
    checkpoint.save(file, tensors, {**info, "model": "small"})
    refused(run_eval(tmp_path / "run"), "classifier.bias holds values that are no numbers", "--lr")


def test_old_files_say_less(manifest: Path, trained_run: Path, tmp_path: Path) -> None:
    """Normalisation and number of networks are newer than the format."""
    tensors, info = checkpoint.load(trained_run / "model.safetensors")
    old = {name: info[name] for name in ("model", "class_names", "image_size")}
    checkpoint.save(tmp_path / "old.safetensors", tensors, old)
    done = run_eval(tmp_path / "old.safetensors", "--manifest", manifest)
    assert done.stdout == run_eval(trained_run, "--manifest", manifest).stdout
    refused(run_eval(tmp_path / "old.safetensors"), "nothing says what it was trained on", "--manifest")


def test_mistakes_are_one_line(manifest: Path, trained_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.parquet"
    tensors, info = checkpoint.load(trained_run / "model.safetensors")
    checkpoint.save(tmp_path / "cyan.safetensors", tensors, {**info, "class_names": ["red", "green", "cyan"]})
    refused(
        run_eval(tmp_path / "cyan.safetensors", "--manifest", manifest),
        "its classes are not those of the trained network (class 2 is 'blue', not 'cyan')",
    )
    alone = write_toy_manifest(tmp_path / "alone", num_validation=0, with_bytes=False)
    for arguments, words in (
        (("--manifest", tmp_path / "none"), "no such folder; expected a manifest"),
        (("--manifest", alone, "--out", out), "row 0 carries only the path '0.png'"),
        (("--precision", "fp16"), "unknown precision 'fp16'"),
        (("--batch-size", 0), "batch size 0 is out of range"),
        (("--out", tmp_path), "is a folder; name a file"),
    ):
        refused(run_eval(trained_run, *arguments), words)
    assert not out.exists()
    assert list(tmp_path.glob(".*")) == []
    write_config(tmp_path, alone)
    (tmp_path / "model.safetensors").write_bytes((trained_run / "model.safetensors").read_bytes())
    refused(run_eval(tmp_path), "no clean validation set lies beside its training set", "--manifest")
