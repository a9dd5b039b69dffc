"""Which images are worth another vote: those of whose verdict we are least sure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from noisyweb.question_index import QuestionIndex

WORTH = pa.schema(
    [
        pa.field("image_id", pa.string()),
        pa.field("label", pa.int32()),
        pa.field("class_name", pa.string()),
        pa.field("url", pa.string()),
        pa.field("votes_yes", pa.int32()),
        pa.field("votes_no", pa.int32()),
        pa.field("votes_total", pa.int32()),
        pa.field("posterior", pa.float32()),
        pa.field("entropy", pa.float64()),  # bits
    ]
)
"""Questions with votes, the least sure first."""


def entropy(posterior: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How unsure a yes or no is: -p log2 p - (1 - p) log2 (1 - p), in bits from 0 (sure) to 1 (even).

    Args:
        posterior: p, 0..1; NaN, where nothing is known, is as unsure as can be.
    """
    p = np.where(np.isnan(posterior), 0.5, posterior)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.where(x > 0, -x * np.log2(x), 0.0) for x in (p, 1 - p)]
    return np.asarray(terms[0] + terms[1], np.float64)


def worth(asked: pa.Table, verdicts: pa.Table) -> pa.Table:
    """The questions that have votes, by the entropy of their posterior, largest first; ties by image id and label.

    Questions without any vote are left out: they want their first votes, not another one.

    Args:
        asked: a table of `noisyweb.votes.QUESTIONS`.
        verdicts: a table of `noisyweb.schemas.VERDICTS`.

    Returns:
        A table of `WORTH`.
    """
    index = QuestionIndex.of(verdicts)
    place = index.places(asked)
    row_of = np.empty(len(index), np.int64)
    row_of[index.row] = np.arange(verdicts.num_rows)
    asked = asked.filter(pa.array(place >= 0))
    found = verdicts.take(pa.array(row_of[place[place >= 0]]))
    unsure = entropy(found["posterior"].cast(pa.float64()).fill_null(np.nan).to_numpy())
    columns = {name: asked[name] for name in ("image_id", "label", "class_name", "url")}
    columns |= {name: found[name] for name in ("votes_yes", "votes_no", "votes_total", "posterior")}
    table = pa.table(columns | {"entropy": pa.array(unsure)}).select(WORTH.names).cast(WORTH)
    order = [("entropy", "descending"), ("image_id", "ascending"), ("label", "ascending")]
    return table.take(pc.sort_indices(table, order))
