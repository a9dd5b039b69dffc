"""Exports of the former Google Cloud Data Labeling Service, which labelled the images of the CNWL paper.

CSV without a header: ``UNASSIGNED,image_url,label_1,label_2,...``, where the first value is the use in machine learning
(`USES`). JSON lines: ``{"imagePayload": {"imageUri": ...}, "annotations": [{"annotationValue":
{"imageClassificationAnnotation": {"annotationSpec": {"displayName": ...}}}}]}``.

A label is the name of a class: yes for it, no for the other classes that the image was asked about. Or it is an answer
(yes, no, unsure, or a synonym) to the only question about the image. A row without labels is no vote.

Exports name no annotators; each is the service's answer, so the annotator is `ANNOTATOR`. Where JSON has several
annotations of an image, each is one vote of a numbered annotator (``data-labeling-service-1``, ...). An export with one
answer an image gives verdicts only with ``--min-votes 1``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noisyweb.errors import LabelError
from noisyweb.vote_formats._book import Book, Image, Voter
from noisyweb.vote_formats._file import VoteFile
from noisyweb.vote_formats._row import Row, shown

SUMMARY = "CSV rows UNASSIGNED,image_url,label without a header, or JSON with imagePayload and annotations"
OPTIONS: tuple[str, ...] = ()

ANNOTATOR = "data-labeling-service"
USES = frozenset(("TRAIN", "VALIDATION", "TEST", "UNASSIGNED"))
"""What a CSV row may start with."""

_NO_LABEL = "no label"
_NAME = ("annotationValue", "imageClassificationAnnotation", "annotationSpec", "displayName")


def fits(file: VoteFile) -> bool:
    """A first value that says a use in machine learning, or the service's JSON."""
    if file.kind == "csv":
        return bool(file.columns) and file.columns[0].upper() in USES
    return file.kind == "json" and "imagePayload" in file.columns


def read(file: VoteFile, book: Book, options: Mapping[str, str]) -> None:
    """Take down all rows; see the package."""
    if file.kind == "parquet":
        raise LabelError(f"{file.path}: the Data Labeling Service exported no Parquet; expected .csv or .jsonl")
    for row in file.rows(header=False):
        if file.kind == "csv":
            _read_csv(row, book)
        else:
            _read_json(row, book)


def _read_csv(row: Row, book: Book) -> None:
    use, url = row.text("1"), row.text("2")
    if use is None or use.upper() not in USES:
        row.refuse(f"starts with {shown(use or '')}; expected one of {', '.join(sorted(USES))}")
    if url is None:
        row.refuse("has no image URL; expected UNASSIGNED,image_url,label")
    labels = [label for label in map(row.text, list(row.values)[2:]) if label]
    if labels:
        book.said(row, Image(None, url), labels, Voter(ANNOTATOR))
    else:
        book.says_nothing(row, _NO_LABEL)


def _read_json(row: Row, book: Book) -> None:
    url = _inside(row.values, ("imagePayload", "imageUri"))
    if not isinstance(url, str) or not url.strip():
        row.refuse("has no imagePayload with an imageUri; expected an image of the Data Labeling Service")
    annotations = row.values.get("annotations") or []
    if not isinstance(annotations, list):
        row.refuse(f"has annotations of type {type(annotations).__name__}; expected a list")
    names = [_inside(annotation, _NAME) for annotation in annotations]
    for number, name in enumerate(names, start=1):
        if not isinstance(name, str) or not name.strip():
            row.refuse(f"has no class in annotation {number}; expected {'.'.join(_NAME)}")
        annotator = ANNOTATOR if len(names) == 1 else f"{ANNOTATOR}-{number}"
        book.said(row, Image(None, url.strip()), [name.strip()], Voter(annotator))
    if not names:
        book.says_nothing(row, _NO_LABEL)


def _inside(value: Any, keys: tuple[str, ...]) -> Any:
    """A value inside nested objects; None where one of them is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
