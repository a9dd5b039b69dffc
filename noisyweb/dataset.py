"""Data sets: a class vocabulary, clean train and validation images, and a pool of wrong web images.

A data set is described by a short TOML file; the bundled ones are such files too (``manifests/*.toml``)::

    name = "pets"
    classes = ["cat", "dog"]            # or "classes.txt", or "classes.csv"; left out: the source knows them
    [train]
    format = "imagefolder"              # a file of noisyweb/sources
    path = "images/train"               # relative to the TOML file
    [validation]
    format = "parquet"
    path = "test.parquet"
    [pool]                              # what red noise is made of
    format = "workspace"
    workspace = "my-crawl"
    [other]                             # what open-set noise is made of: images of no class of this set
    format = "imagefolder"
    path = "textures"
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, overload

from noisyweb import plugins
from noisyweb.errors import DefinitionError, SourceError, UnknownNameError
from noisyweb.imageset import ImageSet
from noisyweb.manifest import DATASET_NAME
from noisyweb.remote_path import Place, place_of

T = TypeVar("T")

ROLES = ("train", "validation", "pool", "other")
_TOP_KEYS = {"name", "title", "edition", "classes", *ROLES}


@dataclass(frozen=True)
class Section:
    """One ``[train]``, ``[validation]``, ``[pool]`` or ``[other]`` table of a definition.

    Attributes:
        role: train, validation, pool or other.
        format: the source plug-in that reads it.
        options: the other keys of the table.
        folder: the definition's folder, which relative paths start from.
        class_names: the declared vocabulary; empty where the definition leaves it to the source.
        where: how messages call this section.
    """

    role: str
    format: str
    options: Mapping[str, Any]
    folder: Path
    class_names: Sequence[str]
    where: str

    def only(self, *allowed: str) -> None:
        """Refuse keys that the source does not know.

        Raises:
            DefinitionError: there is one; the message lists the known ones.
        """
        for key in self.options:
            if key not in allowed:
                raise DefinitionError(
                    f"{self.where}: unknown key {key!r} for format {self.format!r}; known: {', '.join(allowed)}"
                )

    @overload
    def get(self, key: str, kind: type[T]) -> T: ...
    @overload
    def get(self, key: str, kind: type[T], default: T) -> T: ...
    def get(self, key: str, kind: type[T], default: T | None = None) -> T:
        """One option, checked for its type.

        Raises:
            DefinitionError: it is missing and has no default, or is of another type.
        """
        value = self.options.get(key, default)
        if value is None:
            raise DefinitionError(f"{self.where}: {key!r} is missing; format {self.format!r} needs it")
        if not isinstance(value, kind):
            raise DefinitionError(f"{self.where}: {key} = {value!r} is not a {kind.__name__}")
        return value

    def path(self, key: str) -> Path:
        """One option as a path, relative to the definition's folder.

        Raises:
            DefinitionError: it is missing or no path.
        """
        value = self.get(key, str)
        if "\0" in value or not value:
            raise DefinitionError(f"{self.where}: {key} = {value!r} is not a path")
        try:
            return self.folder / Path(value).expanduser()
        except RuntimeError as error:
            raise DefinitionError(f"{self.where}: {key} = {value!r}: {error}") from error


@dataclass(frozen=True)
class Dataset:
    """A data set as its definition describes it; images are read when asked for.

    Attributes:
        name: folder name of its builds; letters, digits, ``-``, ``_`` and ``.``.
        title: one line for people.
        edition: where images and labels come from (drawn, official, crawled, or own).
        declared_classes: the vocabulary that the definition declares; empty: the train source knows it.
        sections: the definition's tables by role.
    """

    name: str
    title: str
    edition: str
    declared_classes: tuple[str, ...]
    sections: Mapping[str, Section]
    _read_already: dict[str, ImageSet] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def class_names(self) -> Sequence[str]:
        """The vocabulary; reads the train source where the definition leaves it out."""
        return self.declared_classes or self.train().class_names

    def train(self) -> ImageSet:
        """The clean training images."""
        return self._read("train")

    def validation(self) -> ImageSet | None:
        """The clean validation images; None if the definition has none."""
        return self._read("validation") if "validation" in self.sections else None

    def pool(self) -> ImageSet | None:
        """The web images known to be wrong; None if the definition has none."""
        return self._read("pool") if "pool" in self.sections else None

    def other(self) -> ImageSet | None:
        """Images of another data set, none of which shows a class of this one; None if the definition has none."""
        return self._read("other") if "other" in self.sections else None

    def with_other(self, dataset: Dataset) -> Dataset:
        """The same data set with another one's training images as its other images."""
        section = replace(dataset.sections["train"], class_names=dataset.declared_classes)
        return replace(self, sections={**self.sections, "other": replace(section, where=f"{section.where} as [other]")})

    def with_workspace(self, workspace: str | Place) -> Dataset:
        """The same data set with a workspace, at a path or an fsspec URL, as its pool: the crawled edition."""
        place = place_of(workspace)
        options = {"workspace": str(place.resolve()) if isinstance(place, Path) else place.url}
        anchor = self.sections["train"]
        section = replace(anchor, role="pool", format="workspace", options=options, where=f"--workspace {place}")
        return replace(self, edition="crawled", sections={**self.sections, "pool": section})

    def _read(self, role: str) -> ImageSet:
        if role not in self._read_already:
            self._read_already[role] = self._read_section(role)
        return self._read_already[role]

    def _read_section(self, role: str) -> ImageSet:
        section = self.sections[role]
        if role in ("validation", "pool"):
            section = replace(section, class_names=tuple(self.class_names))
        source = plugins.load("noisyweb.sources", "format", section.format)
        images: ImageSet = source.read(section)
        if len(images) == 0 and role != "pool":
            raise SourceError(f"{section.where}: no images found; expected at least one")
        _check_names(section.where, images.class_names)
        expected = section.class_names
        if expected:
            _check_class_names(section.where, images.class_names, expected)
        return images


def known_datasets() -> dict[str, str]:
    """Bundled data sets: name -> title."""
    bundled = resources.files("noisyweb.manifests")
    found = {}
    for entry in sorted(bundled.iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".toml"):
            definition = tomllib.loads(entry.read_text(encoding="utf-8"))
            found[definition["name"]] = definition["title"]
    return found


def load_dataset(name: str) -> Dataset:
    """A bundled data set by its name, or one's own by the path of its TOML file.

    Raises:
        UnknownNameError: neither; the message lists the bundled ones.
        DefinitionError: the file is not a usable definition.
    """
    if name.endswith(".toml") or "/" in name:
        return read_definition(Path(name))
    if name not in known_datasets():
        raise UnknownNameError(
            "data set", name, known_datasets(), "For your own, give the path of its .toml file (docs/quickstart.md)"
        )
    with resources.as_file(resources.files("noisyweb.manifests")) as folder:
        return read_definition(folder / f"{name}.toml")


def read_definition(path: Path) -> Dataset:
    """Read and check a definition file; see the module's docstring.

    Raises:
        DefinitionError: it is missing, not TOML, or says something that cannot be used.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DefinitionError(f"{path}: no such file; expected a data-set definition (TOML)") from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise DefinitionError(f"{path}: cannot be read as a data-set definition ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"{path}: not valid TOML ({error})") from error
    for key in content:
        if key not in _TOP_KEYS:
            raise DefinitionError(f"{path}: unknown key {key!r}; known: {', '.join(sorted(_TOP_KEYS))}")
    name = content.get("name", path.stem)
    if not isinstance(name, str) or not re.fullmatch(DATASET_NAME, name):
        raise DefinitionError(f"{path}: name = {name!r}; expected letters, digits, '-', '_' and '.' only, 100 at most")
    if "train" not in content:
        raise DefinitionError(f"{path}: it has no [train] section; add one with format and path")
    classes = _declared_classes(path, content["classes"]) if "classes" in content else ()
    if not isinstance(content.get("edition", ""), str):
        raise DefinitionError(f"{path}: edition = {content['edition']!r} is not a str")
    sections = {
        role: _section(path, role, content[role], () if role == "other" else classes)
        for role in ROLES
        if role in content
    }
    title = str(content.get("title", name))
    return Dataset(name, title, str(content.get("edition", "own")), classes, sections)


def _section(path: Path, role: str, table: object, classes: tuple[str, ...]) -> Section:
    if not isinstance(table, dict) or not isinstance(table.get("format"), str):
        known = ", ".join(plugins.names("noisyweb.sources"))
        raise DefinitionError(f"{path} [{role}]: 'format' is missing; expected one of {known}")
    options = {key: value for key, value in table.items() if key != "format"}
    return Section(role, table["format"], options, path.parent, classes, f"{path} [{role}]")


def _declared_classes(path: Path, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = _classes_from_file(path.parent / value)
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        raise DefinitionError(f"{path}: classes must be a list of names or a .txt or .csv file")
    if not value:
        raise DefinitionError(f"{path}: classes is empty; name at least one, or leave it to the source")
    if len(set(value)) != len(value):
        twice = next(name for name in value if value.count(name) > 1)
        raise DefinitionError(f"{path}: class {twice!r} is listed twice")
    return tuple(value)


def _classes_from_file(path: Path) -> list[str]:
    """Class names from a text file, one a line, or from the column ``class_name`` of a CSV file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            if path.suffix == ".csv":
                return [row["class_name"] for row in csv.DictReader(handle)]
            return [line.strip() for line in handle if line.strip()]
    except FileNotFoundError:
        raise DefinitionError(f"{path}: no such file; expected the class names, one a line") from None
    except (KeyError, ValueError, OSError) as error:
        raise DefinitionError(f"{path}: cannot be read as class names ({error!r})") from error


def _check_names(where: str, names: Sequence[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise SourceError(f"{where}: class {twice!r} is there twice; labels would not say which")
    for name in names:
        if not name.strip() or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise SourceError(f"{where}: class name {name!r} is not readable text; rename it")


def _check_class_names(where: str, found: Sequence[str], expected: Sequence[str]) -> None:
    if list(found) == list(expected):
        return
    for index, (a, b) in enumerate(zip(found, expected, strict=False)):
        if a != b:
            raise SourceError(
                f"{where}: class names differ from the definition's: class {index} is {a!r}, expected {b!r}; "
                "make the two lists equal, in the same order"
            )
    raise SourceError(f"{where}: {len(found)} classes found, {len(expected)} expected; make the two lists equal")
