"""What the crawler and the providers say to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    """One search.

    Attributes:
        text: what to search for, the query template filled in.
        label: the class it is for, an index into the vocabulary.
        class_names: the vocabulary, for providers that hold images by class rather than search.
        limit: how many hits the crawler wants at most; a hint for page sizes, it stops asking by itself.
        licenses: the only licences to accept ("by", "cc0", ...); empty: any.
    """

    text: str
    label: int
    class_names: Sequence[str]
    limit: int
    licenses: tuple[str, ...] = ()

    @property
    def class_name(self) -> str:
        """The class's name."""
        return self.class_names[self.label]


@dataclass(frozen=True)
class Hit:
    """One image that a provider knows of; columns as in `noisyweb.schemas.CANDIDATES`."""

    url: str
    title: str | None = None
    landing_url: str | None = None
    creator: str | None = None
    license: str | None = None
    license_url: str | None = None
    attribution: str | None = None
    width: int | None = None
    height: int | None = None
