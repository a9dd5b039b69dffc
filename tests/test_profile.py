"""Profiles of whole manifests: what they measure, and what they say of what cannot be measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner

from noisyweb.cli import profile as command
from noisyweb.cli._main import one_line_errors
from noisyweb.errors import SourceError
from noisyweb.manifest import open_manifest
from noisyweb.profile import Profile, manifests_in, profile
from noisyweb.profile.rows import choose, read_rows
from noisyweb.votes import as_votes
from noisyweb.workspace import Workspace
from tests.profile_manifest import NAMES, blotch, flipped, write_manifest

TO_SIBLING = np.array([1, 0, 3, 2])
"""Fox for panda, whale for shark: what noise that looks like its label does to `NAMES`."""


@pytest.fixture(scope="module")
def blue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_manifest(tmp_path_factory.mktemp("p") / "animals/blue_noise_nl_0.4", *flipped(400, 0.4, 0))


@pytest.fixture(scope="module")
def confused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = flipped(400, 0.4, 0, TO_SIBLING)
    return write_manifest(tmp_path_factory.mktemp("p") / "animals/asymmetric_noise_nl_0.4", *rows)


def missing(found: Profile) -> dict[str, str]:
    return {measure.name: measure.missing for measure in found.measures if measure.missing is not None}


def test_blue_noise_is_not_told_from_blue_noise(blue: Path) -> None:
    found = profile(blue)
    assert set(missing(found)) == {"votes"}
    assert not any(measure.is_unlike_blue for measure in found.measures)
    assert found["vocabulary"].value == 0
    assert found["names"].value == pytest.approx(0.5, abs=0.08)
    assert found == profile(blue) != profile(blue, seed=1)


def test_noise_that_looks_like_its_label_is_told(confused: Path) -> None:
    found = profile(confused)
    for name in ("likeness", "nearer", "names"):
        assert found[name].is_unlike_blue
        assert "more than blue noise" in found[name].sentence
    assert found["names"].value == 1.0
    assert not found["pictures"].is_unlike_blue  # every image of a class is as likely to be wrong as any other


def test_a_hierarchy_takes_the_place_of_names(confused: Path, tmp_path: Path) -> None:
    parents = tmp_path / "parents.csv"
    parents.write_text("class,parent\nred fox,land\nred panda,land\nblue whale,sea\nblue shark,sea\n")
    found = profile(confused, hierarchy=parents, sample=20)["names"]
    assert found.value == 1.0
    assert "hierarchy" in found.sentence
    parents.write_text("class,parent\nred fox,land\n")
    with pytest.raises(SourceError, match="3 classes have no parent"):
        profile(confused, hierarchy=parents)


def test_a_model_takes_the_place_of_a_glance(confused: Path) -> None:
    torch = pytest.importorskip("torch")
    from noisyweb.embedding import Embedding

    class Colours(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, images: torch.Tensor) -> torch.Tensor:  # type: ignore[name-defined]
            return images.mean(dim=(2, 3))

    found = profile(confused, model=Embedding("colours", Colours(), side=8))
    assert found["likeness"].is_unlike_blue


def web_rows(size: int) -> dict[str, Any]:
    """Columns of a set whose wrong rows, every other one, are web images."""
    wrong = [row % 2 == 1 for row in range(size)]
    return {
        "noise": ["web" if bad else "none" for bad in wrong],
        "source": ["web" if bad else "clean" for bad in wrong],
        "votes_yes": [0 if bad else None for bad in wrong],
        "votes_total": [3 if bad else None for bad in wrong],
    }


def test_real_web_noise_has_bounds_and_takes_a_workspace(tmp_path: Path) -> None:
    label = [row // 2 % 4 for row in range(80)]
    clean = [row % 2 == 0 for row in range(80)]
    images = [blotch(k, row) for row, k in enumerate(label)]
    folder = write_manifest(tmp_path / "red", label, clean, [None] * 80, kind="red", images=images, **web_rows(80))
    found = profile(folder)
    said = missing(found)
    assert "--workspace" in said["votes"]
    assert "stand in" in said["pictures"]
    assert "0 of 40 wrong rows have a known true class" in said["names"]
    outside = found["vocabulary"]
    assert (outside.value, outside.low, outside.high) == (None, 0.0, 1.0)
    assert "nobody wrote down what 40 of 40 wrong images show" in outside.sentence
    place = Workspace(tmp_path / "w", create=True)
    place.set_class_names(NAMES)
    rows = [(f"{q:064x}", q % 4, f"p{p}", "yes" if q % 3 else "no") for q in range(60) for p in range(3)]
    columns = list(zip(*rows, strict=True))
    ballots = dict(zip(("image_id", "label", "annotator", "answer"), map(list, columns), strict=True))
    votes = as_votes(pa.table({**ballots, "backend": ["test"] * len(rows)}))
    from noisyweb.consensus import majority

    place.write("verdicts", majority(votes))
    measured = profile(folder, workspace=place.folder)["votes"]
    assert measured.value == pytest.approx(1.0, abs=0.05)
    assert measured.is_unlike_blue
    (tmp_path / "other").mkdir()
    Workspace(tmp_path / "other").set_class_names(["ant"])
    with pytest.raises(SourceError, match="its classes are not those of the manifest"):
        profile(folder, workspace=tmp_path / "other")


def test_the_drawn_web_is_asked_what_its_images_show(tmp_path: Path) -> None:
    from noisyweb.drawn.vocabulary import cars
    from noisyweb.drawn.web import hits_of

    names = list(cars().class_names[:3])
    hits = [hit for label in range(3) for hit in hits_of(label) if hit.kind in ("sibling", "outside", "part", "toy")]
    size = len(hits)
    folder = write_manifest(
        tmp_path / "red",
        [hit.label for hit in hits],
        [False] * size,
        [None] * size,
        class_names=names,
        edition="drawn",
        images=[None] * size,
        noise=["web"] * size,
        source=["web"] * size,
        url=[hit.url for hit in hits],
    )
    found = profile(folder)
    inside = sum(hit.true_label in (0, 1, 2) for hit in hits)
    assert found["vocabulary"].details == {"wrong": size, "inside": inside, "outside": size - inside, "unknown": 0}
    assert "stand-in" in found.notes[-1]
    assert "0 rows are right" in missing(found)["likeness"]


def test_what_lies_outside_by_construction(tmp_path: Path) -> None:
    label, clean, true = flipped(200, 0.5, 2)
    strange = [not good and row % 4 == 1 for row, good in enumerate(clean)]
    true = [None if odd else t for odd, t in zip(strange, true, strict=True)]
    noise = ["open-set" if odd else "none" if good else "symmetric" for odd, good in zip(strange, clean, strict=True)]
    found = profile(write_manifest(tmp_path / "mix", label, clean, true, noise=noise), sample=20)["vocabulary"]
    assert found.value == pytest.approx(sum(strange) / (200 - sum(clean)))
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("no noise", {"likeness": "0 rows are wrong; 10", "names": "0 of 0 wrong", "vocabulary": "0 rows are wrong"}),
        ("all noise", {"likeness": "0 rows are right", "pictures": "0 rows are right"}),
        ("paths only", {"likeness": "--images", "pictures": "--images", "votes": "no row has votes"}),
        ("damaged", {"nearer": "none of 40 images can be read"}),
        ("one class", {"likeness": "one class", "names": "fewer than three classes", "pictures": "one class"}),
        ("one row a class", {"likeness": "fewer than two classes have two right images"}),
        ("three wrong", {"likeness": "3 rows are wrong", "names": "3 of 3", "vocabulary": "3 rows"}),
    ],
)
def test_what_cannot_be_measured_says_why(case: str, said: dict[str, str], tmp_path: Path) -> None:
    label, clean, true = flipped(40, {"no noise": 0.0, "all noise": 1.1, "three wrong": 0.0}.get(case, 0.5), 0)
    options: dict[str, Any] = {}
    if case == "three wrong":
        clean[:3], label[:3] = [False] * 3, [1, 2, 3]
    if case == "one class":
        label, true, options["class_names"] = [0] * 40, [None] * 40, ["red fox"]
    if case == "one row a class":
        names = [f"kind {k}" for k in range(20)]
        label, clean, true = [k % 20 for k in range(40)], [k < 20 for k in range(40)], [k % 20 for k in range(40)]
        options = {"class_names": names, "images": [blotch(k % 4, k) for k in range(40)]}
    if case in ("paths only", "damaged"):
        options["images"] = [None if case == "paths only" else b"\x89PNG\r\n\x1a\nnonsense"] * 40
    found = profile(write_manifest(tmp_path / "m", label, clean, true, **options))
    reasons = missing(found)
    for name, words in said.items():
        assert words in reasons[name]
        assert found[name].value is None
        assert found[name].sentence.startswith("Cannot be measured: ")


def test_images_at_their_paths_and_nowhere_else(tmp_path: Path) -> None:
    label, clean, true = flipped(200, 0.4, 0, TO_SIBLING)
    folder = write_manifest(tmp_path / "m", label, clean, true, images=[None] * 200)
    for row, shown in enumerate(true[:190]):
        (tmp_path / f"{row}.png").write_bytes(blotch(shown or 0, row))
    found = profile(folder, root=tmp_path)
    assert found["likeness"].value is not None
    assert "of 200 images 10 are not there and 0 unreadable; they are left out" in found.notes
    (tmp_path / "empty").mkdir()
    assert "--images" in missing(profile(folder, root=tmp_path / "empty"))["likeness"]


def test_rows_without_a_verdict_are_left_out(tmp_path: Path) -> None:
    label, clean, true = flipped(60, 0.5, 0)
    doubtful: list[bool | None] = [None if row < 7 else good for row, good in enumerate(clean)]
    found = profile(write_manifest(tmp_path / "m", label, doubtful, true))
    assert (found.num_rows, found.num_unknown) == (53, 7)
    assert found.notes[0] == "7 rows have no verdict (is_clean is empty); they are left out"


def test_a_sample_is_half_wrong_and_has_its_share_of_each_class(blue: Path) -> None:
    rows = read_rows(open_manifest(blue))
    chosen = choose(rows, 100, 0)
    assert len(set(chosen.tolist())) == 100
    assert rows.wrong[chosen].sum() == 50
    for wrong in (False, True):
        counts = np.bincount(rows.label[chosen][rows.wrong[chosen] == wrong])
        whole = np.bincount(rows.label[rows.wrong == wrong])
        assert np.abs(counts - 50 * whole / whole.sum()).max() <= 1.5
    assert chosen.tolist() == choose(rows, 100, 0).tolist() != choose(rows, 100, 1).tolist()
    assert "100 of 400 rows were looked at" in profile(blue, sample=100).notes[0]
    with pytest.raises(SourceError, match="sample 0"):
        profile(blue, sample=0)


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(one_line_errors(command.profile))
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.output


def test_from_the_command_line(blue: Path, confused: Path, tmp_path: Path) -> None:
    for folder in (blue, confused):
        (tmp_path / folder.name).symlink_to(folder)
    code, text = run(str(tmp_path), "--out", str(tmp_path / "profile.json"))
    assert code == 0
    table = [line.split() for line in text.splitlines() if "_noise_nl_" in line and ":" not in line]
    assert [line[0] for line in table] == ["asymmetric_noise_nl_0.4", "blue_noise_nl_0.4"]
    assert table[0][3] == "1.000*"
    assert "*" not in "".join(table[1])
    kept = json.loads((tmp_path / "profile.json").read_text())
    assert [each["kind"] for each in kept] == ["blue", "blue"]
    code, text = run(str(blue), "--json")
    assert code == 0
    assert json.loads(text)[0] == {**kept[1], "folder": str(blue)}
    code, text = run(str(tmp_path / "nothing"))
    assert code == 2
    assert "no such folder" in text
    assert [place.name for place in manifests_in(tmp_path)] == ["asymmetric_noise_nl_0.4", "blue_noise_nl_0.4"]


def test_hostile_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    names = ["\x1b[31mred", "<script>", "\u202eevil", "a" * 100_000]
    folder = write_manifest(tmp_path / "m", *flipped(80, 0.5, 0), class_names=names, title="\x1b]0;owned\x07")
    code, text = run(str(folder))
    assert code == 0
    assert "\x1b" not in text
    assert "\x07" not in text
