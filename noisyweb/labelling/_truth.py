"""What simulated annotators know: the truth of each question, from a file or from the drawn web itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from noisyweb.drawn.truth import truth_of
from noisyweb.errors import LabelError

Flags = npt.NDArray[np.bool_]


def truth_of_questions(questions: pa.Table, file: str | None) -> tuple[Flags, Flags]:
    """Is each image what was asked, and does it look so though it is not; both of shape (N,).

    Args:
        questions: image_id, label, class_name and url of N questions.
        file: Parquet or CSV; None for the drawn web.

    Raises:
        LabelError: the file cannot be used, or an image is unknown; the message names the first and the count.
    """
    rows = questions.select(["image_id", "label", "class_name", "url"]).to_pylist()
    known = [_from_drawn_web(row) for row in rows] if file is None else _from_file(rows, Path(file).expanduser())
    unknown = [row["url"] for row, found in zip(rows, known, strict=True) if found is None]
    if unknown:
        where = "the drawn web" if file is None else file
        raise LabelError(
            f"simulated annotators: {where} does not say what {unknown[0]} shows; {len(unknown)} of {len(rows)} "
            "images are unknown; give a table of the truth with --truth"
        )
    pairs = np.array([found for found in known if found is not None], dtype=bool).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _from_drawn_web(row: dict[str, Any]) -> tuple[bool, bool] | None:
    truth = truth_of(row["url"], row["class_name"])
    return (truth.is_right, truth.is_hard) if truth else None


def _from_file(rows: list[dict[str, Any]], path: Path) -> list[tuple[bool, bool] | None]:
    table = _read(path)
    key = next((name for name in ("image_id", "url") if name in table.column_names), None)
    missing = [name for name in ("label", "is_right") if name not in table.column_names]
    if key is None or missing:
        raise LabelError(
            f"{path}: it has no column {'image_id or url' if key is None else missing[0]!r}; found "
            f"{', '.join(table.column_names)}; expected image_id or url, label, is_right and perhaps is_hard"
        )
    if not pa.types.is_integer(table["label"].type) or not pa.types.is_boolean(table["is_right"].type):
        raise LabelError(f"{path}: label must be whole numbers and is_right true or false in every row")
    columns = {name: table[name].to_pylist() for name in table.column_names}
    hard = columns.get("is_hard", [False] * table.num_rows)
    known: dict[tuple[str, int], tuple[bool, bool]] = {
        (image, label): (bool(right), bool(difficult))
        for image, label, right, difficult in zip(
            columns[key], columns["label"], columns["is_right"], hard, strict=True
        )
    }
    return [known.get((row[key], row["label"])) for row in rows]


def _read(path: Path) -> pa.Table:
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise LabelError(f"{path}: what is a {path.suffix or 'file without suffix'}? expected .csv or .parquet")
    try:
        if path.suffix.lower() == ".parquet":
            return pq.read_table(path)
        as_text = {"image_id": pa.string(), "url": pa.string()}  # an id may be all digits
        return pcsv.read_csv(path, convert_options=pcsv.ConvertOptions(column_types=as_text))
    except FileNotFoundError:
        raise LabelError(f"{path}: no such file; expected a table of what the images show") from None
    except (pa.ArrowException, OSError) as error:
        raise LabelError(f"{path}: cannot be read as a table ({(str(error).splitlines() or [''])[0]})") from error
