"""Contact sheets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from noisyweb import plugins
from noisyweb.errors import SourceError, UnknownNameError
from noisyweb.manifest import open_manifest
from noisyweb.show import CAPTION, CELL, HEADER, MARGIN, PICTURE, choose_rows, contact_sheet
from tests.conftest import make_tiny_set
from tests.test_build import build_tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("show")
    build_tiny(make_tiny_set(place / "set"), place / "out", "red", "0.1", "0.4")
    return place / "out/tiny/red_noise_nl_0.4"


def test_rows_are_drawn_half_wrong_half_clean_wrong_ones_first(folder: Path) -> None:
    rows = open_manifest(folder).rows
    clean = rows["is_clean"].to_pylist()
    chosen = choose_rows(rows, 12, seed=0)
    assert [clean[i] for i in chosen] == [False] * 6 + [True] * 6
    assert chosen == choose_rows(rows, 12, seed=0) != choose_rows(rows, 12, seed=1)
    assert len(set(choose_rows(rows, 1000, seed=0))) == 38
    assert not any(clean[i] for i in choose_rows(rows, 100, 0, "wrong"))
    few_wrong = open_manifest(folder.parent / "red_noise_nl_0.1").rows
    assert Counter(few_wrong["is_clean"][i].as_py() for i in choose_rows(few_wrong, 20, 0)) == {False: 4, True: 16}
    with pytest.raises(SourceError, match="no wrong rows to show"):
        choose_rows(open_manifest(folder.parent / "clean_validation").rows, 5, 0, "wrong")


def test_each_picture_stands_in_its_place(folder: Path) -> None:
    import io

    from PIL import Image

    manifest = open_manifest(folder)
    chosen = choose_rows(manifest.rows, 5, seed=3)
    sheet = contact_sheet(manifest, chosen, columns=2)
    assert sheet.size == (2 * MARGIN + 2 * CELL, HEADER + 2 * MARGIN + 3 * (PICTURE + CAPTION))
    encoded = [data for data, _ in manifest.images()]
    for place, row in enumerate(chosen):
        x, y = MARGIN + place % 2 * CELL, HEADER + MARGIN + place // 2 * (PICTURE + CAPTION)
        shown = np.asarray(sheet.crop((x, y + 24, x + 192, y + 168)).resize((40, 30)), np.int16)
        data = encoded[row]
        assert data is not None
        original = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int16)
        assert np.abs(shown - original).mean() < 8


def test_every_caption_has_ink(folder: Path) -> None:
    manifest = open_manifest(folder)
    chosen = choose_rows(manifest.rows, 4, seed=0)
    sheet = np.asarray(contact_sheet(manifest, chosen, columns=4).convert("L"))
    for place in range(4):
        x, y = MARGIN + place * CELL, HEADER + MARGIN + PICTURE
        for line in range(3):
            assert sheet[y + 4 + 17 * line : y + 18 + 17 * line, x : x + PICTURE].min() < 160


def test_plug_ins_are_found_by_their_file_names() -> None:
    assert {"imagefolder", "csv", "hf"} <= set(plugins.names("noisyweb.exporters"))
    assert {"red", "blue", "human"} <= set(plugins.names("noisyweb.kinds"))
    assert {"stanford-cars", "parquet", "imagefolder", "drawn", "workspace"} <= set(plugins.names("noisyweb.sources"))
    with pytest.raises(UnknownNameError, match="unknown export format 'cvs'; did you mean 'csv'"):
        plugins.load("noisyweb.exporters", "export format", "cvs")
