"""The environments of the programs that benchmarks compare with: each its own, made once in the temporary folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def peer_python(
    given: str | None, folder: Path, packages: Sequence[str], *, option: str = "--peer", constraints: Path | None = None
) -> str:
    """An interpreter that has some packages.

    Args:
        given: the user's own, if there is one.
        folder: where the environment is, or is to be made.
        packages: what it has.
        option: how the user names an interpreter, for the error message.
        constraints: versions that pip is to keep to.

    Raises:
        SystemExit: the given one is not there.
    """
    if given:
        if not Path(given).is_file():
            raise SystemExit(f"{option} {given}: no such file")
        return given
    python = folder / "bin/python"
    if not (folder / "installed").exists():
        print(f"making an environment with {', '.join(packages)} in {folder}", flush=True)
        kept = ["-c", str(constraints)] if constraints else []
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *kept, *packages], check=True)
        (folder / "installed").touch()
    return str(python)
