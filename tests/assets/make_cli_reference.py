"""Prints docs/cli.md: the command-line reference, generated from the program itself.

Usage: python tests/assets/make_cli_reference.py > docs/cli.md
"""

from __future__ import annotations

import subprocess
import sys


def reference() -> str:
    """The reference as Markdown."""
    command = [sys.executable, "-m", "typer", "noisyweb.cli._main", "utils", "docs", "--name", "noisyweb"]
    done = subprocess.run([*command, "--title", "Command line"], capture_output=True, text=True, check=True)
    return done.stdout.rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
