"""What is known of images and annotators as CSV files, for a spreadsheet."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pcsv

from noisyweb.atomic import replacing_file


def write_csv(table: pa.Table, path: Path) -> None:
    """Write a table as CSV with a header.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing_file(path) as temporary:
        pcsv.write_csv(table, temporary)
