"""Documents cannot drift: blocks marked to run are run, the command reference is the program's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.assets.make_cli_reference import reference
from tests.conftest import PROGRAM, REPO

RUN = re.compile(r"<!-- run -->\n```(bash|python)\n(.*?)```", re.S)
LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")


@pytest.mark.slow
@pytest.mark.parametrize("document", ["README.md", "docs/quickstart.md"])
def test_blocks_run_in_order(document: str, tmp_path: Path) -> None:
    """In one folder, from top to bottom, as a reader would."""
    blocks = RUN.findall((REPO / document).read_text(encoding="utf-8"))
    assert blocks, f"{document} has no block to run"
    environment = {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    environment["HF_HOME"] = str(tmp_path / "hf")
    for language, code in blocks:
        command = ["bash", "-euo", "pipefail", "-c", code] if language == "bash" else [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, f"{document}: {code}\n{done.stdout}{done.stderr}"


def test_the_command_reference_is_generated() -> None:
    written = (REPO / "docs/cli.md").read_text(encoding="utf-8")
    assert written == reference(), "docs/cli.md is out of date: make docs"


@pytest.mark.parametrize("document", sorted(REPO.glob("*.md")) + sorted(REPO.glob("docs/*.md")), ids=lambda p: p.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.mark.parametrize(
    ("folder", "start", "end"),
    [
        ("noisyweb", "In reading order, the library:", "And training"),
        ("training", "And training (`training/`):", "## Adding a part"),
    ],
)
def test_every_module_that_the_architecture_names_is_there(folder: str, start: str, end: str) -> None:
    text = (REPO / "docs/architecture.md").read_text(encoding="utf-8")
    table = text.split(start)[1].split(end)[0]
    named = set(re.findall(r"`([a-z_]+/?)`", table))
    found = {path.stem for path in (REPO / folder).glob("*.py")} - {"__init__"}
    found |= {f"{path.name}/" for path in (REPO / folder).iterdir() if (path / "__init__.py").exists()}
    assert named == found
