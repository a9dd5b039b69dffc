"""``_noisyweb.lock.json``: what a build was made from, with which options, and what came out.

The underscore lets pandas, pyarrow and Spark read the build's folder as one table: they skip such names.

No times, no absolute paths: the same inputs, options and versions give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from noisyweb import __version__
from noisyweb.errors import CorruptFileError, SourceError
from noisyweb.imageset import ImageSet
from noisyweb.remote_path import Place

LOCK_NAME = "_noisyweb.lock.json"
VALIDATION_FOLDER = "clean_validation"
"""Where the validation set stands, beside the training sets of all kinds and levels."""

FORMAT = 1


def input_digest(images: ImageSet) -> dict[str, Any]:
    """Rows and a SHA-256 over every row's name and label, in order: which rows a build drew from."""
    return rows_digest(zip(images.names, images.labels.tolist(), strict=True))


def rows_digest(rows: Iterable[tuple[str, int]]) -> dict[str, Any]:
    """`input_digest` of rows that are told one by one, name and label."""
    digest, number = hashlib.sha256(), 0
    for name, label in rows:
        digest.update(f"{name}\t{label}\n".encode("utf-8", "surrogatepass"))
        number += 1
    return {"rows": number, "sha256": digest.hexdigest()}


def file_digest(path: Place) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    with path.open("rb") if isinstance(path, Path) else io.BufferedReader(path.open(), 8_000_000) as handle:
        digest = hashlib.file_digest(handle, "sha256")
        return {"bytes": handle.tell(), "sha256": digest.hexdigest()}


def class_digest(class_names: Sequence[str]) -> str:
    """SHA-256 of the vocabulary."""
    return hashlib.sha256("\n".join(class_names).encode()).hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of what shapes the bytes."""
    return {"noisyweb": __version__, **{name: metadata.version(name) for name in ("numpy", "pillow", "pyarrow")}}


def write_lock(folder: Path, content: Mapping[str, Any], files: Sequence[Path]) -> None:
    """Write the lock file of a folder whose other files are complete.

    Args:
        folder: the build.
        content: options, inputs and result.
        files: the files to vouch for.
    """
    whole = {
        "format": FORMAT,
        **content,
        "libraries": library_versions(),
        "files": {path.name: file_digest(path) for path in sorted(files)},
    }
    text = json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / LOCK_NAME).write_text(text + "\n", encoding="utf-8")


def locked_folders(root: Place) -> list[Place]:
    """The build folders directly below a folder, sorted by name."""
    found = (path.parent for path in root.glob(f"*/{LOCK_NAME}"))
    return sorted(folder for folder in found if not folder.name.startswith("."))  # hidden: still being written


def read_lock(folder: Place) -> dict[str, Any]:
    """Read a build's lock file.

    Raises:
        SourceError: there is none.
        CorruptFileError: it is not a lock file that this version reads.
    """
    path = folder / LOCK_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, SourceError):
        raise SourceError(f"{folder}: no {LOCK_NAME} in it; expected a folder that `noisyweb build` wrote") from None
    except (ValueError, RecursionError, IsADirectoryError) as error:
        raise CorruptFileError(f"{path}: not valid JSON ({error}); build it again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or not _is_complete(content):
        raise CorruptFileError(f"{path}: not a lock file of format {FORMAT}; build it again with this version")
    return content


def _is_complete(content: Mapping[str, Any]) -> bool:
    """Whether everything that is read from a lock file is there and of its type."""
    try:
        options, classes, result = content["options"], content["classes"], content["result"]
        texts = [options["dataset"], options["title"], options["edition"], options["split"], classes["sha256"]]
        texts += content["notes"]
        texts += [file["sha256"] for file in content["files"].values()]
        if options["split"] == "train":
            texts += [options["kind"], options["level"]]
        numbers = [classes["number"], result["rows"], result["wrong"], *result["noise"].values()]
        numbers += [*result["class_sizes"], *(file["bytes"] for file in content["files"].values())]
    except (KeyError, TypeError, AttributeError):
        return False
    return all(isinstance(text, str) for text in texts) and all(isinstance(number, int) for number in numbers)
