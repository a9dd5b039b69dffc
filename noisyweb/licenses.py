"""Licences by one name each, whatever a provider calls them: by, by-sa, cc0, ..."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from noisyweb.errors import CrawlError

_CC = ("by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd", "cc0", "pdm")
_OTHERS = ("sampling+", "nc-sampling+", "us-gov", "no-known-copyright-restrictions", "all-rights-reserved")
SLUGS = _CC + _OTHERS
"""Every licence that a filter may name. ``pdm`` is all that is marked as public domain."""

TYPES = {
    "commercial": frozenset(slug for slug in _CC if "-nc" not in slug),
    "modification": frozenset(slug for slug in _CC if "-nd" not in slug),
}
"""What Openverse calls licence types: the Creative Commons licences that allow something."""

_WORDS = (
    (r"creative commons", "cc"),
    (r"non ?commercial", "nc"),
    (r"share ?alike", "sa"),
    (r"no ?deriv(?:ative)?(?:s|\b)", "nd"),
    (r"attribution", "by"),
)
# What may stand behind a licence's name: its version, and where that is from ("3.0 de", "4.0 International License").
_WHERE = r" (?:international|unported|generic|universal)"
_TAIL = rf"(?: licen[cs]e)?(?: v?\d[\d.,]*(?: [a-z]{{2,3}})?)?(?:{_WHERE})?(?: licen[cs]e)?"
_BY = re.compile(rf"(?:cc )?by((?: (?:nc|sa|nd))*){_TAIL}")
_SAMPLING = re.compile(rf"(?:cc )?(nc )?sampling(?:\+| plus){_TAIL}")
_ZERO = re.compile(rf"(?:cc ?0|cc zero|(?:cc )?public domain dedication)(?: cc ?0| public domain dedication)?{_TAIL}")
_PUBLIC = re.compile(rf"(?:pdm|(?:cc )?public domain(?: mark)?){_TAIL}|pd(?: .*)?")
_NAMES = {
    "united states government work": "us-gov",
    "us government work": "us-gov",
    "no known copyright restrictions": "no-known-copyright-restrictions",
    "no known restrictions": "no-known-copyright-restrictions",
}


def parse_filter(license_text: str, license_type: str) -> tuple[str, ...]:
    """The licences that a user wants.

    Args:
        license_text: slugs with commas between them, or "" for any.
        license_type: "commercial", "modification" or both with a comma: only licences that allow all of it; "" for
            any.

    Returns:
        Slugs in the order of `SLUGS`; empty where both are "", which means any.

    Raises:
        CrawlError: an unknown licence or type, or nothing is left.

    >>> parse_filter("by,by-nc", "commercial")
    ('by',)
    """
    allowed = set(SLUGS)
    if license_text.strip():
        allowed = {_known(name, SLUGS, "licence") for name in license_text.split(",")}
    if license_type.strip():
        for name in license_type.split(","):
            allowed &= TYPES[_known(name, tuple(TYPES), "licence type")]
        if not allowed:
            raise CrawlError(
                f"licences {license_text!r}: none of them allows {license_type!r}; leave one of the two filters out"
            )
    elif not license_text.strip():
        return ()
    return tuple(slug for slug in SLUGS if slug in allowed)


def _known(name: str, known: tuple[str, ...], thing: str) -> str:
    name = name.strip().lower()
    if name not in known:
        raise CrawlError(f"unknown {thing} {name!r}; expected some of {', '.join(known)}, with commas between them")
    return name


def from_text(text: str) -> str | None:
    """The licence that a text names; None if it names none that is known.

    >>> from_text("CC BY-SA 4.0")
    'by-sa'
    """
    plain = text.strip().lower()
    if plain in SLUGS:
        return plain
    plain = re.sub(r"[\s_\-–—()]+", " ", plain[:200]).strip()
    if plain in _NAMES or plain.replace(" ", "-") in SLUGS:
        return _NAMES.get(plain, plain.replace(" ", "-"))
    for pattern, word in _WORDS:
        plain = re.sub(pattern, word, plain)
    if _ZERO.fullmatch(plain):
        return "cc0"
    if _PUBLIC.fullmatch(plain):
        return "pdm"
    if sampling := _SAMPLING.fullmatch(plain):
        return "nc-sampling+" if sampling[1] else "sampling+"
    if found := _BY.fullmatch(plain):
        return _by(found[1].split())
    short = re.search(r"\(([^()]+)\)", text[:200])  # "Attribution 4.0 International (CC BY 4.0)"
    return from_text(short[1]) if short else None


def from_url(url: str) -> str | None:
    """The licence at an address of creativecommons.org; None for any other address.

    >>> from_url("https://creativecommons.org/licenses/by-sa/4.0/")
    'by-sa'
    """
    try:
        parts = urlsplit(url.strip() if "//" in url else f"//{url.strip()}")
        host = parts.hostname or ""
    except ValueError:
        return None
    if host.removeprefix("www.") != "creativecommons.org":
        return None
    shelf, _, rest = parts.path.strip("/").lower().partition("/")
    code = rest.split("/")[0]
    if shelf == "publicdomain":
        return {"zero": "cc0", "mark": "pdm", "certification": "pdm"}.get(code)
    if shelf != "licenses":
        return None
    if code in ("sampling+", "nc-sampling+"):
        return code
    first, *elements = code.split("-")
    return "pdm" if code == "publicdomain" else _by(elements) if first == "by" else None


def _by(elements: list[str]) -> str | None:
    """The slug of an attribution licence with these elements, in whatever order."""
    slug = "-".join(["by", *(element for element in ("nc", "nd", "sa") if element in elements)])
    return slug if slug in SLUGS and set(elements) <= {"nc", "nd", "sa"} else None
