"""The order in which questions are kept, against its definition a row at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisyweb.dedup_order import KEEP, best_first
from noisyweb.image_ids import Texts, ids_of, unique
from noisyweb.schemas import CANDIDATES, IMAGES, VIEWS
from noisyweb.workspace import Workspace

LICENSES = ["cc0", "by", "by-nc-nd", "us-gov", "of my own", None]
FREEDOM = [0, 1, 5, 0, 6, 6]

FETCHED = st.tuples(
    st.integers(0, 6),  # image; 6: none came
    st.integers(0, 2),  # label
    st.sampled_from([None, 3, 10]),  # width
    st.sampled_from([None, 7, 500]),  # bytes
    st.none() | st.tuples(st.integers(0, 3), st.integers(0, len(LICENSES) - 1)),  # its candidate's rank and license
)
ROWS = st.lists(FETCHED, max_size=25)
INNER = st.dictionaries(st.integers(0, 5), st.sampled_from([None, 1.0, 0.5, 0.95]))


def image(number: int) -> str:
    return f"{number:02x}" * 32


def defined(rows: list[Any], inner: dict[int, float | None], keep: str) -> list[tuple[str, int]]:
    worth: dict[tuple[int, int], Any] = {}
    for number, label, width, num_bytes, candidate in rows:
        if number == 6:
            continue
        share = inner.get(number)
        share = 1.0 if share is None else float(pa.scalar(share, pa.float32()).as_py())
        pixels = round((width or 0) * 20 * (share if share == 1 else 0.9 * share))
        rank, freedom = (2**31, 6) if candidate is None else (candidate[0], FREEDOM[candidate[1]])
        largest = (-pixels, -(num_bytes or 0))
        value = {"largest": largest, "first": (rank,), "license": (freedom, *largest)}[keep]
        one = (value, number, rank)
        worth[number, label] = min(one, worth.get((number, label), one))
    return [(image(number), label) for number, label in sorted(worth, key=lambda key: (worth[key], key[1]))]


@settings(deadline=None, max_examples=80)
@given(ROWS, INNER, st.sampled_from(sorted(KEEP)))
def test_the_order_is_that_of_the_definition(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], inner: dict[int, float | None], keep: str
) -> None:
    place = filled(tmp_path_factory.mktemp("w"), rows, inner)
    ids = unique([ids_of(place.read("images")["image_id"].drop_null())])
    found = best_first(place, ids, keep)
    assert list(zip(Texts(ids[found.images]), found.labels.tolist(), strict=True)) == defined(rows, inner, keep)


def filled(folder: Path, rows: list[Any], inner: dict[int, float | None]) -> Workspace:
    place = Workspace(folder)
    images, candidates = [], []
    for number, (which, label, width, num_bytes, candidate) in enumerate(rows):
        both = {"url": f"http://x/{number}", "label": label}
        sizes = {"num_bytes": num_bytes, "width": width, "height": 20}
        is_there = {"status": "ok", "image_id": image(which)} if which < 6 else {"status": "failed"}
        images.append({**both, **sizes, **is_there, "retry": False, "attempts": 1})
        if candidate is not None:
            rank, slug = candidate[0], LICENSES[candidate[1]]
            candidates.append({**both, "provider": "p", "query": "q", "rank": rank, "license": slug})
    views = [{"image_id": image(number), "inner": share} for number, share in inner.items()]
    for name, table, schema in (("images", images, IMAGES), ("candidates", candidates, CANDIDATES)):
        place.write(name, pa.Table.from_pylist(table, schema=schema))
    place.write("views", pa.Table.from_pylist(views, schema=VIEWS))
    return place
