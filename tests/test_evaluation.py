"""What a network makes of labelled images, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from noisyweb.training.augment import to_float
from noisyweb.training.data import Pixels
from noisyweb.training.evaluation import evaluate, survey
from noisyweb.training.images import Resident
from noisyweb.training.models import build_model
from noisyweb.training.student import Student


def test_evaluation_by_numpy() -> None:
    torch.manual_seed(3)
    network = build_model("small", 4).train()
    student = Student(network, "fp32", channels_last=True)
    for _ in range(3):
        student(torch.randn(16, 3, 32, 32))  # running statistics that are not those of any batch
    images = torch.randint(0, 256, (300, 3, 32, 32), dtype=torch.uint8)
    labels = torch.randint(0, 3, (300,))  # no image of the last class
    pixels = Resident(Pixels(images, labels))
    found, losses = evaluate(student, pixels, 4), survey(student, pixels)
    assert network.training
    with torch.no_grad():
        logits = network.eval()(to_float(images)).numpy()
    truth = labels.numpy()
    expected = -log_softmax(logits, axis=1)[np.arange(300), truth]
    right = logits.argmax(1) == truth
    np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-3, atol=1e-5)
    assert found.loss == pytest.approx(expected.mean(), rel=1e-4)
    assert found.accuracy == right.mean()
    np.testing.assert_allclose(found.class_accuracy[:3], [right[truth == label].mean() for label in range(3)])
    assert np.isnan(found.class_accuracy[3])
    assert found.class_size.tolist() == [*np.bincount(truth), 0]


def test_pretrained_networks_get_imagenets_colours() -> None:
    seen = []

    class Spy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images)
            return images.mean((2, 3))

    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    Student(Spy(), "fp32", channels_last=False, normalisation="imagenet")(to_float(images))
    mean, deviation = (np.array(v)[None, :, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    np.testing.assert_allclose(seen[0].numpy(), (images.numpy() / 255 - mean) / deviation, rtol=1e-4, atol=1e-5)
