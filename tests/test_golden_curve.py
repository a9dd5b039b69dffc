"""The first 20 steps give the losses that they gave before (`tests/assets/make_golden_curve.py`)."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.assets.make_golden_curve import GOLDEN, METHODS, curves


@pytest.fixture(scope="module")
def found() -> dict[str, list[float]]:
    return curves()


@pytest.mark.parametrize("method", METHODS)
def test_twenty_steps(found: dict[str, list[float]], method: str) -> None:
    """Within what another processor's order of additions changes; a wrong step is off by far more."""
    golden = json.loads(GOLDEN.read_text())[method]
    assert len(golden) == 20
    np.testing.assert_allclose(found[method], golden, rtol=1e-3)
