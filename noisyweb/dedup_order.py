"""Which of several copies stays: the questions of a workspace (an image and a class), best first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from noisyweb.errors import UnknownNameError
from noisyweb.workspace import Workspace

Key = tuple[str, int]
"""Image id and label."""

_LICENSES = (
    ("cc0", "pdm", "no-known-copyright-restrictions", "us-gov"),
    ("by",),
    ("by-sa", "sampling+"),
    ("by-nd",),
    ("by-nc", "by-nc-sa", "nc-sampling+"),
    ("by-nc-nd",),
)
_FREEDOM = {slug: place for place, slugs in enumerate(_LICENSES) for slug in slugs}


def _largest(image: Mapping[str, Any], candidate: Mapping[str, Any]) -> tuple[Any, ...]:
    # Borders are no gain; where they end is known to a few pixels, so what has some must be larger by a tenth.
    share = image["inner"] if image["inner"] == 1 else 0.9 * image["inner"]
    pixels = (image["width"] or 0) * (image["height"] or 0) * share
    return (-round(pixels), -(image["num_bytes"] or 0))


def _first(image: Mapping[str, Any], candidate: Mapping[str, Any]) -> tuple[Any, ...]:
    return (candidate.get("rank", 2**31),)


def _license(image: Mapping[str, Any], candidate: Mapping[str, Any]) -> tuple[Any, ...]:
    return (_FREEDOM.get(candidate.get("license") or "", len(_LICENSES)), *_largest(image, candidate))


KEEP: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[Any, ...]]] = {
    "largest": _largest,
    "first": _first,
    "license": _license,
}
"""The policies. largest: most pixels within plain borders, then most bytes; first: best rank in its search; license:
the freest, then the largest. What is equal is settled by the image id, so that a workspace has one order."""


def check_policy(keep: str) -> None:
    """Whether it is one of `KEEP`.

    Raises:
        UnknownNameError: it is not.
    """
    if keep not in KEEP:
        raise UnknownNameError("keep policy", keep, KEEP)


def best_first(workspace: Workspace, keep: str) -> list[Key]:
    """Every pair of image and class, in the order in which they are kept."""
    columns = ["url", "label", "rank", "license"]
    candidates = {(r["url"], r["label"]): r for r in workspace.read("candidates").select(columns).to_pylist()}
    inner = dict(zip(*workspace.fold("views").select(["image_id", "inner"]).to_pydict().values(), strict=True))
    worth: dict[Key, tuple[Any, ...]] = {}
    for row in workspace.fold("images").to_pylist():
        if row["image_id"] is not None:
            key = (row["image_id"], row["label"])
            candidate = candidates.get((row["url"], row["label"]), {})
            # The same bytes in several classes: there the one that the image ranks highest in comes first.
            known = inner.get(row["image_id"])
            value = (
                *KEEP[keep](row | {"inner": 1.0 if known is None else known}, candidate),
                row["image_id"],
                candidate.get("rank", 2**31),
            )
            worth[key] = min(value, worth.get(key, value))
    return sorted(worth, key=lambda key: (worth[key], key[1]))
