"""Where fetched things lie: ``$NOISYWEB_HOME``, or ``noisyweb`` in the user's cache folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from noisyweb.atomic import disk_errors, replacing_file
from noisyweb.errors import CorruptFileError


@dataclass(frozen=True)
class Places:
    """Where the user's own parts of a data set are; empty: not told."""

    clean: str = ""
    web: str = ""


class Home:
    """One folder for everything that was fetched.

    Args:
        folder: it; made when something comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.zip = folder / "cnwl" / "dataset_no_images.zip"
        self.release = folder / "cnwl" / "release"
        self.record = folder / "cnwl" / "fetched.json"
        self._places = folder / "cnwl" / "places.json"

    def places(self, dataset: str) -> Places:
        """What was remembered of a data set.

        Raises:
            CorruptFileError: the file is damaged.
        """
        known = self._known().get(dataset, {})
        return Places(str(known.get("clean", "")), str(known.get("web", "")))

    def remember(self, dataset: str, clean: Path | None = None, web: Path | None = None) -> Places:
        """Remember where the user's parts of a data set are; what is None stays as it was."""
        places = self.places(dataset)
        if clean is not None:
            places = replace(places, clean=str(clean.resolve()))
        if web is not None:
            places = replace(places, web=str(web.resolve()))
        content = {**self._known(), dataset: asdict(places)}
        with disk_errors(self._places):
            self._places.parent.mkdir(parents=True, exist_ok=True)
            with replacing_file(self._places) as temporary:
                temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return places

    def _known(self) -> Mapping[str, Mapping[str, str]]:
        try:
            content = json.loads(self._places.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, OSError, RecursionError) as error:
            raise CorruptFileError(f"{self._places}: damaged ({error}); remove it and tell the places again") from error
        if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
            raise CorruptFileError(f"{self._places}: not what noisyweb writes; remove it and tell the places again")
        return content


def home(environ: Mapping[str, str] = os.environ) -> Home:
    """The user's."""
    own = environ.get("NOISYWEB_HOME")
    if own:
        return Home(Path(own).expanduser())
    cache = environ.get("XDG_CACHE_HOME")
    return Home((Path(cache) if cache else Path.home() / ".cache") / "noisyweb")
