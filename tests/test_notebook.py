"""The notebook runs from top to bottom, and its last cells show what its text says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.assets.make_notebook import notebook
from tests.conftest import REPO

FILE = REPO / "docs" / "notebook.ipynb"


def test_it_is_what_the_script_makes() -> None:
    assert FILE.read_text(encoding="utf-8") == notebook(), "python tests/assets/make_notebook.py"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's client
def test_it_runs_and_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch", "matplotlib", "sklearn", "ipykernel"):
        pytest.importorskip(package)
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    for name in ("TMPDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    book = nbformat.read(FILE, as_version=4)
    nbclient.NotebookClient(book, timeout=250, resources={"metadata": {"path": str(tmp_path)}}).execute()

    said = "\n".join(_texts(book))
    found = re.search(r"fetched ([\d,]+), different bytes ([\d,]+), kept ([\d,]+)", said)
    assert found, said
    assert int(found[1]) >= int(found[2]) > int(found[3]) > 300
    for kind in ("red", "blue"):
        counts = re.search(rf"^{kind}: (\d+) of (\d+) labels are wrong$", said, re.M)
        assert counts, said
        assert int(counts[1]) == round(0.4 * int(counts[2])) > 0
    red, blue = (re.search(rf"^{kind}_noise_nl_0.4 .*$", said, re.M) for kind in ("red", "blue"))
    assert red, said
    assert blue, said
    assert "*" in red[0], "noise from the web is unlike flips"
    assert "*" not in blue[0], "flips are like flips"
    pictures = [
        output for cell in book.cells for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 2, "a contact sheet and a plot"
    memorised = dict(re.findall(r"^(\w+) repeats (\d+)% of the wrong labels", said, re.M))
    assert int(memorised["standard"]) > int(memorised["mentormix"]) + 10
    assert int(memorised["standard"]) > 50


def _texts(book: Any) -> list[str]:
    """What the cells print, and what their last lines are worth as text."""
    found = []
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            assert output["output_type"] != "error"
            found.append(output.get("text") or output.get("data", {}).get("text/plain", ""))
    return found
