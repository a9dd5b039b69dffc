"""URLs that one has already: a text, CSV or Parquet file, or annotations of Controlled Noisy Web Labels.

Options:
    path: the file. CSV and Parquet have the columns ``url`` and ``class`` (or ``class_name`` or ``label``: a
        name, or an index into the vocabulary), and may have any of provider_id, title, landing_url, creator, license,
        license_url, attribution, width and height. A text file has a URL, a tab and a class on each line; where
        there is but one class, the URL alone. A ``.json`` file is CNWL's ``{"data": [[{"image/uri": ...}]]}``, whose
        labels are indexes into the vocabulary.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb import licenses
from noisyweb.errors import CrawlError
from noisyweb.official.json_stream import images
from noisyweb.providers._fields import pixels
from noisyweb.providers._protocol import Hit, Options

SUMMARY = "a text, CSV, Parquet or CNWL file of URLs and classes: url-list=PATH"
CLASS_COLUMNS = ("class", "class_name", "label")
_FIELDS = tuple(field.name for field in fields(Hit))
_COLUMNS = (*CLASS_COLUMNS, *_FIELDS)
_BATCH_ROWS = 4096

_Row = Mapping[str, Any]


def listing(class_names: Sequence[str], options: Options) -> Iterator[tuple[int, Hit]]:
    """Labels and hits in the file's order; the file is read twice, first to check all of it.

    Raises:
        CrawlError: the file cannot be read, or names classes that are not in the vocabulary.
    """
    if not options.get("path"):
        raise CrawlError("url-list: no file is named; give it as --source url-list=PATH")
    path = Path(options["path"]).expanduser()
    if not path.is_file():
        raise CrawlError(f"url-list {str(path)!r}: no such file; give it as --source url-list=PATH")
    labels = {str(index): index for index in range(len(class_names))}
    labels.update((name, index) for index, name in enumerate(class_names))
    if path.suffix.lower() == ".json":  # its labels are numbers, even where a class is called "7"
        labels = {str(index): index for index in range(len(class_names))}
    first, num_unknown = None, 0
    for number, name, _ in _named(path, class_names):
        if name not in labels:
            first, num_unknown = first or (number, name), num_unknown + 1
    if first:
        raise CrawlError(
            f"{path}: row {first[0]} has class {first[1]!r}, which is none of the {len(class_names)} "
            f"classes; {num_unknown} rows are like that"
        )
    return _listed(path, class_names, labels)


def _listed(path: Path, class_names: Sequence[str], labels: Mapping[str, int]) -> Iterator[tuple[int, Hit]]:
    for number, name, row in _named(path, class_names):
        if name not in labels:
            raise CrawlError(f"{path}: row {number} has got another class while it was read; leave the file alone")
        yield labels[name], _hit(row)


def _named(path: Path, class_names: Sequence[str]) -> Iterator[tuple[int, str, _Row]]:
    """Number from 1, class and content of each row."""
    for number, row in enumerate(_rows(path, class_names), start=1):
        url = str(row.get("url") or "").strip()
        name = next((str(row[c]).strip() for c in CLASS_COLUMNS if row.get(c) not in (None, "")), None)
        if not url or name is None:
            has_both = "url" in row and any(column in row for column in CLASS_COLUMNS)
            columns = ", ".join(repr(str(column)[:40]) for column in list(row)[:8])
            raise CrawlError(
                f"{path}: row {number} has no url or no class; expected the columns url and class"
                + ("" if has_both else f", found {columns}")
            )
        yield number, name, row


def _rows(path: Path, class_names: Sequence[str]) -> Iterator[_Row]:
    try:
        kind = path.suffix.lower()
        if kind == ".parquet":
            yield from _parquet(path)
        elif kind == ".json":
            yield from map(_cnwl, images(path))
        else:
            with path.open(encoding="utf-8-sig", newline="") as handle:
                if kind == ".csv":
                    yield from csv.DictReader(handle)
                else:
                    yield from (_line(line, class_names) for line in handle if line.strip())
    except (ValueError, RecursionError, csv.Error, pa.ArrowException, OSError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise CrawlError(f"{path}: cannot be read as a list of URLs ({said})") from error


def _parquet(path: Path) -> Iterator[_Row]:
    with pq.ParquetFile(path) as file:
        columns = [name for name in file.schema_arrow.names if name in _COLUMNS]
        for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
            yield from batch.to_pylist()


def _cnwl(annotation: _Row) -> _Row:
    return {
        "url": annotation.get("image/uri"),
        "class": annotation.get("image/class/label"),
        "provider_id": annotation.get("image/id"),
    }


def _line(line: str, class_names: Sequence[str]) -> _Row:
    url, _, name = line.strip().partition("\t")
    return {"url": url, "class": name or (class_names[0] if len(class_names) == 1 else None)}


def _hit(row: _Row) -> Hit:
    known: dict[str, Any] = {}
    for name in _FIELDS:
        value = row.get(name)
        if value is not None:
            known[name] = pixels(value) if name in ("width", "height") else str(value).strip() or None
    said, url = known.get("license") or "", known.get("license_url") or ""
    if said or url:
        slug = licenses.from_text(said) or licenses.from_url(said) or said.lower()
        known["license"] = slug or licenses.from_url(url)
    return Hit(**known)
