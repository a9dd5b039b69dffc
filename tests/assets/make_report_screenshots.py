"""Make docs/report.png: a report on a desk, and on a phone by day and by night, over drawn cars.

Run from the repository root: python tests/assets/make_report_screenshots.py [REPORT.html]
With a report named, that one is shown; else one is made of drawn builds, which takes a few minutes.
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

TARGET = Path(__file__).parents[2] / "docs" / "report.png"
HEIGHT, GAP = 720, 12
SCREENS = (
    ({"viewport": {"width": 1280, "height": 900}}, "#s1"),
    ({"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True}, "#s3"),
    (
        {
            "viewport": {"width": 390, "height": 844},
            "device_scale_factor": 2,
            "is_mobile": True,
            "color_scheme": "dark",
        },
        "#profile",
    ),
)


def make(folder: Path) -> Path:
    """A report of drawn cars, red and blue at two levels."""
    program = str(Path(sys.executable).parent / "noisyweb")
    for kind in ("red", "blue"):
        for level in ("0.1", "0.4"):
            build = ["build", "--dataset", "cars", "--kind", kind, "--noise", level, "--out", str(folder)]
            subprocess.run([program, *build], check=True)
    subprocess.run([program, "report", str(folder / "cars"), "--out", str(folder / "report")], check=True)
    return folder / "report" / "report.html"


def shot(browser: Browser, page: Path, screen: dict[str, object], place: str) -> Image.Image:
    """What a screen shows from a place of the page on, in the height of the others."""
    shown = browser.new_page(**screen)  # type: ignore[arg-type]
    shown.goto(page.resolve().as_uri())
    shown.add_style_tag(content="html { scroll-behavior: auto !important; }")
    if place != "#s1":
        shown.evaluate(f"document.querySelector('{place}').scrollIntoView()")
    picture = Image.open(io.BytesIO(shown.screenshot())).convert("RGB")
    shown.close()
    return picture.resize((picture.width * HEIGHT // picture.height, HEIGHT), Image.Resampling.LANCZOS)


def main() -> None:
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        page = Path(sys.argv[1]) if len(sys.argv) > 1 else make(Path(name))
        pictures = [shot(browser, page, *screen) for screen in SCREENS]
    whole = Image.new("RGB", (sum(one.width + GAP for one in pictures) - GAP, HEIGHT), "#8a94a0")
    left = 0
    for one in pictures:
        whole.paste(one, (left, 0))
        left += one.width + GAP
    whole.quantize(256, dither=Image.Dither.NONE).save(TARGET, optimize=True)
    print(TARGET, TARGET.stat().st_size)


if __name__ == "__main__":
    main()
