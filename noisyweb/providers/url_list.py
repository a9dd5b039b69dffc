"""URLs that one has already: a text, CSV or Parquet file.

Options:
    path: the file. CSV and Parquet have the columns ``url`` and ``class`` (or ``class_name`` or ``label``: a
        name, or an index into the vocabulary), and may have any of title, landing_url, creator, license,
        license_url, attribution, width and height. A text file has a URL, a tab and a class on each line; where
        there is but one class, the URL alone.
"""

from __future__ import annotations

import csv
import functools
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.errors import CrawlError
from noisyweb.providers._protocol import Hit, Query

SUMMARY = "a text, CSV or Parquet file of URLs and classes: url-list=PATH"
CLASS_COLUMNS = ("class", "class_name", "label")


async def search(query: Query, client: httpx.AsyncClient, options: Mapping[str, str]) -> AsyncIterator[Hit]:
    """The class's URLs in the file's order; with a licence filter, only those known to have such a licence.

    Raises:
        CrawlError: the file cannot be read, or names classes that are not in the vocabulary.
    """
    path = Path(options.get("path") or "").expanduser()
    if not path.is_file():
        raise CrawlError(f"url-list {str(path)!r}: no such file; give it as --source url-list=PATH")
    by_class = _hits(path, path.stat().st_mtime_ns, tuple(query.class_names))
    for hit in by_class.get(query.label, ()):
        if not query.licenses or hit.license in query.licenses:
            yield hit


@functools.lru_cache(maxsize=2)
def _hits(path: Path, changed_ns: int, class_names: tuple[str, ...]) -> Mapping[int, Sequence[Hit]]:
    """The whole file by class; kept, since it is asked for once a class."""
    labels = {name: index for index, name in enumerate(class_names)}
    labels.update({str(index): index for index in range(len(class_names)) if str(index) not in labels})
    by_class: dict[int, list[Hit]] = defaultdict(list)
    unknown: list[tuple[int, str]] = []
    for number, row in enumerate(_rows(path, class_names), start=1):
        url = str(row.get("url") or "").strip()
        name = next((str(row[c]).strip() for c in CLASS_COLUMNS if row.get(c) not in (None, "")), None)
        if not url or name is None:
            raise CrawlError(f"{path}: row {number} has no url or no class; expected the columns url and class")
        if name not in labels:
            unknown.append((number, name))
        else:
            by_class[labels[name]].append(_hit(row))
    if unknown:
        raise CrawlError(
            f"{path}: row {unknown[0][0]} has class {unknown[0][1]!r}, which is none of the {len(class_names)} "
            f"classes; {len(unknown)} rows are like that"
        )
    return by_class


def _rows(path: Path, class_names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    try:
        if path.suffix == ".parquet":
            for batch in pq.ParquetFile(path).iter_batches():
                yield from batch.to_pylist()
            return
        with path.open(encoding="utf-8-sig", newline="") as handle:
            if path.suffix == ".csv":
                yield from csv.DictReader(handle)
                return
            for line in filter(str.strip, handle):
                url, _, name = line.strip().partition("\t")
                yield {"url": url, "class": name or (class_names[0] if len(class_names) == 1 else None)}
    except (UnicodeDecodeError, csv.Error, pa.ArrowException, OSError) as error:
        raise CrawlError(f"{path}: cannot be read as a list of URLs ({str(error).splitlines()[0]})") from error


def _hit(row: Mapping[str, Any]) -> Hit:
    known: dict[str, Any] = {}
    for field in fields(Hit):
        value = row.get(field.name)
        if field.name in ("width", "height"):
            known[field.name] = int(str(value)) if str(value or "").isdecimal() else None
        else:
            known[field.name] = str(value).strip() or None if value is not None else None
    return Hit(**known)
