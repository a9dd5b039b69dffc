"""In which words a class is searched for: templates, synonyms, languages."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from noisyweb.errors import CrawlError

SYNONYMS = "synonyms"


@dataclass(frozen=True)
class Wording:
    """How queries are made of class names.

    Attributes:
        templates: texts with ``{name}``; with a language and a colon in front ("de:{name} Auto"), for names of that
            language only.
        names: further names by class, by language; synonyms in the vocabulary's own language under "synonyms".
        languages: the only languages to use names of; empty: all there are.
    """

    templates: Sequence[str] = ("{name}",)
    names: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    languages: Sequence[str] = ()

    def __post_init__(self) -> None:
        for template in self.templates:
            if "{name}" not in template:
                raise CrawlError(f"query template {template!r}: it has no {{name}}; write, say, '{{name}} car'")
        known = {language for names in self.names.values() for language in names}
        for language in self.languages:
            if language not in known:
                raise CrawlError(
                    f"language {language!r}: no class has names in it; known: {', '.join(sorted(known)) or 'none'}; "
                    "give names with --names FILE"
                )

    def queries(self, class_name: str) -> list[str]:
        """All queries for a class, its own name's first, each once."""
        found: dict[str, None] = {}
        for language, names in [("", [class_name]), *self.names.get(class_name, {}).items()]:
            if self.languages and language not in ("", SYNONYMS, *self.languages):
                continue
            for name in names:
                for template in self._templates("" if language == SYNONYMS else language):
                    found[template.replace("{name}", name)] = None
        return list(found)

    def _templates(self, language: str) -> list[str]:
        """Those of the language, else those of none."""
        own = [t.partition(":")[2] for t in self.templates if t.startswith(f"{language}:")] if language else []
        return own or [t for t in self.templates if not _language(t)] or ["{name}"]


def _language(template: str) -> str:
    head, colon, _ = template.partition(":")
    return head if colon and 2 <= len(head) <= 3 and head.isalpha() and head.islower() else ""


def read_names(path: Path, class_names: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Further names from a TOML file: a table for each class, a list of names for each language.

    Example of a file::

        ["Volkswagen Golf Hatchback 2012"]
        synonyms = ["VW Golf 6"]
        de = ["VW Golf VI Schrägheck"]

    Raises:
        CrawlError: it cannot be read, or names a class that is not in the vocabulary.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CrawlError(f"{path}: cannot be read as names in TOML ({error})") from error
    known = set(class_names)
    for class_name, languages in content.items():
        if class_name not in known:
            raise CrawlError(f"{path}: {class_name!r} is none of the {len(known)} classes; name tables like classes")
        is_right = isinstance(languages, dict) and all(
            isinstance(names, list) and all(isinstance(name, str) and name.strip() for name in names)
            for names in languages.values()
        )
        if not is_right:
            raise CrawlError(f'{path}: {class_name!r}: expected lists of names by language, such as de = ["..."]')
    return content
