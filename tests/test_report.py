"""The report's files: complete, the same twice, safe to open, and never in the place of something else."""

from __future__ import annotations

import base64
import csv
import io
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from noisyweb.errors import CorruptFileError, OutputError, SourceError
from noisyweb.report import render
from noisyweb.report.inputs import open_inputs
from noisyweb.report.page import page as make_page
from noisyweb.report.report import report
from noisyweb.report.section import Fold, Section, Table
from noisyweb.report.style import DARK
from tests.browser import chromium
from tests.conftest import PROGRAM
from tests.export_builds import blue_rows, write_build
from tests.report_builds import HOSTILE, write_hostile, write_run, write_study

PICTURE = re.compile(r'<figure(?: class="wide")? id="([a-z0-9-]+)"')
TABLE = re.compile(r'<div class="table" id="([a-z0-9-]+)"')


SCREENS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
    "small phone at night": {"viewport": {"width": 360, "height": 640}, "is_mobile": True, "color_scheme": "dark"},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report with every section filled that can be from builds, runs and a study."""
    root = tmp_path_factory.mktemp("report")
    builds, study = write_hostile(root / "pets"), write_study(root / "study")
    run = write_run(root / "runs" / ("r" * 120), [(0.4, 0.1, 0.5), (0.9, 0.7, 0.4)], method="m" * 90)
    inputs = open_inputs(builds, runs=[run], study=study)
    return report(inputs, root / "out").parent


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def page(made: Path) -> Page:
    return Page((made / "report.html").read_text(encoding="utf-8"))


def test_every_picture_is_a_file_and_everything_shown_has_its_data(made: Path) -> None:
    text = (made / "report.html").read_text(encoding="utf-8")
    pictures, tables = PICTURE.findall(text), TABLE.findall(text)
    assert {"levels", "classes-by-name", "confusion-blue", "learning-1", "study-kinds-1"} <= set(pictures)
    assert {"levels-table", "learning-table", "study-table", "study-findings"} <= set(tables)
    assert sorted(f"{name}.png" for name in pictures) == sorted(one.name for one in (made / "figures").iterdir())
    assert sorted(f"{name}.csv" for name in pictures + tables) == sorted(one.name for one in (made / "data").iterdir())
    for file in (made / "figures").iterdir():
        with Image.open(file) as image:
            assert image.format == "PNG"
            assert image.width > 100
    for file in (made / "data").iterdir():
        head, *rows = list(csv.reader(io.StringIO(file.read_bytes().decode("utf-8"), newline="")))
        assert rows, file.name
        assert {len(row) for row in rows} == {len(head)}, file.name


def test_it_is_the_same_byte_for_byte(made: Path, tmp_path: Path) -> None:
    root = made.parent
    again = open_inputs(root / "pets", runs=[root / "runs"], study=root / "study")
    other = report(again, tmp_path / "again").parent
    files = {one.relative_to(made) for one in made.rglob("*") if one.is_file()}
    assert files == {one.relative_to(other) for one in other.rglob("*") if one.is_file()}
    for file in sorted(files):
        assert (made / file).read_bytes() == (other / file).read_bytes(), file


def test_names_of_strangers_stay_text(page: Page) -> None:
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "iframe", "object", "embed", "link", "base", "form", "svg"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    text = "".join(page.text)
    assert HOSTILE[0] in text  # the title, as it is
    assert "\u202e" not in text


def test_pictures_are_safe_and_whole(page: Page) -> None:
    found = 0
    for tag, attributes in page.tags:
        kind, _, data = attributes.get("src", "").partition(";base64,")
        if tag == "img" and kind == "data:image/svg+xml":
            root = ET.fromstring(base64.b64decode(data))
            names = {element.tag.rpartition("}")[2] for element in root.iter()}
            styles = " ".join(element.get("style", "") for element in root.iter())
            assert set(re.findall("#[0-9a-f]{6}", styles)) <= set(DARK), "a colour that stays as it is at night"
            assert not names & {"script", "foreignObject", "a", "metadata"}
            for element in root.iter():
                for name, value in element.attrib.items():
                    assert not name.startswith("on")
                    assert "href" not in name or value.startswith(("#", "data:image/png")), value
            found += 1
    assert found >= 5


def test_nothing_leads_out_of_it(made: Path, page: Page) -> None:
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    for tag, attributes in page.tags:
        for name in ("src", "srcset", "href", "action", "data", "poster"):
            if name in attributes:
                value = attributes[name]
                if value.startswith("#"):
                    assert value[1:] in ids
                elif value.startswith(("figures/", "data/")):
                    assert (made / value).is_file()
                else:
                    assert value.startswith("data:image/") or tag == "a", (tag, name, value)
    text = (made / "report.html").read_text(encoding="utf-8")
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_it_fits_every_screen_and_asks_nobody(made: Path, tmp_path: Path) -> None:
    alone = tmp_path / "report.html"
    alone.write_bytes((made / "report.html").read_bytes())  # sent to somebody, without its folder
    with chromium() as browser:
        for name, screen in SCREENS.items():
            shown = browser.new_page(**screen)
            asked: list[str] = []
            said: list[str] = []
            shown.on("request", lambda request, to=asked: to.append(request.url))
            shown.on("console", lambda message, to=said: to.append(message.text))
            shown.on("dialog", lambda dialog, to=said: to.append(dialog.message))
            shown.goto(alone.as_uri())
            shown.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert shown.evaluate("document.documentElement.scrollWidth") <= screen["viewport"]["width"], name
            broken = "[...document.images].filter(one => !one.complete || !one.naturalWidth).map(one => one.alt)"
            assert shown.evaluate(broken) == [], name
            paper = shown.evaluate("getComputedStyle(document.body).backgroundColor")
            assert paper == ("rgb(13, 17, 23)" if "night" in name else "rgb(245, 247, 249)")
            assert asked == [alone.as_uri()]
            assert said == []
            shown.close()


@pytest.mark.parametrize("where", ["title", "lead", "missing", "paragraph", "cell", "caption", "head", "fold"])
def test_text_is_escaped_wherever_it_stands(where: str) -> None:
    attack = '</style><script>alert("`x`")</script><img src=x onerror=alert(1)>'
    text = {name: attack if name == where else "plain" for name in ("title", "lead", "missing", "paragraph")}
    text |= {name: attack if name == where else "plain" for name in ("cell", "caption", "head", "fold")}
    table = Table("table", text["caption"], [text["head"]], [[text["cell"]]])
    section = Section(text["title"], text["lead"], [text["paragraph"], Fold(text["fold"], [table])], text["missing"])
    made = make_page(text["title"], [text["paragraph"]], [section], {})
    assert "<script" not in made
    assert "<img" not in made
    assert made.count("</style>") == 1
    assert "&lt;img src=x onerror=alert(1)&gt;" in made


def test_a_folder_that_holds_something_else_is_left_alone(made: Path, tmp_path: Path) -> None:
    inputs = open_inputs(made.parent / "pets")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("work", "file"):
        with pytest.raises(OutputError, match="no report"):
            report(inputs, tmp_path / name)
    assert (tmp_path / "work" / "thesis.tex").read_text() == (tmp_path / "file").read_text() == "mine"


def test_what_cannot_be_opened_is_said(made: Path, tmp_path: Path) -> None:
    builds = made.parent / "pets"
    with pytest.raises(SourceError, match="no manifest in it"):
        open_inputs(tmp_path)
    with pytest.raises(SourceError, match=r"folder of data sets; name one, such as .*pets"):
        open_inputs(made.parent)
    with pytest.raises(SourceError, match="no training set in it"):
        open_inputs(builds / "clean_validation")
    with pytest.raises(SourceError, match="no training run in it"):
        open_inputs(builds, runs=[tmp_path])
    with pytest.raises(SourceError, match="no study in it"):
        open_inputs(builds, study=tmp_path)
    with pytest.raises(SourceError, match="no such folder"):
        open_inputs(builds, workspace=tmp_path / "none")
    broken = write_run(tmp_path / "runs" / "broken", [(0.1, 0.1, 0.1)])
    (broken / "metrics.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorruptFileError, match="cannot be read"):
        open_inputs(builds, runs=[tmp_path / "runs"])
    write_build(tmp_path / "other", blue_rows(12, 3), "blue", "0.25", class_names=("a", "b", "c"))
    write_build(tmp_path / "other", blue_rows(12, 6), "blue", "0.5", class_names=("a", "b", "d"))
    with pytest.raises(SourceError, match="other classes than"):
        open_inputs(tmp_path / "other")


def test_formulas_are_not_run_by_a_spreadsheet() -> None:
    table = pa.table({"creator": ["=HYPERLINK(1)", "Ann", None, "@x"], "rows": [1, 2, 3, 4]})
    lines = render.table_csv(table).decode().splitlines()
    assert lines[1:] == ['"\'=HYPERLINK(1)",1', '"Ann",2', ",3", '"\'@x",4']


def test_a_missing_package_is_named(made: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from noisyweb.report.inputs import open_inputs\n"
        "from noisyweb.report.report import report\n"
        f"report(open_inputs(Path({str(made.parent / 'pets')!r})), Path('never'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "MissingExtraError: the report needs matplotlib, which is not installed" in done.stderr
    assert not Path("never").exists()


def test_the_command(made: Path, tmp_path: Path) -> None:
    command = [str(PROGRAM), "report", str(made.parent / "pets"), "--out", str(tmp_path / "out"), "--title", "Pets"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert re.search(r"report\.html: \d+\.\d MB, \d+ pictures in .*figures", done.stdout)
    assert "<h1>Pets</h1>" in (tmp_path / "out" / "report.html").read_text()
    refused = subprocess.run([*command[:2], str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
