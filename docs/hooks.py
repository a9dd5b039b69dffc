"""What mkdocs does besides: the packages as they are once installed, tables with comments, the notebook as a page."""

from __future__ import annotations

import json
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

NOTEBOOK = "notebook.ipynb"
_tree = tempfile.TemporaryDirectory(prefix="noisyweb-docs-")  # gone when mkdocs ends


@event_priority(100)  # before mkdocstrings reads its paths
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Show mkdocstrings the tree that setuptools makes: ``training/`` is noisyweb.training, and so on."""
    root, tree = Path(config.config_file_path).parent, Path(_tree.name)
    folders = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-dir"]
    for package, folder in sorted(folders.items()):
        place = tree.joinpath(*package.split("."))
        if place.exists():  # mkdocs serve
            continue
        if "." in package:
            place.symlink_to(root / folder)
        else:
            place.mkdir()
            for part in (root / folder).iterdir():
                (place / part.name).symlink_to(part)
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [str(tree)]
    return config


class TableComments(griffe.Extension):
    """Shows the tables' schemas as they stand in the source: what a column means is a comment there."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """See griffe."""
        if attr.value is not None and "pa.schema(" in attr.lines[0]:
            attr.value = "\n".join(attr.lines).partition("=")[2].strip()


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Show the notebook, which is kept without outputs, as a page beside the file itself."""
    content = json.loads((Path(config.docs_dir) / NOTEBOOK).read_text(encoding="utf-8"))
    files.append(File.generated(config, "notebook.md", content=as_page(content)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links to the notebook, which are to its file wherever pages are read as they are, lead to its page."""
    return markdown if page.file.src_uri == "notebook.md" else markdown.replace(f"{NOTEBOOK})", "notebook.md)")


def as_page(notebook: dict[str, Any]) -> str:
    """A notebook as Markdown; its outputs are left out."""
    blocks = [_as_block(cell) for cell in notebook["cells"]]
    blocks.insert(1, f"This page is a notebook: [{NOTEBOOK}]({NOTEBOOK}).")
    return "\n\n".join(blocks) + "\n"


def _as_block(cell: dict[str, Any]) -> str:
    text = "".join(cell["source"]).strip()
    return text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
