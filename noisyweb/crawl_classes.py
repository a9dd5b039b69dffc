"""Whose class names a crawl is for."""

from __future__ import annotations

from pathlib import Path

from noisyweb.dataset import load_dataset
from noisyweb.errors import CrawlError


def read_class_names(text: str) -> list[str]:
    """Class names of a data set (by name or definition.toml) or of a text file with one name a line.

    Raises:
        CrawlError: the text file is empty, unreadable, or has a name twice.
        UnknownNameError: it is neither a file nor a data set.
    """
    path = Path(text).expanduser()
    if path.suffix == ".toml" or not path.is_file():
        if path.suffix in (".txt", ".csv"):
            raise CrawlError(f"{text}: no such file; expected a text file with one class name a line")
        return list(load_dataset(text).class_names)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CrawlError(f"{text}: cannot be read as class names, one a line ({error})") from error
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise CrawlError(f"{text}: it is empty; expected one class name a line")
    for name in names:
        if names.count(name) > 1:
            raise CrawlError(f"{text}: class {name!r} is listed {names.count(name)} times; list each once")
    return names
