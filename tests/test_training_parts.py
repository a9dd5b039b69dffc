"""The parts of training: networks, augmentation, schedules, averages, decoding, metrics, checkpoints, choices."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from noisyweb.data import NoisyImages
from noisyweb.errors import CorruptFileError, TrainingError, UnknownNameError
from noisyweb.training import checkpoint
from noisyweb.training.augment import STRENGTHS, Strength, augment, to_float
from noisyweb.training.auto import resolve
from noisyweb.training.average import WeightAverage
from noisyweb.training.config import Wishes
from noisyweb.training.data import decode_all
from noisyweb.training.facts import Facts, facts_of
from noisyweb.training.machine import Machine, this_machine
from noisyweb.training.method import Clock
from noisyweb.training.metrics import Truth, auroc, detection, memorisation
from noisyweb.training.models import build_model
from noisyweb.training.sampling import seed_of
from noisyweb.training.schedule import factor
from noisyweb.training.state import TrainingState
from noisyweb.training.student import Student
from tests.toy_manifest import write_toy_manifest

CARS = Facts("cars", "drawn", "red", 0.4, 196, 8144, 8041, 72, "")
TWO_CORES = Machine("cpu", 2, True)


# -- networks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "num_classes", "expected"),
    [("wrn32", 10, 29_442_378), ("wrn32", 100, 29_488_548), ("resnet18", 10, 11_173_962), ("small", 196, 688_868)],
)
def test_number_of_parameters(name: str, num_classes: int, expected: int) -> None:
    network = build_model(name, num_classes)
    assert sum(weight.numel() for weight in network.parameters()) == expected


def test_wide_resnet_multiplies_4_31_billion_times() -> None:
    network = build_model("wrn32", 10)
    products = []

    def count(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        places = output.shape[2] * output.shape[3] if output.dim() == 4 else 1
        products.append(module.weight.numel() * places)

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, 32, 32))
    assert sum(products) == pytest.approx(4.31e9, rel=0.002)


@pytest.mark.parametrize(("name", "side"), [("small", 32), ("small", 48), ("small", 64), ("resnet18", 32)])
def test_networks_give_logits(name: str, side: int) -> None:
    assert build_model(name, 7)(torch.zeros(2, 3, side, side)).shape == (2, 7)


def test_unknown_model_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown model 'resnet8'; did you mean 'resnet18'"):
        build_model("resnet8", 10)


# -- which forward touches the running statistics ------------------------------------------------------


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_peek_sees_batch_statistics_and_leaves_no_trace(precision: str) -> None:
    torch.manual_seed(0)
    network = build_model("small", 5).train()
    student = Student(network, precision, channels_last=True)
    images = torch.randn(8, 3, 32, 32)
    before = {name: tensor.clone() for name, tensor in network.named_buffers()}
    peeked = student.peek(images)
    assert not peeked.requires_grad
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.named_buffers())
    trained = student(images)
    assert trained.dtype == torch.float32
    assert torch.equal(peeked, trained.detach())
    assert any(not torch.equal(tensor, before[name]) for name, tensor in network.named_buffers())


# -- augmentation --------------------------------------------------------------------------------------


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_bytes_become_minus_one_to_one() -> None:
    assert to_float(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1, 1]


def test_no_augmentation_changes_nothing() -> None:
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(augment(images, STRENGTHS["none"], _generator()), to_float(images))


@given(seed=st.integers(0, 2**32), side=st.sampled_from([16, 32, 48]))
def test_crop_is_a_window_of_the_padded_image_or_its_mirror(seed: int, side: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(1, 256, (3, 3, side, side), dtype=torch.uint8, generator=generator)
    changed = augment(images, Strength(pad=1 / 16, flip=True), generator)
    pad = side // 16
    padded = to_float(F.pad(images, (pad, pad, pad, pad)))
    for image, whole in zip(changed, padded, strict=True):
        windows = [whole[:, y : y + side, x : x + side] for y in range(2 * pad + 1) for x in range(2 * pad + 1)]
        assert any(torch.equal(image, window) or torch.equal(image, window.flip(2)) for window in windows)


def test_colours_stay_in_range_and_differ_by_image() -> None:
    images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8).expand(8, 3, 16, 16)
    changed = augment(images, Strength(brightness=0.1, contrast=0.5, saturation=0.5, hue=0.2), _generator())
    assert changed.min() >= -1
    assert changed.max() <= 1
    assert len({float(image.sum()) for image in changed}) == 8


def test_hue_and_saturation_leave_grey_alone() -> None:
    images = torch.full((4, 3, 8, 8), 100, dtype=torch.uint8)
    changed = augment(images, Strength(saturation=0.5, hue=0.2), _generator())
    assert torch.allclose(changed, to_float(images), atol=0.02)


def test_augmentation_hangs_on_the_generator_alone() -> None:
    images = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8)
    first, again = (augment(images, STRENGTHS["strong"], _generator()) for _ in range(2))
    assert torch.equal(first, again)


# -- schedules and averages ----------------------------------------------------------------------------


def test_schedules_by_hand() -> None:
    assert factor("constant", 0.1, Clock(0, 100, 10)) == pytest.approx(0.1)  # warm-up over ten steps
    assert factor("constant", 0.1, Clock(9, 100, 10)) == 1
    assert factor("cosine", 0.0, Clock(50, 100, 10)) == pytest.approx(0.5)
    assert factor("cosine", 0.0, Clock(0, 100, 10)) == 1
    assert factor("staircase", 0.0, Clock(299, 1000, 10)) == 1
    assert factor("staircase", 0.0, Clock(300, 1000, 10)) == pytest.approx(0.9)
    assert factor("staircase", 0.0, Clock(600, 1000, 10)) == pytest.approx(0.81)
    steps = [factor("step", 0.0, Clock(step, 100, 10)) for step in (49, 50, 74, 75)]
    assert steps == pytest.approx([1, 0.1, 0.1, 0.01])


def test_one_cycle_is_torchs() -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.4, momentum=0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=50, pct_start=0.3)
    for step in range(50):
        mine = 0.4 * factor("one-cycle", 0.3, Clock(step, 50, 10))
        assert mine == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        if step < 49:
            theirs.step()


def test_average_of_weights_by_hand() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = WeightAverage(network, 0.15)
    nn.init.ones_(network.weight)
    average.update(0)  # decay min(0.15, 1/10)
    assert float(average.network.weight) == pytest.approx(0.9)
    average.update(1)  # decay min(0.15, 2/11)
    assert float(average.network.weight) == pytest.approx(1 - 0.1 * 0.15)


def test_seeds_differ_by_purpose_and_step() -> None:
    seeds = {seed_of(seed, what, step) for seed in (0, 1) for what in ("step", "order") for step in range(100)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)


# -- decoding ------------------------------------------------------------------------------------------


def test_decoded_pixels_are_pillows(tmp_path: Path) -> None:
    images = NoisyImages(write_toy_manifest(tmp_path, num_images=9, side=40))
    pixels = decode_all(images, 32, "toys")
    assert pixels.images.shape == (9, 3, 32, 32)
    assert pixels.images.dtype == torch.uint8
    assert pixels.images.is_contiguous(memory_format=torch.channels_last)
    assert pixels.labels.tolist() == images.labels.tolist()
    for row in (0, 8):
        expected = images.image(row).resize((32, 32), Image.Resampling.BILINEAR)
        assert np.array_equal(pixels.images[row].permute(1, 2, 0).numpy(), np.asarray(expected))


def test_a_set_larger_than_the_memory_says_so(tmp_path: Path) -> None:
    folder = write_toy_manifest(tmp_path, num_images=9)
    script = f"""
import resource
from noisyweb.data import NoisyImages
from noisyweb.errors import TrainingError
from noisyweb.training.data import decode_all
images = NoisyImages({str(folder)!r})
resource.setrlimit(resource.RLIMIT_AS, (20_000_000, resource.RLIM_INFINITY))
try:
    decode_all(images, 1024, "toys")
except TrainingError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.startswith("9 images at 1024 px need 0.0 GB, 0.0 GB of memory are free; take --data stream,")


# -- metrics -------------------------------------------------------------------------------------------


def test_auroc_by_hand() -> None:
    wrong = np.array([True, True, False, False])
    assert auroc(np.array([0.9, 0.8, 0.2, 0.1], np.float32), wrong) == 1
    assert auroc(np.array([0.9, 0.1, 0.2, 0.1], np.float32), wrong) == pytest.approx((2 + 0.5) / 4)
    assert auroc(np.array([1, 1, 1, 1], np.float32), wrong) == 0.5
    assert auroc(np.array([0.1, 0.2], np.float32), np.array([True, True])) is None


def test_memorisation_and_detection_by_hand() -> None:
    truth = Truth(
        labels=np.array([0, 1, 2, 0, 1], np.int32),
        is_clean=np.array([True, True, False, False, True]),
        true_labels=np.array([0, 1, 0, -1, 1], np.int32),
    )
    loss = np.array([0.1, 0.3, 2.0, 4.0, np.nan], np.float32)
    seen = memorisation(truth, loss, np.array([0, 2, 0, 0, -1], np.int32))
    assert seen["train_loss_clean"] == pytest.approx(0.2)
    assert seen["train_loss_wrong"] == pytest.approx(3.0)
    assert seen["train_accuracy_clean"] == 0.5
    assert seen["train_accuracy_wrong"] == 0.5  # row 3 is predicted as its wrong label says
    assert seen["train_accuracy_corrected"] == 1.0  # of row 2 alone: nobody knows the truth of row 3
    found = detection(truth, np.array([1, 0, 0, 1, np.nan], np.float32))
    assert found == {"detector_auroc": 0.5, "detector_precision": 0.5, "detector_recall": 0.5}
    nothing = detection(truth, np.full(5, np.nan, np.float32))
    assert set(nothing.values()) == {None}


# -- checkpoints ---------------------------------------------------------------------------------------


def _saved(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.safetensors"
    tensors = {
        "a": torch.arange(1000.0).view(10, 100),
        "step": torch.tensor(3),
        "b": torch.zeros(2, dtype=torch.bfloat16),
    }
    checkpoint.save(path, tensors, {"step": 7, "history": [{"loss": None}]})
    return path


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    tensors, info = checkpoint.load(_saved(tmp_path))
    assert torch.equal(tensors["a"], torch.arange(1000.0).view(10, 100))
    assert int(tensors["step"]) == 3
    assert tensors["b"].dtype == torch.bfloat16
    assert info == {"step": 7, "history": [{"loss": None}]}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


@given(data=st.data())
def test_damage_to_a_checkpoint_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = _saved(tmp_path_factory.mktemp("damage"))
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), "cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1), "length")]
    else:
        place = data.draw(st.integers(len(content) - 4100, len(content) - 1), "place")  # the tensors
        content[place] ^= data.draw(st.integers(1, 255), "change")
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match="checkpoint"):
        checkpoint.load(path)


def test_pickled_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    torch.save({"a": torch.zeros(2)}, path)
    with pytest.raises(CorruptFileError, match="not a readable checkpoint"):
        checkpoint.load(path)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_state_is_restored_exactly(optimizer: str) -> None:
    wishes = Wishes(method="mentormix", epochs=1, batch_size=8, image_size=32, optimizer=optimizer, precision="fp32")
    facts = dataclasses.replace(CARS, num_images=32, num_classes=4)
    config = resolve(wishes, facts, TWO_CORES)
    first, second = (TrainingState(config, 4, torch.zeros(32, dtype=torch.int64)) for _ in range(2))
    first.descend(first.student(torch.randn(8, 3, 32, 32)).square().mean())
    first.step += 1
    first.method.state()["average"].fill_(1.5)
    second.restore({name: tensor.clone() for name, tensor in first.tensors().items()}, first.info(), "here")
    assert second.step == 1
    mine, theirs = first.tensors(), second.tensors()
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        assert torch.equal(tensor, theirs[name]) or bool(tensor.isnan().all()), name
    images = torch.randn(8, 3, 32, 32)
    for state in (first, second):
        state.descend(state.student(images).square().mean())
    for name, tensor in first.tensors().items():
        assert torch.equal(tensor, second.tensors()[name]) or bool(tensor.isnan().all()), name


# -- choosing what is left open ------------------------------------------------------------------------


def test_cars_on_two_cores() -> None:
    config = resolve(Wishes(method="mentormix"), CARS, TWO_CORES)
    assert (config.model, config.image_size, config.batch_size) == ("small", 48, 64)
    assert config.options["preset"] == "red-40"
    assert 10 <= config.epochs <= 60
    assert config.precision == "bf16"
    assert resolve(Wishes(method="mentormix"), CARS, TWO_CORES) == config
    slower = resolve(Wishes(method="mentormix"), CARS, Machine("cpu", 1, False))
    assert slower.epochs < config.epochs
    assert slower.precision == "fp32"


def test_a_gpu_gets_a_larger_network() -> None:
    config = resolve(Wishes(method="mentormix"), CARS, Machine("cuda", 16, True))
    assert (config.model, config.optimizer, config.lr) == ("resnet18", "sgd", 0.1)
    assert config.epochs * (8144 // 128) >= 10_000


def test_wishes_win() -> None:
    wishes = Wishes(method="standard", model="resnet18", epochs=3, lr=0.5, image_size=32, weight_decay=0.0)
    config = resolve(wishes, CARS, TWO_CORES)
    assert (config.model, config.epochs, config.lr, config.image_size) == ("resnet18", 3, 0.5, 32)
    assert config.weight_decay == 0


def test_second_weighting_has_no_weight_decay() -> None:
    with_second = Wishes(method="mentormix", options={"second_weighting": True}, optimizer="sgd")
    assert resolve(with_second, CARS, TWO_CORES).weight_decay == 0
    assert resolve(Wishes(method="mentormix", optimizer="sgd"), CARS, TWO_CORES).weight_decay == 2e-4


def test_what_does_not_fit_is_streamed() -> None:
    needed = (CARS.num_images + CARS.num_validation) * 3 * 48**2
    for memory, data in ((2 * needed, "resident"), (2 * needed - 1, "stream")):
        machine = dataclasses.replace(TWO_CORES, memory_bytes=memory)
        assert resolve(Wishes(), CARS, machine).data == data
    assert resolve(Wishes(data="resident"), CARS, dataclasses.replace(TWO_CORES, memory_bytes=1)).data == "resident"


def test_fine_tuning_is_gentle() -> None:
    config = resolve(Wishes(weights="there.pth", model="torchvision:resnet18"), CARS, TWO_CORES)
    assert config.normalisation == "imagenet"
    assert config.lr == pytest.approx(0.1 * resolve(Wishes(), CARS, TWO_CORES).lr)
    assert resolve(Wishes(weights="there.safetensors", model="small"), CARS, TWO_CORES).normalisation == "unit"


@given(num_images=st.integers(2, 10**7), num_validation=st.integers(0, 10**6), cores=st.integers(1, 256))
def test_every_set_gets_a_training(num_images: int, num_validation: int, cores: int) -> None:
    facts = dataclasses.replace(CARS, num_images=num_images, num_validation=num_validation)
    config = resolve(Wishes(method="mentormix"), facts, Machine("cpu", cores, True))
    assert 1 <= config.epochs <= 200
    assert 2 <= config.batch_size <= num_images


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (Wishes(batch_size=9000), "batch size 9000 is larger than the training set of 8144 images; lower --batch-size"),
        (Wishes(batch_size=1), "batch_size 1 is out of range; expected 2 or more"),
        (Wishes(epochs=0), "epochs 0 is out of range"),
        (Wishes(lr=float("nan")), "lr nan is out of range"),
        (Wishes(image_size=4), "image_size 4 is out of range; expected 8 to 1024 pixels"),
        (Wishes(method="mentomix"), "unknown method 'mentomix'; did you mean 'mentormix'?"),
        (Wishes(model="smal"), "unknown model 'smal'; did you mean 'small'?"),
        (Wishes(schedule="cosin"), "unknown schedule 'cosin'; did you mean 'cosine'?"),
        (Wishes(precision="fp16"), "unknown precision 'fp16'"),
        (Wishes(compile="all"), "unknown way to compile 'all'"),
        (Wishes(data="disk"), "unknown way to hold data 'disk'"),
        (Wishes(clip=-1.0), "clip -1.0 is out of range; expected 0 (no limit) or a positive number"),
        (Wishes(warmup=1.0), "warmup 1.0 is out of range; expected a share 0 <= warmup < 1"),
        (Wishes(new_head=True), "--new-head is for a weights file; name one with --weights"),
    ],
)
def test_bad_wishes_are_named(wishes: Wishes, message: str) -> None:
    with pytest.raises((TrainingError, UnknownNameError)) as error:
        resolve(wishes, CARS, TWO_CORES)
    assert message in str(error.value)


def test_unknown_device_is_named() -> None:
    with pytest.raises(TrainingError, match="device 'gpu' is not known; expected auto, cpu, cuda or cuda:N"):
        this_machine("gpu")
    with pytest.raises(TrainingError, match="device 'cuda:99' is not there"):
        this_machine("cuda:99")


def test_facts_of_a_manifest(tmp_path: Path) -> None:
    images = NoisyImages(write_toy_manifest(tmp_path, num_images=20, side=40, level=0.25))
    facts = facts_of(images, 24, "here")
    assert (facts.dataset, facts.kind, facts.level, facts.num_classes, facts.num_images) == ("toy", "blue", 0.25, 3, 20)
    assert facts.image_px == 40
    assert facts_of(images, 24, "here").digest == facts.digest


def test_manifest_without_images_says_what_to_do(tmp_path: Path) -> None:
    images = NoisyImages(write_toy_manifest(tmp_path, num_images=4, with_bytes=False))
    with pytest.raises(TrainingError, match=r"has no image bytes, only a path; .* name their folder with --root"):
        facts_of(images, 0, "here")
