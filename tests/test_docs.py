"""Documents cannot drift: their blocks are run, the command reference is the program's own."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from noisyweb.cli._main import app
from noisyweb.levels import parse_level
from tests.assets.make_cli_reference import reference
from tests.conftest import REPO
from tests.docs_blocks import blocks_of, pages, run_page

LINK = re.compile(r"\]\(([^)#]+?)(?:#[^)]*)?\)")
PAGES = {str(page.relative_to(REPO)): blocks_of(page.read_text(encoding="utf-8")) for page in pages()}
RUN = [name for name, blocks in PAGES.items() if any(block.is_run for block in blocks)]
DOCUMENTS = [*REPO.glob("*.md"), *REPO.glob("docs/**/*.md")]
MOST_NOT_RUN = 20


@pytest.fixture(scope="module")
def shared_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first page that begins with the usual build leaves it to the others."""
    return tmp_path_factory.mktemp("shared") / "build"


@pytest.mark.slow
@pytest.mark.parametrize("page", [name for name in RUN if not name.startswith("docs/tutorials/")])
def test_every_block_runs(page: str, tmp_path: Path, shared_build: Path) -> None:
    """In one folder, from top to bottom, as a reader would; the tutorials are in test_docs_tutorials.py."""
    for block, seconds in run_page(REPO / page, tmp_path, shared_build):
        print(f"{page}:{block.line}: {block.language}, {seconds:.1f} s of CPU")


def test_blocks_that_are_not_run_are_few() -> None:
    unrun = [(page, block) for page, blocks in PAGES.items() for block in blocks if block.marker == "not run"]
    for page, block in unrun:
        print(f"{page}:{block.line}: not run: {block.says}")
    assert len(unrun) <= MOST_NOT_RUN


def test_ci_runs_the_set_up_commands() -> None:
    marked = [f'"set-up: {block.says}"' for blocks in PAGES.values() for block in blocks if block.marker == "set-up"]
    script = (REPO / ".ci/run").read_text(encoding="utf-8")
    assert len(marked) == 2
    assert [name for name in marked if name not in script] == []


def commands(text: str) -> list[str]:
    """What the lines of a text call noisyweb with."""
    lines = text.replace("\\\n", " ").splitlines()
    lines = [line.strip().removeprefix("Example: ") for line in lines]
    return [line for line in lines if line.startswith("noisyweb ")]


UNRUN = [
    pytest.param(command, id=f"{page}:{block.line}: {command}")
    for page, blocks in PAGES.items()
    for block in blocks
    if not block.is_run
    for command in commands(block.code)
]
EXAMPLES = [
    pytest.param(command, id=f"{file.name}: {command}")
    for file in sorted((REPO / "cli").glob("[a-z]*.py"))
    for command in commands(file.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("line", UNRUN + EXAMPLES)
def test_commands_that_are_not_run_are_understood(line: str) -> None:
    """The program knows their options, and `build` the levels, though they are not carried out."""
    words = shlex.split(line, comments=True)[1:]
    if "--list" in words:
        return
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    taken = command.make_context(command.name, words).params
    for level in taken.get("noise") or ():
        parse_level(level)


def test_the_command_reference_is_generated() -> None:
    written = (REPO / "docs/cli.md").read_text(encoding="utf-8")
    assert written == reference(), "docs/cli.md is out of date: make docs"


@pytest.mark.parametrize("document", sorted(str(path.relative_to(REPO)) for path in DOCUMENTS))
def test_links_lead_somewhere(document: str) -> None:
    for target in LINK.findall((REPO / document).read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (REPO / document).parent.joinpath(target).exists(), f"{document}: {target}"


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
