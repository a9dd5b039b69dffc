"""Makes manifests/cars/drawn_votes.parquet: the votes of the drawn edition's simulated annotators.

Run it from the repository root after changing what the drawn web holds; a test compares the file with it.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from noisyweb.atomic import replacing_file
from noisyweb.drawn.votes import FILE, simulate_votes

TARGET = Path(__file__).parents[2] / "manifests" / FILE


def main() -> None:
    """Write the file whole."""
    votes = simulate_votes()
    with replacing_file(TARGET) as temporary:
        schema = pa.schema(
            [("url", pa.string()), ("label", pa.int32()), ("annotator", pa.string()), ("answer", pa.string())]
        )
        pq.write_table(votes.cast(schema), temporary, compression="zstd", compression_level=19)
    print(f"{TARGET.name}: {votes.num_rows:,} votes, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
