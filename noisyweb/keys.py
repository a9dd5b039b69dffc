"""Where the keys of search APIs come from: the environment, else a file of one's own; never the command line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from noisyweb.errors import CrawlError


def variable(provider: str, key: str) -> str:
    """The environment variable that holds a key.

    >>> variable("openverse", "client_id")
    'NOISYWEB_OPENVERSE_CLIENT_ID'
    """
    return f"NOISYWEB_{provider}_{key}".upper().replace("-", "_")


def default_path(environ: Mapping[str, str]) -> Path:
    """The keys file of those who name none: $XDG_CONFIG_HOME/noisyweb/keys.toml, else in ~/.config."""
    config = environ.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
    return Path(config) / "noisyweb" / "keys.toml"


def provider_keys(
    provider: str, wanted: Mapping[str, bool], path: Path | None, environ: Mapping[str, str]
) -> dict[str, str]:
    """A provider's keys; a variable of the environment goes before the file.

    Args:
        provider: its name, also that of its section in the file.
        wanted: names of keys, and whether they are required (``KEYS`` of the provider).
        path: a TOML file such as ``[openverse]`` with ``client_id = "..."`` below; None: the usual one, if it exists.
        environ: the environment.

    Returns:
        The keys that were found.

    Raises:
        CrawlError: a required key is nowhere, or the file cannot be used. The message never tells a value.
    """
    if not wanted:
        return {}
    found = {key: environ.get(variable(provider, key), "").strip() for key in wanted}
    file = path or default_path(environ)
    if path is not None or (not all(found.values()) and file.is_file()):
        in_file = _section(file, provider)
        found = {key: value or _text(in_file, file, provider, key) for key, value in found.items()}
    for key, value in found.items():
        if value and not re.fullmatch(r"[\x21-\x7e]+", value):
            raise CrawlError(
                f"{provider}: its {key} has spaces or characters that no key has; "
                f"look at {variable(provider, key)} or at [{provider}] in {file}"
            )
        if wanted[key] and not value:
            raise CrawlError(
                f"{provider}: it needs a key, {key}; set {variable(provider, key)}, "
                f'or write {key} = "..." under [{provider}] into {file}'
            )
    return {key: value for key, value in found.items() if value}


def _section(file: Path, provider: str) -> Mapping[str, Any]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CrawlError(f"keys file {file}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        # Only the place: what the parser says may quote what stands there.
        place = re.search(r"at (line \d+, column \d+|end of document)", str(error))
        raise CrawlError(f"keys file {file}: not TOML" + (f" ({place[1]})" if place else "")) from None
    section = content.get(provider, {})
    if not isinstance(section, dict):
        raise CrawlError(f'keys file {file}: {provider} is no section; expected [{provider}] and key = "..." below')
    return section


def _text(section: Mapping[str, Any], file: Path, provider: str, key: str) -> str:
    value = section.get(key, "")
    if not isinstance(value, str):
        raise CrawlError(f"keys file {file}: {key} of [{provider}] is no text; put it between quotation marks")
    return value.strip()
