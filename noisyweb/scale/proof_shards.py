"""Proofs of candidates (`noisyweb.proof`) as shards: some thousand pairs each, with those that share images together.

The questions are files, and what a shard is asked is a range of their numbers. Images come from the workspace's store;
clean images, which only the driver can read, lie beside the questions that need them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from noisyweb.described import Described
from noisyweb.image_ids import Ints, text_of
from noisyweb.places import names_in, write_file
from noisyweb.progress import Progress, silent
from noisyweb.proof import Match, Prover, Question
from noisyweb.remote_path import Place, open_parquet
from noisyweb.scale.blocks import digest
from noisyweb.scale.engine import Engine
from noisyweb.scale.parts import Shard, Work, run_shards
from noisyweb.scale.view_blocks import ViewCandidates, guesses_of
from noisyweb.table_files import tables_of
from noisyweb.workspace import Workspace

QUESTIONS = pa.schema(
    [
        pa.field("i", pa.int64(), nullable=False),  # places of the two images in their sets
        pa.field("j", pa.int64(), nullable=False),
        pa.field("first", pa.string(), nullable=False),  # their ids
        pa.field("second", pa.string(), nullable=False),
        pa.field("is_turned", pa.bool_(), nullable=False),  # asked the other way round
        pa.field("guesses", pa.list_(pa.int32()), nullable=False),  # see `noisyweb.scale.view_blocks.CANDIDATES`
    ]
)
CLEAN = pa.schema([pa.field("image_id", pa.string(), nullable=False), pa.field("data", pa.binary())])
PROOFS = pa.schema(
    [
        pa.field("i", pa.int64(), nullable=False),
        pa.field("j", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("distance", pa.int32()),
        pa.field("agreement", pa.float64()),
    ]
)
"""Only the pairs that are copies."""


@dataclass(frozen=True)
class ProofSetting:
    """What all shards share.

    Attributes:
        questions: the folder of files: question n is in file n // size.
        workspace: whose store has the images that do not lie beside the questions.
        radius: see `noisyweb.proof.Prover`.
    """

    questions: Place
    size: int
    workspace: Place
    radius: int


@dataclass
class Proofs:
    """What the proofs came to.

    Attributes:
        matches: by the places of the two images in their sets.
        aside: pairs that were given up, by their ids, and why; they count as no copies.
    """

    matches: dict[tuple[int, int], Match] = field(default_factory=dict)
    aside: list[tuple[str, str, str]] = field(default_factory=list)


def proofs(items: Sequence[int], setting: ProofSetting) -> Iterator[pa.RecordBatch]:
    """Decide on some questions of one file; a shard's function."""
    number = items[0] // setting.size
    asked = open_parquet(setting.questions / f"{number}.parquet").read()
    asked = asked.take([item - number * setting.size for item in items]).to_pydict()
    beside = setting.questions / f"{number}-clean.parquet"
    clean: dict[str, bytes | None] = {}
    if beside.exists():
        clean = dict(zip(*open_parquet(beside).read().to_pydict().values(), strict=True))
    place = Workspace(setting.workspace)

    def load(ids: Sequence[str]) -> Iterator[bytes | None]:
        stored = place.load([image_id for image_id in ids if image_id not in clean])
        return (clean[image_id] if image_id in clean else next(stored) for image_id in ids)

    names = ("first", "second", "is_turned", "guesses")
    questions = [_question(*values) for values in zip(*(asked[name] for name in names), strict=True)]
    found = Prover(setting.radius, threads=1).prove_all(questions, load)
    rows = [
        {"i": i, "j": j, "kind": match.kind, "distance": match.distance, "agreement": match.agreement}
        for i, j, match in zip(asked["i"], asked["j"], found, strict=True)
        if match is not None
    ]
    yield pa.RecordBatch.from_pylist(rows, schema=PROOFS)


def _question(first: str, second: str, is_turned: bool, numbers: Sequence[int]) -> Question:
    guesses = guesses_of(numbers)
    if not is_turned:
        return first, second, guesses
    turned = [replace(guess, is_forward=not guess.is_forward) for guess in guesses]
    return second, first, sorted(turned, key=lambda guess: (guess.distance, not guess.is_forward))


def prove_in_shards(
    engine: Engine,
    folder: Place,
    candidates: ViewCandidates,
    left: Described,
    right: Described,
    workspace: Place,
    radius: int,
    size: int,
    progress: Progress = silent,
    ranks: Ints | None = None,
) -> Proofs:
    """Decide on candidates.

    Args:
        engine: where.
        folder: for questions and parts.
        candidates: read in a stream.
        left, right: the two sets that they are of.
        workspace: the store of whatever ``is_stored``.
        radius, size: see `ProofSetting`.
        progress: told how many are done.
        ranks: where both sets are rows of the same images: where each row stands in one order; then the one that comes
            first is asked about first.
    """
    sides = [
        part
        for images, places in ((left, candidates.left), (right, candidates.right))
        for part in (images.looks.ids, images.looks.is_stored, images.rows[places])
    ]
    mark = digest(candidates.mark, *sides, ranks, radius, size)
    questions = folder / f"questions-{mark}"
    total = _write_questions(questions, candidates, left, right, size, ranks)
    work = Work(f"proofs-{mark}", proofs, PROOFS, ProofSetting(questions, size, workspace, radius))
    shards = [Shard(f"{start // size:08d}", range(start, min(start + size, total))) for start in range(0, total, size)]
    done = run_shards(engine, work, shards, folder, progress, "lay over each other")
    result = Proofs()
    for batch in done.batches():
        for row in batch.to_pylist():
            result.matches[row["i"], row["j"]] = Match(row["kind"], row["distance"], row["agreement"])
    for item, reason in done.aside:
        row = open_parquet(questions / f"{item // size}.parquet").read().slice(item % size, 1).to_pylist()[0]
        result.aside.append((row["first"], row["second"], reason))
    return result


def _write_questions(
    folder: Place, candidates: ViewCandidates, left: Described, right: Described, size: int, ranks: Ints | None
) -> int:
    """Write the files that are not there yet; gives the number of questions."""
    there = set(names_in(folder))
    total = 0
    for number, table in enumerate(tables_of(candidates.parts.all(), size)):
        total += len(table)
        if f"{number}.parquet" in there:
            continue
        places = [candidates.left[table["i"].to_numpy()], candidates.right[table["j"].to_numpy()]]
        rows = [side.rows[place] for side, place in zip((left, right), places, strict=True)]
        names = [text_of(side.looks.ids[row]) for side, row in zip((left, right), rows, strict=True)]
        is_turned = np.zeros(len(table), bool) if ranks is None else ranks[rows[0]] > ranks[rows[1]]
        asked = pa.table([*map(pa.array, places), *names, pa.array(is_turned), table["guesses"]], schema=QUESTIONS)
        clean = [
            (side, pc.unique(column).to_pylist())
            for side, column in zip((left, right), names, strict=True)
            if not side.looks.is_stored
        ]
        if clean:
            with (
                write_file(folder / f"{number}-clean.parquet") as temporary,
                pq.ParquetWriter(temporary, CLEAN, compression="none") as writer,
            ):
                for side, wanted in clean:
                    for image_id, data in zip(wanted, side.looks.load(wanted), strict=True):
                        writer.write_batch(pa.record_batch([[image_id], [data]], schema=CLEAN))
        with write_file(folder / f"{number}.parquet") as temporary:
            pq.write_table(asked, temporary, compression="zstd")
    return total
