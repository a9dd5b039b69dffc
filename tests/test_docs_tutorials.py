"""Tutorials: every block is run, in a file of its own so that another worker can run it meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.docs_blocks import run_page


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted((REPO / "docs" / "tutorials").glob("*.md")), ids=lambda page: page.name)
def test_every_block_runs(page: Path, tmp_path: Path) -> None:
    """In one folder, from top to bottom, as a reader would."""
    for block, seconds in run_page(page, tmp_path):
        print(f"{page.name}:{block.line}: {block.language}, {seconds:.1f} s of CPU")
