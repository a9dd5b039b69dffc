"""Audits by pixels: what manifests share is looked at once, and told of each as if it were alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from noisyweb.audit.pixels import look_at_pixels
from noisyweb.audit.read_manifests import read_manifests
from noisyweb.audit.report import AuditReport
from noisyweb.build import Recipe, build
from noisyweb.dataset import load_dataset
from noisyweb.decode import pillow_in_bounds
from noisyweb.dedup import DEFAULT_RADIUS
from noisyweb.hashes import describe_now
from noisyweb.leaks import Found, find_leaks
from noisyweb.manifest import Manifest, open_manifest
from noisyweb.progress import silent
from noisyweb.stages import ByViews
from tests.conftest import Program, TinySet

FOLDERS = ("blue_noise_nl_0.6", "red_noise_nl_0.6")
PLANTED = 6


def picture(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((240, 180), 3)


@pytest.fixture
def builds(tiny: TinySet, tmp_path: Path) -> Path:
    """A red and a blue set that share clean images, six of them copies of four validation images."""
    folder = tiny.toml.parent
    for n in range(4):
        picture(n).save(folder / f"val/cat's eye/{n:03d}.jpg", "JPEG", quality=95)
    copies = [picture(0), picture(1), ImageOps.mirror(picture(2)), picture(3).crop((12, 9, 232, 172)), picture(0)]
    copies.append(ImageOps.mirror(picture(1)))
    for n, copy in enumerate(copies):
        copy.save(folder / f"train/cat's eye/{n:03d}.jpg", "JPEG", quality=50 + 5 * n)
    for kind in ("red", "blue"):
        list(build(load_dataset(str(tiny.toml)), Recipe.of(kind, [Decimal("0.6")]), out=tmp_path / "builds"))
    return tmp_path / "builds" / "tiny"


def alone(train: Manifest, validation: Manifest) -> dict[str, Found]:
    """The leaks of one manifest, which is described by itself."""

    def described(manifest: Manifest):  # type: ignore[no-untyped-def]
        ids = manifest.rows.column("image_id").to_pylist()
        held = {i: data for i, (data, _) in zip(ids, manifest.images(), strict=True) if data is not None}

        def load(asked: Sequence[str]) -> Iterator[bytes | None]:
            return (held.get(image) for image in asked)

        return describe_now(held.items(), load, with_views=True, what="hash")

    with pillow_in_bounds():
        return find_leaks(described(train), described(validation), DEFAULT_RADIUS, [ByViews(DEFAULT_RADIUS)], silent)


def test_what_manifests_share_is_looked_at_once(builds: Path) -> None:
    sets = [open_manifest(builds / name) for name in FOLDERS]
    validation = open_manifest(builds / "clean_validation")
    told: list[tuple[str, int, int]] = []
    findings = look_at_pixels(sets, validation, lambda *step: told.append(step))

    expected = [alone(one, validation) for one in sets]
    assert len(expected[0]) == PLANTED
    assert 0 < len(expected[1]) < PLANTED  # some were replaced
    assert {leak.match.kind for leak in expected[0].values()} >= {"near", "mirror", "crop"}
    assert [(f.where, f.check, f.count) for f in findings] == [
        (name, "leak", len(leaks)) for name, leaks in zip(FOLDERS, expected, strict=True)
    ]
    for finding, leaks in zip(findings, expected, strict=True):
        pairs = [f"{i[:16]}… is {leak.image_id[:16]}… ({leak.match.kind})" for i, leak in leaks.items()]
        assert finding.examples == tuple(pairs[:3])

    different = {i for one in [*sets, validation] for i in one.rows.column("image_id").to_pylist()}
    assert len(different) < sum(one.rows.num_rows for one in [*sets, validation])
    assert [step[1:] for step in told if step[0] == "hash"] == [
        (done, len(different)) for done in range(1, len(different) + 1)
    ]
    compared = [step for step in told if step[0] == "compare"]
    assert compared[0][1] == 0
    assert compared[-1][1] == compared[-1][2]


def test_one_set_is_told_the_same_alone_and_among_others(builds: Path) -> None:
    together = AuditReport.of(read_manifests(builds)).findings
    for name in FOLDERS:
        report = AuditReport.of(read_manifests(builds / name))
        assert [f for f in together if f.where == name] == list(report.findings)


def put_bytes(folder: Path, changed: dict[int, bytes | None]) -> list[str]:
    """Other bytes, or none, in some rows of a manifest; returns the ids of all rows."""
    (file,) = folder.glob("*-of-*.parquet")
    table = pq.read_table(file)
    place = table.schema.get_field_index("image")
    images = table.column(place).to_pylist()
    for row, data in changed.items():
        images[row] = {**images[row], "bytes": data}
    field = table.schema.field(place)
    pq.write_table(table.set_column(place, field, pa.array(images, field.type)), file)
    return [str(image) for image in table.column("image_id").to_pylist()]


def test_images_that_cannot_be_read_are_a_fault(builds: Path, noisyweb: Program) -> None:
    """Each set has its own: an image may be whole in one and broken in the other under the same id."""
    validation = builds / "clean_validation"
    flat = (validation.parent.parent / "flat.png").resolve()
    Image.new("RGB", (64, 48), (90, 90, 90)).save(flat)
    ids = put_bytes(builds / FOLDERS[1], {4: b"no image", 7: b"\xff\xd8\xff broken", 9: None, 11: flat.read_bytes()})
    val_ids = put_bytes(validation, {2: b""})
    findings = [f for f in AuditReport.of(read_manifests(builds)).findings if f.check == "image"]
    assert [(f.where, f.severity, f.count) for f in findings] == [
        (FOLDERS[1], "fault", 3),
        ("clean_validation", "fault", 1),
    ]
    assert findings[0].examples == (ids[4], ids[7], ids[9])
    assert findings[1].examples == (val_ids[2],)

    said = noisyweb("audit", str(builds / FOLDERS[1]), "--pixels")
    assert said.returncode == 1
    assert f"fault: {FOLDERS[1]}: 3 images cannot be read" in said.stdout
    assert ids[4] in said.stdout
    quick = noisyweb("audit", str(builds / FOLDERS[1]))
    assert quick.returncode == 0


def test_images_are_read_without_a_validation_set(builds: Path) -> None:
    ids = put_bytes(builds / FOLDERS[0], {0: b"no image"})
    (finding,) = look_at_pixels([open_manifest(builds / FOLDERS[0])], None, silent)
    assert (finding.check, finding.count, finding.examples) == ("image", 1, (ids[0],))
