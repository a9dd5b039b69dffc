"""The embedding stage: a model of the user's own code, real torch, through the program and the library."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from noisyweb.dedup import dedup
from noisyweb.embedding import Embedding, embed, from_bytes, load_model, pairs_above, to_bytes
from noisyweb.errors import SourceError
from noisyweb.hashes import known_vectors
from noisyweb.scale.local import LocalEngine
from tests.conftest import Program, assert_refused
from tests.test_dedup import clean, dropped, plain, workspace
from tests.web import photo

MODEL = """
import torch

class Colours(torch.nn.Module):
    '''The mean colour of each quarter of the picture.'''
    def forward(self, images):
        return torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)

def colours():
    return Colours()

wrong_shape = torch.nn.Identity()
number = 3
"""


class Colours(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


def speckled(colour: str, seed: int) -> bytes:
    """A picture of one colour with a texture of its own: the hashes differ, the colours do not."""
    rng = np.random.default_rng(seed)
    picture = np.asarray(Image.new("RGB", (80, 80), colour)).astype(int)
    texture = np.asarray(Image.fromarray(rng.integers(0, 40, (20, 20), dtype=np.uint8)).resize((80, 80)))
    out = io.BytesIO()
    Image.fromarray(np.clip(picture + texture[..., None] - 20, 0, 255).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def test_images_alike_by_the_model_are_copies_on_top_of_all_else(tmp_path: Path) -> None:
    red, other_red, blue = speckled("#a02020", 1), speckled("#a02020", 2), speckled("#2020a0", 3)
    place = workspace(tmp_path, [("a", 0, red), ("b", 1, other_red), ("c", 0, blue), ("d", 0, plain(7))])
    assert dedup(place, clean(speckled("#2020a0", 4))).num_dropped == {}
    embedding = Embedding("colours", Colours(), min_cosine=0.99, side=32)
    report = dedup(place, clean(speckled("#2020a0", 4)), embedding=embedding)
    rows = dropped(place)
    assert {(row["kind"], row["against"]) for row in rows.values()} == {("embedding", "web"), ("embedding", "train")}
    assert {data for data, _ in rows if data != blue} < {red, other_red}
    assert all(row["distance"] is None and 0.99 <= row["agreement"] <= 1 for row in rows.values())
    assert report.num_kept == 2
    assert "alike by embedding 1" in report.lines()[1]
    assert len(known_vectors(place, "colours").ids) == 4  # the flat one takes no part

    def never(images: torch.Tensor) -> torch.Tensor:
        raise AssertionError("all vectors are known")

    again = dedup(place, clean(speckled("#2020a0", 4)), embedding=Embedding("colours", never, min_cosine=0.99))
    assert again == report


def test_what_cannot_be_decoded_has_no_vector_and_the_others_keep_their_order() -> None:
    images = [photo(1), None, photo(2), b"nonsense", photo(3)]
    found = list(embed(Embedding("m", Colours(), side=16, batch=2), images))
    assert [vector is None for vector in found] == [False, True, False, True, False]
    alone = [next(embed(Embedding("m", Colours(), side=16), [data])) for data in (photo(1), photo(2), photo(3))]
    for one, other in zip([vector for vector in found if vector is not None], alone, strict=True):
        assert other is not None
        assert one == pytest.approx(other, abs=1e-5)
        assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 12), st.integers(0, 12), st.integers(1, 5), st.floats(-0.5, 0.99), st.integers(1, 5))
def test_pairs_are_those_of_the_definition(n: int, m: int, size: int, least: float, block: int) -> None:
    rng = np.random.default_rng(n * 100 + m)
    sides = [rng.normal(size=(rows, size)).astype(np.float32) for rows in (n, m)]
    left, right = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in sides)
    found = sorted((i, j) for i, j, _ in pairs_above(left, right, least, block))
    cosines = left @ right.T
    sure = [(int(i), int(j)) for i, j in np.argwhere(cosines > least + 1e-5)]
    may = {(int(i), int(j)) for i, j in np.argwhere(cosines > least - 1e-5)}
    assert set(sure) <= set(found) <= may
    assert len(set(found)) == len(found)


def test_vectors_are_kept_at_half_precision() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 700)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    back = from_bytes([to_bytes(vector) for vector in vectors])
    assert back == pytest.approx(vectors, abs=1e-3)
    assert np.linalg.norm(back, axis=1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 3, 4)])
def test_a_model_that_gives_something_else(shape: Sequence[int]) -> None:
    with pytest.raises(SourceError, match=r"embedding m: it gives shape \(.*\) for 2 images; expected \(2, D\)"):
        list(embed(Embedding("m", lambda images: torch.zeros(shape), side=8), [photo(1), photo(2)]))


@pytest.mark.parametrize("cosine", [0.0, -1.0, 1.01])
def test_a_cosine_out_of_range(cosine: float) -> None:
    with pytest.raises(SourceError, match="expected a number above 0, 1 at the most"):
        Embedding("m", Colours(), min_cosine=cosine)


@pytest.mark.parametrize("name", ["colours", ":x", "x:", "no.such_module:x", "json:no_such", "json:__name__"])
def test_what_is_no_model_is_said(name: str) -> None:
    with pytest.raises(SourceError, match="expected"):
        load_model(name)


def test_from_the_command_line(tmp_path: Path, noisyweb: Program) -> None:
    (tmp_path / "my_models.py").write_text(MODEL)
    images = [("a", 0, speckled("#a02020", 1)), ("b", 1, speckled("#a02020", 2)), ("c", 0, speckled("#2020a0", 3))]
    place = workspace(tmp_path / "w", images)
    options = ("dedup", "--workspace", place.folder, "--min-cosine", "0.99", "--embedding")
    done = noisyweb(*options, "my_models:colours", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "alike by embedding 1" in done.stdout
    assert_refused(noisyweb(*options, "my_models:wrong_shape", cwd=tmp_path), "it gives shape", "expected (3, D)")
    assert_refused(noisyweb(*options, "my_models:number", cwd=tmp_path), "expected a torch.nn.Module")


def test_over_an_engine_the_same_by_the_name_of_the_model(tmp_path: Path, noisyweb: Program) -> None:
    (tmp_path / "my_models.py").write_text(MODEL)
    images = [(f"u{n}", n % 2, speckled(("#a02020", "#2020a0", "#20a020")[n % 3], n)) for n in range(9)]
    places = [workspace(tmp_path / name, images) for name in ("here", "spread")]
    options = ("--min-cosine", "0.99", "--embedding", "my_models:colours")
    told = []
    for place, engine in zip(places, ((), ("--engine", "local", "--workers", "2")), strict=True):
        done = noisyweb("dedup", "--workspace", place.folder, *options, *engine, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    assert told[0] == told[1]
    assert "alike by embedding 6" in told[0]
    for name in ("hashes", "views", "embeddings", "duplicates"):
        assert places[0].read(name).equals(places[1].read(name)), name
    with LocalEngine(1) as chosen, pytest.raises(SourceError, match="workers of an engine load the model by this name"):
        dedup(places[1], embedding=Embedding("colours", Colours()), engine=chosen)
