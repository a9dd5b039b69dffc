"""The drawn edition's votes: those of simulated annotators, bundled, keyed by URL.

An image id is a hash of bytes that depend on the JPEG library, so the votes are kept by URL.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.consensus import majority
from noisyweb.drawn.web import all_hits
from noisyweb.errors import CorruptFileError
from noisyweb.labelling.simulated import Crowd, vote
from noisyweb.votes import as_votes

FILE = "cars/drawn_votes.parquet"
"""Where the bundled votes are, in ``noisyweb.manifests``."""


def simulate_votes(seed: int = 0) -> pa.Table:
    """The votes on every unique living hit: columns url, label, annotator, answer, sorted by (label, url).

    Copies, leaks and dead links are never shown to annotators.
    """
    hits = [hit for hit in all_hits(seed) if hit.kind not in ("duplicate", "leak", "dead")]
    right = np.array([hit.is_right for hit in hits])
    hard = np.array([hit.is_lookalike for hit in hits])
    votes = vote([hit.url for hit in hits], [hit.label for hit in hits], right, hard, Crowd(), seed)
    return votes.rename_columns(["url", "label", "annotator", "answer"])


@cache
def bundled_votes() -> pa.Table:
    """The bundled votes, a table of `noisyweb.schemas.VOTES` with URLs as image ids.

    Raises:
        CorruptFileError: the bundled file is damaged.
    """
    with resources.as_file(resources.files("noisyweb.manifests") / FILE) as path:
        try:
            votes = pq.read_table(path)
        except (pa.ArrowException, OSError) as error:
            raise CorruptFileError(f"{path}: damaged ({str(error).splitlines()[0]}); install noisyweb again") from error
    backend = pa.array(["simulated"] * votes.num_rows, pa.string())
    return as_votes(votes.rename_columns(["image_id", *votes.column_names[1:]]).append_column("backend", backend))


@cache
def bundled_verdicts() -> pa.Table:
    """The consensus of the bundled votes, a table of `noisyweb.schemas.VERDICTS` with URLs as image ids.

    Raises:
        CorruptFileError: the bundled file is damaged.
    """
    return majority(bundled_votes())
