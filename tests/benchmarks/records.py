"""Rows of a manifest from the columns that a benchmark knows; the others are null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa


def record_batch(schema: pa.Schema, columns: Mapping[str, Sequence[Any]]) -> pa.RecordBatch:
    """All fields of the schema, in its order.

    Args:
        schema: of `noisyweb.manifest.manifest_schema`.
        columns: equally long; ``image_id`` among them.
    """
    num = len(columns["image_id"])
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(num, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
