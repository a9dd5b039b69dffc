"""The tree is the architecture: which part may import which, and what importing must not pull in."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import noisyweb
from tests.conftest import PROGRAM, REPO

PARTS = {
    "noisyweb": "noisyweb",
    "manifests": "noisyweb.manifests",
    "training": "noisyweb.training",
    "cli": "noisyweb.cli",
}
MAY_NOT_IMPORT = {
    "noisyweb": ("noisyweb.manifests", "noisyweb.training", "noisyweb.cli"),
    "manifests": ("noisyweb.training", "noisyweb.cli"),
    "training": ("noisyweb.manifests", "noisyweb.cli"),
    "cli": (),
}


def modules() -> list[Path]:
    return [path for part in PARTS for path in sorted((REPO / part).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(REPO)))
def test_imports_go_one_way(path: Path) -> None:
    part = path.relative_to(REPO).parts[0]
    for name in imported(path):
        for forbidden in MAY_NOT_IMPORT[part]:
            assert not f"{name}.".startswith(f"{forbidden}."), f"{path} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(REPO)))
def test_modules_are_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def test_every_package_is_listed_for_the_wheel() -> None:
    import tomllib

    listed = set(tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = set()
    for part, name in PARTS.items():
        for init in (REPO / part).rglob("__init__.py"):
            inner = init.parent.relative_to(REPO / part).parts
            found.add(".".join([name, *inner]))
    assert listed == found


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


def test_the_library_imports_neither_torch_nor_plotting() -> None:
    names = [
        ".".join([PARTS[path.relative_to(REPO).parts[0]], *path.relative_to(REPO).with_suffix("").parts[1:]])
        for path in modules()
        if path.relative_to(REPO).parts[0] in ("noisyweb", "manifests", "cli") and path.name != "data.py"
    ]
    code = "import sys, importlib\n"
    code += "".join(f"importlib.import_module({name.removesuffix('.__init__')!r})\n" for name in names)
    code += "print([n for n in ('torch', 'matplotlib', 'pandas.plotting._matplotlib', 'datasets') if n in sys.modules])"
    assert run_python(code).strip() == "[]"


def test_import_noisyweb_is_light() -> None:
    code = (
        "import sys; import noisyweb; print([n for n in ('torch', 'pandas', 'numpy', 'pyarrow') if n in sys.modules])"
    )
    assert run_python(code).strip() == "[]"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['noisyweb', '--help']\n"
        "from noisyweb.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "print('HEAVY', [n for n in ('torch', 'pandas', 'numpy', 'pyarrow', 'PIL', 'httpx') if n in sys.modules])"
    )
    assert "HEAVY []" in run_python(code)


def test_help_lists_every_command() -> None:
    done = subprocess.run([str(PROGRAM), "--help"], capture_output=True, text=True, check=True, timeout=60)
    for name in ("build", "train", "verify", "show", "datasets", "crawl", "dedup", "label", "export", "demo"):
        assert f"\n  {name} " in done.stdout, name
    version = subprocess.run([str(PROGRAM), "--version"], capture_output=True, text=True, check=True, timeout=60)
    assert version.stdout == f"noisyweb {noisyweb.__version__}\n"


def test_the_version_is_the_changelogs_and_the_packages() -> None:
    import tomllib
    from importlib.metadata import version

    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    assert project["version"] == noisyweb.__version__ == version("noisyweb")
    assert f"## {noisyweb.__version__}" in (REPO / "CHANGELOG.md").read_text()
