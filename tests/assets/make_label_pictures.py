"""Make docs/label-page.png: the annotation page on a desktop, as a grid, and on a phone, over drawn cars.

Run from the repository root: python tests/assets/make_label_pictures.py
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parents[2]))

from noisyweb.drawn.pictures import draw_hit
from noisyweb.drawn.subset import write_subset
from noisyweb.drawn.vocabulary import cars
from noisyweb.drawn.web import hits_of
from noisyweb.workspace import Workspace
from tests.annotation import PageServer
from tests.browser import chromium

TARGET = Path(__file__).parents[2] / "docs" / "label-page.png"
NAMES = ("Audi TT RS Coupe 2012", "Jeep Wrangler SUV 2012", "smart fortwo Convertible 2012")
HEIGHT = 640


def fill(folder: Path) -> Workspace:
    """A workspace with the living hits of a few classes."""
    place = Workspace(folder, create=True)
    place.set_class_names(NAMES)
    with place.journal("images") as journal:
        for label, name in enumerate(NAMES):
            for hit in hits_of(list(cars().class_names).index(name)):
                if hit.kind not in ("dead", "duplicate", "leak"):
                    row = {"url": hit.url, "label": label, "status": "ok", "retry": False, "attempts": 1}
                    journal.add({**row, "image_id": place.put(draw_hit(hit, name))})
    place.fold("images")
    return place


def shot(page: Page) -> Image.Image:
    """What the page shows, in the height of the others."""
    page.wait_for_load_state("networkidle")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return picture.resize((picture.width * HEIGHT // picture.height, HEIGHT), Image.Resampling.LANCZOS)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        definition = write_subset(folder, NAMES, "three", "w")
        place = fill(folder / "w")
        with PageServer(place.folder, ["anna"], "--dataset", str(definition)) as server, chromium() as browser:
            desk = browser.new_page(viewport={"width": 1100, "height": 760})
            desk.goto(server.links["anna"])
            for key in "yny":
                desk.wait_for_function("() => document.querySelector('#image img')?.complete")
                desk.keyboard.press(key)
            pictures = [shot(desk)]
            desk.keyboard.press("g")
            desk.wait_for_selector(".cell")
            for key in ("y", "n", "y", "u", "n"):
                desk.keyboard.press(key)
            pictures.append(shot(desk))
            phone = browser.new_context(
                viewport={"width": 390, "height": 760}, device_scale_factor=2, is_mobile=True, has_touch=True
            ).new_page()
            phone.goto(server.links["anna"])
            phone.wait_for_selector("#image img")
            pictures.append(shot(phone))
    gap = 12
    whole = Image.new("RGB", (sum(each.width + gap for each in pictures) - gap, HEIGHT), "white")
    left = 0
    for each in pictures:
        whole.paste(each, (left, 0))
        left += each.width + gap
    whole.quantize(256, dither=Image.Dither.NONE).save(TARGET, optimize=True)
    print(TARGET, TARGET.stat().st_size)


if __name__ == "__main__":
    main()
