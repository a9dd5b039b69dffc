"""Make docs/images/: the demo's summary, the gallery of its duplicates, and a contact sheet of what it built.

Run from the repository root: python tests/assets/make_screenshots.py [DEMO]
With the folder of a demo named, that one is shown; else one is made, which takes a minute or two. The pictures of the
annotation page and of the report have scripts of their own.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.browser import chromium

TARGET = Path(__file__).parents[2] / "docs" / "images"
PROGRAM = str(Path(sys.executable).parent / "noisyweb")
MAX_BYTES = 150_000


def demo(folder: Path) -> Path:
    """A finished demo."""
    place = folder / "demo"
    subprocess.run([PROGRAM, "demo", "--out", str(place)], check=True)
    return place


def page(browser: Browser, file: Path) -> Image.Image:
    """The top of a page."""
    shown = browser.new_page(viewport={"width": 1100, "height": 800})
    shown.goto(file.resolve().as_uri())
    picture = Image.open(io.BytesIO(shown.screenshot())).convert("RGB")
    shown.close()
    return picture


def save(picture: Image.Image, name: str) -> None:
    """Write a small PNG.

    Raises:
        SystemExit: it is larger than a page should have to load.
    """
    for colours in (256, 128, 64, 32):
        kept = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(kept, "PNG", optimize=True)
        if len(kept.getvalue()) <= MAX_BYTES:
            break
    else:
        raise SystemExit(f"{name}: {len(kept.getvalue()):,} bytes; expected {MAX_BYTES:,} at most")
    TARGET.mkdir(exist_ok=True)
    (TARGET / name).write_bytes(kept.getvalue())
    print(TARGET / name, picture.size, colours, len(kept.getvalue()))


def main() -> None:
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        place = Path(sys.argv[1]) if len(sys.argv) > 1 else demo(Path(name))
        dedup = ["dedup", "--workspace", str(place / "workspace"), "--dataset", str(place / "demo.toml"), "--no-views"]
        subprocess.run([PROGRAM, *dedup, "--gallery"], check=True)
        sheet = Path(name) / "sheet.png"
        built = place / "builds" / "demo" / "red_noise_nl_0.4"
        subprocess.run(
            [PROGRAM, "show", str(built), "--count", "12", "--columns", "6", "--out", str(sheet)], check=True
        )
        save(page(browser, place / "summary.html"), "demo-summary.png")
        save(page(browser, place / "workspace" / "dedup" / "index.html"), "dedup-gallery.png")
        save(Image.open(sheet).convert("RGB"), "contact-sheet.png")


if __name__ == "__main__":
    main()
