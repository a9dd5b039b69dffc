"""The site: it is built without a warning, asks for nothing outside itself, and shows what its pages name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from tests.browser import chromium
from tests.conftest import REPO

pytest.importorskip("mkdocs", reason="pip install 'noisyweb[docs]'")
pytestmark = pytest.mark.slow

LOADED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}
MAX_PICTURE_BYTES = 150_000


class Page(HTMLParser):
    """What a page loads by itself, the targets of its links, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = dict(attrs)
        if address := at.get(LOADED.get(tag, "")):
            self.loads.append(address)
        if name := at.get("id"):
            self.anchors.add(name)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) >= 20
    for path in pages:
        for address in Page(path).loads:
            assert not re.match(r"(?:[a-z+]+:)?//", address), f"{path.relative_to(site)} loads {address}"
            if path.name != "404.html" and not address.startswith("data:"):  # whose place nobody knows
                assert (path.parent / re.split(r"[?#]", address)[0]).exists(), f"{path.relative_to(site)}: {address}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(?:https?:)?//", style.read_text(encoding="utf-8")), style.name


def test_the_reference_is_made_of_the_docstrings(site: Path) -> None:
    """Also of the packages that lie elsewhere than where they are imported from."""
    shown = {page.stem: Page(page).anchors for page in (site / "api").glob("*.html")}
    assert {"noisyweb.training.run.run", "noisyweb.training.study.findings.findings"} <= shown["training"]
    assert {"noisyweb.data.NoisyImages", "noisyweb.schemas.MANIFEST", "noisyweb.errors.LeakError"} <= shown["builds"]
    told = (site / "api" / "builds.html").read_text(encoding="utf-8")
    assert "of `noisyweb.dataset.load_dataset`".replace("`", "") in re.sub(r"<[^>]+>", "", told)


def asked_for(site: Path, width: int) -> Iterator[tuple[str, int]]:
    """Pages as a browser shows them from a folder: what it asks for outside of it, and how wide they are."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": 800})
        addresses: list[str] = []
        page.on("request", lambda request: addresses.append(request.url))
        for path in sorted(site.rglob("*.html")):
            if path.name != "404.html":
                page.goto(path.as_uri())
                yield path.name, page.evaluate("document.documentElement.scrollWidth")
        page.goto((site / "index.html").as_uri())
        page.fill("input.md-search__input", "krippendorff")
        page.wait_for_selector(".md-search-result__item a[href*='numbers.html']", state="attached")
        assert not [address for address in addresses if not address.startswith(("file://", "data:", "about:"))]


def test_it_works_from_a_folder_on_a_phone(site: Path) -> None:
    """No page is wider than the screen, search finds, nothing is fetched."""
    for name, width in asked_for(site, 390):
        assert width <= 390, name


@pytest.mark.parametrize("picture", sorted((REPO / "docs" / "images").glob("*")), ids=lambda path: path.name)
def test_pictures_are_small_and_shown(picture: Path) -> None:
    with Image.open(picture) as opened:
        assert opened.format == "PNG"
    assert picture.stat().st_size <= MAX_PICTURE_BYTES
    pages = [REPO / "README.md", *(REPO / "docs").rglob("*.md")]
    assert any(f"images/{picture.name}" in page.read_text(encoding="utf-8") for page in pages)
