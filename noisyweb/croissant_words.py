"""The fixed parts of Croissant metadata: its vocabulary, and the meaning of a manifest's columns."""

from __future__ import annotations

from typing import Any

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The JSON-LD context of Croissant 1.1."""

TYPES: dict[str, str | list[str]] = {
    "image": "sc:ImageObject",
    "label": ["sc:Integer", "cr:Label"],
    "is_clean": "sc:Boolean",
    "true_label": "sc:Integer",
    "votes_yes": "sc:Integer",
    "votes_total": "sc:Integer",
}
"""Croissant's data types of a manifest's columns; the others are text."""

COLUMNS = {
    "image_id": "SHA-256 of the encoded image; for a row without one, its source's own id, prefixed",
    "image": "the encoded image; null where a row carries only its path",
    "label": "the label that a trainer sees",
    "is_clean": "whether that label is right",
    "true_label": "the right class; null where it is outside the vocabulary or nobody knows it",
    "noise": "how the label became wrong: none, web, symmetric, pair, confusion, instance, open-set, human",
    "source": "clean: from the clean data set; web: found on the web",
    "url": "where a web image was",
    "landing_url": "the page that shows it",
    "creator": "who made it, as its provider says",
    "license": "its licence, as its provider says",
    "license_url": "the text of that licence",
    "attribution": "a ready-made credit line",
    "votes_yes": "how many annotators said that the image shows its label",
    "votes_total": "how many annotators were asked",
}

CITATION = (
    "@inproceedings{jiang2020beyond, title={Beyond Synthetic Noise: Deep Learning on Controlled Noisy Labels}, "
    "author={Jiang, Lu and Huang, Di and Liu, Mason and Yang, Weilong}, "
    "booktitle={International Conference on Machine Learning}, year={2020}, "
    "note={where this kind of label noise is from}}"
)
