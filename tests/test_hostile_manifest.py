"""Manifests and lock files made to break their readers: every reader says one clear thing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noisyweb.data import NoisyImages
from noisyweb.errors import NoisywebError, VerificationError
from noisyweb.export import export_builds, open_builds
from noisyweb.lock import LOCK_NAME
from noisyweb.manifest import open_manifest
from noisyweb.show import choose_rows, contact_sheet
from noisyweb.verify import verify
from tests.conftest import make_tiny_set
from tests.test_build import build_tiny
from tests.test_verify import NAME, relock

Change = Callable[[pa.Table], pa.Table]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    build_tiny(make_tiny_set(folder / "set"), folder / "out")
    return folder / "out/tiny"


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "tiny")) / "red_noise_nl_0.4"


def column(name: str, value: object, kind: pa.DataType | None = None) -> Change:
    def change(table: pa.Table) -> pa.Table:
        values = pa.array([value] * len(table), kind or table.schema.field(name).type)
        return table.set_column(table.schema.names.index(name), name, values)

    return change


def metadata(**changes: object) -> Change:
    def change(table: pa.Table) -> pa.Table:
        info = {**json.loads(table.schema.metadata[b"noisyweb"]), **changes}
        return table.replace_schema_metadata({"noisyweb": json.dumps(info)})

    return change


def raw_metadata(text: str | None) -> Change:
    return lambda table: table.replace_schema_metadata({"noisyweb": text} if text is not None else {})


def show(folder: Path) -> None:
    manifest = open_manifest(folder)
    contact_sheet(manifest, choose_rows(manifest.rows, 5, 0))


def export(folder: Path) -> None:
    target = folder.parent / "exported"
    target.mkdir()
    export_builds(open_builds(folder), "imagefolder", target)


READERS: tuple[Callable[[Path], object], ...] = (show, export, NoisyImages, verify)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (column("label", "a", pa.string()), "label is string, expected int64"),
        (column("label", None), "row 0: label is missing"),
        (column("label", 2**40), r"row 0: label outside 0\.\.2"),
        (column("label", -1), r"row 0: label outside 0\.\.2"),
        (column("true_label", 99), r"row 0: true_label outside 0\.\.2"),
        (column("is_clean", None), "row 0: is_clean is missing"),
        (column("image", "x", pa.string()), "image is string, expected struct"),
        (lambda table: table.drop_columns(["source"]), "source is missing"),
        (raw_metadata(None), "not a noisyweb manifest"),
        (raw_metadata("[1]"), "not a noisyweb manifest"),
        (raw_metadata("{"), "not a noisyweb manifest"),
        (metadata(class_names=5), "class_names is not a list"),
        (metadata(class_names=["a", 5]), "class_names is not a list"),
        (metadata(dataset=3), "dataset is not text"),
        (metadata(level="x"), "not a noisyweb manifest"),
        (metadata(level="7"), "level 7"),
    ],
)
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_a_manifest_that_is_none(copy: Path, reader: Callable[[Path], object], change: Change, words: str) -> None:
    pq.write_table(change(pq.read_table(copy / NAME)), copy / NAME)
    relock(copy)
    with pytest.raises(NoisywebError, match=words):
        reader(copy)


@pytest.mark.parametrize(
    "names", [["../../x", "..", "/etc/passwd"], ["😀 \u202e", "x" * 5000, "\n\n"], ["", "\0", "con"]]
)
def test_class_names_stay_names(copy: Path, names: list[str]) -> None:
    pq.write_table(metadata(class_names=names)(pq.read_table(copy / NAME)), copy / NAME)
    shutil.rmtree(copy.parent / "clean_validation")  # its classes are others now
    show(copy)
    export(copy)
    folders = sorted((copy.parent / "exported/train").iterdir())
    assert [path.name[:2] for path in folders] == ["0_", "1_", "2_"]
    assert sum(len(list(path.iterdir())) for path in folders) == 38


def test_an_image_that_was_taken_out_is_missed(copy: Path) -> None:
    table = pq.read_table(copy / NAME)
    pq.write_table(column("image", {"bytes": None, "path": "../../etc/passwd"})(table), copy / NAME)
    relock(copy)
    with pytest.raises(VerificationError, match=r"row 0: its image .* is gone"):
        verify(copy)


def drop(*keys: str) -> Callable[[Any], Any]:
    def change(lock: Any) -> Any:
        inner = lock
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]
        return lock

    return change


def put(value: object, *keys: str) -> Callable[[Any], Any]:
    def change(lock: Any) -> Any:
        inner = lock
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        return lock

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda lock: [1],
        lambda lock: None,
        drop("options"),
        drop("result", "noise"),
        drop("files", NAME, "sha256"),
        put([1, 2], "files"),
        put(3, "files", NAME),
        put("x", "options"),
        put(5, "result"),
        put([1], "options", "level"),
        put("many", "result", "rows"),
        put(None, "notes"),
    ],
)
def test_a_lock_file_that_is_none(copy: Path, change: Callable[[Any], Any]) -> None:
    path = copy / LOCK_NAME
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(VerificationError, match="not a lock file of format 1"):
        verify(copy)
