"""The demo: every stage on real HTTP, and a page whose numbers add up."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from noisyweb.data import NoisyImages
from noisyweb.summary_page import STEPS, Story, page
from noisyweb.verify import builds_in, verify
from tests.conftest import Program, assert_refused

CELLS = re.compile(r"<tr><td>(.*?)</td><td>(.*?)</td></tr>")
BAR = re.compile(r'<span class="name">(.*?)</span>.*?<span class="count">([\d,]+)</span>')


@pytest.mark.slow
def test_the_whole_road(noisyweb: Program, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    done = noisyweb("demo", "--out", "demo", "--epochs", "2")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "cwd" / "demo"
    text = (out / "summary.html").read_text(encoding="utf-8")
    funnel = {html.unescape(name): int(count.replace(",", "")) for name, count in BAR.findall(text)}
    assert list(funnel) == list(STEPS.values())
    assert list(funnel.values()) == sorted(funnel.values(), reverse=True)
    rows = dict(CELLS.findall(text))
    left = {name: int(rows[name]) for name in rows if re.match("not fetched|near|exact|same|no verdict|judged", name)}
    assert funnel["search hits"] - sum(left.values()) == funnel["used in the training set"] == 202
    assert {"not fetched: http-404", "not fetched: not-an-image", "not fetched: timeout"} <= set(left)
    assert left["near copy of a web image"] > 20
    assert left["near copy of a validation image"] == 24, "every planted leak is found"

    for build in builds_in(out / "builds"):
        verify(build)
    data = NoisyImages(out / "builds/demo/red_noise_nl_0.4")
    assert (len(data), int((~data.is_clean).sum())) == (504, 202)
    assert (out / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")
    for method in ("standard", "mentormix"):
        assert (out / "runs" / method / "summary.json").exists()


def test_a_folder_with_something_else_is_left_alone(noisyweb: Program, tmp_path: Path) -> None:
    other = tmp_path / "cwd" / "demo"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    assert_refused(noisyweb("demo"), "demo: it holds something that is no demo")
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]


def test_hostile_text_stays_text() -> None:
    evil = "<script>alert(1)</script>"
    story = Story(
        evil, evil, dict.fromkeys(STEPS, 0), {evil: 1}, [(evil, evil)], {evil: (0.5, 0.6, 1)}, 0.1, b"", {evil: 1}
    )
    assert "<script" not in page(story)
