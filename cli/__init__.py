"""The command line: one file a command, each imported only when it is called."""

from noisyweb.cli._main import main

__all__ = ["main"]
